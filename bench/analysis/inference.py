"""Arrays in, numbers out: intervals, ranks and groups. Samples are paired: all methods met the same ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special, stats
from scipy.optimize import brentq

from bench.core.vocabulary import LEVEL

REPEATS = 1000  # bootstrap replicates; the ends of a 95 % interval then vary by about a twentieth of its width
FEW = 8  # samples, below which an interval is Student's
EXACT = 12  # samples, up to which a test counts all exchanges of signs
ROUNDING = 1e-5  # of scores' spread or size; float32 sums in another order differ by less


def bootstrap_means(scores: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Means over resampled samples, the same resamples for every column: (n, M) -> (REPEATS, M).

    A column's NaN samples are left out of its means.
    """
    known = ~np.isnan(scores)
    weights = _resamples(len(scores), seed)
    if known.all():
        return np.asarray(weights @ scores / len(scores))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ np.where(known, scores, 0.0)) / (weights @ known.astype(float)))


@lru_cache(maxsize=2)  # every metric of a task asks for the same
def _resamples(n: int, seed: int) -> np.ndarray:
    """How often each of n samples is drawn: (REPEATS, n)."""
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=REPEATS).astype(float)
    weights.setflags(write=False)
    return weights


def interval(replicates: np.ndarray, n: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval at LEVEL from replicates over n samples, one n or one of each column: (REPEATS, M) -> (M,), (M,).

    Expanded percentiles [hesterberg2015bootstrap]: resampling n samples shows only (n - 1) / n of their variance, and the
    normal distribution's tails are thinner than Student's; with 8 samples plain percentiles hold the mean in 89 cases of
    100. Of fewer than FEW samples resamples end too near (five hold it in 91): Student's interval, of the replicates' spread.
    NaN where a column is all NaN, or of fewer than two samples, which say nothing of how they vary.
    """
    counts = np.broadcast_to(n, replicates.shape[1:])
    low, high = np.full(counts.shape, np.nan), np.full(counts.shape, np.nan)
    empty = np.isnan(replicates).all(0)
    for count in np.unique(counts[(counts > 1) & ~empty]):
        own = (counts == count) & ~empty
        wider, student = np.sqrt(count / (count - 1)), stats.t.ppf((1 + LEVEL) / 2, count - 1)
        if count < FEW:
            middle, half = (
                np.nanmean(replicates[:, own], axis=0),
                np.nanstd(replicates[:, own], axis=0) * wider * student,
            )
            low[own], high[own] = middle - half, middle + half
        else:
            tail = 100 * stats.norm.cdf(-student * wider)
            low[own], high[own] = np.nanpercentile(
                replicates[:, own], [tail, 100 - tail], axis=0, method="inverted_cdf"
            )
    return low, high


def rounding(scores: np.ndarray) -> float:
    """What is a difference by rounding alone among these scores of one metric: ROUNDING of their spread or mean size."""
    known = scores[~np.isnan(scores)]
    return ROUNDING * float(max(known.std(), np.abs(known).mean())) if known.size else 0.0


def snap_rounding_ties(scores: np.ndarray) -> np.ndarray:
    """Scores in which those of a row that differ by `rounding` alone are equal: (n, M) -> (n, M), NaN as they were.

    Two methods that are one in all but the order of their sums would else have an order, another on each machine.
    """
    order = np.argsort(scores, axis=1, kind="stable")
    rising = np.take_along_axis(scores, order, axis=1)
    with np.errstate(invalid="ignore"):
        new = np.diff(rising, axis=1, prepend=-np.inf) > rounding(scores)
    new |= np.isnan(rising)
    first = np.maximum.accumulate(np.where(new, np.arange(scores.shape[1]), 0), axis=1)  # of those that are equal
    result = np.empty_like(scores, dtype=float)
    np.put_along_axis(result, order, np.take_along_axis(rising, first, axis=1), axis=1)
    return result


def ranks(means: np.ndarray, *, higher_is_better: bool) -> np.ndarray:
    """Ranks along the last axis, 1 is best; ties share the mean of their ranks."""
    return np.asarray(stats.rankdata(-means if higher_is_better else means, axis=-1))


def paired_p(gaps: np.ndarray) -> np.ndarray:
    """Two-sided tests of the mean of paired differences against 0: (n, K) -> (K,); NaN are left out.

    Of up to EXACT samples Fisher's exact test: the share of all exchanges of signs whose mean is as far from 0 [fisher1935].
    Of more, t-tests, for which ranks on few samples are too coarse: on 8 to 12, boards of three noises show a difference in
    5.5 to 6 cases of 100, instead of 3. Never below 2^(1-n), as no exact test is: where values all happen to agree, a t-test
    sees no spread and is sure. 1 where there is no difference, NaN on fewer than two samples.
    """
    known = ~np.isnan(gaps)
    n = known.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, gaps, 0.0).sum(0) / n
        spread = np.sqrt((np.where(known, gaps - mean, 0.0) ** 2).sum(0) / (n - 1))
        p = 2 * stats.t.sf(np.abs(mean) / (spread / np.sqrt(n)), n - 1)
    steady = spread <= 1e-9 * np.abs(mean)
    p = np.where(steady, np.where(mean == 0, 1.0, 0.0), p)
    few = n <= EXACT
    p[few] = _by_signs(gaps[:, few])
    return np.where(n < 2, np.nan, np.maximum(p, 2.0 ** (1 - n)))


def _by_signs(gaps: np.ndarray) -> np.ndarray:
    """Shares of the exchanges of signs with a sum as far from 0: (n, K) -> (K,), of columns that know EXACT or fewer."""
    known_first = np.argsort(np.isnan(gaps), axis=0, kind="stable")[:EXACT]
    own = np.nan_to_num(np.take_along_axis(gaps, known_first, axis=0))  # 0 keeps a sum whatever its sign
    sums = np.abs(_signs(len(own)) @ own)
    return np.asarray((sums >= sums[0] - 1e-9 * np.abs(own).sum(0)).mean(0))


@lru_cache(maxsize=EXACT)
def _signs(n: int) -> np.ndarray:
    """All that differ by more than a common sign, as they are first: (2^(n-1), n) of 1 and -1."""
    signs = 1.0 - 2.0 * (np.arange(2 ** max(n - 1, 0))[:, None] >> np.arange(n) & 1)
    signs.setflags(write=False)
    return signs


def p_greater(gaps: np.ndarray) -> np.ndarray:
    """One-sided p-values of paired differences, small where their mean is above 0: (n, K) -> (K,); NaN as `paired_p`."""
    half = paired_p(gaps) / 2
    return np.where(np.nansum(gaps, axis=0) > 0, half, 1 - half)


def pairwise(scores: np.ndarray) -> np.ndarray:
    """p-values of each two columns' means: `paired_p`, Holm-corrected over all pairs: (n, M) -> (M, M).

    1 where two are the same, and of a column with itself; NaN on fewer than two samples.
    """
    left, right = np.triu_indices(scores.shape[1], 1)
    result = np.ones((scores.shape[1],) * 2)
    result[left, right] = result[right, left] = holm(paired_p(scores[:, left] - scores[:, right]))
    return result


def different(scores: np.ndarray) -> np.ndarray:
    """Which pairs of columns differ in mean, by `pairwise` tests: (n, M) -> (M, M) bool. Identical columns never do."""
    return pairwise(scores) < 1 - LEVEL


def rank_interval(means: np.ndarray, differ: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval at LEVEL of each column's rank, 1 for the lowest mean: (M,), `different` (M, M) -> (M,), (M,).

    From 1 + the columns that are significantly lower to M - those that are significantly higher [mogstad2024inference];
    since the tests hold for all pairs together, so do the intervals for all columns. Ranks do not settle where means are
    nearly equal, so resampling them claims too much: of 39 near ties it holds the first rank in 45 cases of 100.
    """
    lower, higher = (differ & sign for sign in (means[None] < means[:, None], means[None] > means[:, None]))
    return 1.0 + lower.sum(1), len(means) - higher.sum(1).astype(float)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment of p-values [holm1979]; NaN are no tests, and stay: (K,) -> (K,).

    As statsmodels' `multipletests`, which collects garbage at each call: a quarter of a second, hundreds of times.
    """
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    result = np.full(len(p), np.nan)
    result[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return result


def p_vs_reference(scores: np.ndarray, reference: int) -> np.ndarray:
    """p-values of each column's mean against that of one column: `paired_p`, Holm-corrected: (n, M) -> (M,).

    NaN for the column itself and where fewer than two samples have both; 1 where the two are the same.
    """
    p = paired_p(scores - scores[:, [reference]])
    p[reference] = np.nan
    return holm(p)


def superiority(gaps: np.ndarray) -> np.ndarray:
    """Probability that a sample's difference is above 0, a tie counting half: (n, M) -> (M,); NaN are left out."""
    known = ~np.isnan(gaps)
    with np.errstate(invalid="ignore"):
        return np.asarray(((gaps > 0) + 0.5 * (gaps == 0)).sum(0, where=known) / known.sum(0))


def friedman(scores: np.ndarray) -> float:
    """p-value of Friedman's test that all columns are alike [friedman1937], over the rows that have them all: (n, M) -> p.

    NaN where there are fewer than three columns or two rows, 1 where every row is constant.
    """
    full = scores[~np.isnan(scores).any(1)]
    if full.shape[1] < 3 or len(full) < 2:
        return np.nan
    if (full == full[:, :1]).all():
        return 1.0
    return float(stats.friedmanchisquare(*full.T).pvalue)


def samples_needed(gap: np.ndarray, *, tests: int = 1, power: float = 0.8) -> float:
    """Samples with which `paired_p` would find such a difference with that power, as one of so many tests: (n,) -> a number.

    Each test at (1 - LEVEL) / tests (Bonferroni), and the difference found in its own direction: the other tail adds nothing at
    such a power, and SciPy's noncentral t is NaN far out in it. Infinite where there is no difference, NaN on fewer than two
    samples; where it never varies the least of which all have to agree.
    """
    known, level = gap[~np.isnan(gap)], (1 - LEVEL) / tests
    if len(known) < 2:
        return np.nan
    mean, spread = abs(known.mean()), known.std(ddof=1)
    if mean <= 1e-9 * spread:  # rounding
        return np.inf
    least = float(np.floor(1 - np.log2(level)) + 1)  # 2^(1-n) below the level
    effect = mean / max(spread, 1e-9 * mean)

    def lacking(n: float) -> float:
        below = special.nctdtr(n - 1, effect * np.sqrt(n), stats.t.isf(level / 2, n - 1))
        return power - (1.0 if np.isnan(below) else float(1 - below))  # SciPy gives none where the power is 1

    enough = 10 + 2 * ((stats.norm.isf(level / 2) + 1) / effect) ** 2  # the normal approximation says half as many
    return least if lacking(least) <= 0 else float(np.ceil(brentq(lacking, least, max(enough, least + 1))))
