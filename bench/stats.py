"""Arrays in, numbers out: intervals, ranks and groups. Samples are paired: all methods met the same ones."""

from __future__ import annotations

from string import ascii_lowercase

import numpy as np
from scipy import stats

REPEATS = 1000  # bootstrap replicates; the ends of a 95 % interval then vary by about a twentieth of its width
BLOCK = 100  # replicates drawn at once, to bound memory
LEVEL = 0.95


def bootstrap_means(scores: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Means over resampled samples, the same resamples for every column: (n, M) -> (REPEATS, M).

    A column's NaN samples are left out of its means.
    """
    rng = np.random.default_rng(seed)
    n = len(scores)
    known = ~np.isnan(scores)
    filled = np.where(known, scores, 0.0)
    parts = []
    for _ in range(REPEATS // BLOCK):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=BLOCK).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            parts.append((weights @ filled) / (weights @ known))
    return np.concatenate(parts)


def interval(replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval at LEVEL along the first axis: (REPEATS, M) -> (M,), (M,). NaN where a column is all NaN.

    The ends are values that occurred, so that a rank's interval ends at ranks.
    """
    tail = 50 * (1 - LEVEL)
    empty = np.isnan(replicates).all(0)
    values = np.where(empty, 0.0, replicates)
    low, high = np.nanpercentile(values, [tail, 100 - tail], axis=0, method="inverted_cdf")
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def ranks(means: np.ndarray, *, higher_is_better: bool) -> np.ndarray:
    """Ranks along the last axis, 1 is best; ties share the mean of their ranks."""
    return np.asarray(stats.rankdata(-means if higher_is_better else means, axis=-1))


def different(scores: np.ndarray) -> np.ndarray:
    """Which pairs of columns differ in mean: paired t-tests, Holm-corrected over the pairs: (n, M) -> (M, M) bool.

    Identical columns never differ, nor does anything on fewer than two samples.
    """
    m = scores.shape[1]
    result = np.zeros((m, m), dtype=bool)
    if m < 2 or len(scores) < 2:
        return result
    left, right = np.triu_indices(m, 1)
    gaps = scores[:, left] - scores[:, right]
    mean, error = gaps.mean(0), gaps.std(0, ddof=1) / np.sqrt(len(gaps))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * stats.t.sf(np.abs(mean / error), len(gaps) - 1)
    p = np.where(mean == 0, 1.0, np.nan_to_num(p, nan=1.0))
    rejected = holm(p) < 1 - LEVEL
    result[left, right] = result[right, left] = rejected
    return result


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment of p-values [holm1979]."""
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1)
    return result


def letters(differ: np.ndarray) -> list[str]:
    """Compact letter display [piepho2004]: two items share a letter exactly when they do not differ.

    Items come best first, and letters are given out in that order: (M, M) bool -> M texts.
    """
    columns = [frozenset(range(len(differ)))]
    for i, j in zip(*np.nonzero(np.triu(differ)), strict=True):
        split = [part for c in columns for part in ((c - {i}, c - {j}) if {i, j} <= c else (c,))]
        unique = list(dict.fromkeys(split))
        columns = [c for c in unique if c and not any(c < other for other in unique)]
    columns.sort(key=lambda c: sorted(c))
    return ["".join(_name(k) for k, c in enumerate(columns) if item in c) for item in range(len(differ))]


def _name(k: int) -> str:
    return ascii_lowercase[k] if k < 26 else f"({k + 1})"
