"""Intervals, ranks and paired tests: arrays in, numbers out. Samples are paired: all methods are scored on the same ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special, stats
from scipy.optimize import brentq

from bench.core.vocabulary import LEVEL

REPEATS = 1000  # bootstrap replicates; the ends of a 95 % interval then vary by a twentieth of its width
FEW = 8  # samples; with fewer, an interval is Student's
EXACT = 12  # samples; with no more, a test is exact: it goes through all changes of signs
ROUNDING = 1e-5  # of the spread or size of scores; float32 sums in another order differ by less


def bootstrap_means(scores: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Means over resampled samples, the same resamples for every column: (n, M) -> (REPEATS, M).

    NaN are left out.
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
    tails of the normal distribution are thinner than Student's; with 8 samples plain percentiles contain the mean in 89 of
    100 cases. With fewer than FEW samples percentiles are too narrow (91 of 100 cases with five), so the interval is
    Student's, from the spread of the replicates. NaN for a column that is all NaN or has fewer than two samples.
    """
    counts = np.broadcast_to(n, replicates.shape[1:])
    low, high = np.full(counts.shape, np.nan), np.full(counts.shape, np.nan)
    empty = np.isnan(replicates).all(0)
    for count in np.unique(counts[(counts > 1) & ~empty]):
        chosen = (counts == count) & ~empty
        wider, student = np.sqrt(count / (count - 1)), stats.t.ppf((1 + LEVEL) / 2, count - 1)
        if count < FEW:
            middle, half = (
                np.nanmean(replicates[:, chosen], axis=0),
                np.nanstd(replicates[:, chosen], axis=0) * wider * student,
            )
            low[chosen], high[chosen] = middle - half, middle + half
        else:
            tail = 100 * stats.norm.cdf(-student * wider)
            own = replicates[:, chosen]
            percentile = np.nanpercentile if np.isnan(own).any() else np.percentile  # a tenth of the time
            low[chosen], high[chosen] = percentile(own, [tail, 100 - tail], axis=0, method="inverted_cdf")
    return low, high


def rounding(scores: np.ndarray) -> float:
    """The largest difference of two scores of one metric that counts as rounding: ROUNDING of their spread or mean size."""
    known = scores[~np.isnan(scores)]
    return ROUNDING * float(max(known.std(), np.abs(known).mean())) if known.size else 0.0


def snap_rounding_ties(scores: np.ndarray) -> np.ndarray:
    """Scores of a row that differ by no more than `rounding` become equal: (n, M) -> (n, M); NaN stay.

    Otherwise two methods that differ in the order of their sums alone would be ranked, differently on each machine.
    """
    order = np.argsort(scores, axis=1, kind="stable")
    rising = np.take_along_axis(scores, order, axis=1)
    with np.errstate(invalid="ignore"):
        new = np.diff(rising, axis=1, prepend=-np.inf) > rounding(scores)
    new |= np.isnan(rising)
    first = np.maximum.accumulate(np.where(new, np.arange(scores.shape[1]), 0), axis=1)  # of equal ones
    result = np.empty_like(scores, dtype=float)
    np.put_along_axis(result, order, np.take_along_axis(rising, first, axis=1), axis=1)
    return result


def ranks(means: np.ndarray, *, higher_is_better: bool) -> np.ndarray:
    """Ranks along the last axis, 1 is best; ties share the mean of their ranks."""
    return np.asarray(stats.rankdata(-means if higher_is_better else means, axis=-1))


