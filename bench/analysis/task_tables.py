"""All the tables that are told of a task, made together from its rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bench.analysis import agreement, board, metric_table, score_matrix
from bench.core import vocabulary


class Tables(NamedTuple):
    """What leaderboards, plots and the page show of a task, or of several."""

    wide: pd.DataFrame  # with a line for each method that was left out
    long: pd.DataFrame
    metrics: pd.DataFrame
    wins: pd.DataFrame
    curves: pd.DataFrame
    failures: pd.DataFrame
    beliefs: agreement.Tables
    written: tuple[str, str]  # when the first and the last score were


def of_task(
    rows: pd.DataFrame,
    *,
    verdicts: Mapping[str, str] | None = None,
    left_out: Mapping[str, Sequence[str]] | None = None,
) -> Tables:
    """The tables of one task.

    `verdicts`: id of a metric -> pass or fail; `left_out`: task -> the methods that are too slow for the profile.
    """
    long = metric_table.long_table(rows, verdicts)
    metrics, written = metric_table.metric_table(long), sorted(set(rows["written"]))
    silent = metrics[metrics["metric_family"].isin(vocabulary.RANKING_FAMILIES) & (metrics["rank_weight"] == 0)]
    return Tables(
        wide=board.with_left_out(board.boards(rows, long), left_out or {}),
        long=long,
        metrics=metrics,
        wins=board.win_table(rows, long),
        curves=score_matrix.mean_curves(rows),
        failures=score_matrix.failures(rows),
        beliefs=agreement.tables(rows, list(zip(silent["task"], silent["metric"], strict=True))),
        written=(written[0], written[-1]),
    )


def joined(parts: Sequence[Tables]) -> Tables:
    """The tables of several tasks as one."""

    def stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
        known = list(tables)
        filled = [table for table in known if len(table)]
        return pd.concat(filled, ignore_index=True) if filled else known[0]

    wide = stacked(part.wide for part in parts)
    ranks = [name for name in wide if str(name).startswith("mean_rank")]  # not every task has every family
    rest = [name for name in wide if name not in ranks]
    place = rest.index("n_required_vs_best") + 1 if "n_required_vs_best" in rest else len(rest)
    return Tables(
        wide=wide[[*rest[:place], *ranks, *rest[place:]]],
        long=stacked(part.long for part in parts),
        metrics=stacked(part.metrics for part in parts),
        wins=stacked(part.wins for part in parts),
        curves=stacked(part.curves for part in parts),
        failures=stacked(part.failures for part in parts),
        beliefs=agreement.Tables(
            trust=stacked(part.beliefs.trust for part in parts),
            agreement=stacked(part.beliefs.agreement for part in parts),
            alphas=stacked(part.beliefs.alphas for part in parts),
        ),
        written=(min(part.written[0] for part in parts), max(part.written[1] for part in parts)),
    )
