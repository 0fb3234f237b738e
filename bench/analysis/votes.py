"""Which metrics count in the mean rank of a task, and with which weight."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis import concordance, inference
from bench.analysis.score_matrix import oriented
from bench.core.vocabulary import LEVEL, NO, ORACLE, RANDOM, RANKING_FAMILIES, UNDEFINED, YES, Column

ENOUGH = 0.5  # share of the methods that an informative metric puts above the random control
BEYOND = 1e-6  # of the truth's score; less is rounding
FEWEST = 5  # samples, below which nothing is said about which metrics are one
ALIKE = 0.95  # correlation of two metrics that share a vote (their groups: `alike` in the tables)


def informative(long: pd.DataFrame) -> pd.Series:
    """For each line whether its metric tells half of the methods from the random control on its task: yes, no, or nothing.

    Asked of the metrics that would have a vote, and where the samples allow a yes at all: p is never below 2^-n.
    """
    found = pd.Series("", index=long.index)
    asked = long[
        long["metric_family"].isin(RANKING_FAMILIES)
        & (long[Column.EXCLUSION_REASON] == "")
        & long[Column.P_MAJORITY_BEATS_RANDOM].notna()
    ]
    for _, lines in asked.groupby("task"):
        columns = [Column.P_MAJORITY_BEATS_RANDOM, Column.MIN_ATTAINABLE_P, Column.SHARE_BEATS_RANDOM]
        of_metric = lines.groupby("metric")[columns].first()
        possible = of_metric[Column.MIN_ATTAINABLE_P] * len(of_metric) < 1 - LEVEL
        sure = inference.holm(of_metric[Column.P_MAJORITY_BEATS_RANDOM].to_numpy()) < 1 - LEVEL
        told = pd.Series(
            np.where(sure & (of_metric[Column.SHARE_BEATS_RANDOM] >= ENOUGH), YES, NO), index=of_metric.index
        )
        found[lines.index] = lines["metric"].map(told.where(possible, ""))
    return found


def rank_weights(rows: pd.DataFrame, long: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """For each line's metric the first of those that are alike, itself included, and its weight in the task's mean rank.

    The weight is 0 without a say, 1 alone, 1/m as one of m that are alike.
    """
    scored = long.groupby(["task", "metric"])[Column.N_SAMPLES].transform("max") > 0
    say = long["metric_family"].isin(RANKING_FAMILIES) & (long[Column.EXCLUSION_REASON] == "") & scored
    alike, votes = long["metric"].copy(), say.astype(float)
    for task, lines in long[say].groupby("task"):
        own = rows[rows["task"] == task]
        scores = {name: oriented(own[own["metric"] == name]) for name in lines["metric"].unique()}
        methods, samples = sorted(set(lines["method"])), sorted(set(own["sample_id"]))
        if len(samples) < FEWEST:
            continue
        cube = np.stack([one.reindex(index=samples, columns=methods).to_numpy() for one in scores.values()])
        group = pd.Series(concordance.redundancy_groups(cube, ALIKE), index=list(scores))
        first = pd.Series(group.index, index=group.index).groupby(group).transform("first")
        alike[lines.index] = lines["metric"].map(first)
        votes[lines.index] = lines["metric"].map(1 / group.map(group.value_counts()))
    return alike, votes


def no_random_score(rows: pd.DataFrame, scores: pd.DataFrame) -> bool:
    """Is the random control undefined (and not merely yet to be run) on a sample that others are scored on?"""
    own = rows[(rows["method"] == RANDOM) & (rows["status"] == UNDEFINED)]
    return bool(scores.loc[scores.index.isin(own["sample_id"]), RANDOM].isna().any())


def beats_oracle(values: pd.DataFrame) -> bool:
    """Does a map beat the truth, on average over the samples that both have? Higher is better."""
    above = values.sub(values[ORACLE], axis=0).mean()
    return bool((above > BEYOND * abs(values[ORACLE].mean())).any())