def paired_p(gaps: np.ndarray) -> np.ndarray:
    """Two-sided tests of the mean of paired differences against 0: (n, K) -> (K,); NaN are left out.

    With up to EXACT samples Fisher's exact test: the share of all changes of signs whose mean is as far from 0 [fisher1935].
    With more, t-tests. Ranks on few samples are too coarse for these: on 8 to 12 samples, boards of three copies of noise
    show a difference in 5.5 to 6 of 100 cases, with exact tests in 3. Never below 2^(1-n), the least of an exact test: where
    all values agree a t-test sees no spread. 1 where there is no difference, NaN with fewer than two samples.
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
    """Shares of the changes of signs with a sum as far from 0: (n, K) -> (K,), of columns with EXACT or fewer values."""
    known_first = np.argsort(np.isnan(gaps), axis=0, kind="stable")[:EXACT]
    own = np.nan_to_num(np.take_along_axis(gaps, known_first, axis=0))  # 0 keeps a sum whatever its sign
    sums = np.abs(_signs(len(own)) @ own)
    return np.asarray((sums >= sums[0] - 1e-9 * np.abs(own).sum(0)).mean(0))


@lru_cache(maxsize=EXACT)
def _signs(n: int) -> np.ndarray:
    """All sign patterns up to a common sign, that of the data first: (2^(n-1), n) of 1 and -1."""
    signs = 1.0 - 2.0 * (np.arange(2 ** max(n - 1, 0))[:, None] >> np.arange(n) & 1)
    signs.setflags(write=False)
    return signs


def p_greater(gaps: np.ndarray) -> np.ndarray:
    """One-sided p-values of paired differences, small where their mean is above 0: (n, K) -> (K,); NaN as `paired_p`."""
    half = paired_p(gaps) / 2
    return np.where(np.nansum(gaps, axis=0) > 0, half, 1 - half)


def pairwise(scores: np.ndarray) -> np.ndarray:
    """p-values of each two columns' means: `paired_p`, Holm-corrected over all pairs: (n, M) -> (M, M).

    1 for equal columns and for a column with itself; NaN with fewer than two samples.
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
    since the tests hold for all pairs together, so do the intervals for all columns. Resampling ranks would claim too much
    where means are nearly equal: with 39 near ties its interval contains the first rank in 45 of 100 cases.
    """
    lower, higher = (differ & sign for sign in (means[None] < means[:, None], means[None] > means[:, None]))
    return 1.0 + lower.sum(1), len(means) - higher.sum(1).astype(float)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment of p-values [holm1979]; NaN count as no test, and stay: (K,) -> (K,).

    Equal to statsmodels' `multipletests`, which runs the garbage collector at each call: a quarter of a second.
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
    """p-value of Friedman's test that all columns are equal [friedman1937], over the rows without NaN: (n, M) -> p.

    NaN where there are fewer than three columns or two rows, 1 where every row is constant. Equal to SciPy's
    `friedmanchisquare`, whose checks of its arguments take ten times as long.
    """
    full = scores[~np.isnan(scores).any(1)]
    if full.shape[1] < 3 or len(full) < 2:
        return np.nan
    if (full == full[:, :1]).all():
        return 1.0
    ranked, (n, m) = np.asarray(stats.rankdata(full, axis=1)), full.shape
    untied = 12 * (ranked**2).sum() - 3 * n * m * (m + 1) ** 2  # n (m^3 - m) where there are no ties
    statistic = 12 / (m * n * (m + 1)) * (ranked.sum(0) ** 2).sum() - 3 * n * (m + 1)
    return float(special.chdtrc(m - 1, statistic / (untied / (n * (m**3 - m)))))


def samples_needed(gap: np.ndarray, *, tests: int = 1, power: float = 0.8) -> float:
    """Samples with which `paired_p` finds such a difference with that power, as one of so many tests: (n,) -> a number.

    Each test is at (1 - LEVEL) / tests (Bonferroni), one-sided: the other tail adds nothing at such a power, and SciPy's
    noncentral t is NaN far out in it. Infinite where there is no difference, NaN with fewer than two samples; where the
    difference never varies, the fewest samples with which the test can reach its level.
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
        return power - (1.0 if np.isnan(below) else float(1 - below))  # SciPy gives NaN where the power is 1

    enough = 10 + 2 * ((stats.norm.isf(level / 2) + 1) / effect) ** 2  # the normal approximation says half as many
    return least if lacking(least) <= 0 else float(np.ceil(brentq(lacking, least, max(enough, least + 1))))
