"""Turns tables into what the page reads: dictionaries, lists, texts and numbers that JSON can hold. Pure.

The scores of a board are matrices, methods x metrics, instead of one record per score: a fifth of the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis import agreement
from bench.analysis.summary import summary
from bench.analysis.task_tables import Tables
from bench.core.vocabulary import CONTROLS, EXCLUSION_REASONS, RANKING_FAMILIES, STATUSES, Column
from bench.validation.exactness import Standing
from bench.validation.ladders import CHANGE_LABELS, STEP_LABELS

DIGITS = 6  # significant digits of a number, as in the CSV files
NAMED = ("note", "metric", "method")  # columns of the table of failures
SCORE_FIELDS = (
    *("mean", Column.MEAN_LOW, Column.MEAN_HIGH, Column.N_SAMPLES, "rank", "group", "status"),
    *("skill", Column.SKILL_LOW, Column.SKILL_HIGH, Column.P_VS_RANDOM, Column.SUPERIORITY),
)
METHOD_FIELDS = (
    *("method", "method_id", "method_family", Column.N_SAMPLES, "status", "rank", Column.RANK_LOW, Column.RANK_HIGH),
    *(Column.TOP_GROUP, Column.VS_RANDOM, "group", Column.N_REQUIRED_VS_BEST, Column.ORIGIN, Column.OUTDATED),
)
METRIC_FIELDS = (
    *("metric_id", "metric_family", "label", "higher_is_better", "conformance", Column.EXCLUSION_REASON),
    *(Column.SHARE_BEATS_RANDOM, Column.RANK_WEIGHT, Column.REDUNDANCY_GROUP, Column.N_REQUIRED_TOP_TWO),
    Column.OUTDATED,
)


def plain(value: Any) -> Any:
    """A value that JSON can hold: no NaN, numbers of `DIGITS` digits, other things as text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray, pd.Series)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            return None
        short = float(f"{value:.{DIGITS}g}")
        return int(short) if short == int(short) and abs(short) < 1e9 else short
    return "" if value is pd.NA else str(value)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One dictionary per row."""
    return [plain(row) for row in table.to_dict("records")]


def board(task: str, tables: Tables) -> dict[str, Any]:
    """The leaderboard of one task.

    `methods` in the order of the board, `metrics`, `scores` (field -> matrix of methods x metrics), `adjacent` (how many
    adjacent pairs of the ranking can be distinguished) and `curves`.
    """
    wide = tables.wide[tables.wide["task"] == task]
    long = tables.long[tables.long["task"] == task]
    metrics = tables.metrics[tables.metrics["task"] == task].set_index("metric")
    names = list(dict.fromkeys(long["metric"]))
    facts = summary(wide)
    return {
        "methods": _methods(wide),
        "metrics": [_metric(name, metrics.loc[name]) for name in names],
        "scores": {
            field: plain(
                long.pivot(index="method", columns="metric", values=field)
                .reindex(index=wide["method"], columns=names)
                .to_numpy()
            )
            for field in SCORE_FIELDS
        },
        "adjacent": {"pairs": facts.neighbours, "distinguishable": facts.neighbours_distinct},
        "curves": _curves(tables.curves[tables.curves["task"] == task]),
    }


def _methods(wide: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a board. `is_first`: the first row that is not a control, or the first row where all are controls."""
    mean_ranks = [name for name in wide if str(name).startswith(Column.MEAN_RANK) and wide[name].notna().any()]
    rows = records(wide[[*(name for name in METHOD_FIELDS if name in wide), *mean_ranks]])
    ranked = [row for row in rows if row["rank"] is not None]
    first = next((row for row in ranked if row["method_family"] != CONTROLS), ranked[0] if ranked else None)
    return [row | {"is_control": row["method_family"] == CONTROLS, "is_first": row is first} for row in rows]


def _metric(name: str, facts: pd.Series) -> dict[str, Any]:
    fields = {key: facts[key] for key in METRIC_FIELDS}
    return plain({"metric": name} | fields | {"exclusion_text": exclusion_text(fields)})


