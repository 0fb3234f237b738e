"""Pictures of a task's leaderboard."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.groups import LETTER, share_a_letter
from bench.core.vocabulary import CONTROLS, LEVEL, RANDOM, RANKING_FAMILIES, Column, mean_rank_by
from bench.plots.style import (
    FEW,
    MANY,
    PALE,
    family_look,
    hundredths,
    new_figure,
    samples_of,
    short,
    with_arrow,
)


def ranks(wide: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """The board at a glance: each method's rank with its interval and group, and its skill by each metric that has a vote."""
    board = wide[wide["rank"].notna()].reset_index(drop=True)
    methods, places = list(board["method"]), np.arange(len(board), dtype=float)
    voting = long[(long[Column.RANK_WEIGHT] > 0) & (long[Column.REDUNDANCY_GROUP] == long["metric"])]
    names = list(dict.fromkeys(voting["metric"]))
    height = max(1.7, 0.9 + 0.065 * max(map(len, names), default=0)) + 0.2 * len(
        board
    )  # names stand above, at an angle
    figure, (left, right) = new_figure(
        1, 2, width=6.3 + 0.22 * len(names), height=height, sharey=True, width_ratios=(4.2, 0.3 + 0.22 * len(names))
    )
    for column, family in enumerate(RANKING_FAMILIES):
        mean_rank = mean_rank_by(family)[0]
        if mean_rank in board:
            colour, marker = family_look(family)
            where = board[mean_rank], places + 0.18 - 0.36 * column
            left.scatter(*where, color=colour, marker=marker, s=11, label=f"mean rank by {family}", zorder=3)
    ends = np.abs(np.stack([board["rank"] - board[Column.RANK_LOW], board[Column.RANK_HIGH] - board["rank"]]))
    left.errorbar(
        board["rank"], places, xerr=ends, fmt="D", ms=4.5, color="black", lw=1.3, capsize=2.5, label="rank", zorder=4
    )
    if RANDOM in methods:
        left.axvline(board.loc[board["method"] == RANDOM, "rank"].iloc[0], color="black", ls="--", lw=0.9)
    for place, group in zip(places, board["group"], strict=True):
        left.text(1.015, place, group, transform=left.get_yaxis_transform(), va="center", fontsize=7.5)
    left.set(xlabel="rank, 95 % interval (left is better)", xlim=(0.3, len(board) + 0.7))
    _set_methods(left, board)
    left.grid(False, axis="y")
    for axes in (left, right):
        for place in places[::2]:
            axes.axhspan(place - 0.5, place + 0.5, color="0.94", lw=0, zorder=0)
    colour = _colours(voting, names, methods)
    right.imshow(colour.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", interpolation="nearest", zorder=1)
    right.set_xticks(range(len(names)), names, rotation=55, ha="left", rotation_mode="anchor", fontsize=8)
    right.xaxis.tick_top()
    right.grid(False)
    right.tick_params(length=0)
    above = f"skill by metric: blue above the {RANDOM}\ncontrol, red and – below, pale: as it"
    said = above if RANDOM in set(long["method"]) else "blue above the metric's mean,\nred and – below"
    right.set_xlabel(said, loc="right")  # a few metrics are narrower than it
    _mark_losses(right, (colour < -PALE).to_numpy().T)
    right.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    right.grid(which="minor", axis="x", color="white", lw=1.5)
    left.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8
    )  # above: intervals may be anywhere
    figure.suptitle(
        f"{task}: {len(board)} methods, {samples_of(wide)} samples. Methods that share a letter cannot be told apart.",
        fontsize=10,
        x=0.01,
        ha="left",
    )
    return figure


def critical_difference(wide: pd.DataFrame, task: str) -> Figure:
    """Mean ranks on an axis; a bar joins methods that cannot be told apart, with a dot on each of them [demsar2006statistical].

    The test is that of the board's groups: paired tests of ranks on the samples, Holm-corrected.
    """
    import scikit_posthocs

    board = wide[wide["rank"].notna()].reset_index(drop=True)
    alike = [[float(share_a_letter(a, b)) for b in board["group"]] for a in board["group"]]
    bars = len({letter for group in board["group"] for letter in re.findall(LETTER, group)})
    figure, (axes,) = new_figure(1, 1, width=9.5, height=1.2 + 0.09 * bars + 0.19 * (len(board) / 2 + 1), grid=False)
    # Numbers stand for the methods: the library keeps names in sets, whose order would change the file from run to run.
    drawn = scikit_posthocs.critical_difference_diagram(
        board[Column.MEAN_RANK],
        pd.DataFrame(alike),
        ax=axes,
        label_fmt_left="{label}",
        label_fmt_right="{label}",
        label_props={"fontsize": 8},
        marker_props={"s": 12},
        elbow_props={"lw": 0.7, "color": "0.55"},
        crossbar_props={"linewidth": 1.4, "marker": "o", "markersize": 2.6, "color": "0.15"},
        text_h_margin=0.02 * max(1.0, np.ptp(board[Column.MEAN_RANK])),
    )
    for text in drawn["labels"]:
        line = board.loc[int(text.get_text())]
        text.set_color("black")
        text.set_text(f" {line['method']} {line['mean_rank']:.1f} ")
        text.set_fontweight("bold" if line["method"] == RANDOM else "normal")
        text.set_fontstyle("italic" if line["method_family"] == CONTROLS else "normal")
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("mean rank (left is better)")
    axes.tick_params(labelsize=8)
    figure.suptitle(
        f"{task}: a bar joins methods that {samples_of(wide)} samples cannot tell apart, a dot on each", fontsize=10
    )
    return figure


