"""Attributions over their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.engine.one_sample import Explanation
from bench.plots.style import MANY, new_figure

WIDEST = 7  # columns of maps side by side
MARGIN = 0.04  # of a cell, on each side
COLOURS = "Red: positive attribution; blue: negative."
FOR, AGAINST = np.array([0.70, 0.09, 0.17]), np.array([0.13, 0.40, 0.67])  # the class: red, blue


def gallery(maps: Mapping[str, Any], wide: pd.DataFrame, task: str) -> Figure:
    """A few samples with the maps of all methods side by side."""
    inputs = maps["inputs"]
    drawn = {str(arrays["method_id"]): arrays["maps"] for arrays in maps.values() if "maps" in arrays}
    shown = wide[wide["method_id"].isin(drawn)]
    samples = len(inputs["inputs"])
    captions = [_caption(inputs, row) for row in range(samples)]
    # A few methods: a column for each. Many: a line for each, in three blocks side by side.
    turned = len(shown) > MANY
    blocks = 3 if turned else 1
    each = -(-len(shown) // blocks)
    lines, columns = (1 + each, samples) if turned else (samples, 1 + each)
    size = (0.65 if turned else 1.0) * (1.75 if inputs["inputs"].ndim == 3 else 1.3)  # inches of a cell
    high = size * _ratio(inputs["inputs"][0])
    figure, panels = new_figure(1, blocks, width=blocks * (size * columns + 1.3), height=high * lines + 1.1, grid=False)
    for block, axes in enumerate(panels):
        here = shown.iloc[block * each : (block + 1) * each]
        _set_cells(axes, columns, lines, inputs["inputs"][0])
        for row, one in enumerate(inputs["inputs"]):
            _draw_input(axes, one, (row, 0) if turned else (0, row))
            for place, method_id in enumerate(here["method_id"], start=1):
                _draw_map(axes, one, drawn[method_id][row], (row, place) if turned else (place, row))
        names = ["input", *here["method"]]
        above, left = (captions, names) if turned else (names, captions)
        for column, text in enumerate(above):
            text = text if turned else text.replace("_", "\n")
            axes.text(column + 0.5, -0.05, text, ha="center", va="bottom", fontsize=7 if turned else 8.5)
        for line, text in enumerate(left):
            text = fill(text.replace("_", " "), 12) if turned else text
            axes.text(-0.08, line + 0.5, text, ha="right", va="center", fontsize=8)
    figure.suptitle(
        f"{task}: attributions of the methods, by rank; beside each input the explained class and its probability. "
        f"{COLOURS}",
        fontsize=9,
    )
    return figure


def side_by_side(one: np.ndarray, found: Sequence[Explanation], caption: str) -> Figure:
    """One input (C, *S) and what each method makes of it; why, where it makes nothing."""
    columns = min(1 + len(found), WIDEST)
    lines = -(-(1 + len(found)) // columns)
    width, height = (2.6, 2.05) if one.ndim == 2 else (1.75, 2.1)
    figure, panels = new_figure(
        lines, columns, width=max(4.5, width * columns), height=height * lines + 0.6, grid=False
    )
    for axes in panels:
        _set_cells(axes, 1, 1, one)
        axes.set_visible(False)
    for axes, title in zip(panels, ["input", *(made.method for made in found)], strict=False):
        axes.set_visible(True)
        axes.set_title(title.replace("[", "\n["), fontsize=8.5)
    _draw_input(panels[0], one, (0, 0))
    for axes, made in zip(panels[1:], found, strict=False):
        _draw_map(axes, one, made.attribution, (0, 0), why=fill(made.note or "no map", 30))
        axes.set_xlabel("" if made.attribution is None else _duration(made.seconds), fontsize=7.5, color="0.4")
    caption = caption.replace("$", r"\$")  # of a file, say: no formula
    figure.suptitle(f"{caption}\n{COLOURS}", fontsize=9)
    return figure


def _caption(inputs: dict[str, Any], row: int) -> str:
    """The explained class and its probability, and the true class where that is another."""
    text = f"{inputs['explained'][row]} ({inputs['probability'][row]:.2f})"
    return text if inputs["label"][row] == inputs["explained"][row] else f"{text}\ntrue: {inputs['label'][row]}"


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def _ratio(one: np.ndarray) -> float:
    """Height of a cell over its width."""
    return 0.6 if one.ndim == 2 else one.shape[1] / one.shape[2]


def _set_cells(axes: Axes, columns: int, lines: int, one: np.ndarray) -> None:
    """Makes the axes a grid of cells of size 1, from the upper left: a panel for each map would take ten times as long."""
    axes.set(xlim=(0, columns), ylim=(lines, 0), xticks=[], yticks=[], aspect=_ratio(one))
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_input(axes: Axes, one: np.ndarray, cell: tuple[int, int]) -> None:
    if one.ndim == 2:
        axes.add_collection(LineCollection([_points(one, cell)], colors="black", linewidths=1))
    else:
        shown = np.moveaxis(one, 0, -1).clip(0, 1)
        _put(axes, np.broadcast_to(shown, (*shown.shape[:2], 3)), cell)
    _frame(axes, cell)


def _draw_map(
    axes: Axes, one: np.ndarray, attribution: np.ndarray | None, cell: tuple[int, int], why: str = "no map"
) -> None:
    """The attribution over the input: red for, blue against the class; the signal itself is coloured in 1-D."""
    _frame(axes, cell)
    if attribution is None or not np.isfinite(attribution).all() or np.ptp(attribution) == 0:
        axes.text(cell[0] + 0.5, cell[1] + 0.5, why, ha="center", va="center", fontsize=7, color="0.4")
        return
    limit = np.percentile(np.abs(attribution), 99.5) or np.abs(attribution).max()
    strength = np.clip(attribution / limit, -1, 1)
    if one.ndim == 2:
        points = _points(one, cell)
        axes.add_collection(LineCollection([points], colors="0.6", linewidths=0.8, zorder=1))
        middle = (points[:-1] + points[1:]) / 2
        ends = np.concatenate([points[:1], np.repeat(middle, 2, axis=0), points[-1:]]).reshape(-1, 2, 2)
        bent = [np.array([a, p, b]) for (a, b), p in zip(ends, points, strict=True)]
        colours = np.column_stack([np.where(strength[:, None] > 0, FOR, AGAINST), np.abs(strength)])
        width = 1 + 2 * np.abs(strength)
        axes.add_collection(LineCollection(bent, colors=colours, linewidths=width, capstyle="butt", zorder=2))
        return
    grey = one.mean(0)
    under = (0.55 + 0.45 * grey / max(grey.max(), 1e-9))[..., None]
    over = mpl.colormaps["RdBu_r"](0.5 + 0.5 * strength)[..., :3]
    opaque = 0.85 * np.abs(strength)[..., None]
    _put(axes, ((1 - opaque) * under + opaque * over).clip(0, 1), cell)


def _points(one: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """The first channel of a signal as a line inside its cell: (C, L) -> (L, 2)."""
    values = one[0].astype(float)
    across = np.linspace(MARGIN + 0.03, 1 - MARGIN - 0.03, len(values))
    up = (values - values.min()) / (np.ptp(values) or 1.0)
    return np.column_stack([cell[0] + across, cell[1] + 0.88 - 0.76 * up])


def _put(axes: Axes, picture: np.ndarray, cell: tuple[int, int]) -> None:
    x, y = cell
    extent = (x + MARGIN, x + 1 - MARGIN, y + 1 - MARGIN, y + MARGIN)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(picture, extent=extent, aspect=axes.get_aspect())
    axes.set(xlim=limits[0], ylim=limits[1])


def _frame(axes: Axes, cell: tuple[int, int]) -> None:
    x, y, side = cell[0] + MARGIN, cell[1] + MARGIN, 1 - 2 * MARGIN
    axes.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor="0.8", lw=0.8, zorder=3))
