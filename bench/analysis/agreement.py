"""Agreement of metrics: with each other, and with the ground truth. Pure.

Metrics are compared by the orders of the mean scores that the leaderboards show, turned so that more is better; costs are left
out. As in the leaderboards, a method counts for a metric when it has a score on every sample on which any method has one; two
metrics are compared over the methods that count for both. Controls are left out: every metric puts noise last, and that
would pass for agreement about the methods. Intervals are over the samples: all metrics and methods get the same resamples.
How much the choice of methods matters is what `tau_critical` is for: the |tau| that unrelated orders of as many methods
exceed in 5 % of all cases.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from bench.analysis import concordance, inference
from bench.core.vocabulary import CONTROLS, FAMILY_ORDER, RANKING_FAMILIES, Column

TRUTH_FAMILY = "localisation"
MEAN_TRUTH = "mean rank"  # over the metrics of the truth family
Excluded = Collection[tuple[str, str]]
BLOCK = 20  # replicates compared at once, to bound memory
TRUST_COLUMNS = [
    *("task", "metric", "metric_family", "label", "higher_is_better"),
    *(Column.TRUTH_METRIC, Column.N_SAMPLES, Column.N_METHODS),
    *("tau", Column.TAU_LOW, Column.TAU_HIGH, Column.TAU_CRITICAL),
]
AGREEMENT_COLUMNS = [
    *("task", Column.METRIC_A, Column.METRIC_B, Column.N_SAMPLES, Column.N_METHODS),
    *("tau", Column.TAU_LOW, Column.TAU_HIGH, Column.TAU_CRITICAL),
]
ALPHA_COLUMNS = [
    *("task", "metric_family", Column.N_METRICS, Column.N_METHODS),
    *("alpha", Column.ALPHA_LOW, Column.ALPHA_HIGH),
]


class Tables(NamedTuple):
    trust: pd.DataFrame
    agreement: pd.DataFrame
    alphas: pd.DataFrame


@dataclass(frozen=True)
class _Means:
    """Mean scores of M methods on K metrics of a task, more is better; NaN where a method does not count."""

    task: str
    facts: pd.DataFrame  # metric_family, label and direction of each metric
    about: np.ndarray  # (S, K) bool, the samples on which a metric is defined
    observed: np.ndarray  # (K, M)
    resampled: np.ndarray  # (R, K, M)
    excluded: np.ndarray  # (K,) bool, the metrics that do not count in the rank

    def of(self, *names: str) -> np.ndarray:
        """Which metrics are of these families: (K,) bool."""
        return np.asarray(self.facts["metric_family"].isin(names))

    def truth(self) -> np.ndarray:
        """Which metrics compare maps with the ground truth and are not excluded: (K,) bool."""
        return self.of(TRUTH_FAMILY) & ~self.excluded & ~np.isnan(self.observed).all(1)


def trust(rows: pd.DataFrame, excluded: Excluded = ()) -> pd.DataFrame:
    """Kendall's tau-b of each metric with each ground-truth metric, one row per task and pair; best first.

    `truth_metric` MEAN_TRUTH stands for the mean of a method's ranks over all ground-truth metrics, over the methods that
    count for each; an excluded metric is no ground truth. Tau is 1 where a metric orders the methods as the ground truth
    does, -1 where it reverses the order.
    """
    return tables(rows, excluded).trust


def agreement(rows: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau-b of each pair of metrics, one row per task and pair."""
    return tables(rows).agreement


def alphas(rows: pd.DataFrame, excluded: Excluded = ()) -> pd.DataFrame:
    """Krippendorff's ordinal alpha of the ranks that metrics give to methods, per task and family of metrics.

    `ranking`: the metrics that count in the rank; `all`: all but costs. Over the methods that count for every metric of
    the family on which any method counts.
    """
    return tables(rows, excluded).alphas


def tables(rows: pd.DataFrame, excluded: Excluded = ()) -> Tables:
    """`trust`, `agreement` and `alphas` of the same rows, computed together.

    `excluded`: (task, metric) of metrics that do not count in the rank, such as those that fail their conformance checks.
    """
    found = [_of_task(means) for means in _means(rows, excluded)]
    columns = (TRUST_COLUMNS, AGREEMENT_COLUMNS, ALPHA_COLUMNS)
    return Tables(*(_joined([one[i] for one in found], names) for i, names in enumerate(columns)))


