"""Rows of the store as matrices: samples x methods of one metric."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bench.analysis import inference
from bench.core.vocabulary import OK, RANKING_FAMILIES, Column
from bench.perturbation.masking import even_counts

CURVE_COLUMNS = [
    *("task", "metric", "method", "label", "higher_is_better", "method_family"),
    *("share", "p", Column.P_LOW, Column.P_HIGH),
]
SPREAD = {5: "p5", 25: "p25", 50: "p50", 75: "p75", 95: "p95"}  # percentiles -> columns
SPREAD_COLUMNS = ["task", "metric", "method", *SPREAD.values(), "two_valued"]
FIRST = 1000  # scores of a method that say whether a metric has more than two values


def current(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that count: the newest version of each method and metric, on the newest input of each sample."""
    for kind in ("method", "metric"):
        version = rows[f"{kind}_id"].str.extract(r"@(\d+)", expand=False).astype(int)
        rows = rows[version == version.groupby([rows["task"], rows[kind]], observed=True).transform("max")]
    newest = (
        rows.sort_values("written", kind="stable")
        .groupby(["task", "sample_id"], observed=True)["sample_digest"]
        .transform("last")
    )
    return rows[rows["sample_digest"] == newest.reindex(rows.index)]


def origins(rows: pd.DataFrame) -> dict[str, str]:
    """Method -> the release file that its scores on a task are from, "" for the folder's own; {} where there is none."""
    if Column.ORIGIN not in rows:
        return {}
    first = rows.groupby("method", observed=True)[Column.ORIGIN].first()
    return {str(name): str(file) for name, file in first.items()}


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Every row without a score, grouped by reason, with the number of samples it holds for."""
    without = rows[rows["status"] != "ok"]
    keys = ["task", "method", "metric", "status", "note"]
    return (
        without.groupby(keys, sort=True, observed=True)
        .size()
        .rename(Column.N_SAMPLES)
        .reset_index()
        .astype(dict.fromkeys(keys, object))
    )


def mean_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean curve and its interval per task, metric and method, over the share of features perturbed."""
    found = []
    with_curve = rows[(rows["status"] == "ok") & rows["curve"].notna()]
    for (task, metric, method), part in grouped(with_curve, ["task", "metric", "method"]):
        curves = _of_samples(part)
        features = int(part["features"].iloc[0])
        low, high = mean_interval(curves)
        facts = part.iloc[0][["label", "higher_is_better", "method_family"]].to_dict()
        points = {"share": even_counts(curves.shape[1] - 1, features).numpy() / features, "p": curves.mean(0)}
        found.append(
            pd.DataFrame(
                {"task": task, "metric": metric, "method": method}
                | facts
                | points
                | {Column.P_LOW: low, Column.P_HIGH: high}
            )
        )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=CURVE_COLUMNS)


def spreads(rows: pd.DataFrame) -> pd.DataFrame:
    """Percentiles of the scores per task, metric and method, of the metrics that can rank.

    `two_valued`: the metric has at most two values on the task, of which percentiles say little.
    """
    scored = rows[(rows["status"] == OK) & rows["metric_family"].isin(RANKING_FAMILIES)]
    found = []
    for (task, metric), part in grouped(scored, ["task", "metric"]):
        method, methods = pd.factorize(part["method"], sort=True)
        order = np.argsort(method, kind="stable")
        own = np.split(part["score"].to_numpy(float)[order], np.cumsum(np.bincount(method))[:-1])
        values = np.unique(np.concatenate([scores[:FIRST] for scores in own]))
        found.append(
            pd.DataFrame(
                {"task": task, "metric": metric, "method": np.asarray(methods, dtype=object)}
                | dict(zip(SPREAD.values(), _percentiles(own, list(SPREAD)), strict=True))
                | {"two_valued": len(values) <= 2}
            )
        )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=SPREAD_COLUMNS)


def _percentiles(parts: list[np.ndarray], shares: list[int]) -> np.ndarray:
    """Percentiles of each part: (shares, parts). Parts of one length are taken together."""
    result, sizes = np.full((len(shares), len(parts)), np.nan), np.array([len(part) for part in parts])
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        result[:, places] = np.percentile(np.stack([parts[place] for place in places]), shares, axis=1)
    return result


def _of_samples(rows: pd.DataFrame) -> np.ndarray:
    """Curves, one per sample, seeds averaged: (n, points)."""
    curves, (sample, samples) = np.stack(rows["curve"].to_list()).astype(float), pd.factorize(rows["sample_id"])
    total = np.zeros((len(samples), curves.shape[1]))
    np.add.at(total, sample, curves)
    return total / np.bincount(sample)[:, None]


def mean_interval(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of the columns' means, each over the samples that it has: (n, M) -> (M,), (M,)."""
    return inference.interval(inference.bootstrap_means(scores), (~np.isnan(scores)).sum(0))


def scores_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Samples x methods, seeds averaged; NaN where there is no score."""
    (sample, samples), (method, methods) = (pd.factorize(rows[key], sort=True) for key in ("sample_id", "method"))
    shape = len(samples), len(methods)
    score = rows["score"].to_numpy(float)
    known = ~np.isnan(score)
    place = np.ravel_multi_index((sample[known], method[known]), shape)
    count, total = (np.bincount(place, weights, minlength=shape[0] * shape[1]) for weights in (None, score[known]))
    with np.errstate(invalid="ignore"):
        means = (total / count).reshape(shape)
    index, columns = (pd.Index(np.asarray(names, dtype=object)) for names in (samples, methods))
    return pd.DataFrame(means, index=index, columns=columns)


def oriented(rows: pd.DataFrame) -> pd.DataFrame:
    """`scores_of` one metric, turned so that higher is better; what differs by rounding alone is equal."""
    scores = scores_of(rows) * (1 if rows["higher_is_better"].iloc[0] else -1)
    return pd.DataFrame(inference.snap_rounding_ties(scores.to_numpy()), index=scores.index, columns=scores.columns)


def status_texts(rows: pd.DataFrame) -> dict[str, str]:
    """For each method `ok`, or how many samples have which other status."""
    (method, methods), (status, statuses) = (pd.factorize(rows[key], sort=True) for key in ("method", "status"))
    place = np.ravel_multi_index((method, status), (len(methods), len(statuses)))
    counts = np.bincount(place, minlength=len(methods) * len(statuses)).reshape(len(methods), len(statuses)).tolist()
    return {
        name: _status_text(dict(zip(statuses, own, strict=True))) for name, own in zip(methods, counts, strict=True)
    }


def _status_text(counts: dict[str, int]) -> str:
    others = [f"{name} {n}" for name, n in counts.items() if n and name != OK]
    return OK if not others else f"{', '.join(others)} of {sum(counts.values())}"


def grouped(rows: pd.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[str, ...], pd.DataFrame]]:
    return rows.groupby(keys, sort=True, observed=True)  # type: ignore[return-value]
