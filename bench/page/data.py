"""Tables to what the page reads: dictionaries, lists, texts and numbers that JSON can hold. Pure.

A board is kept as matrices, methods x metrics, instead of a record per cell: it is a fifth of the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis import agreement
from bench.analysis.groups import share_a_letter
from bench.analysis.task_tables import Tables
from bench.core.vocabulary import CONTROLS, EXCLUSION_REASONS, ORACLE, RANDOM, RANKING_FAMILIES
from bench.validation.ladders import CHANGE_LABELS, STEP_LABELS

DIGITS = 5  # that a figure keeps; the CSV files hold six
CELLS = (
    "mean",
    "low",
    "high",
    "n",
    "rank",
    "group",
    "skill",
    "skill_low",
    "skill_high",
    "p_random",
    "superiority",
    "status",
)
ABOUT_METRIC = (
    *("metric_id", "metric_family", "label", "higher_is_better", "conformance", "informative", "beats_random"),
    *("rank_weight", "redundancy_group", "friedman", "n_required_top_two"),
)


def plain(value: Any) -> Any:
    """A value as JSON knows it: no NaN, numbers of `DIGITS` digits, texts otherwise."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray, pd.Series)):
        return [plain(one) for one in value]
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
    """One dictionary per line."""
    return [plain(line) for line in table.to_dict("records")]


def board(task: str, tables: Tables) -> dict[str, Any]:
    """One task's leaderboard: `methods` in the board's order, `metrics`, and `cells`, a matrix (methods, metrics) each."""
    wide = tables.wide[tables.wide["task"] == task]
    long = tables.long[tables.long["task"] == task]
    facts = tables.metrics[tables.metrics["task"] == task].set_index("metric")
    names = list(dict.fromkeys(long["metric"]))
    own = ["method", "method_id", "family", "n", "status"] + [
        name for name in ("rank", "rank_low", "rank_high", "group", "n_required_vs_best") if name in wide
    ]
    own += [name for name in wide if str(name).startswith("mean_rank") and wide[name].notna().any()]
    methods = records(wide[own])
    ranked = [line for line in methods if line.get("rank") is not None]
    best = next((line for line in ranked if line["family"] != CONTROLS), ranked[0] if ranked else {})
    first = str(best.get("group") or "")
    random = next((str(line.get("group") or "") for line in ranked if line["method"] == RANDOM), "")
    for line in methods:
        line["role"] = line["method"] if line["method"] in (RANDOM, ORACLE) else ""
        line["control"] = line["family"] == CONTROLS
        line["first"] = line is best  # of those that explain something, if any does
        line["ties_first"] = share_a_letter(first, str(line.get("group") or ""))
        line["ties_random"] = share_a_letter(random, str(line.get("group") or ""))
    return {
        "methods": methods,
        "metrics": [_metric(name, facts.loc[name], long) for name in names],
        "cells": {
            field: plain(
                long.pivot(index="method", columns="metric", values=field)
                .reindex(index=wide["method"], columns=names)
                .to_numpy()
            )
            for field in CELLS
        },
        "curves": _curves(tables.curves[tables.curves["task"] == task]),
    }


def silence(facts: Mapping[str, Any]) -> str:
    """Why a metric has no vote in the ranks; empty where it has one."""
    if facts["rank_weight"] > 0:
        return ""
    if facts["metric_family"] not in RANKING_FAMILIES:
        return f"{facts['metric_family']} takes no part in ranks: it does not ask whether a map is true"
    return EXCLUSION_REASONS.get(facts["exclusion_reason"], "no method has a score")


def _metric(name: str, facts: pd.Series, long: pd.DataFrame) -> dict[str, Any]:
    about: dict[str, Any] = {key: facts[key] for key in ABOUT_METRIC}
    worth = silence(about | {"exclusion_reason": facts["exclusion_reason"]})
    return plain(
        {"metric": name} | about | {"exclusion_reason": worth, "n": long.loc[long["metric"] == name, "n"].max()}
    )


def _curves(curves: pd.DataFrame) -> dict[str, Any]:
    """Metric -> shares and, per method, the mean p: of the curves of removal and return, pixel by pixel."""
    found: dict[str, Any] = {}
    for metric, of_metric in curves[curves["metric"].isin(["deletion", "insertion"])].groupby("metric", sort=True):
        by_method = {str(name): part for name, part in of_metric.groupby("method", sort=True)}
        shares = next(iter(by_method.values()))["share"]
        found[str(metric)] = plain({"share": shares, "p": {name: part["p"] for name, part in by_method.items()}})
    return found


def beliefs(task: str, found: agreement.Tables) -> dict[str, Any]:
    """How metrics agree: `order` of the metrics, alike side by side, `pairs` with intervals, `alphas`, `trust`."""
    pairs = found.agreement[found.agreement["task"] == task]
    known = pairs["tau"].notna().any()
    order = list(agreement.clustered(pairs).index) if known else []
    fields = ["metric_a", "metric_b", "tau", "low", "high", "chance", "n", "methods"]
    return {
        "order": plain(order),
        "fields": fields,
        "pairs": plain(pairs[fields].to_numpy(dtype=object)) if known else [],
        "alphas": records(found.alphas[found.alphas["task"] == task].drop(columns="task")),
        "trust": records(found.trust[(found.trust["task"] == task) & found.trust["tau"].notna()].drop(columns="task")),
    }


def failures(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows without a score, one entry per task, status and message: methods with the samples of each, metrics, rows."""
    order = {"failed": 0, "undefined": 1, "skipped": 2}
    found = []
    for (task, status, note), part in table.groupby(["task", "status", "note"], sort=True):
        samples = part.groupby("method", sort=True)["n"].max()  # of the metric that lacks most
        found.append(
            {"task": task, "status": status, "note": note, "n": int(part["n"].sum())}
            | {"methods": list(samples.items()), "metrics": sorted(set(part["metric"]))}
        )
    return plain(
        sorted(found, key=lambda line: (order.get(str(line["status"]), 3), str(line["task"]), -int(line["n"])))
    )


def conformance(table: pd.DataFrame) -> dict[str, Any]:
    """What was found of each metric on closed-form problems: `steps` of the ladders, and `lines`, one per metric."""
    table = table.rename(columns=STEP_LABELS | CHANGE_LABELS)
    steps = [label for label in STEP_LABELS.values() if label in table and table[label].notna().any()]
    changes = [name for name in ("batch", *CHANGE_LABELS.values()) if name in table]
    fields = [
        "metric",
        "metric_id",
        "family",
        "verdict",
        "failure_reasons",
        "uses_sign",
        "input_shapes",
        *steps,
        *changes,
    ]
    return {"steps": steps, "changes": changes, "lines": records(table.reindex(columns=fields))}


def names(values: Iterable[Any]) -> list[str]:
    """Distinct texts in order of first appearance."""
    return list(dict.fromkeys(str(value) for value in values))
