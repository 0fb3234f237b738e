"""Which metric to trust: agreement with each other, with the ground truth, and with closed-form problems."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.agreement import MEAN_TRUTH
from bench.core.vocabulary import FAMILY_ORDER, Column
from bench.plots.cells import draw_cells
from bench.plots.style import FEW, family_look, hundredths, in_order, new_figure, set_heading, with_arrow
from bench.validation.ladders import STEP_LABELS


def agreement(table: pd.DataFrame, square: pd.DataFrame, alphas: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """Kendall's tau of each two metrics, those that agree side by side; marks for the families, with their alphas.

    `square` is the task's `table` as `bench.analysis.agreement.clustered` orders it.
    """
    names = list(square.index)
    facts = long.drop_duplicates("metric").set_index("metric").loc[names]
    few = len(names) <= FEW
    cell, size = (0.36, 8.5) if few else (0.21, 7.5)
    figure, (axes,) = new_figure(1, 1, width=5 + cell * len(names), height=2.8 + cell * len(names), grid=False)
    draw_cells(
        axes,
        square.to_numpy(),
        colours="RdBu",
        limits=(-1, 1),
        gap=0.8 if few else 0.3,
        labels=square.map(hundredths).to_numpy() if few else None,
        square=True,
        label="opposite orders  ←  Kendall's tau  →  same order",
        pad=0.015,
        aspect=40,
    )
    places = np.arange(len(names)) + 0.5
    measured = [with_arrow(name, facts.loc[name, "higher_is_better"]) for name in names]
    axes.set_yticks(places, measured, rotation=0, fontsize=size)
    axes.xaxis.tick_top()
    axes.set_xticks(places, measured, rotation=50, ha="left", rotation_mode="anchor", fontsize=size)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", pad=12)
    axes.set(xlabel="", ylabel="")
    _mark_families(axes, facts["metric_family"], alphas.set_index("metric_family"), -6 / 72 / (cell * len(names)))
    set_heading(
        figure,
        f"{task}: do metrics agree on the order of the methods? {table[Column.N_METHODS].max()} methods, controls left out. "
        f"Unrelated orders stay within ±{table[Column.TAU_CRITICAL].max():.2f} in 95 of 100 cases.",
    )
    return figure


def _mark_families(axes: Axes, families: pd.Series, alpha: pd.DataFrame, x: float) -> None:
    """A family's mark beside each of its lines, at `x` of the axes' width, and a legend with the families' alphas."""
    for family in in_order(families):
        colour, marker = family_look(family)
        own = np.flatnonzero(families == family) + 0.5
        look = {"color": colour, "marker": marker, "s": 26, "label": f"{family}{_alpha(alpha, family)}"}
        axes.scatter(np.full(len(own), x), own, clip_on=False, transform=axes.get_yaxis_transform(), **look)
    for family, called in (("ranking", "all that count in the rank"), ("all", "all metrics")):
        if family in alpha.index:
            axes.scatter([], [], marker="", label=f"{called}{_alpha(alpha, family)}")
    axes.figure.legend(
        loc="outside lower left",
        ncols=3,
        frameon=False,
        fontsize=8,
        title="families of metrics: Krippendorff's alpha of the ranks they give [95 % interval]; 1 is agreement, 0 chance",
        title_fontsize=8,
        alignment="left",
    )


def _alpha(alphas: pd.DataFrame, family: str) -> str:
    if family not in alphas.index:
        return ""
    row = alphas.loc[family]
    span = f" [{row[Column.ALPHA_LOW]:.2f}, {row[Column.ALPHA_HIGH]:.2f}]" if np.isfinite(row[Column.ALPHA_LOW]) else ""
    return f": {row['alpha']:.2f}{span}"


