"""Tables in, pictures out. Nothing is computed here beyond what places ink.

Readable in grey and by the colour-blind: methods differ by colour, line style and marker; the random control is always
black and dashed; an arrow beside each metric says which way is better.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.agreement import clustered
from bench.analysis.task_tables import Tables
from bench.core.vocabulary import COST, NOT_RUN, RANKING_FAMILIES, Column
from bench.plots.beliefs import agreement, conformance, trust
from bench.plots.board_heatmap import heatmap
from bench.plots.board_pairs import critical_difference, wins
from bench.plots.board_ranks import ranks
from bench.plots.maps import gallery, side_by_side
from bench.plots.networks import confusion, roc, training_curves
from bench.plots.scores import cost, distributions, mean_curves
from bench.plots.style import check_path, save, write
from bench.plots.sweeps import sweep

__all__ = [
    "agreement",
    "all_of_task",
    "check_path",
    "conformance",
    "confusion",
    "cost",
    "critical_difference",
    "distributions",
    "gallery",
    "heatmap",
    "mean_curves",
    "ranks",
    "roc",
    "save",
    "side_by_side",
    "sweep",
    "training_curves",
    "trust",
    "wins",
    "write",
]


def all_of_task(task: str, rows: pd.DataFrame, tables: Tables, *, maps: dict[str, Any]) -> Iterator[tuple[str, Figure]]:
    """Name and figure of every plot that the task's tables allow. How metrics agree is shown where there are enough of them."""
    wide, long = tables.wide[tables.wide["status"] != NOT_RUN], tables.long
    pairs, trusted = tables.beliefs.agreement, tables.beliefs.trust
    with mpl.rc_context({"text.parse_math": False}):  # two dollars in a name are no formula
        if wide["rank"].notna().any():
            yield "ranks", ranks(wide, long, task)
        if (long["metric_family"] != COST).any():
            yield "heatmap", heatmap(wide, long, task)
        if len(tables.wins):
            yield "critical_difference", critical_difference(wide, tables.wins, task)
            yield "wins", wins(tables.wins, wide, task)
        if long["metric_family"].isin(RANKING_FAMILIES).any():
            yield "distributions", distributions(rows, wide, long, task)
        if len(tables.curves):
            yield "curves", mean_curves(tables.curves, wide, task)
        if {"seconds"} <= set(wide) and wide[Column.MEAN_RANK].notna().any():
            yield "cost", cost(wide, task)
        if "inputs" in maps:
            yield "gallery", gallery(maps, wide, task)
        if pairs["tau"].notna().any():
            yield "agreement", agreement(pairs, clustered(pairs), tables.beliefs.alphas, long, task)
        if trusted["tau"].notna().any():
            yield "trust", trust(trusted, task)
