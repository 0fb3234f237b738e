"""Method against method: which two a board distinguishes, and how often one is scored better than the other."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.analysis.groups import LETTER, share_a_letter
from bench.analysis.summary import resolution, summary
from bench.core.vocabulary import CONTROLS, LEVEL, RANDOM, Column
from bench.plots.board_cells import mark_losses, set_methods
from bench.plots.cells import draw_cells
from bench.plots.style import FEW, PALE, hundredths, method_labels, new_figure, origin_note, samples_of, set_heading

MOST_BARS = 12  # groups; where there are more, p-values are drawn instead
P_LIMITS = (0.001, 0.01, round(1 - LEVEL, 9))
P_COLOURS = ("#08306b", "#4292c6", "#c6dbef", "0.95")


def critical_difference(wide: pd.DataFrame, pairs: pd.DataFrame, task: str) -> Figure:
    """Which methods the board distinguishes: bars over the mean ranks or, where these are many, the p-values of all pairs."""
    board = wide[wide["rank"].notna()].reset_index(drop=True)
    groups = {letter for group in board["group"] for letter in re.findall(LETTER, group)}
    if len(groups) > MOST_BARS:
        return _p_values(board, pairs, task)
    return _bars(board, task, len(groups))


def _bars(board: pd.DataFrame, task: str, bars: int) -> Figure:
    """Mean ranks on an axis; a bar joins methods that cannot be distinguished, a dot on each [demsar2006statistical]."""
    import scikit_posthocs

    same = [[float(share_a_letter(a, b)) for b in board["group"]] for a in board["group"]]
    figure, (axes,) = new_figure(1, 1, width=9.5, height=1.4 + 0.09 * bars + 0.19 * (len(board) / 2 + 1), grid=False)
    # Numbers stand for the methods: the library keeps names in sets, whose order would change the file from run to run.
    drawn = scikit_posthocs.critical_difference_diagram(
        board[Column.MEAN_RANK],
        pd.DataFrame(same),
        ax=axes,
        label_fmt_left="{label}",
        label_fmt_right="{label}",
        label_props={"fontsize": 8},
        marker_props={"s": 12},
        elbow_props={"lw": 0.7, "color": "0.55"},
        crossbar_props={"linewidth": 1.4, "marker": "o", "markersize": 2.6, "color": "0.15"},
        text_h_margin=0.02 * max(1.0, np.ptp(board[Column.MEAN_RANK])),
    )
    names = method_labels(board)
    for text in drawn["labels"]:
        number = int(text.get_text())
        line = board.loc[number]
        text.set_color("black")
        text.set_text(f" {names[number]} {line[Column.MEAN_RANK]:.1f} ")
        text.set_fontweight("bold" if line["method"] == RANDOM else "normal")
        text.set_fontstyle("italic" if line["method_family"] == CONTROLS else "normal")
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("mean rank (left is better)")
    axes.tick_params(labelsize=8)
    set_heading(
        figure,
        f"{task}: mean ranks on {samples_of(board)} samples. A bar joins methods that cannot be distinguished, with a dot "
        "on each.",
        resolution(summary(board)),
        origin_note(board),
    )
    return figure


def _p_values(board: pd.DataFrame, pairs: pd.DataFrame, task: str) -> Figure:
    """Methods x methods: p-values of the differences in mean rank, in steps."""
    methods = list(board["method"])
    p = pairs.pivot(index="method", columns=Column.OPPONENT, values=Column.P_DIFFERENCE)
    p = p.reindex(index=methods, columns=methods)
    figure, (axes,) = _method_square(board, 0.2)
    limits = [0, *P_LIMITS, 1.0001]
    axes.pcolormesh(
        np.arange(len(methods) + 1),
        np.arange(len(methods) + 1),
        p.to_numpy(),
        cmap=ListedColormap(P_COLOURS),
        norm=BoundaryNorm(limits, len(P_COLOURS)),
        edgecolors="white",
        lw=0.4,
    )
    _set_both_axes(axes, board)
    named = [f"p < {P_LIMITS[0]:g}", *(f"p < {limit:g}" for limit in P_LIMITS[1:]), "not distinguished"]
    handles = [
        Patch(facecolor=colour, label=name, edgecolor="0.8") for colour, name in zip(P_COLOURS, named, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(named), frameon=False, fontsize=8)
    set_heading(
        figure,
        f"{task}: which methods differ in mean rank? p-values of paired tests on {samples_of(board)} samples, "
        f"Holm-corrected over all pairs; best method first.",
        resolution(summary(board)),
        origin_note(board),
    )
    return figure


def wins(pairs: pd.DataFrame, wide: pd.DataFrame, task: str) -> Figure:
    """Methods x methods: how often that of the row is scored better than that of the column."""
    board = wide[wide["method"].isin(pairs["method"])].reset_index(drop=True)
    methods = list(board["method"])
    share, p = (
        pairs.pivot(index="method", columns=Column.OPPONENT, values=name).reindex(index=methods, columns=methods)
        for name in (Column.WIN_RATE, Column.P_DIFFERENCE)
    )
    distinct = (p < 1 - LEVEL).to_numpy(bool)
    few = len(methods) <= FEW / 2
    figure, (axes,) = _method_square(board, 0.42 if few else 0.2)
    draw_cells(
        axes,
        ((share - 0.5).where(distinct, (share - 0.5) * PALE) + 0.5).to_numpy(),
        colours="PuOr",
        limits=(0, 1),
        gap=0.4,
        labels=share.map(hundredths).to_numpy() if few else None,
        square=True,
        label="share of scores: row loses (–)  ←  even  →  row wins",
        pad=0.015,
        aspect=40,
    )
    if not few:
        mark_losses(axes, (share < 0.5).to_numpy() & distinct, middle=0.5)
    _set_both_axes(axes, board)
    set_heading(
        figure,
        f"{task}: how often is the method of the row scored better than that of the column?",
        f"{samples_of(wide)} samples, metrics by their weight in the rank, a tie is half a win. Pale: two that the board "
        "does not distinguish.",
        resolution(summary(wide)),
        origin_note(board),
    )
    return figure


def _method_square(board: pd.DataFrame, cell: float) -> tuple[Figure, list[Axes]]:
    """A figure for methods x methods, cells of that size in inches."""
    size = cell * len(board)
    return new_figure(1, 1, width=3.6 + size, height=2.4 + size, grid=False)


def _set_both_axes(axes: Axes, board: pd.DataFrame) -> None:
    """The methods along both axes, those of the columns on top."""
    set_methods(axes, board, middle=0.5)
    places = np.arange(len(board)) + 0.5
    axes.set_xticks(places, method_labels(board), rotation=55, ha="left", rotation_mode="anchor", fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="", aspect="equal")
