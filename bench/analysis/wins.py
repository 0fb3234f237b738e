"""How often one method is scored better than another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis.metric_table import counted
from bench.analysis.overall import pair_p_values
from bench.analysis.score_matrix import oriented
from bench.core.vocabulary import Column

WIN_COLUMNS = ["task", "method", Column.OPPONENT, Column.WIN_RATE, Column.P_DIFFERENCE]


def win_table(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """How often a method is scored better than another: the mean over samples and metrics, metrics by their weight.

    One row per task and ordered pair of methods that have all scores; a tie is half a win. Beside it the p-value of the
    difference of their mean ranks, which says whether the board distinguishes them. Where all metrics have the same samples
    a method's mean rank is one plus the sum of the win rates of its opponents.
    """
    found = []
    for task, own in long[long[Column.RANK_WEIGHT] > 0].groupby("task", sort=True):
        names, methods = counted(own)
        if len(methods) < 2:
            continue
        facts = own.drop_duplicates("metric").set_index("metric").loc[names]
        weight = facts[Column.RANK_WEIGHT] / facts.groupby("metric_family")[Column.RANK_WEIGHT].transform("sum")
        wins = sum(weight[name] * _wins(rows, str(task), name, methods) for name in facts.index) / weight.sum()
        opponents = pd.Index(methods, name=Column.OPPONENT)
        table = pd.DataFrame(wins, index=pd.Index(methods, name="method"), columns=opponents)
        table = table.where(~np.eye(len(methods), dtype=bool)).stack().dropna().rename(Column.WIN_RATE).reset_index()
        weights = facts[Column.RANK_WEIGHT]
        p = pair_p_values(rows[rows["task"] == task], methods, weights).stack()
        table[Column.P_DIFFERENCE] = p[list(zip(table["method"], table[Column.OPPONENT], strict=True))].to_numpy()
        found.append(table.assign(task=task)[WIN_COLUMNS])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=WIN_COLUMNS)


def _wins(rows: pd.DataFrame, task: str, metric: str, methods: list[str]) -> np.ndarray:
    """Share of the samples on which each method (row) is better than each other (column) by one metric: (M, M)."""
    own = rows[(rows["task"] == task) & (rows["metric"] == metric) & rows["method"].isin(methods)]
    scores = oriented(own)[methods].dropna().to_numpy()
    better = np.stack([(scores[:, [place]] > scores).sum(0) for place in range(len(methods))])
    even = len(scores) - better - better.T
    with np.errstate(invalid="ignore"):
        return np.asarray((better + 0.5 * even) / len(scores))