def exclusion_text(metric: Mapping[str, Any]) -> str:
    """Why a metric does not count in the rank; empty where it counts."""
    if metric[Column.RANK_WEIGHT] > 0:
        return ""
    if metric["metric_family"] not in RANKING_FAMILIES:
        return f"only {' and '.join(RANKING_FAMILIES)} metrics ask whether a map is right"
    return EXCLUSION_REASONS.get(metric[Column.EXCLUSION_REASON], "no method has a score")


def exactness(standings: Mapping[str, Standing]) -> dict[str, Any]:
    """Method id -> kind, chip and sentence, of methods that were checked on the task's network."""
    return {name: plain(one._asdict()) for name, one in standings.items()}


def _curves(curves: pd.DataFrame) -> dict[str, Any]:
    """Deletion and insertion: metric -> shares of features and, per method, the mean p at each."""
    result: dict[str, Any] = {}
    for metric, rows in curves[curves["metric"].isin(["deletion", "insertion"])].groupby("metric", sort=True):
        by_method = {str(name): part for name, part in rows.groupby("method", sort=True)}
        share = next(iter(by_method.values()))["share"]
        result[str(metric)] = plain({"share": share, "p": {name: part["p"] for name, part in by_method.items()}})
    return result


def agreement_of(task: str, tables: agreement.Tables) -> dict[str, Any]:
    """How the metrics agree: `order` (similar metrics side by side), `pairs` with intervals, `alphas`, `trust`."""
    pairs = tables.agreement[tables.agreement["task"] == task].drop(columns="task")
    alphas = tables.alphas[tables.alphas["task"] == task].drop(columns="task")
    trust = tables.trust[(tables.trust["task"] == task) & tables.trust["tau"].notna()].drop(columns="task")
    comparable = pairs["tau"].notna().any()
    return {
        "order": plain(list(agreement.clustered(pairs).index)) if comparable else [],
        "pairs": records(pairs) if comparable else [],
        "alphas": records(alphas),
        "trust": records(trust),
    }


def missing(table: pd.DataFrame, controls: Iterable[str]) -> list[dict[str, Any]]:
    """Missing scores by task, status and message: the methods with the number of samples of each, the metrics, the scores.

    Errors come first, reasons that concern controls only come last.
    """
    only_controls = set(controls)
    entries = []
    named = table.assign(note=[_without_name(*row) for row in zip(*(table[key] for key in NAMED), strict=True)])
    for (task, status, note), part in named.groupby(["task", "status", "note"], sort=True):
        samples = part.groupby("method", sort=True)[Column.N_SAMPLES].max()  # of the metric that lacks most
        entry = {"task": task, "status": status, "note": note, "n_scores": int(part[Column.N_SAMPLES].sum())}
        entries.append(entry | {"methods": list(samples.items()), "metrics": sorted(set(part["metric"]))})
    return plain(
        sorted(
            entries,
            key=lambda entry: (
                entry["status"] != "failed",
                {name for name, _ in entry["methods"]} <= only_controls,
                STATUSES.index(entry["status"]),
                entry["task"],
                -entry["n_scores"],
            ),
        )
    )


def _without_name(note: str, metric: str, method: str) -> str:
    """A message that starts with a name, without it, so that the same reason of several metrics is one entry."""
    for name, kind in ((metric, "the metric"), (method, "the method")):
        if note.startswith(f"{name} "):
            return f"{kind} {note.removeprefix(f'{name} ')}"
    return note


def conformance(table: pd.DataFrame) -> dict[str, Any]:
    """The verdicts on the metrics: `steps` (columns that compare two maps), `changes`, and `lines`, one per metric."""
    steps = [name for name in STEP_LABELS if name in table and table[name].notna().any()]
    changes = [name for name in ("batch", *CHANGE_LABELS) if name in table]
    facts = ["metric", "metric_id", "family", "verdict", "failure_reasons", "uses_sign", "input_shapes"]
    return {
        "steps": [{"key": name, "label": STEP_LABELS[name]} for name in steps],
        "changes": changes,
        "lines": records(table.reindex(columns=[*facts, *steps, *changes])),
    }


def names(values: Iterable[Any]) -> list[str]:
    """Distinct texts in order of first appearance."""
    return list(dict.fromkeys(str(value) for value in values))
