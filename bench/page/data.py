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
from bench.core.vocabulary import CONTROLS, EXCLUSION_REASONS, ORACLE, RANDOM, RANKING_FAMILIES, Column
from bench.validation.ladders import CHANGE_LABELS, STEP_LABELS

DIGITS = 5  # that a figure keeps; the CSV files hold six
CELLS = {  # key on the page -> column of the long table
    "mean": "mean",
    "low": Column.MEAN_LOW,
    "high": Column.MEAN_HIGH,
    "n": Column.N_SAMPLES,
    "rank": "rank",
    "group": "group",
    "skill": "skill",
    "skill_low": Column.SKILL_LOW,
    "skill_high": Column.SKILL_HIGH,
    "p_random": Column.P_VS_RANDOM,
    "superiority": Column.SUPERIORITY,
    "status": "status",
}
ABOUT_METRIC = {  # key on the page -> column of the metric table
    **{name: name for name in ("metric_id", "metric_family", "label", "higher_is_better", "conformance")},
    "informative": Column.INFORMATIVE,
    "beats_random": Column.SHARE_BEATS_RANDOM,
    "rank_weight": Column.RANK_WEIGHT,
    "redundancy_group": Column.REDUNDANCY_GROUP,
    "friedman": Column.P_FRIEDMAN,
    "n_required_top_two": Column.N_REQUIRED_TOP_TWO,
    "outdated": Column.OUTDATED,
}
SHORT = {  # column -> key on the page
    "method_family": "family",
    "metric_family": "family",
    Column.N_SAMPLES: "n",
    Column.N_METHODS: "methods",
    Column.N_METRICS: "metrics",
    Column.TAU_LOW: "low",
    Column.TAU_HIGH: "high",
    Column.TAU_CRITICAL: "chance",
    Column.ALPHA_LOW: "low",
    Column.ALPHA_HIGH: "high",
}


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
    own = ["method", "method_id", "method_family", Column.N_SAMPLES, "status"]
    own += ["rank", Column.RANK_LOW, Column.RANK_HIGH, Column.TOP_GROUP, Column.VS_RANDOM, "group"]
    own += [Column.N_REQUIRED_VS_BEST, Column.OUTDATED]
    own += [name for name in wide if str(name).startswith(Column.MEAN_RANK) and wide[name].notna().any()]
    methods = records(wide[own].rename(columns=SHORT))
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
                long.pivot(index="method", columns="metric", values=column)
                .reindex(index=wide["method"], columns=names)
                .to_numpy()
            )
            for field, column in CELLS.items()
        },
        "curves": _curves(tables.curves[tables.curves["task"] == task]),
    }


def silence(facts: Mapping[str, Any]) -> str:
    """Why a metric has no vote in the ranks; empty where it has one."""
    if facts[Column.RANK_WEIGHT] > 0:
        return ""
    if facts["metric_family"] not in RANKING_FAMILIES:
        return f"{facts['metric_family']} takes no part in ranks: it does not ask whether a map is true"
    return EXCLUSION_REASONS.get(facts[Column.EXCLUSION_REASON], "no method has a score")


def _metric(name: str, facts: pd.Series, long: pd.DataFrame) -> dict[str, Any]:
    about: dict[str, Any] = {key: facts[column] for key, column in ABOUT_METRIC.items()}
    worth = silence({str(key): value for key, value in facts.items()})
    return plain(
        {"metric": name}
        | about
        | {Column.EXCLUSION_REASON: worth, "n": long.loc[long["metric"] == name, Column.N_SAMPLES].max()}
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
    fields = [Column.METRIC_A, Column.METRIC_B, "tau", Column.TAU_LOW, Column.TAU_HIGH, Column.TAU_CRITICAL]
    fields += [Column.N_SAMPLES, Column.N_METHODS]
    alphas = found.alphas[found.alphas["task"] == task].drop(columns="task")
    trust = found.trust[(found.trust["task"] == task) & found.trust["tau"].notna()].drop(columns="task")
    own = {name: key for name, key in SHORT.items() if name != "metric_family"}
    return {
        "order": plain(order),
        "fields": [SHORT.get(name, name) for name in fields],
        "pairs": plain(pairs[fields].to_numpy(dtype=object)) if known else [],
        "alphas": records(alphas.rename(columns=SHORT)),
        "trust": records(trust.rename(columns=own)),
    }


def failures(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows without a score, one entry per task, status and message: methods with the samples of each, metrics, rows."""
    order = {"failed": 0, "undefined": 1, "skipped": 2}
    found = []
    for (task, status, note), part in table.groupby(["task", "status", "note"], sort=True):
        samples = part.groupby("method", sort=True)[Column.N_SAMPLES].max()  # of the metric that lacks most
        found.append(
            {"task": task, "status": status, "note": note, "n": int(part[Column.N_SAMPLES].sum())}
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