def wins(table: pd.DataFrame, wide: pd.DataFrame, task: str) -> Figure:
    """Methods x methods: how often the one of the line is scored better than that of the column."""
    methods = [name for name in wide["method"] if name in set(table["method"])]
    share = table.pivot(index="method", columns=Column.OPPONENT, values=Column.WIN_RATE).reindex(
        index=methods, columns=methods
    )
    group = wide.set_index("method")["group"]
    same = np.array([[share_a_letter(group[a], group[b]) for b in methods] for a in methods])
    few = len(methods) <= FEW / 2
    cell = 0.42 if few else 0.2
    figure, (axes,) = new_figure(1, 1, width=3.6 + cell * len(methods), height=2.2 + cell * len(methods), grid=False)
    sns.heatmap(
        (share - 0.5).where(~same, (share - 0.5) * PALE) + 0.5,
        ax=axes,
        cmap="PuOr",
        vmin=0,
        vmax=1,
        square=True,
        annot=share.map(hundredths) if few else None,
        fmt="",
        annot_kws={"size": 7},
        linewidths=0.4,
        cbar_kws={"label": "share of scores: row loses (–)  ←  even  →  row wins", "pad": 0.015, "aspect": 40},
    )
    if not few:
        _mark_losses(axes, ((share < 0.5) & ~same).to_numpy(), middle=0.5)
    _set_methods(axes, wide.set_index("method").loc[methods].reset_index(), middle=0.5)
    axes.set_xticks(np.arange(len(methods)) + 0.5, methods, rotation=55, ha="left", rotation_mode="anchor", fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="")
    figure.suptitle(
        f"{task}: how often is the method of the row scored better than that of the column?\n"
        f"{samples_of(wide)} samples, metrics by their votes, a tie is half a win; pale: two that the board cannot tell apart",
        fontsize=10,
        x=0.01,
        ha="left",
    )
    return figure


def heatmap(wide: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """Metrics x methods, or the other way round: skill, in figures and in colour; the mean where there is no control."""
    scored = long.groupby("metric")[Column.N_SAMPLES].transform("max") > 0  # others need what the task lacks
    long = long[(long["metric_family"] != "cost") & (scored if scored.any() else ~scored)]
    metrics = list(dict.fromkeys(long["metric"]))
    methods = list(wide["method"])
    facts = long.drop_duplicates("metric").set_index("metric").loc[metrics]
    has_zero = RANDOM in set(long["method"])
    figures = _square(long, "skill" if has_zero else "mean", metrics, methods)
    colour = _colours(long, metrics, methods)
    silent = facts["metric_family"].isin(RANKING_FAMILIES) & (facts[Column.RANK_WEIGHT] == 0)
    colour = colour.mul((~silent).astype(float), axis=0)  # a metric that has no vote is not to be looked at
    turned = len(methods) > MANY
    across, down = (len(metrics), len(methods)) if turned else (len(methods), len(metrics))
    figure, (axes,) = new_figure(
        1, 1, width=4.2 + (0.5 if turned else 0.78) * across, height=1.5 + 0.3 * down, grid=False
    )
    sns.heatmap(
        colour.T if turned else colour,
        ax=axes,
        cmap="RdBu",
        vmin=-1,
        vmax=1,
        annot=(figures.T if turned else figures).map(_figure if has_zero else short),
        fmt="",
        linewidths=1.2,
        annot_kws={"size": 7.5 if turned else 8.5},
        cbar_kws={
            "label": f"worse  ←  {RANDOM if has_zero else 'mean'}  →  best",
            "ticks": [],
            "pad": 0.015,
            "aspect": 40,
        },
    )
    for text in axes.texts:
        text.set_in_layout(False)  # two thousand figures, each inside its cell
    ranks = wide.set_index("method")["rank"]
    measured = [
        with_arrow(facts.loc[name]) + (f" [{_why_silent(facts.loc[name])}]" if silent[name] else "") for name in metrics
    ]
    named = [_ranked(name, ranks[name], " " if turned else "\n") for name in methods]
    axes.set_yticklabels(named if turned else measured, rotation=0, fontsize=8.5)
    if turned:
        axes.set_xticklabels(measured, rotation=50, ha="left", rotation_mode="anchor", fontsize=8.5)
    else:
        axes.set_xticklabels(named, rotation=0, fontsize=8.5)
    for label, name in zip(axes.get_yticklabels() if turned else axes.get_xticklabels(), methods, strict=True):
        label.set_fontweight("bold" if name == RANDOM else "normal")
    for label, quiet in zip(axes.get_xticklabels() if turned else axes.get_yticklabels(), silent, strict=True):
        label.set_color("0.5" if quiet else "black")
    for place in np.flatnonzero(silent):
        (axes.axvspan if turned else axes.axhspan)(place, place + 1, color="0.5", alpha=0.16, lw=0)
    families = facts["metric_family"].to_numpy()
    for line in np.nonzero(families != np.roll(families, 1))[0]:
        (axes.axvline if turned else axes.axhline)(line, color="0.25", lw=2 if line else 0)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="")
    figure.suptitle(f"{task}: {_heading(has_zero)}, {samples_of(wide)} samples", fontsize=10, x=0.01, ha="left")
    return figure