def clustered(agreement: pd.DataFrame) -> pd.DataFrame:
    """The taus of one task as a square table, metrics that agree side by side: average linkage on 1 - tau. (K, K)

    An undefined tau counts as 0.
    """
    names = sorted({*agreement[Column.METRIC_A], *agreement[Column.METRIC_B]})
    square = agreement.pivot(index=Column.METRIC_A, columns=Column.METRIC_B, values="tau").reindex(
        index=names, columns=names
    )
    square = square.fillna(square.T)
    if len(names) > 2:
        distance = 1 - square.fillna(0).to_numpy()
        np.fill_diagonal(distance, 0)
        tree = hierarchy.linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
        names = [names[leaf] for leaf in hierarchy.leaves_list(tree)]
    square = square.loc[names, names].rename_axis(index=None, columns=None)
    return square.where(~np.eye(len(names), dtype=bool), 1.0)


def _means(rows: pd.DataFrame, excluded: Excluded) -> Iterator[_Means]:
    """The mean scores of each task, and their bootstrap replicates."""
    keys = ["sample_id", "metric", "method"]
    fields = ["task", *keys, "score", "method_family", "metric_family", "label", "higher_is_better"]
    scored = rows.loc[(rows["status"] == "ok") & (rows["metric_family"] != "cost"), fields]
    for task, own in scored.groupby("task", sort=True, observed=True):
        codes, (samples, metrics, methods) = zip(*(pd.factorize(own[key], sort=True) for key in keys), strict=True)
        shape = len(samples), len(metrics), len(methods)
        place = np.ravel_multi_index(codes, shape)
        count = np.bincount(place, minlength=np.prod(shape)).reshape(shape)
        total = np.bincount(place, own["score"], minlength=np.prod(shape)).reshape(shape)
        facts = _first(own, "metric", metrics)[["metric_family", "label", "higher_is_better"]]
        facts = facts.astype({"metric_family": object, "label": object})
        direction = np.where(facts["higher_is_better"], 1.0, -1.0)[:, None]
        with np.errstate(invalid="ignore"):  # no score is 0 / 0, NaN; several seeds are averaged
            scores = direction * total / count
        known = count > 0
        about = np.asarray(known.any(2))
        candidate = (_first(own, "method", methods)["method_family"] != CONTROLS).to_numpy()
        complete = (known.sum(0) == about.sum(0)[:, None]) & candidate
        cells = scores[:, complete]
        yield _Means(
            task=str(task),
            facts=facts,
            about=about,
            observed=_spread(np.nanmean(cells, axis=0), complete),
            resampled=_spread(inference.bootstrap_means(cells), complete),
            excluded=np.array([(task, name) in excluded for name in metrics]),
        )