def trust(table: pd.DataFrame, task: str) -> Figure:
    """Kendall's tau of each metric with the ground truth, best first; small marks for single ground-truth metrics."""
    of_mean = table[table[Column.TRUTH_METRIC] == MEAN_TRUTH].reset_index(drop=True)
    single = table[table[Column.TRUTH_METRIC] != MEAN_TRUTH]
    places = of_mean.index.to_numpy()
    figure, (axes,) = new_figure(1, 1, width=7.6, height=1.7 + 0.23 * len(of_mean))
    critical = of_mean[Column.TAU_CRITICAL]
    axes.barh(places, 2 * critical, left=-critical, height=1, color="0.9", label="unrelated orders (95 %)")
    axes.axvline(0, color="0.5", lw=0.8)
    _draw_taus(axes, of_mean, single)
    for place, tau in zip(places, of_mean["tau"], strict=True):
        axes.text(1.01, place, hundredths(tau), transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(
        places,
        [with_arrow(*pair) for pair in zip(of_mean["metric"], of_mean["higher_is_better"], strict=True)],
        fontsize=8.5,
    )
    axes.set(xlim=(-1.03, 1.03), ylim=(len(of_mean) - 0.5, -0.5))
    axes.grid(False, axis="y")
    axes.set_xlabel("Kendall's tau between the order by the metric and the order by the ground truth")
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=8)
    set_heading(
        figure,
        f"{task}: which metrics order the methods as the ground truth does? {of_mean[Column.N_METHODS].max()} methods, "
        f"controls left out; 95 % intervals over {of_mean[Column.N_SAMPLES].max()} samples. The ground truth is the mean rank "
        f"by {single[Column.TRUTH_METRIC].nunique()} localisation metrics.",
    )
    return figure


def _draw_taus(axes: Axes, of_mean: pd.DataFrame, single: pd.DataFrame) -> None:
    """Tau with the mean rank of the ground truth with its interval, and with each single ground-truth metric as a stroke."""
    where = dict(zip(of_mean["metric"], of_mean.index, strict=True))
    ticks: Any = {"marker": "|", "ms": 7, "color": "0.45", "mew": 0.9, "label": "with a single ground-truth metric"}
    axes.plot(single["tau"], single["metric"].map(where), ls="", **ticks)
    for family in in_order(of_mean["metric_family"]):
        chosen = of_mean[of_mean["metric_family"] == family]
        colour, marker = family_look(family)
        ends = np.stack([chosen["tau"] - chosen[Column.TAU_LOW], chosen[Column.TAU_HIGH] - chosen["tau"]])
        look: Any = {"fmt": marker, "ms": 5, "color": colour, "lw": 1.4, "capsize": 2, "zorder": 3}
        axes.errorbar(chosen["tau"], chosen.index, xerr=ends, label=family, **look)


def conformance(table: pd.DataFrame) -> Figure:
    """Metrics x steps of the ladder: how probably the better of two maps is scored better, with the verdict."""
    steps = [name for name in STEP_LABELS if name in table and table[name].notna().any()]
    families = {name: i for i, name in enumerate(FAMILY_ORDER)}
    order = table.assign(_family=table["family"].map(families), _failed=table["verdict"] == "fail")
    order = order.sort_values(["_family", "_failed", "metric"], kind="stable")
    values = order.set_index("metric")[steps].astype(float)
    figure, (axes,) = new_figure(1, 1, width=4.4 + 0.95 * len(steps), height=1.6 + 0.235 * len(order), grid=False)
    draw_cells(
        axes,
        values.to_numpy(),
        colours="RdBu",
        limits=(0, 1),
        gap=1.2,
        labels=values.map(hundredths).to_numpy(),
        size=7.5,
        label="probability that the better map is scored better",
        pad=0.015,
        aspect=40,
    )
    labelled = [STEP_LABELS[name].replace(" > ", "\n> ") for name in steps]
    axes.set_xticks(np.arange(len(steps)) + 0.5, labelled, fontsize=8)
    named = [
        f"{'fails  ' if failed else ''}{name}" for name, failed in zip(values.index, order["_failed"], strict=True)
    ]
    axes.set_yticks(np.arange(len(named)) + 0.5, named, fontsize=8)
    for label, failed in zip(axes.get_yticklabels(), order["_failed"], strict=True):
        label.set_fontweight("bold" if failed else "normal")
    for line in np.nonzero(order["_family"].to_numpy() != np.roll(order["_family"].to_numpy(), 1))[0]:
        axes.axhline(line, color="0.25", lw=2 if line else 0)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="")
    passed = int((table["verdict"] == "pass").sum())
    set_heading(
        figure,
        f"Metrics on closed-form problems: {passed} of {len(table)} score the better of two attributions better, in every "
        "step they are asked",
    )
    return figure
