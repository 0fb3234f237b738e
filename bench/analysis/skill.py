"""Skill: the scores of all metrics on one scale, 0 for the random control, negative for worse.

With an oracle (localisation: the ground truth as a map) skill is (score - random) / (oracle - random), 1 for the ground truth.
Elsewhere it is Cohen's d: the difference of the means over the standard deviation of the two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from bench.analysis import inference
from bench.analysis.rank_weights import beats_oracle
from bench.core.vocabulary import BEATS_ORACLE, CONTROLS, LEVEL, LOCALISATION, ORACLE, RANDOM, Column


def against_random(table: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Fills in skill, the tests against the random control, and how many methods are better than it."""
    values = scores if table["higher_is_better"].iloc[0] else -scores
    truth = ORACLE in values and table["metric_family"].iloc[0] == LOCALISATION
    gaps = values.sub(values[RANDOM], axis=0)
    table["skill"], table[Column.SKILL_LOW], table[Column.SKILL_HIGH] = _skill(
        values, values[ORACLE] if truth else None
    )
    table[Column.P_VS_RANDOM] = inference.p_vs_reference(values.to_numpy(), values.columns.get_loc(RANDOM))  # type: ignore[arg-type]
    table[Column.SUPERIORITY] = inference.superiority(gaps.to_numpy())
    explains = (gaps.columns != RANDOM) & (table["method_family"].reindex(gaps.columns) != CONTROLS).to_numpy()
    explains &= gaps.notna().to_numpy().sum(0) > 1
    if explains.any():
        own = gaps.to_numpy()[:, explains]
        beaten = inference.superiority(own.T)  # share of the methods that are better, on each sample
        table[Column.SHARE_BEATS_RANDOM] = (inference.p_greater(own) < 1 - LEVEL).mean()
        table[Column.P_MAJORITY_BEATS_RANDOM] = inference.p_greater(beaten[:, None] - 0.5)[0]
        table[Column.MIN_ATTAINABLE_P] = 2.0 ** -(~np.isnan(beaten)).sum()
    if truth and not table[Column.EXCLUSION_REASON].iloc[0] and beats_oracle(values):
        table[Column.EXCLUSION_REASON] = BEATS_ORACLE


def _skill(values: pd.DataFrame, truth: pd.Series | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Skill of each method and the ends of its interval; higher values are better: (n, M) -> three of (M,).

    The unit (the gain of the ground truth, or the spread of the scores) is resampled together with the gain. Intervals are
    reflected (the basic bootstrap): resampled units are too small on average, and plain percentiles of a skill of 4 on 24
    samples contain it in 91 of 100 cases.
    """
    own, place = values.to_numpy(), values.columns.get_loc(RANDOM)
    control = values[[RANDOM]].to_numpy()
    if np.isnan(own).any():  # else it is the same for all methods
        control = np.where(np.isnan(own), np.nan, control)  # on the samples that the method has
    n = (~np.isnan(own + control)).sum(0)
    gain = own - control
    gain[:, place] = own[:, place] - np.nanmean(own[:, place])  # how the mean of the control itself varies

    def skill(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        if truth is not None:
            unit = of(truth.to_numpy()[:, None] - control)
        else:
            unit = np.sqrt((_variance(own, n, of) + _variance(control, n, of)) / 2)  # Cohen's d
        return of(gain) / np.where(unit > 0, unit, np.nan)

    found, few = skill(_means), truth is None and n < inference.FEW  # resamples of so few may hardly vary
    found[place] = 0.0 if n[place] else np.nan
    low, high = inference.interval(skill(inference.bootstrap_means), np.where(few, 0, n))
    return found, 2 * found - high, 2 * found - low


def _means(values: np.ndarray) -> np.ndarray:
    """Means over the samples that are not NaN; NaN where all are: (n, M) -> (M,)."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(0) / known.sum(0))


def _variance(values: np.ndarray, n: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Unbiased variances of the columns, from what `of` makes of their means."""
    centred = values - _means(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.maximum(of(centred**2) - of(centred) ** 2, 0.0) * (n / (n - 1))
