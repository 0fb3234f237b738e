"""Tables in, pictures out. Nothing is computed here beyond what places ink.

Readable in grey and by the colour-blind: methods differ by colour, line style and marker; the random control is always
black and dashed; an arrow beside each metric says which way is better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import matplotlib as mpl
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
    "of_task",
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


def of_task(task: str, tables: Tables, *, maps: Mapping[str, Any]) -> dict[str, Callable[[], Figure]]:
    """Name -> what makes the figure, for every plot that the task's tables allow.

    How metrics agree is shown where there are enough of them.
    """
    wide, long = tables.wide[tables.wide["status"] != NOT_RUN], tables.long
    pairs, trusted = tables.beliefs.agreement, tables.beliefs.trust
    found: dict[str, Callable[[], Figure]] = {}
    if wide["rank"].notna().any():
        found["ranks"] = partial(ranks, wide, long, task)
    if (long["metric_family"] != COST).any():
        found["heatmap"] = partial(heatmap, wide, long, task)
    if len(tables.wins):
        found["critical_difference"] = partial(critical_difference, wide, tables.wins, task)
        found["wins"] = partial(wins, tables.wins, wide, task)
    if long["metric_family"].isin(RANKING_FAMILIES).any():
        found["distributions"] = partial(distributions, tables.spreads, wide, long, task)
    if len(tables.curves):
        found["curves"] = partial(mean_curves, tables.curves, wide, task)
    if {"seconds"} <= set(wide) and wide[Column.MEAN_RANK].notna().any():
        found["cost"] = partial(cost, wide, task)
    if "inputs" in maps:
        found["gallery"] = partial(gallery, maps, wide, task)
    if pairs["tau"].notna().any():
        found["agreement"] = lambda: agreement(pairs, clustered(pairs), tables.beliefs.alphas, long, task)
    if trusted["tau"].notna().any():
        found["trust"] = partial(trust, trusted, task)
    return {name: partial(_made, make) for name, make in found.items()}


def all_of_task(task: str, tables: Tables, *, maps: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """Name and figure of every plot of `of_task`, one after the other."""
    for name, make in of_task(task, tables, maps=maps).items():
        yield name, make()


def _made(make: Callable[[], Figure]) -> Figure:
    with mpl.rc_context({"text.parse_math": False}):  # two dollars in a name are no formula
        return make()
