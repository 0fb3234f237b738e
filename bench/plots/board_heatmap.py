"""Every method by every metric: for looking up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.core.vocabulary import BEATS_ORACLE, COST, NO_RANDOM_SCORE, RANDOM, RANKING_FAMILIES, UNINFORMATIVE, Column
from bench.plots.board_cells import colours, square
from bench.plots.cells import draw_cells
from bench.plots.style import (
    MANY,
    hundredths,
    method_labels,
    new_figure,
    origin_note,
    samples_of,
    set_heading,
    short,
    with_arrow,
)

REASONS = {  # why a metric does not count in the rank, beside its name
    "fail": "fails checks",
    "untested": "not checked",
    UNINFORMATIVE: "uninformative",
    NO_RANDOM_SCORE: "no random score",
    BEATS_ORACLE: "above truth",
    "": "no score",
}


def heatmap(wide: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """Metrics x methods, or the other way round: skill, in figures and in colour; the mean where there is no control."""
    scored = long.groupby("metric")[Column.N_SAMPLES].transform("max") > 0  # others need what the task lacks
    long = long[(long["metric_family"] != COST) & (scored if scored.any() else ~scored)]
    facts = long.drop_duplicates("metric").set_index("metric")
    metrics, methods = list(facts.index), list(wide["method"])
    has_random = RANDOM in set(long["method"])
    excluded = facts["metric_family"].isin(RANKING_FAMILIES) & (facts[Column.RANK_WEIGHT] == 0)
    colour = colours(long, metrics, methods).mul((~excluded).astype(float), axis=0)
    figures = square(long, "skill" if has_random else "mean", metrics, methods).map(_figure if has_random else short)
    turned = len(methods) > MANY  # methods down, metrics across
    across, down = (len(metrics), len(methods)) if turned else (len(methods), len(metrics))
    width, height = 4.2 + (0.5 if turned else 0.78) * across, 1.7 + 0.3 * down
    figure, (axes,) = new_figure(1, 1, width=width, height=height, grid=False)
    draw_cells(
        axes,
        (colour.T if turned else colour).to_numpy(),
        colours="RdBu",
        limits=(-1, 1),
        gap=1.2,
        labels=(figures.T if turned else figures).to_numpy(),
        size=7.5 if turned else 8.5,
        label=f"worse  ←  {RANDOM if has_random else 'mean'}  →  best",
        ticks=[],
        pad=0.015,
        aspect=40,
    )
    _set_names(axes, wide, facts, excluded, turned)
    _mark_metrics(axes, facts["metric_family"].to_numpy(), excluded.to_numpy(), turned)
    set_heading(
        figure, f"{task}: {samples_of(wide)} samples, rank in brackets. {_explanation(has_random)}", origin_note(wide)
    )
    return figure


def _set_names(axes: Axes, wide: pd.DataFrame, facts: pd.DataFrame, excluded: pd.Series, turned: bool) -> None:
    """Methods with their ranks on one axis, metrics with direction and exclusion reason on the other."""
    methods = [
        _ranked(name, rank, " " if turned else "\n")
        for name, rank in zip(method_labels(wide), wide["rank"], strict=True)
    ]
    metrics = [_measured(str(name), line) for name, line in facts.iterrows()]
    across, down = (metrics, methods) if turned else (methods, metrics)
    axes.set_yticks(np.arange(len(down)) + 0.5, down, fontsize=8.5)
    at_an_angle: Any = {"rotation": 50, "ha": "left", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticks(np.arange(len(across)) + 0.5, across, fontsize=8.5, **at_an_angle)
    of_methods, of_metrics = axes.get_yticklabels(), axes.get_xticklabels()
    if not turned:
        of_methods, of_metrics = of_metrics, of_methods
    for label, name in zip(of_methods, wide["method"], strict=True):
        label.set_fontweight("bold" if name == RANDOM else "normal")
    for label, out in zip(of_metrics, excluded, strict=True):
        label.set_color("0.5" if out else "black")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="")


def _mark_metrics(axes: Axes, families: np.ndarray, excluded: np.ndarray, turned: bool) -> None:
    """Grey over the metrics that do not count in the rank; a line between families."""
    for place in np.flatnonzero(excluded):
        (axes.axvspan if turned else axes.axhspan)(place, place + 1, color="0.5", alpha=0.16, lw=0)
    for line in np.nonzero(families != np.roll(families, 1))[0]:
        (axes.axvline if turned else axes.axhline)(line, color="0.25", lw=2 if line else 0)


def _measured(name: str, facts: pd.Series) -> str:
    """A metric with its direction and, where it does not count in the rank, the reason."""
    text = with_arrow(name, facts["higher_is_better"])
    if facts["metric_family"] not in RANKING_FAMILIES or facts[Column.RANK_WEIGHT] > 0:
        return text
    reason: Any = facts[Column.EXCLUSION_REASON]
    return f"{text} [{REASONS.get(reason, reason)}]"


def _explanation(has_random: bool) -> str:
    if not has_random:
        return "Mean scores, coloured by the distance from the mean of the methods."
    return (
        f"Skill: 0 is the {RANDOM} control; by localisation metrics 1 is the ground truth itself, by others skill is in "
        "standard deviations. Pale: not distinguished from the control. Grey: metrics not counted in the rank."
    )


def _ranked(name: str, rank: float, between: str) -> str:
    name = name.replace("_", between)
    return f"{name}{between}({rank:.3g})" if np.isfinite(rank) else f"{name}{between}(–)"


def _figure(skill: float) -> str:
    return hundredths(skill) if not abs(skill) >= 10 else f"{skill:.0f}"
