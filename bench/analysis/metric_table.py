"""The long table: one row per task, method and metric."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench.analysis import inference
from bench.analysis.groups import letters
from bench.analysis.score_matrix import grouped, mean_interval, scores_of, status_text
from bench.analysis.skill import against_random
from bench.analysis.votes import informative, no_random_score, rank_weights
from bench.core.vocabulary import EXCLUSION_REASONS, FAMILY_ORDER, RANDOM


def long_table(rows: pd.DataFrame, verdicts: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per task, method and metric: n, mean, interval, rank, group, status, skill, and what the metric is worth.

    `verdicts`: id of a metric -> pass or fail in the conformance checks.
    """
    tables = [_metric_table(part, verdicts or {}) for _, part in grouped(rows, ["task", "metric"])]
    if not tables:
        return pd.DataFrame(columns=["task", "method", "metric", "n"])
    table = pd.concat(tables, ignore_index=True)
    table["informative"] = informative(table)
    table.loc[(table["informative"] == "no") & (table["exclusion_reason"] == ""), "exclusion_reason"] = "uninformative"
    table["redundancy_group"], table["rank_weight"] = rank_weights(rows, table)
    families = {name: i for i, name in enumerate(FAMILY_ORDER)}
    order = table["metric_family"].map(families).fillna(len(families))
    table = table.assign(_order=order, _rank=table["rank"].fillna(np.inf))
    table = table.sort_values(["task", "_order", "metric", "_rank", "method"], kind="stable")
    return table.drop(columns=["_order", "_rank", "min_attainable_p"]).reset_index(drop=True)


def metric_table(long: pd.DataFrame) -> pd.DataFrame:
    """One row per task and metric: what it is worth there, and its vote in the mean rank."""
    columns = ["task", "metric", "metric_id", "metric_family", "label", "higher_is_better", "conformance"]
    columns += [
        "informative",
        "beats_random",
        "p_majority_beats_random",
        "exclusion_reason",
        "rank_weight",
        "redundancy_group",
        "friedman",
        "n_required_top_two",
    ]
    found = long[columns] if len(long) else pd.DataFrame(columns=columns)
    return found.drop_duplicates(["task", "metric"]).reset_index(drop=True)


def _metric_table(rows: pd.DataFrame, verdicts: Mapping[str, str]) -> pd.DataFrame:
    """All methods on one metric of one task. Costs are measurements of the machine: they get no interval, rank or group."""
    methods = sorted(rows["method"].unique())
    scores = scores_of(rows).reindex(columns=methods).dropna(how="all")
    first, by_method = rows.iloc[0], rows.groupby("method", observed=True)
    statuses = {name: status_text(own) for name, own in by_method["status"]}
    n, verdict = scores.notna().sum(), verdicts.get(first["metric_id"], "")
    table = pd.DataFrame(
        {
            "task": first["task"],
            "method": methods,
            "method_id": by_method["method_id"].first()[methods].to_numpy(),
            "method_family": by_method["method_family"].first()[methods].to_numpy(),
            "metric": first["metric"],
            "metric_id": first["metric_id"],
            "metric_family": first["metric_family"],
            "label": first["label"],
            "higher_is_better": bool(first["higher_is_better"]),
            "n": n.to_numpy(),
            "mean": scores.mean().to_numpy(),
            "low": np.nan,
            "high": np.nan,
            "rank": np.nan,
            "group": "",
            "p_best": np.nan,
            "p_random": np.nan,
            "superiority": np.nan,
            "status": [statuses[name] for name in methods],
            "skill": np.nan,
            "skill_low": np.nan,
            "skill_high": np.nan,
            "conformance": verdict,
            "informative": "",
            "exclusion_reason": verdict if verdict in EXCLUSION_REASONS else "",
            "beats_random": np.nan,
            "p_majority_beats_random": np.nan,
            "min_attainable_p": np.nan,
            "friedman": np.nan,
            "n_required_top_two": np.nan,
        }
    ).set_index("method", drop=False)
    if len(scores) and first["metric_family"] != "cost":
        table["low"], table["high"] = mean_interval(scores.to_numpy())
        asked = pd.DataFrame(
            inference.snap_rounding_ties(scores.to_numpy()), index=scores.index, columns=scores.columns
        )
        _judge(table, asked)
        if RANDOM in scores and scores[RANDOM].notna().any():
            against_random(table, asked)
            if table["exclusion_reason"].iloc[0] in ("", "beats_oracle") and no_random_score(rows, scores):
                table["exclusion_reason"] = "no_random_score"
    return table


def _judge(table: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Fills in rank, group and tests of the methods that have all the scores."""
    full = table.index[table["n"] == len(scores)]
    higher = bool(table["higher_is_better"].iloc[0])
    rank = pd.Series(inference.ranks(scores[full].mean().to_numpy(), higher_is_better=higher), index=full)
    best_first = rank.sort_values(kind="stable").index
    p = inference.pairwise(scores[best_first].to_numpy())
    table.loc[full, "rank"] = rank
    table.loc[best_first, "group"] = letters(p < 1 - inference.LEVEL)
    if len(full) > 1:
        table.loc[best_first[1:], "p_best"] = p[0, 1:]
        gap = (scores[best_first[0]] - scores[best_first[1]]).to_numpy()
        table["friedman"] = inference.friedman(scores[full].to_numpy())
        table["n_required_top_two"] = inference.samples_needed(gap, tests=pair_count(len(full)))


def pair_count(methods: int) -> int:
    """How many tests tell them apart."""
    return max(1, methods * (methods - 1) // 2)