def _spread(means: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Arranges means as metrics x methods, NaN elsewhere: (..., pairs) -> (..., K, M).

    In float32, in which means that differ by rounding alone are ties: copies of a method have no order.
    """
    full = np.full((*means.shape[:-1], *where.shape), np.nan, dtype=np.float32)
    with np.errstate(over="ignore"):
        full[..., where] = means
    return full


def _first(rows: pd.DataFrame, key: str, names: pd.Index) -> pd.DataFrame:
    """The first row of each name."""
    return rows.drop_duplicates(key).set_index(key).loc[names]


def _of_task(means: _Means) -> Tables:
    with_mean = _with_mean_truth(means)
    observed = concordance.kendall(with_mean.observed)
    resampled = _resampled_taus(with_mean.resampled)

    def compared(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of a table of pairs of metrics."""
        counts, about = ~np.isnan(with_mean.observed), with_mean.about
        methods = (counts[a] & counts[b]).sum(1)
        low, high = _interval(observed[a, b], resampled[:, a, b], len(about))
        critical = {m: concordance.critical_tau(m) for m in set(methods.tolist())}
        return {
            Column.N_SAMPLES: (about[:, a] & about[:, b]).sum(0),
            Column.N_METHODS: methods,
            "tau": observed[a, b],
            Column.TAU_LOW: low,
            Column.TAU_HIGH: high,
            Column.TAU_CRITICAL: np.array([critical[m] for m in methods.tolist()]),
        }

    names = with_mean.facts.index.to_numpy()
    a, b = np.triu_indices(len(means.facts), 1)
    agreement = pd.DataFrame({Column.METRIC_A: names[a], Column.METRIC_B: names[b]} | compared(a, b))
    truth = np.flatnonzero(with_mean.truth() | with_mean.of(MEAN_TRUTH))
    others = np.flatnonzero(~with_mean.of(TRUTH_FAMILY, MEAN_TRUTH))
    a, b = np.tile(others, len(truth)), np.repeat(truth, len(others))
    facts = with_mean.facts.iloc[a].reset_index(names="metric")
    facts["higher_is_better"] = facts["higher_is_better"].astype(bool)  # the added row of the mean rank has none
    trust = facts.assign(
        **{Column.TRUTH_METRIC: names[b]},
        **compared(a, b),
        _mean=names[b] != MEAN_TRUTH,
        _tau=-observed[a, b],
    )
    trust = trust.sort_values(["_mean", Column.TRUTH_METRIC, "_tau", "metric"], kind="stable")
    return Tables(*(table.assign(task=means.task) for table in (trust, agreement, _alphas(means))))


def _with_mean_truth(means: _Means) -> _Means:
    """Adds the mean rank over the ground-truth metrics as a metric, where there are any."""
    truth = means.truth()
    if not truth.any():
        return means
    count = ~np.isnan(means.observed[truth]).any(0)

    def extended(values: np.ndarray) -> np.ndarray:
        more = np.full((*values.shape[:-2], 1, values.shape[-1]), np.nan, dtype=values.dtype)
        of_truth = values[..., truth, :][..., count]
        more[..., 0, count] = -inference.ranks(of_truth, higher_is_better=True).mean(-2)
        return np.concatenate([values, more], axis=-2)

    return replace(
        means,
        facts=pd.concat([means.facts, pd.DataFrame({"metric_family": MEAN_TRUTH}, index=[MEAN_TRUTH])]),
        about=np.column_stack([means.about, means.about[:, truth].all(1)]),
        observed=extended(means.observed),
        resampled=extended(means.resampled),
        excluded=np.append(means.excluded, False),
    )


def _resampled_taus(resampled: np.ndarray) -> np.ndarray:
    """(R, K, M) -> (R, K, K)"""
    parts = [concordance.kendall(resampled[start : start + BLOCK]) for start in range(0, len(resampled), BLOCK)]
    return np.concatenate(parts)


def _alphas(means: _Means) -> pd.DataFrame:
    """The alphas of one task."""
    families = means.facts["metric_family"]
    order = [name for name in FAMILY_ORDER if name in set(families)]
    order += sorted(set(families) - set(order))
    groups = {name: means.of(name) for name in order}
    groups |= {"ranking": means.of(*RANKING_FAMILIES) & ~means.excluded, "all": means.of(*order)}
    found = []
    for family, members in groups.items():
        chosen = members & ~np.isnan(means.observed).all(1)
        count = ~np.isnan(means.observed[chosen]).any(0)
        if chosen.sum() < 2 or count.sum() < 2:
            continue
        observed, resampled = (
            concordance.ordinal_alpha(inference.ranks(values[..., chosen, :][..., count], higher_is_better=True))
            for values in (means.observed, means.resampled)
        )
        low, high = _interval(observed[None], resampled[:, None], len(means.about))
        row = {"metric_family": family, Column.N_METRICS: chosen.sum(), Column.N_METHODS: count.sum()}
        found.append(row | {"alpha": float(observed), Column.ALPHA_LOW: low[0], Column.ALPHA_HIGH: high[0]})
    return pd.DataFrame(found, columns=ALPHA_COLUMNS[1:])


def _interval(estimate: np.ndarray, replicates: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """`inference.interval`, which holds the estimate: (M,), (R, M) -> (M,), (M,).

    Resampling adds noise to the orders, and noise lowers agreement: where all replicates lie below the estimate, the interval
    is stretched to contain it. It stays within -1 and 1.
    """
    low, high = inference.interval(replicates, n)
    return np.minimum(np.maximum(low, -1), estimate), np.maximum(np.minimum(high, 1), estimate)


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
