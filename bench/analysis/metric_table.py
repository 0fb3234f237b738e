"""The long table: one row per task, method and metric.

Scores are compared sample by sample: all methods are scored on the same samples. Scores of a sample that differ by rounding
alone are ties. Only methods with a score on every sample on which any method has one are ranked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench.analysis import inference
from bench.analysis.groups import letters
from bench.analysis.rank_weights import informative, no_random_score, rank_weights
from bench.analysis.score_matrix import grouped, mean_interval, scores_of, status_texts
from bench.analysis.skill import against_random
from bench.core.vocabulary import (
    BEATS_ORACLE,
    COST,
    EXCLUSION_REASONS,
    FAMILY_ORDER,
    LEVEL,
    NO,
    NO_RANDOM_SCORE,
    RANDOM,
    UNINFORMATIVE,
    Column,
)

USED = [  # columns of the rows
    *("task", "method", "method_id", "method_family", "metric", "metric_id", "metric_family", "label"),
    *("higher_is_better", "sample_id", "score", "status"),
]
# The unit at the end of a label; a label without one is of a number without dimension.
UNIT = r"\((%[^)]*|nats|MiB|per unit of [^)]*)\)$|^(.+ per sample)$"


def long_table(rows: pd.DataFrame, verdicts: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per task, method and metric: mean, interval, rank, group, status, skill, and what is known of the metric.

    `verdicts`: id of a metric -> pass or fail in the conformance checks.
    """
    tables = [_metric_table(part, verdicts or {}) for _, part in grouped(rows[USED], ["task", "metric"])]
    if not tables:
        return pd.DataFrame(columns=["task", "method", "metric", Column.N_SAMPLES])
    table = pd.concat(tables, ignore_index=True)
    table[Column.INFORMATIVE] = informative(table)
    uninformative = (table[Column.INFORMATIVE] == NO) & (table[Column.EXCLUSION_REASON] == "")
    table.loc[uninformative, Column.EXCLUSION_REASON] = UNINFORMATIVE
    table[Column.REDUNDANCY_GROUP], table[Column.RANK_WEIGHT] = rank_weights(rows, table)
    families = {name: i for i, name in enumerate(FAMILY_ORDER)}
    order = table["metric_family"].map(families).fillna(len(families))
    table = table.assign(_order=order, _rank=table["rank"].fillna(np.inf))
    table = table.sort_values(["task", "_order", "metric", "_rank", "method"], kind="stable")
    return table.drop(columns=["_order", "_rank", Column.MIN_ATTAINABLE_P]).reset_index(drop=True)


def metric_table(long: pd.DataFrame) -> pd.DataFrame:
    """One row per task and metric: its checks, what it says on the task, and its weight in the rank."""
    columns = ["task", "metric", "metric_id", "metric_family", "label", "higher_is_better", "conformance"]
    columns += [
        Column.INFORMATIVE,
        Column.SHARE_BEATS_RANDOM,
        Column.P_MAJORITY_BEATS_RANDOM,
        Column.EXCLUSION_REASON,
        Column.RANK_WEIGHT,
        Column.REDUNDANCY_GROUP,
        Column.P_FRIEDMAN,
        Column.N_REQUIRED_TOP_TWO,
    ]
    found = long[columns] if len(long) else pd.DataFrame(columns=columns)
    return found.drop_duplicates(["task", "metric"]).reset_index(drop=True)


def unit_of(label: str) -> str:
    """The unit that a metric's label names; empty for a number without dimension."""
    found = re.search(UNIT, label)
    return "" if found is None else found[1] or found[2]


