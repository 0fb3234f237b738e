"""The overall ranking of a task: mean ranks of methods over samples, metrics and families, and the tests between them.

On each sample the methods are ranked by each metric that counts. Within a family the ranks are averaged by the metrics'
weights; across families each family counts once, however many metrics it has. The mean over samples of these ranks
(Friedman's mean rank) orders the board. Ranks of mean scores are not used: where methods are equal they do not settle as
samples are added, and groups made of them separated copies of noise in 24 to 100 of 100 cases.

One set of paired tests, Holm-corrected over all pairs of methods, gives the groups, the intervals of the ranks, the top
group and the comparison with the random control, so that these never contradict each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from bench.analysis import inference
from bench.analysis.groups import letters
from bench.analysis.metric_table import pair_count
from bench.analysis.score_matrix import mean_interval, oriented
from bench.core.vocabulary import (
    BETTER,
    INDISTINGUISHABLE,
    NO,
    RANDOM,
    RANKING_FAMILIES,
    WORSE,
    YES,
    Column,
    mean_rank_by,
)

TEXTS = (Column.TOP_GROUP, Column.VS_RANDOM, "group")
MEAN_RANK = (Column.MEAN_RANK, Column.MEAN_RANK_LOW, Column.MEAN_RANK_HIGH)


def overall(rows: pd.DataFrame, methods: list[str], weights: pd.Series, controls: Collection[str]) -> pd.DataFrame:
    """Rank, interval, top group, comparison with random, mean ranks and group of each method, by method.

    `methods`: those that have every score; `weights`: metric -> its weight in the rank; `controls`: methods that explain
    nothing.
    """
    by_family = _ranks_by_family(rows, methods, weights)
    if not methods:
        names = ["rank", Column.RANK_LOW, Column.RANK_HIGH, *TEXTS, Column.N_REQUIRED_VS_BEST, *MEAN_RANK]
        names += [name for family in by_family for name in mean_rank_by(family)]
        return pd.DataFrame(columns=names, index=pd.Index([], dtype=object)).astype(float)
    ranks = _across_families(by_family)
    table = _standing(ranks, methods, controls)
    for columns, values in [(MEAN_RANK, ranks), *((mean_rank_by(name), own) for name, own in by_family.items())]:
        table[list(columns)] = np.stack(_with_interval(values), axis=1)
    return table


def pair_p_values(rows: pd.DataFrame, methods: list[str], weights: pd.Series) -> pd.DataFrame:
    """The p-values behind the groups: of the difference in mean rank of each two methods, methods x methods."""
    ranks = _across_families(_ranks_by_family(rows, methods, weights))
    return pd.DataFrame(inference.pairwise(ranks), index=methods, columns=methods)


def _across_families(by_family: dict[str, np.ndarray]) -> np.ndarray:
    """The ranks of the methods on the samples on which anything is defined, families of equal weight: (n, M)."""
    ranks = _weighted_mean(list(by_family.values()), np.ones(len(by_family)))
    return ranks[~np.isnan(ranks).any(1)]


def _ranks_by_family(rows: pd.DataFrame, methods: list[str], weights: pd.Series) -> dict[str, np.ndarray]:
    """The mean rank of each method on each sample by the metrics of each family: family -> (n, M), NaN if undefined."""
    families = rows.drop_duplicates("metric").set_index("metric")["metric_family"].reindex(weights.index)
    names = [name for name in RANKING_FAMILIES if (families == name).any()]
    if not methods:
        return dict.fromkeys(names, np.empty((0, 0)))
    samples = sorted(rows["sample_id"].unique())
    by_metric = {
        name: inference.ranks(
            oriented(rows[rows["metric"] == name]).reindex(index=samples, columns=methods).to_numpy(),
            higher_is_better=True,
        )
        for name in weights.index
    }
    return {
        family: _weighted_mean(
            [by_metric[name] for name in weights.index[families == family]], weights[families == family]
        )
        for family in names
    }


def _standing(ranks: np.ndarray, methods: list[str], controls: Collection[str]) -> pd.DataFrame:
    """What follows from the ranks on the samples (n, M) and the tests between them, by method."""
    mean = _rounded(ranks.mean(0))
    rank = inference.ranks(mean, higher_is_better=False)
    order = np.argsort(rank, kind="stable")
    differ = inference.different(ranks[:, order])
    table = pd.DataFrame({"rank": rank[order]}, index=[methods[place] for place in order])
    low, high = np.full((2, len(methods)), np.nan)
    if len(ranks) > 1:
        low, high = inference.rank_interval(mean[order], differ)
    table[Column.RANK_LOW], table[Column.RANK_HIGH] = low, high
    table[Column.TOP_GROUP] = _top_group(list(table.index), mean[order], differ, controls)
    table[Column.VS_RANDOM] = _vs_random(list(table.index), mean[order], differ)
    tests = pair_count(len(methods))
    gaps = ranks[:, order] - ranks[:, order[:1]]
    table[Column.N_REQUIRED_VS_BEST] = [inference.samples_needed(gap, tests=tests) for gap in gaps.T]
    table.loc[table.index[0], Column.N_REQUIRED_VS_BEST] = np.nan
    table["group"] = letters(differ)
    return table.loc[methods]


def _top_group(methods: list[str], mean: np.ndarray, differ: np.ndarray, controls: Collection[str]) -> np.ndarray:
    """`yes` for methods not significantly worse than the best that is no control, methods and means best first: (M,)."""
    best = next((place for place, name in enumerate(methods) if name not in controls), 0)
    return np.where(differ[best] & (mean > mean[best]), NO, YES)


def _vs_random(methods: list[str], mean: np.ndarray, differ: np.ndarray) -> np.ndarray:
    """How each method compares with the random control; empty for the control itself and where there is none: (M,)."""
    if RANDOM not in methods:
        return np.full(len(methods), "")
    random = methods.index(RANDOM)
    found = np.where(differ[random], np.where(mean < mean[random], BETTER, WORSE), INDISTINGUISHABLE).astype(object)
    found[random] = ""
    return found


def _weighted_mean(parts: Sequence[np.ndarray], weights: Sequence[float] | pd.Series | np.ndarray) -> np.ndarray:
    """Weighted mean of arrays of one shape, NaN left out; NaN where all are."""
    cube = np.stack(parts)
    weight = np.asarray(weights, dtype=float).reshape(-1, *[1] * (cube.ndim - 1)) * ~np.isnan(cube)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.nan_to_num(cube) * weight).sum(0) / weight.sum(0))


def _with_interval(ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean ranks and the ends of their intervals over the samples that have any: (n, M) -> three of (M,)."""
    known = ranks[~np.isnan(ranks).any(1)]
    low, high = mean_interval(known)
    return _rounded(known.mean(0)), _rounded(low), _rounded(high)


def _rounded(means: np.ndarray) -> np.ndarray:
    """Mean ranks without their rounding errors, so that copies of a method tie."""
    return np.round(means, 9)
