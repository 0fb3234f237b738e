"""Agreement of orders: Kendall's tau and Krippendorff's alpha."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats
from scipy.sparse.csgraph import connected_components

from bench.core.vocabulary import LEVEL


def kendall(values: np.ndarray) -> np.ndarray:
    """Kendall's tau-b [kendall1945] of each pair of rows, over the columns in which neither is NaN: (..., K, M) -> (..., K, K).

    NaN is a missing value; a row that is constant, or has fewer than two values, has tau NaN.
    """
    left, right = np.triu_indices(values.shape[-1], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = values[..., left] - values[..., right]
        order = np.nan_to_num(np.sign(gaps)).astype(np.float32)  # 1, -1, or 0 for a tie and for a missing value
        both = (~np.isnan(gaps)).astype(np.float32)
        untied = np.abs(order) @ both.swapaxes(-1, -2)  # pairs that row a orders, of those that row b has
        return (order @ order.swapaxes(-1, -2)) / np.sqrt(untied * untied.swapaxes(-1, -2))


def redundancy_groups(scores: np.ndarray, limit: float) -> np.ndarray:
    """Groups of redundant metrics: scores of K metrics, higher is better, (K, n, M) -> number of the group (K,).

    Two metrics are in one group when their scores, less each sample's mean over the methods, correlate above `limit`, or when
    a chain of such pairs connects them. NaN counts as the sample's mean.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a sample on which a metric is undefined for all
        centred = np.nan_to_num(scores - np.nanmean(scores, axis=2, keepdims=True)).reshape(len(scores), -1)
    length = np.linalg.norm(centred, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (centred @ centred.T) / np.outer(length, length)
    return np.asarray(connected_components(np.nan_to_num(correlation) > limit)[1])


def critical_tau(m: int) -> float:
    """The |tau| that two unrelated orders of m things exceed in at most 1 - LEVEL of all cases: exact, without ties."""
    share = np.ones(1)  # of the orders with 0, 1, 2, ... exchanged pairs
    for i in range(2, m + 1):
        share = np.convolve(share, np.full(i, 1 / i))
    pairs = len(share) - 1
    if not pairs:
        return np.nan
    surplus = np.abs(pairs - 2 * np.arange(pairs + 1))  # of pairs in one order over those in the other
    beyond = [share[surplus > size].sum() for size in range(pairs + 1)]
    return float(np.argmax(np.array(beyond) <= 1 - LEVEL) / pairs)


def ordinal_alpha(values: np.ndarray) -> np.ndarray:
    """Krippendorff's alpha for ordinal values [krippendorff2011alpha] of K raters on M units: (..., K, M) -> (...).

    1 is perfect agreement, 0 is chance. The ordinal distance of two values, which counts the values between them, is the
    difference of their ranks among all values.
    """
    pairable = _pairable(values)
    pooled = np.where(pairable, values, np.inf).reshape(*values.shape[:-2], values.shape[-2] * values.shape[-1])
    ranked = stats.rankdata(pooled, axis=-1).reshape(values.shape)
    return interval_alpha(np.where(pairable, ranked, np.nan))


def interval_alpha(values: np.ndarray) -> np.ndarray:
    """Krippendorff's alpha for interval values [krippendorff2011alpha] of K raters on M units: (..., K, M) -> (...).

    NaN is a missing value. Over all ordered pairs of m values, the squared differences sum to 2 m times the
    squared deviations from their mean.
    """
    known = _pairable(values)
    filled, count, n = np.where(known, values, 0.0), known.sum(-2), known.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        of_unit = (filled.sum(-2) / count)[..., None, :]
        of_all = (filled.sum((-2, -1)) / n)[..., None, None]
        within = np.where(known, (values - of_unit) ** 2, 0.0).sum(-2)
        total = np.where(known, (values - of_all) ** 2, 0.0).sum((-2, -1))
        return 1 - (n - 1) / n * (within * count / (count - 1)).sum(-1) / total


def _pairable(values: np.ndarray) -> np.ndarray:
    """Which values can be compared: those present in units that have two or more."""
    known = ~np.isnan(values)
    return known & (known.sum(-2, keepdims=True) > 1)
