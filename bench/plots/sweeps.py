"""Ranks of methods under many settings of the metrics."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from bench.core.vocabulary import RANDOM
from bench.plots.style import STYLE, set_heading

ORDER = ["baseline", "k", "features", "output"]  # of the settings within a metric
LEVEL_HEIGHT = 0.2  # inches, of a line of the panel of factors


def sweep(ranks: pd.DataFrame, tau: pd.DataFrame, factors: pd.DataFrame, task: str) -> Figure:
    """Rank of every method under every setting, Kendall's tau of each setting with its metric's default, and by factor."""
    ranks, tau = ranks.dropna(subset=["rank"]).fillna({"k": 0}), tau.fillna({"k": 0})
    methods = list(ranks.groupby("method")["rank"].mean().sort_values(kind="stable").index)
    metrics = list(dict.fromkeys(ranks["metric"]))
    lines = len(factors) + 1.4 * factors["factor"].nunique()
    height = max(0.17 * len(methods), LEVEL_HEIGHT * lines - 1.3, 1.2)
    with mpl.rc_context(STYLE), sns.axes_style("white"):
        figure = Figure(figsize=(3.4 + 2.1 * len(metrics) + 2.9, height + 3.1), layout="constrained")
        grid = figure.add_gridspec(
            2, len(metrics) + 1, height_ratios=[height, 1.3], width_ratios=[2.1] * len(metrics) + [2.4]
        )
        lowest = min(0.0, np.floor(10 * tau["tau_own_metric"].min()) / 10)
        image = None
        for column, metric in enumerate(metrics):
            above = figure.add_subplot(grid[0, column])
            below = figure.add_subplot(grid[1, column], sharex=above)
            of_metric = ranks[ranks["metric"] == metric]
            image = _draw_metric(above, below, of_metric, tau[tau["metric"] == metric], methods)
            below.set(ylim=(lowest, 1))
            _set_names(above, below, methods, first=column == 0)
        _draw_factors(figure.add_subplot(grid[:, -1]), factors)
        if image is not None:
            figure.colorbar(image, ax=figure.axes[-1], location="top", label="rank (1 is best)", aspect=30, pad=0.02)
    set_heading(
        figure,
        f"{task}: ranks of the methods under {len(tau)} settings of the metrics. Columns of a metric: by baseline, then by k, "
        "features and output",
    )
    return figure


def _draw_metric(above: Axes, below: Axes, ranks: pd.DataFrame, tau: pd.DataFrame, methods: list[str]) -> AxesImage:
    """Methods x settings of one metric, coloured by rank; below each setting its tau with the default."""
    ranks = ranks.drop_duplicates([*ORDER, "method"])
    levels = {name: {level: i for i, level in enumerate(dict.fromkeys(ranks[name]))} for name in ORDER}
    table = ranks.pivot(index=ORDER, columns="method", values="rank")
    table = table.sort_index(key=lambda index: index.map(levels[index.name]))[methods]
    image = above.imshow(
        table.T.to_numpy(), aspect="auto", cmap="mako", vmin=1, vmax=len(methods), interpolation="nearest"
    )
    tau = tau.set_index(ORDER)
    below.bar(np.arange(len(table)), tau["tau_own_metric"].reindex(table.index), width=1.0, color="0.55", lw=0)
    below.axhline(0, color="black", lw=0.6)
    for name, places in _runs(table.index.get_level_values("baseline")):
        above.axvline(places[0] - 0.5, color="white", lw=1.5)
        below.axvline(places[0] - 0.5, color="0.8", lw=0.6)
        above.text(float(np.mean(places)), -0.8, name, rotation=50, ha="left", va="bottom", fontsize=8)
    default = np.flatnonzero(tau["default"].reindex(table.index).to_numpy(bool))
    top: Any = {"transform": below.get_xaxis_transform(), "clip_on": False}
    below.plot(default, [1.06] * len(default), marker="v", color="black", ms=5, ls="", **top)
    below.set_xlabel(f"{ranks['metric'].iloc[0]}\n({len(table)} settings)")
    return image


def _set_names(above: Axes, below: Axes, methods: list[str], *, first: bool) -> None:
    """The methods beside the first metric only; the other panels share their rows."""
    for panel in (above, below):
        panel.set_xticks([])
    above.set_yticks(range(len(methods)), methods if first else [])
    for label, name in zip(above.get_yticklabels(), methods, strict=False):
        label.set_fontweight("bold" if name == RANDOM else "normal")
    if first:
        below.set_ylabel("Kendall's tau\nwith the default (▼)")
    else:
        below.set_yticklabels([])


def _runs(values: pd.Index) -> list[tuple[str, list[int]]]:
    """Runs of equal values: value and places."""
    found: list[tuple[str, list[int]]] = []
    for place, value in enumerate(values):
        if not found or found[-1][0] != value:
            found.append((value, []))
        found[-1][1].append(place)
    return found


def _draw_factors(axes: Axes, factors: pd.DataFrame) -> None:
    """Median and range of tau for each level of each factor."""
    place, ticks, names = 0.0, [], []
    left = min(0.0, np.floor(10 * factors["low"].min()) / 10)
    for factor, of_factor in factors.groupby("factor", sort=False):
        axes.text(left, place, str(factor), fontweight="bold", fontsize=8.5, va="center")
        for level, low, median, high in of_factor[["level", "low", "median", "high"]].itertuples(index=False):
            place += 1
            axes.plot([low, high], [place, place], color="0.6", lw=2, solid_capstyle="butt")
            axes.plot([median], [place], "o", color="black", ms=4.5)
            ticks.append(place)
            names.append(str(level))
        place += 1.4
    axes.set_yticks(ticks, names, fontsize=8.5)
    axes.yaxis.tick_right()
    axes.set(xlim=(left, 1.02), ylim=(place, -1))
    axes.set_xlabel("tau after this alone is changed\nfrom the default: median and range")
    axes.axvline(0, color="0.7", lw=0.8)
    for side in ("left", "top"):
        axes.spines[side].set_visible(False)
