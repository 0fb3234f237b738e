"""Which metrics count in the rank of a task, and with which weight.

The same samples decide which metrics count and how methods compare with the random control, so the first is decided
strictly: on a sample more than half of the methods have to be better than the control (a test over samples),
Holm-corrected over the metrics. On noise a metric then counts in at most one board of twenty, however few the methods.
Where the samples are too few for any such answer, all metrics count.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis import concordance, inference
from bench.analysis.score_matrix import oriented
from bench.core.vocabulary import LEVEL, NO, ORACLE, RANDOM, RANKING_FAMILIES, UNDEFINED, YES, Column

ENOUGH = 0.5  # share of the methods that an informative metric puts above the random control
BEYOND = 1e-6  # of the score of the ground truth; smaller differences are rounding
FEWEST = 5  # samples; with fewer, metrics are not grouped by their correlation
REDUNDANT = 0.95  # correlation of the scores of two metrics that share one weight


def informative(long: pd.DataFrame) -> pd.Series:
    """For each row whether its metric puts half of the methods above the random control on its task: yes, no, or empty.

    Empty for metrics that do not rank or are excluded already, and where the samples are too few for a yes: a one-sided p
    is never below 2^-n.
    """
    result = pd.Series("", index=long.index)
    asked = long[
        long["metric_family"].isin(RANKING_FAMILIES)
        & (long[Column.EXCLUSION_REASON] == "")
        & long[Column.P_MAJORITY_BEATS_RANDOM].notna()
    ]
    for _, rows in asked.groupby("task"):
        columns = [Column.P_MAJORITY_BEATS_RANDOM, Column.MIN_ATTAINABLE_P, Column.SHARE_BEATS_RANDOM]
        of_metric = rows.groupby("metric")[columns].first()
        possible = of_metric[Column.MIN_ATTAINABLE_P] * len(of_metric) < 1 - LEVEL
        majority = inference.holm(of_metric[Column.P_MAJORITY_BEATS_RANDOM].to_numpy()) < 1 - LEVEL
        enough = of_metric[Column.SHARE_BEATS_RANDOM] >= ENOUGH
        answer = pd.Series(np.where(majority & enough, YES, NO), index=of_metric.index)
        result[rows.index] = rows["metric"].map(answer.where(possible, ""))
    return result


def rank_weights(rows: pd.DataFrame, long: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """For each row of the long table its metric's redundancy group, named by the first metric in it, and its weight.

    The weight in the mean rank is 0 for a metric that does not count, else 1/m for one of m redundant metrics.
    """
    scored = long.groupby(["task", "metric"])[Column.N_SAMPLES].transform("max") > 0
    counts = long["metric_family"].isin(RANKING_FAMILIES) & (long[Column.EXCLUSION_REASON] == "") & scored
    groups, weights = long["metric"].copy(), counts.astype(float)
    for task, of_task in long[counts].groupby("task"):
        task_rows = rows[rows["task"] == task]
        scores = {name: oriented(task_rows[task_rows["metric"] == name]) for name in of_task["metric"].unique()}
        methods, samples = sorted(set(of_task["method"])), sorted(set(task_rows["sample_id"]))
        if len(samples) < FEWEST:
            continue
        cube = np.stack([table.reindex(index=samples, columns=methods).to_numpy() for table in scores.values()])
        group = pd.Series(concordance.redundancy_groups(cube, REDUNDANT), index=list(scores))
        first = pd.Series(group.index, index=group.index).groupby(group).transform("first")
        groups[of_task.index] = of_task["metric"].map(first)
        weights[of_task.index] = of_task["metric"].map(1 / group.map(group.value_counts()))
    return groups, weights


def no_random_score(rows: pd.DataFrame, scores: pd.DataFrame) -> bool:
    """Whether the random control is undefined (and not merely yet to be run) on a sample that others have a score on."""
    undefined = rows.loc[(rows["method"] == RANDOM) & (rows["status"] == UNDEFINED), "sample_id"]
    return bool(len(undefined)) and bool(scores.loc[scores.index.isin(undefined), RANDOM].isna().any())


def beats_oracle(values: pd.DataFrame) -> bool:
    """Whether a method scores above the ground truth itself, on the mean over the samples of both. Higher is better."""
    above = values.sub(values[ORACLE], axis=0).mean()
    return bool((above > BEYOND * abs(values[ORACLE].mean())).any())
