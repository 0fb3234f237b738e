"""Pictures of what lies behind a board: scores per sample, curves, costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from bench.analysis.metric_table import unit_of
from bench.analysis.score_matrix import SPREAD
from bench.core.vocabulary import CONTROLS, FAITHFULNESS, ORACLE, RANDOM, RANKING_FAMILIES, Column, mean_rank_by
from bench.plots.style import (
    DPI,
    MANY,
    NAMED,
    look,
    method_labels,
    new_figure,
    origin_note,
    samples_of,
    set_heading,
    with_arrow,
    with_powers,
)

HEIGHTS = sorted(range(-32, 33, 4), key=abs)
BESIDE = [(side, y) for y in HEIGHTS for side in (7, -7, 14, -14)]  # points (1/72 inch) from a dot to its name


def distributions(spreads: pd.DataFrame, wide: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """Scores per sample of each method on each metric that counts, of redundant ones the first; the random mean marked."""
    ranking = long[long["metric_family"].isin(RANKING_FAMILIES)]
    counting = ranking[(ranking[Column.RANK_WEIGHT] > 0) & (ranking[Column.REDUNDANCY_GROUP] == ranking["metric"])]
    metrics = list(dict.fromkeys((counting if len(counting) else ranking)["metric"]))
    methods = list(wide["method"])
    columns = min(8 if len(methods) > MANY else 4, max(1, len(metrics)))
    lines = -(-max(1, len(metrics)) // columns)
    figure, panels = new_figure(
        lines,
        columns,
        width=max(8.5, 1.3 + 2.6 * columns),
        height=0.8 + lines * (0.9 + 0.24 * len(methods)),
    )
    for number, (axes, metric) in enumerate(zip(panels, metrics, strict=False)):
        table = long[long["metric"] == metric].set_index("method").reindex(methods)
        _boxes(axes, spreads[spreads["metric"] == metric], methods)
        places = np.arange(len(methods))
        errors = np.abs(np.stack([table["mean"] - table[Column.MEAN_LOW], table[Column.MEAN_HIGH] - table["mean"]]))
        axes.errorbar(table["mean"], places, xerr=errors, fmt="D", ms=3.5, color="black", lw=1.2, capsize=2, zorder=4)
        if RANDOM in methods:
            axes.axvline(table.loc[RANDOM, "mean"], color="black", ls="--", lw=1)
        facts = table.dropna(subset=["label"]).iloc[0]
        unit = unit_of(facts["label"])
        axes.set_xlabel(with_arrow(metric, facts["higher_is_better"]) + (f" ({unit})" if unit else ""))
        axes.set_yticks(places if number % columns == 0 else [], method_labels(wide) if number % columns == 0 else [])
        axes.hlines(
            places, 0, 1, transform=axes.get_yaxis_transform(), color="0.8", lw=1, zorder=0.5
        )  # instead of ticks
        axes.set_ylim(len(methods) - 0.5, -0.5)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    set_heading(
        figure,
        f"{task}: scores of {samples_of(wide)} samples by the metrics that count in the rank. Box: quartiles, line: 5 to 95 %, "
        f"diamond: mean with its 95 % interval, dashed: mean of the {RANDOM} control",
        origin_note(wide),
    )
    return figure


def _boxes(axes: Axes, spreads: pd.DataFrame, methods: Sequence[str]) -> None:
    """Quartiles as a box, 5 to 95 % as a line, the median as a stroke; nothing where scores are of two kinds only."""
    if spreads["two_valued"].all():
        return
    share = spreads.set_index("method")[list(SPREAD.values())].reindex(methods).to_numpy(float)
    places, colours = np.arange(len(methods), dtype=float), [_tint(name) for name in methods]
    axes.hlines(places, share[:, 0], share[:, 4], color="0.3", lw=0.8, zorder=2)
    left, right, low, high = share[:, 1], share[:, 3], places - 0.35, places + 0.35
    boxes = np.stack([np.stack([left, right, right, left]), np.stack([low, low, high, high])]).T
    axes.add_collection(PolyCollection(list(boxes), facecolors=colours, edgecolors="0.3", linewidths=0.8, zorder=2))
    axes.vlines(share[:, 2], places - 0.35, places + 0.35, color="0.2", lw=0.9, zorder=3)


def _tint(name: str) -> str:
    return "0.45" if name == RANDOM else "#9ecae1"


def mean_curves(curves: pd.DataFrame, wide: pd.DataFrame, task: str) -> Figure:
    """Mean output p for the class while features are removed or put back; 95 % bands of the best method and of random."""
    metrics = list(dict.fromkeys(curves["metric"]))
    methods = [name for name in wide["method"] if name in set(curves["method"])]
    named = {*methods, RANDOM} if len(methods) <= MANY else {*methods[:NAMED], RANDOM}
    explain = [name for name in methods if name not in set(wide.loc[wide["method_family"] == CONTROLS, "method"])]
    banded = {*explain[:1], RANDOM}
    figure, panels = new_figure(1, len(metrics), width=2.2 + 3.9 * len(metrics), height=3.8, sharey=True)
    for axes, metric in zip(panels, metrics, strict=True):
        for number, name in enumerate(methods):
            own = curves[(curves["metric"] == metric) & (curves["method"] == name)]
            if own.empty:
                continue
            if name not in named:
                axes.plot(100 * own["share"], own["p"], color="0.85", lw=0.8, zorder=1, label="other methods")
                continue
            colour, dashes, _ = look(name, number)
            width = 2.2 if name == RANDOM else 1.4
            axes.plot(100 * own["share"], own["p"], color=colour, ls=dashes, lw=width, label=name)
            if name in banded:
                band = own[Column.P_LOW], own[Column.P_HIGH]
                axes.fill_between(100 * own["share"], *band, color=colour, alpha=0.15, lw=0)
        higher = bool(curves.loc[curves["metric"] == metric, "higher_is_better"].iloc[0])
        verb, better = ("put back", "higher is better") if higher else ("removed", "lower is better")
        axes.set(xlabel=f"features {verb}, highest attribution first (%)", xlim=(0, 100), ylim=(0, 1.02))
        axes.set_title(f"{metric} ({better})", loc="left")
    panels[0].set_ylabel("mean output p for the explained class")
    lines = {label: line for line, label in zip(*panels[-1].get_legend_handles_labels(), strict=True)}
    figure.legend(
        lines.values(), lines, loc="outside right center", frameon=False, title="methods by rank", handlelength=3
    )
    bands = " and ".join([*explain[:1], *[f"the {RANDOM} control"] * (RANDOM in methods)])
    set_heading(
        figure,
        f"{task}: {samples_of(wide)} samples. Bands: 95 % interval of {bands}",
        origin_note(wide, "No curves of the methods from"),
    )
    return figure


def cost(wide: pd.DataFrame, task: str) -> Figure:
    """Seconds per sample (log) against the mean rank by faithfulness (by all metrics, where none asks that), Pareto front."""
    rank, of = mean_rank_by(FAITHFULNESS)[0], " by faithfulness"
    if rank not in wide or wide[rank].isna().all():
        rank, of = Column.MEAN_RANK, ""
    board = wide.dropna(subset=[rank, "seconds"]).copy()
    board["seconds"] = board["seconds"].clip(lower=1e-6)
    figure, (axes,) = new_figure(1, 1, width=6.4, height=4.2)
    explains = board["method_family"] != CONTROLS  # a control on the front would be no choice
    ordered = board[explains].sort_values(["seconds", rank], kind="stable")
    best = ordered[ordered[rank] < ordered[rank].cummin().shift(fill_value=np.inf)]  # the Pareto front
    named = board if len(board) <= MANY else board[board["method"].isin([*best["method"], RANDOM, ORACLE])]
    numbers = {name: number for number, name in enumerate(named["method"])}
    for _, row in board.iterrows():
        colour, marker, order = "0.7", "o", 3
        if row["method"] in numbers:
            (colour, _, marker), order = look(row["method"], numbers[row["method"]]), 4  # above those without a name
        axes.scatter(row["seconds"], row[rank], color=colour, marker=marker, s=55, zorder=order, edgecolor="white")
    front = np.stack([best["seconds"].repeat(2)[1:], best[rank].repeat(2)[:-1]], axis=1)  # in steps
    axes.plot(*front.T, color="0.6", lw=1, zorder=1)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.12)
    axes.set(xlabel="seconds to explain one sample (log; left is better)", ylabel=f"mean rank{of} (up is better)")
    set_heading(
        figure,
        f"{task}: time to explain a sample and mean rank{of}. Grey line: Pareto front of the methods",
        origin_note(wide, "No costs of the methods from"),
    )
    with_powers(figure)
    figure.draw_without_rendering()  # names are placed in the panel's final size
    first = named.sort_values(rank, kind="stable")
    points = board[["seconds", rank]].to_numpy()
    _label_points(axes, first["method"], first[["seconds", rank]].to_numpy(), points, front)
    return figure


def _label_points(axes: Axes, names: Iterable[str], places: np.ndarray, points: np.ndarray, line: np.ndarray) -> None:
    """Names of places (m, 2), each where it hides no other name nor the edge, and least of points (n, 2) and line (k, 2)."""
    dots, ends, starts = (axes.transData.transform(one) for one in (points, line, places))
    radius = 4 * DPI / 72
    drawn = [Bbox([dot - radius, dot + radius]) for dot in dots]
    drawn += [Bbox([np.minimum(a, b) - 1, np.maximum(a, b) + 1]) for a, b in pairwise(ends)]
    written: list[Bbox] = []
    for name, place, dot in zip(names, places, starts, strict=True):
        label = axes.annotate(
            name, place, (0, 0), textcoords="offset points", va="center", fontsize=8.5, parse_math=False
        )
        label.set_in_layout(False)
        size = np.asarray(label.get_window_extent().size)
        boxes = [_beside(dot, offset, size) for offset in BESIDE]
        beyond = [not (axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1)) for box in boxes]
        hides = [
            (box.count_overlaps(written) + out, box.count_overlaps(drawn))
            for box, out in zip(boxes, beyond, strict=True)
        ]
        best = hides.index(min(hides))
        label.set(position=BESIDE[best], horizontalalignment="left" if BESIDE[best][0] > 0 else "right")
        written.append(boxes[best])


def _beside(dot: np.ndarray, offset: tuple[int, int], size: np.ndarray) -> Bbox:
    """Where a text of that size in pixels lies, at that offset in points from a dot."""
    x, y = dot + np.array(offset) * DPI / 72
    return Bbox.from_bounds(x if offset[0] > 0 else x - size[0], y - size[1] / 2, *size)
