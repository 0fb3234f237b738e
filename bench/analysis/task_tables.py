"""All the tables of a task, made together from the rows of its scores. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.analysis import agreement, board, metric_table, score_matrix, wins
from bench.analysis.versions import outdated
from bench.core.vocabulary import NO, RANKING_FAMILIES, YES, Column


class Tables(NamedTuple):
    """What leaderboards, plots and the page show of a task, or of several."""

    wide: pd.DataFrame  # with a row for each method that was not run
    long: pd.DataFrame
    metrics: pd.DataFrame
    wins: pd.DataFrame
    curves: pd.DataFrame
    spreads: pd.DataFrame
    failures: pd.DataFrame
    beliefs: agreement.Tables
    written: tuple[str, str]  # when the first and the last score were


def of_task(
    rows: pd.DataFrame,
    *,
    verdicts: Mapping[str, str] | None = None,
    left_out: Mapping[str, Sequence[str]] | None = None,
    versions: Mapping[str, Mapping[str, int]] | None = None,
) -> Tables:
    """The tables of one task.

    `verdicts`: id of a metric -> pass or fail; `left_out`: task -> the methods that are too slow for the profile;
    `versions`: "method" and "metric" -> name -> the version in use, older ones are marked as outdated.
    """
    long = metric_table.long_table(rows, verdicts)
    wide = board.boards(rows, long)
    metrics, written = metric_table.metric_table(long), sorted(set(rows["written"]))
    _mark_outdated(wide, long, metrics, versions or {})
    if Column.ORIGIN in wide:
        long[Column.ORIGIN] = long["method"].map(dict(zip(wide["method"], wide[Column.ORIGIN], strict=True)))
    excluded = metrics[metrics["metric_family"].isin(RANKING_FAMILIES) & (metrics[Column.RANK_WEIGHT] == 0)]
    return Tables(
        wide=board.with_left_out(wide, left_out or {}),
        long=long,
        metrics=metrics,
        wins=wins.win_table(rows, long),
        curves=score_matrix.mean_curves(rows),
        spreads=score_matrix.spreads(rows),
        failures=score_matrix.failures(rows),
        beliefs=agreement.tables(rows, list(zip(excluded["task"], excluded["metric"], strict=True))),
        written=(written[0], written[-1]),
    )


def _mark_outdated(
    wide: pd.DataFrame, long: pd.DataFrame, metrics: pd.DataFrame, versions: Mapping[str, Mapping[str, int]]
) -> None:
    """Fills in which rows are of older versions: of the method, of the metric, or, in the long table, of either."""
    of_method, of_metric = versions.get("method", {}), versions.get("metric", {})
    wide[Column.OUTDATED] = outdated(wide["method_id"], of_method)
    metrics[Column.OUTDATED] = outdated(metrics["metric_id"], of_metric)
    method, metric = outdated(long["method_id"], of_method), outdated(long["metric_id"], of_metric)
    known = np.where((method == "") | (metric == ""), "", NO)
    long[Column.OUTDATED] = np.where((method == YES) | (metric == YES), YES, known)


def joined(parts: Sequence[Tables]) -> Tables:
    """The tables of several tasks as one."""

    def stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
        every = list(tables)
        filled = [table for table in every if len(table)]
        whole = pd.concat(filled, ignore_index=True) if filled else every[0]
        return whole.fillna({Column.ORIGIN: ""})  # of tasks without a release file

    return Tables(
        wide=board.in_order(stacked(part.wide for part in parts)),
        long=stacked(part.long for part in parts),
        metrics=stacked(part.metrics for part in parts),
        wins=stacked(part.wins for part in parts),
        curves=stacked(part.curves for part in parts),
        spreads=stacked(part.spreads for part in parts),
        failures=stacked(part.failures for part in parts),
        beliefs=agreement.Tables(
            trust=stacked(part.beliefs.trust for part in parts),
            agreement=stacked(part.beliefs.agreement for part in parts),
            alphas=stacked(part.beliefs.alphas for part in parts),
        ),
        written=(min(part.written[0] for part in parts), max(part.written[1] for part in parts)),
    )