def _figure(skill: float) -> str:
    return hundredths(skill) if not abs(skill) >= 10 else f"{skill:.0f}"


def _heading(has_zero: bool) -> str:
    if not has_zero:
        return "methods by (rank), mean scores, coloured by distance from the mean"
    return (
        "methods by (rank), skill: 0 is the random control; localisation: 1 is the truth itself; elsewhere in standard "
        "deviations. Pale where it cannot be told from the control, grey names: metrics without a vote"
    )


def _square(long: pd.DataFrame, field: str, metrics: list[str], methods: list[str]) -> pd.DataFrame:
    """A column of the long table as metrics x methods."""
    return long.pivot(index="metric", columns="method", values=field).reindex(index=metrics, columns=methods)


def _colours(long: pd.DataFrame, metrics: list[str], methods: list[str]) -> pd.DataFrame:
    """Skill over the metric's greatest, from -1 to 1 (metrics x methods); pale where it may be chance.

    Where there is no random control the distance from the mean stands for skill.
    """
    if RANDOM in set(long["method"]):
        skill = _square(long, "skill", metrics, methods)
        same = ~(_square(long, Column.P_VS_RANDOM, metrics, methods) < 1 - LEVEL).to_numpy(bool)
    else:
        means = _square(long, "mean", metrics, methods)
        higher = long.drop_duplicates("metric").set_index("metric").loc[metrics, "higher_is_better"]
        skill = means.sub(means.mean(axis=1), axis=0).mul(np.where(higher, 1.0, -1.0), axis=0)
        same = np.zeros(skill.shape, dtype=bool)
    scaled = skill.div(skill.abs().max(axis=1).replace(0, 1), axis=0)
    return scaled.where(~same, scaled * PALE)


def _mark_losses(axes: Axes, where: np.ndarray, middle: float = 0.0) -> None:
    """A minus sign in each of these cells (lines, columns): without colours red and blue look alike."""
    lines, columns = np.nonzero(where)
    axes.scatter(columns + middle, lines + middle, marker="_", s=9, color="white", lw=0.9, zorder=5)


def _set_methods(axes: Axes, board: pd.DataFrame, middle: float = 0.0) -> None:
    """A line for each method, first on top; the random control bold, controls in italics."""
    axes.set_yticks(np.arange(len(board)) + middle, list(board["method"]), rotation=0, fontsize=8)
    axes.set_ylim(len(board) - 0.5 + middle, middle - 0.5)
    for label, (_, line) in zip(axes.get_yticklabels(), board.iterrows(), strict=True):
        label.set_fontweight("bold" if line["method"] == RANDOM else "normal")
        label.set_fontstyle("italic" if line["method_family"] == CONTROLS else "normal")


def _ranked(name: str, rank: float, between: str) -> str:
    name = name.replace("_", between)
    return f"{name}{between}({rank:.3g})" if np.isfinite(rank) else f"{name}{between}(–)"


def _why_silent(facts: pd.Series) -> str:
    """Why a metric has no vote, in short."""
    short: dict[Any, str] = {
        "fail": "fails checks",
        "untested": "not judged",
        "beats_oracle": "above truth",
        "": "no score",
    }
    return short.get(facts[Column.EXCLUSION_REASON], facts[Column.EXCLUSION_REASON])
