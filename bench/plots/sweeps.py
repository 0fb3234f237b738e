"""Ranks under many settings."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.core.vocabulary import RANDOM
from bench.plots.style import STYLE


def sweep(ranks: pd.DataFrame, tau: pd.DataFrame, factors: pd.DataFrame, task: str) -> Figure:
    """Rank of every method under every setting, Kendall's tau of each setting with its metric's default, and by factor."""
    shown, tau = ranks.dropna(subset=["rank"]).fillna({"k": 0}), tau.fillna({"k": 0})
    methods = list(shown.groupby("method")["rank"].mean().sort_values(kind="stable").index)
    metrics = list(dict.fromkeys(shown["metric"]))
    order = ["baseline", "k", "features", "output"]
    height = 1.2 + 0.17 * len(methods)
    with mpl.rc_context(STYLE), sns.axes_style("white"):
        figure = Figure(figsize=(3.4 + 2.1 * len(metrics) + 2.9, height + 1.9), layout="constrained")
        grid = figure.add_gridspec(
            2, len(metrics) + 1, height_ratios=[height, 1.3], width_ratios=[2.1] * len(metrics) + [2.4]
        )
        image = None
        lowest = min(0.0, np.floor(10 * tau["tau_own_metric"].min()) / 10)
        for column, metric in enumerate(metrics):
            own = shown[shown["metric"] == metric].drop_duplicates([*order, "method"])
            levels = {name: {level: i for i, level in enumerate(dict.fromkeys(own[name]))} for name in order}
            wide = own.pivot(index=order, columns="method", values="rank")
            wide = wide.sort_index(key=lambda index, levels=levels: index.map(levels[index.name]))[methods]
            axes = figure.add_subplot(grid[0, column])
            image = axes.imshow(
                wide.T.to_numpy(), aspect="auto", cmap="mako", vmin=1, vmax=len(methods), interpolation="nearest"
            )
            below = figure.add_subplot(grid[1, column], sharex=axes)
            kept = tau[tau["metric"] == metric].set_index(order)
            places = np.arange(len(wide))
            below.bar(places, kept["tau_own_metric"].reindex(wide.index), width=1.0, color="0.55", lw=0)
            default = np.flatnonzero(kept["default"].reindex(wide.index).to_numpy(bool))
            for panel in (axes, below):
                panel.set_xticks([])
                for name, part in _bands(wide.index.get_level_values("baseline")):
                    panel.axvline(
                        part[0] - 0.5, color="white" if panel is axes else "0.8", lw=1.5 if panel is axes else 0.6
                    )
                    if panel is axes:
                        axes.text(float(np.mean(part)), -0.8, name, rotation=50, ha="left", va="bottom", fontsize=8)
            top: dict[str, Any] = {"transform": below.get_xaxis_transform(), "clip_on": False}
            below.plot(default, [1.06] * len(default), marker="v", color="black", ms=5, ls="", **top)
            below.set(ylim=(lowest, 1), xlabel=f"{metric} ({len(wide)} settings)")
            below.axhline(0, color="black", lw=0.6)
            axes.set_yticks(range(len(methods)), methods if column == 0 else [])
            for label, name in zip(axes.get_yticklabels(), methods, strict=False):
                label.set_fontweight("bold" if name == RANDOM else "normal")
            if column == 0:
                below.set_ylabel("Kendall's tau\nwith the default (▼)")
            else:
                below.set_yticklabels([])
        _sweep_factors(figure.add_subplot(grid[:, -1]), factors)
        if image is not None:
            figure.colorbar(image, ax=figure.axes[-1], location="top", label="rank (1 is best)", aspect=30, pad=0.02)
    figure.suptitle(
        f"{task}: ranks of the methods under {len(tau)} settings. Within a metric: by baseline, then k, granularity and output",
        fontsize=10,
        x=0.01,
        ha="left",
    )
    return figure


def _bands(values: pd.Index) -> list[tuple[str, list[int]]]:
    """Runs of equal values: value and places."""
    found: list[tuple[str, list[int]]] = []
    for place, value in enumerate(values):
        if not found or found[-1][0] != value:
            found.append((value, []))
        found[-1][1].append(place)
    return found


def _sweep_factors(axes: Axes, factors: pd.DataFrame) -> None:
    """Median and range of tau for each level of each factor."""
    place, ticks, names = 0.0, [], []
    left = min(0.0, np.floor(10 * factors["low"].min()) / 10)
    for factor, own in factors.groupby("factor", sort=False):
        axes.text(left, place, str(factor), fontweight="bold", fontsize=8.5, va="center")
        for level, low, median, high in zip(own["level"], own["low"], own["median"], own["high"], strict=True):
            place += 1
            axes.plot([low, high], [place, place], color="0.6", lw=2, solid_capstyle="butt")
            axes.plot([median], [place], "o", color="black", ms=4.5)
            ticks.append(place)
            names.append(str(level))
        place += 1.4
    axes.set_yticks(ticks, names, fontsize=8.5)
    axes.yaxis.tick_right()
    axes.set(xlim=(left, 1.02), ylim=(place, -1))
    axes.set_xlabel("tau after a change of this alone\nfrom the default: median and range")
    axes.axvline(0, color="0.7", lw=0.8)
    for side in ("left", "top"):
        axes.spines[side].set_visible(False)
