"""The board of a task as a picture: ranks, and how each method stands by each metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.summary import resolution, summary
from bench.core.vocabulary import (
    BETTER,
    INDISTINGUISHABLE,
    RANDOM,
    RANKING_FAMILIES,
    WORSE,
    YES,
    Column,
    mean_rank_by,
)
from bench.plots.board_cells import colours, mark_losses, set_methods
from bench.plots.style import PALE, family_look, new_figure, origin_note, samples_of, set_heading

MARKS = {BETTER: "better", WORSE: "worse", INDISTINGUISHABLE: "~"}


def ranks(wide: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """The board at a glance: ranks with intervals, the top group, how methods compare with random, skill by metric."""
    board = wide[wide["rank"].notna()].reset_index(drop=True)
    counting = long[(long[Column.RANK_WEIGHT] > 0) & (long[Column.REDUNDANCY_GROUP] == long["metric"])]
    metrics = list(dict.fromkeys(counting["metric"]))
    widths = (4.2, 0.3 + 0.22 * len(metrics))
    above = max(2.1, 1.3 + 0.065 * max(map(len, metrics), default=0))  # inches; names of metrics stand at an angle
    figure, (left, right) = new_figure(
        1, 2, width=6.9 + 0.22 * len(metrics), height=above + 0.2 * len(board), sharey=True, width_ratios=widths
    )
    has_random = RANDOM in set(long["method"])
    _draw_ranks(left, board)
    _draw_skill(right, counting, metrics, list(board["method"]))
    for axes in (left, right):
        for place in range(0, len(board), 2):
            axes.axhspan(place - 0.5, place + 0.5, color="0.94", lw=0, zorder=0)
    squares = "Squares: skill by metric; blue: better than the mean of the methods, red and –: worse."
    if has_random:
        squares = (
            f"~: not distinguished from the {RANDOM} control. Squares: skill by metric; blue: better than the control, red "
            "and –: worse, pale: not distinguished."
        )
    set_heading(
        figure,
        f"{task}: ranks of {len(board)} methods (controls in italics) on {samples_of(wide)} samples",
        resolution(summary(wide)),
        squares,
        origin_note(board),
    )
    return figure


def _draw_ranks(axes: Axes, board: pd.DataFrame) -> None:
    """Ranks with intervals, filled for the top group; mean ranks by family; in words how a method compares with random."""
    places = np.arange(len(board), dtype=float)
    for column, family in enumerate(RANKING_FAMILIES):
        mean_rank = mean_rank_by(family)[0]
        if mean_rank in board:
            colour, marker = family_look(family)
            y = places + 0.18 - 0.36 * column
            axes.scatter(
                board[mean_rank], y, color=colour, marker=marker, s=11, label=f"mean rank by {family}", zorder=3
            )
    top = (board[Column.TOP_GROUP] == YES).to_numpy()
    for chosen, fill, label in ((top, "black", "rank, top group"), (~top, "white", "rank")):
        own = board[chosen]
        ends = np.abs(np.stack([own["rank"] - own[Column.RANK_LOW], own[Column.RANK_HIGH] - own["rank"]]))
        look: Any = {"ms": 4.5, "mfc": fill, "color": "black", "lw": 1.3, "capsize": 2.5, "zorder": 4}
        axes.errorbar(own["rank"], places[chosen], xerr=ends, fmt="D", label=label, **look)
    random = board.loc[board["method"] == RANDOM, "rank"]
    if len(random):
        axes.axvline(random.iloc[0], color="black", ls="--", lw=0.9, label=f"{RANDOM} control")
        beside: Any = {"transform": axes.get_yaxis_transform(), "fontsize": 8}
        axes.text(1.015, -0.75, f"vs {RANDOM}", va="bottom", **beside)
        for place, found in zip(places, board[Column.VS_RANDOM], strict=True):
            axes.text(1.015, place, MARKS.get(found, ""), va="center", **beside)
    axes.set(xlabel="rank with 95 % interval (left is better)", xlim=(0.3, len(board) + 0.7))
    set_methods(axes, board)
    axes.grid(False, axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8, ncols=2)  # intervals are anywhere


def _draw_skill(axes: Axes, long: pd.DataFrame, metrics: list[str], methods: list[str]) -> None:
    """A square for each method and metric that counts, of redundant metrics the first."""
    colour = colours(long, metrics, methods)
    axes.imshow(colour.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", interpolation="nearest", zorder=1)
    axes.set_xticks(range(len(metrics)), metrics, rotation=55, ha="left", rotation_mode="anchor", fontsize=8)
    axes.xaxis.tick_top()
    axes.grid(False)
    axes.tick_params(length=0)
    mark_losses(axes, (colour < -PALE).to_numpy().T)
    axes.set_xticks(np.arange(len(metrics) + 1) - 0.5, minor=True)
    axes.grid(which="minor", axis="x", color="white", lw=1.5)