def metric_facts(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per metric of any task, by family: its unit, direction and label."""
    facts = metrics.drop_duplicates("metric").copy()
    facts["unit"] = [unit_of(label) for label in facts["label"]]
    order = facts["metric_family"].map({name: i for i, name in enumerate(FAMILY_ORDER)})
    columns = ["metric", "metric_id", "metric_family", "unit", "higher_is_better", "label"]
    return facts.assign(_order=order).sort_values(["_order", "metric"], kind="stable")[columns].reset_index(drop=True)


def counted(long: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The metrics of one task that count in the rank and rank any method, and the methods that all of these rank."""
    ranks = (
        long[long[Column.RANK_WEIGHT] > 0]
        .pivot(index="method", columns="metric", values="rank")
        .dropna(axis=1, how="all")
    )
    return list(ranks), sorted(ranks.index[ranks.notna().all(axis=1)]) if len(ranks.columns) else []


def _metric_table(rows: pd.DataFrame, verdicts: Mapping[str, str]) -> pd.DataFrame:
    """All methods on one metric of one task. Costs measure the machine: they get no interval, rank or group."""
    methods = sorted(rows["method"].unique())
    scores = scores_of(rows).reindex(columns=methods).dropna(how="all")
    table = _without_tests(rows, scores, verdicts)
    if len(scores) and rows["metric_family"].iloc[0] != COST:
        table[Column.MEAN_LOW], table[Column.MEAN_HIGH] = mean_interval(scores.to_numpy())
        snapped = inference.snap_rounding_ties(scores.to_numpy())
        compared = pd.DataFrame(snapped, index=scores.index, columns=scores.columns)
        _rank_and_test(table, compared)
        if RANDOM in scores and scores[RANDOM].notna().any():
            against_random(table, compared)
            if table[Column.EXCLUSION_REASON].iloc[0] in ("", BEATS_ORACLE) and no_random_score(rows, scores):
                table[Column.EXCLUSION_REASON] = NO_RANDOM_SCORE
    return table


def _without_tests(rows: pd.DataFrame, scores: pd.DataFrame, verdicts: Mapping[str, str]) -> pd.DataFrame:
    """The table of one metric with its facts and mean scores; what tests say is still empty."""
    first, by_method = rows.iloc[0], rows.groupby("method", observed=True)
    statuses = status_texts(rows)
    methods, verdict = list(scores.columns), verdicts.get(first["metric_id"], "")
    columns = {
        "task": first["task"],
        "method": methods,
        "method_id": by_method["method_id"].first()[methods].to_numpy(),
        "method_family": by_method["method_family"].first()[methods].to_numpy(),
        "metric": first["metric"],
        "metric_id": first["metric_id"],
        "metric_family": first["metric_family"],
        "label": first["label"],
        "higher_is_better": bool(first["higher_is_better"]),
        Column.N_SAMPLES: scores.notna().sum().to_numpy(),
        "mean": scores.mean().to_numpy(),
    }
    columns |= dict.fromkeys((Column.MEAN_LOW, Column.MEAN_HIGH, "rank"), np.nan) | {"group": ""}
    columns |= dict.fromkeys((Column.P_VS_BEST, Column.P_VS_RANDOM, Column.SUPERIORITY), np.nan)
    columns |= {"status": [statuses[name] for name in methods]}
    columns |= dict.fromkeys(("skill", Column.SKILL_LOW, Column.SKILL_HIGH), np.nan)
    columns |= {"conformance": verdict, Column.INFORMATIVE: ""}
    columns |= {Column.EXCLUSION_REASON: verdict if verdict in EXCLUSION_REASONS else ""}
    columns |= dict.fromkeys((Column.SHARE_BEATS_RANDOM, Column.P_MAJORITY_BEATS_RANDOM), np.nan)
    columns |= dict.fromkeys((Column.MIN_ATTAINABLE_P, Column.P_FRIEDMAN, Column.N_REQUIRED_TOP_TWO), np.nan)
    return pd.DataFrame(columns).set_index("method", drop=False)


def _rank_and_test(table: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Fills in rank, group and tests of the methods that have a score on every sample."""
    full = table.index[table[Column.N_SAMPLES] == len(scores)]
    higher = bool(table["higher_is_better"].iloc[0])
    rank = pd.Series(inference.ranks(scores[full].mean().to_numpy(), higher_is_better=higher), index=full)
    best_first = rank.sort_values(kind="stable").index
    p = inference.pairwise(scores[best_first].to_numpy())
    table.loc[full, "rank"] = rank
    table.loc[best_first, "group"] = letters(p < 1 - LEVEL)
    if len(full) > 1:
        table.loc[best_first[1:], Column.P_VS_BEST] = p[0, 1:]
        gap = (scores[best_first[0]] - scores[best_first[1]]).to_numpy()
        table[Column.P_FRIEDMAN] = inference.friedman(scores[full].to_numpy())
        table[Column.N_REQUIRED_TOP_TWO] = inference.samples_needed(gap, tests=pair_count(len(full)))


def pair_count(methods: int) -> int:
    """How many tests compare each two of so many methods."""
    return max(1, methods * (methods - 1) // 2)
