"""Attributions over their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from bench.plots.style import MANY, new_figure

if TYPE_CHECKING:
    from bench.single import Made

WIDEST = 7  # columns of maps side by side


def gallery(maps: dict[str, Any], wide: pd.DataFrame, task: str) -> Figure:
    """A few samples with the maps of all methods side by side."""
    inputs = maps["inputs"]
    drawn = {str(arrays["method_id"]): arrays["maps"] for arrays in maps.values() if "maps" in arrays}
    shown = wide[wide["method_id"].isin(drawn)]
    methods = list(shown["method"])
    samples = len(inputs["inputs"])
    # A few methods: a column for each. Many: a line for each, in three blocks side by side.
    blocks = 3 if len(methods) > MANY else 1
    each = -(-len(methods) // blocks)
    turned = blocks > 1
    width, height = (1.75, 1.05) if inputs["inputs"].ndim == 3 else (1.25, 1.32)
    lines, columns = (1 + each, samples * blocks) if turned else (samples, 1 + each)
    scale = 0.65 if turned else 1.0
    wide_in, high_in = scale * width * columns + 0.4 + 1.1 * (blocks - 1), scale * height * lines + 0.7
    figure, panels = new_figure(lines, columns, width=wide_in, height=high_in, grid=False)
    table = np.array(panels).reshape(lines, columns)
    for block in range(blocks):
        shown_here = shown.iloc[block * each : (block + 1) * each]
        own = table[:, block * samples : (block + 1) * samples].T if turned else table  # samples x (input, methods)
        for row in range(samples):
            one = inputs["inputs"][row]
            _draw_input(own[row, 0], one)
            caption = f"{inputs['explained'][row]} ({inputs['probability'][row]:.2f})"
            if inputs["label"][row] != inputs["explained"][row]:
                caption += f"\ntrue: {inputs['label'][row]}"
            if turned:
                own[row, 0].set_title(caption, fontsize=7)
            else:
                own[row, 0].set_ylabel(caption, fontsize=8, rotation=0, ha="right", va="center")
            for column, method_id in enumerate(shown_here["method_id"], start=1):
                _draw_map(own[row, column], one, drawn[method_id][row])
            for axes in own[row, 1 + len(shown_here) :]:
                axes.set_visible(False)
        for axes, title in zip(own[0], ["input", *shown_here["method"]], strict=False):
            if turned:
                axes.set_ylabel(fill(title.replace("_", " "), 12), fontsize=8, rotation=0, ha="right", va="center")
            else:
                axes.set_title(title.replace("_", "\n"), fontsize=8.5)
    figure.suptitle(
        f"{task}: what each method shows, by rank; beside each input the explained class and its probability. "
        "Red speaks for the class, blue against it.",
        fontsize=9,
    )
    return figure


def side_by_side(one: np.ndarray, found: Sequence[Made], caption: str) -> Figure:
    """One input (C, *S) and what each method makes of it; why, where it makes nothing."""
    columns = min(1 + len(found), WIDEST)
    lines = -(-(1 + len(found)) // columns)
    wide, high = (2.6, 1.5) if one.ndim == 2 else (1.75, 1.95)
    figure, panels = new_figure(lines, columns, width=max(4.5, wide * columns), height=high * lines + 0.75, grid=False)
    _draw_input(panels[0], one)
    panels[0].set_title("input", fontsize=8.5)
    for axes, made in zip(panels[1:], found, strict=False):
        axes.set_title(made.method.replace("[", "\n["), fontsize=8.5)
        if made.attribution is not None:
            _draw_map(axes, one, made.attribution)
            axes.set_xlabel(f"{made.seconds:.2g} s", fontsize=7.5, color="0.4")
        else:
            said: Any = {"ha": "center", "va": "center", "transform": axes.transAxes, "fontsize": 6.5, "color": "0.4"}
            axes.text(0.5, 0.5, fill(made.note, 30), **said)
            _bare(axes)
    for axes in panels[1 + len(found) :]:
        axes.set_visible(False)
    figure.suptitle(f"{caption}\nRed speaks for the class, blue against it.", fontsize=9)
    return figure


def _draw_input(axes: Axes, one: np.ndarray) -> None:
    if one.ndim == 2:
        axes.plot(one[0], color="black", lw=1)
    else:
        axes.imshow(np.moveaxis(one, 0, -1).squeeze().clip(0, 1), cmap="gray")
    _bare(axes)


def _draw_map(axes: Axes, one: np.ndarray, attribution: np.ndarray) -> None:
    """The attribution over the input: red for, blue against the class; the signal itself is coloured in 1-D."""
    if not np.isfinite(attribution).all() or np.ptp(attribution) == 0:
        axes.text(0.5, 0.5, "no map", ha="center", va="center", transform=axes.transAxes, fontsize=8, color="0.4")
        _bare(axes)
        return
    limit = np.percentile(np.abs(attribution), 99.5) or np.abs(attribution).max()
    if one.ndim == 2:
        x, y = np.arange(one.shape[1]), one[0]
        axes.plot(x, y, color="0.6", lw=0.8, zorder=1)
        points = np.stack([x, y], axis=1)
        middle = (points[:-1] + points[1:]) / 2
        ends = np.concatenate([points[:1], np.repeat(middle, 2, axis=0), points[-1:]]).reshape(-1, 2, 2)
        bent = [np.array([a, p, b]) for (a, b), p in zip(ends, points, strict=True)]
        strength = np.clip(np.abs(attribution) / limit, 0, 1)
        colours = np.where(attribution[:, None] > 0, [[0.70, 0.09, 0.17, 1]], [[0.13, 0.40, 0.67, 1]])
        colours[:, 3] = strength
        axes.add_collection(
            LineCollection(bent, colors=colours, linewidths=1 + 2 * strength, capstyle="butt", zorder=2)
        )
    else:
        grey = one.mean(0)
        axes.imshow(0.55 + 0.45 * grey / max(grey.max(), 1e-9), cmap="gray", vmin=0, vmax=1)
        strength = np.clip(np.abs(attribution) / limit, 0, 1)
        axes.imshow(np.clip(attribution / limit, -1, 1), cmap="RdBu_r", vmin=-1, vmax=1, alpha=0.85 * strength)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color("0.8")
