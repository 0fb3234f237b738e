"""Attributions over their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from bench.engine.one_sample import Explanation
from bench.plots.style import MANY, new_figure

WIDEST = 7  # columns of maps side by side
MARGIN = 0.04  # of a cell, on each side
FRAME = np.array([(MARGIN, MARGIN), (1 - MARGIN, MARGIN), (1 - MARGIN, 1 - MARGIN), (MARGIN, 1 - MARGIN)])
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
        cells = _Cells(axes, columns, lines, inputs["inputs"][0])
        for row, one in enumerate(inputs["inputs"]):
            cells.draw_input(one, (row, 0) if turned else (0, row))
            for place, method_id in enumerate(here["method_id"], start=1):
                cells.draw_map(one, drawn[method_id][row], (row, place) if turned else (place, row))
        cells.finish()
        names = ["input", *here["method"]]
        above, left = (captions, names) if turned else (names, captions)
        for column, text in enumerate(above):
            text = text if turned else text.replace("_", "\n")
            axes.text(column + 0.5, -0.05, text, ha="center", va="bottom", fontsize=7 if turned else 8.5)
        for line, text in enumerate(left):
            text = fill(text.replace("_", " "), 12) if turned else text
            axes.text(-0.08, line + 0.5, text, ha="right", va="center", fontsize=8)
    figure.suptitle(
        f"{task}: attributions of the methods, by rank; beside each input the explained class and the output p for it. "
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
    cells = [_Cells(axes, 1, 1, one) for axes in panels]
    for axes in panels:
        axes.set_visible(False)
    for axes, title in zip(panels, ["input", *(made.method for made in found)], strict=False):
        axes.set_visible(True)
        axes.set_title(title.replace("[", "\n["), fontsize=8.5)
    cells[0].draw_input(one, (0, 0))
    for cell, made in zip(cells[1:], found, strict=False):
        cell.draw_map(one, made.attribution, (0, 0), why=fill(made.note or "no map", 30))
        cell.axes.set_xlabel("" if made.attribution is None else _duration(made.seconds), fontsize=7.5, color="0.4")
    for cell in cells:
        cell.finish()
    caption = caption.replace("$", r"\$")  # of a file, say: no formula
    figure.suptitle(f"{caption}\n{COLOURS}", fontsize=9)
    return figure


def _caption(inputs: dict[str, Any], row: int) -> str:
    """The explained class and the output p for it, and the true class where that is another."""
    text = f"{inputs['explained'][row]} ({inputs['probability'][row]:.2f})"
    return text if inputs["label"][row] == inputs["explained"][row] else f"{text}\ntrue: {inputs['label'][row]}"


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def _ratio(one: np.ndarray) -> float:
    """Height of a cell over its width."""
    return 0.6 if one.ndim == 2 else one.shape[1] / one.shape[2]


class _Cells:
    """A grid of cells of size 1 in one panel, from the upper left: a panel for each map would take ten times as long.

    Lines and frames of all cells are added at once, by `finish`.
    """

    def __init__(self, axes: Axes, columns: int, lines: int, one: np.ndarray) -> None:
        """Axes for so many cells, each for an input like `one` (C, *S)."""
        self.axes, self.signals, self.faint, self.parts = axes, _Lines(), _Lines(), _Lines()
        self.frames: list[np.ndarray] = []
        axes.set(xlim=(0, columns), ylim=(lines, 0), xticks=[], yticks=[], aspect=_ratio(one))
        axes.spines[:].set_visible(False)

    def draw_input(self, one: np.ndarray, cell: tuple[int, int]) -> None:
        if one.ndim == 2:
            self.signals.add(_points(one, cell)[None])
        else:
            shown = np.moveaxis(one, 0, -1).clip(0, 1)
            self._put(np.broadcast_to(shown, (*shown.shape[:2], 3)), cell)
        self._frame(cell)

    def draw_map(
        self, one: np.ndarray, attribution: np.ndarray | None, cell: tuple[int, int], why: str = "no map"
    ) -> None:
        """The attribution over the input: red for, blue against the class; the signal itself is coloured in 1-D."""
        self._frame(cell)
        if attribution is None or not np.isfinite(attribution).all() or np.ptp(attribution) == 0:
            self.axes.text(cell[0] + 0.5, cell[1] + 0.5, why, ha="center", va="center", fontsize=7, color="0.4")
            return
        limit = np.percentile(np.abs(attribution), 99.5) or np.abs(attribution).max()
        strength = np.clip(attribution / limit, -1, 1)
        if one.ndim == 2:
            points = _points(one, cell)
            self.faint.add(points[None])
            middle = (points[:-1] + points[1:]) / 2
            ends = np.concatenate([points[:1], np.repeat(middle, 2, axis=0), points[-1:]]).reshape(-1, 2, 2)
            colours = np.column_stack([np.where(strength[:, None] > 0, FOR, AGAINST), np.abs(strength)])
            self.parts.add(np.stack([ends[:, 0], points, ends[:, 1]], axis=1), colours, 1 + 2 * np.abs(strength))
            return
        grey = one.mean(0)
        under = (0.55 + 0.45 * grey / max(grey.max(), 1e-9))[..., None]
        over = mpl.colormaps["RdBu_r"](0.5 + 0.5 * strength)[..., :3]
        opaque = 0.85 * np.abs(strength)[..., None]
        self._put(((1 - opaque) * under + opaque * over).clip(0, 1), cell)

    def finish(self) -> None:
        """Adds the lines and frames."""
        self.signals.put(self.axes, colors="black", linewidths=1)
        self.faint.put(self.axes, colors="0.6", linewidths=0.8, zorder=1)
        self.parts.put(self.axes, capstyle="butt", zorder=2)
        frames = PolyCollection(self.frames, facecolors="none", edgecolors="0.8", linewidths=0.8, zorder=3)
        self.axes.add_collection(frames, autolim=False)

    def _put(self, picture: np.ndarray, cell: tuple[int, int]) -> None:
        x, y = cell
        image = AxesImage(self.axes, extent=(x + MARGIN, x + 1 - MARGIN, y + 1 - MARGIN, y + MARGIN))
        image.set_data(picture)
        image.set_clip_path(self.axes.patch)
        self.axes.add_image(image)  # `imshow` would set limits and aspect each time

    def _frame(self, cell: tuple[int, int]) -> None:
        self.frames.append(np.array(cell) + FRAME)


class _Lines:
    """Lines of many cells, all of the same number of points, that become one collection."""

    def __init__(self) -> None:
        self.points: list[np.ndarray] = []
        self.colours: list[np.ndarray] = []
        self.widths: list[np.ndarray] = []

    def add(self, points: np.ndarray, colours: np.ndarray | None = None, widths: np.ndarray | None = None) -> None:
        """(n, points, 2), and for each line its colour (n, 4) and width (n,), where these differ."""
        self.points.append(points)
        if colours is not None and widths is not None:
            self.colours.append(colours)
            self.widths.append(widths)

    def put(self, axes: Axes, **look: Any) -> None:
        if self.colours:
            look |= {"colors": np.concatenate(self.colours), "linewidths": np.concatenate(self.widths)}
        if self.points:
            axes.add_collection(LineCollection(list(np.concatenate(self.points)), **look), autolim=False)


def _points(one: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """The first channel of a signal as a line inside its cell: (C, L) -> (L, 2)."""
    values = one[0].astype(float)
    across = np.linspace(MARGIN + 0.03, 1 - MARGIN - 0.03, len(values))
    up = (values - values.min()) / (np.ptp(values) or 1.0)
    return np.column_stack([cell[0] + across, cell[1] + 0.88 - 0.76 * up])
