"""Tables in, pictures out. Nothing is computed here beyond what places ink.

Readable in grey and by the colour-blind: methods differ by colour, line style and marker; the random control is always
black and dashed; an arrow beside each metric says which way is better.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from bench.agreement import MEAN_TRUTH
from bench.files import atomic
from bench.leaderboard import CONTROLS, FAMILY_ORDER, ORACLE, RANKING_FAMILIES
from bench.stats import share_a_letter

CONTROL = "random"
PALE = 0.15  # share of its colour that an uncertain difference keeps
MANY = 12  # methods; where there are more, pictures turn by a quarter or name only some
FEW = 30  # metrics; where there are more, a matrix of them has no figures in it
NAMED = 8  # of the best, where not all can be
DASHES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 2, 1, 2))]
MARKERS = "osD^vPX<>*hp8d"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "svg.hashsalt": "bench",
    "svg.fonttype": "none",
}


def all_of_task(
    task: str, rows: pd.DataFrame, wide: pd.DataFrame, long: pd.DataFrame, curves: pd.DataFrame, *, maps: dict[str, Any]
) -> Iterator[tuple[str, Figure]]:
    """Name and figure of every plot that the task's tables allow."""
    if (long["metric_family"] != "cost").any():
        yield "heatmap", heatmap(wide, long, task)
    if long["metric_family"].isin(RANKING_FAMILIES).any():
        yield "distributions", distributions(rows, wide, long, task)
    if len(curves):
        yield "curves", mean_curves(curves, wide, task)
    if {"seconds"} <= set(wide) and wide["mean_rank"].notna().any():
        yield "cost", cost(wide, task)
    if "inputs" in maps:
        yield "gallery", gallery(maps, wide, task)


def save(figure: Figure, path: Path) -> None:
    """Writes `path`.png and `path`.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once is enough for both files
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=150)
        with atomic(path.with_name(f"{path.name}.png")) as part:
            Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
                part, "PNG"
            )  # a third of the size
        with atomic(path.with_name(f"{path.name}.svg")) as part:
            figure.savefig(part, format="svg", metadata={"Date": None, "Creator": None})


def heatmap(wide: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """Metrics x methods, or the other way round: the mean in figures, its distance from the random control in colour."""
    scored = long.groupby("metric")["n"].transform("max") > 0  # others need what the task lacks
    long = long[(long["metric_family"] != "cost") & (scored if scored.any() else ~scored)]
    metrics = list(dict.fromkeys(long["metric"]))
    methods = list(wide["method"])
    facts = long.drop_duplicates("metric").set_index("metric").loc[metrics]
    means = long.pivot(index="metric", columns="method", values="mean").loc[metrics, methods]
    zero = CONTROL if CONTROL in means else "mean"
    centre = means[CONTROL] if CONTROL in means else means.mean(axis=1)
    gain = means.sub(centre, axis=0).mul(np.where(facts["higher_is_better"], 1.0, -1.0), axis=0)
    colour = gain.div(gain.abs().max(axis=1).replace(0, 1), axis=0)
    if CONTROL in means:  # a distance that may be chance must not shine
        groups = long.pivot(index="metric", columns="method", values="group").loc[metrics, methods].fillna("")
        same = groups.apply(lambda row: row.map(partial(share_a_letter, row[CONTROL])), axis=1)
        colour = colour.where(~same.to_numpy(), colour * PALE)
    silent = facts["metric_family"].isin(RANKING_FAMILIES) & (facts["vote"] == 0)
    colour = colour.mul((~silent).astype(float), axis=0)  # a metric that has no vote is not to be looked at
    turned = len(methods) > MANY
    across, down = (len(metrics), len(methods)) if turned else (len(methods), len(metrics))
    figure, (axes,) = _figure(1, 1, width=4.2 + (0.5 if turned else 0.78) * across, height=1.5 + 0.3 * down)
    sns.heatmap(
        colour.T if turned else colour,
        ax=axes,
        cmap="RdBu",
        vmin=-1,
        vmax=1,
        annot=(means.T if turned else means).map(_short),
        fmt="",
        linewidths=1.2,
        annot_kws={"size": 7.5 if turned else 8.5},
        cbar_kws={"label": f"worse  ←  {zero}  →  best", "ticks": [], "pad": 0.015, "aspect": 40},
    )
    ranks = wide.set_index("method")["rank"]
    measured = [
        _with_arrow(facts.loc[name]) + (f" [{_why_silent(facts.loc[name])}]" if silent[name] else "")
        for name in metrics
    ]
    named = [_ranked(name, ranks[name], " " if turned else "\n") for name in methods]
    axes.set_yticklabels(named if turned else measured, rotation=0, fontsize=8.5)
    if turned:
        axes.set_xticklabels(measured, rotation=50, ha="left", rotation_mode="anchor", fontsize=8.5)
    else:
        axes.set_xticklabels(named, rotation=0, fontsize=8.5)
    for label, name in zip(axes.get_yticklabels() if turned else axes.get_xticklabels(), methods, strict=True):
        label.set_fontweight("bold" if name == CONTROL else "normal")
    for label, quiet in zip(axes.get_xticklabels() if turned else axes.get_yticklabels(), silent, strict=True):
        label.set_color("0.5" if quiet else "black")
    families = facts["metric_family"].to_numpy()
    for line in np.nonzero(families != np.roll(families, 1))[0]:
        (axes.axvline if turned else axes.axhline)(line, color="0.25", lw=2 if line else 0)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="")
    title = f"{task}: methods by (rank), mean over {_n(wide)} samples, coloured by distance from the {zero}"
    pale = " control; pale where the two cannot be told apart" if zero == CONTROL else ""
    figure.suptitle(title + pale, fontsize=10, x=0.01, ha="left")
    return figure


def distributions(rows: pd.DataFrame, wide: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """Scores per sample of each method on each metric that has a vote, of several alike the first; the random mean marked."""
    asks = long[long["metric_family"].isin(RANKING_FAMILIES)]
    voting = asks[(asks["vote"] > 0) & (asks["alike"] == asks["metric"])]
    metrics = list(dict.fromkeys((voting if len(voting) else asks)["metric"]))
    methods = list(wide["method"])
    columns = min(8 if len(methods) > MANY else 4, max(1, len(metrics)))
    lines = -(-max(1, len(metrics)) // columns)
    figure, panels = _figure(
        lines,
        columns,
        width=max(8.5, 1.3 + 2.6 * columns),
        height=0.8 + lines * (0.9 + 0.24 * len(methods)),
        sharey=True,
    )
    for axes, metric in zip(panels, metrics, strict=False):
        own = rows[(rows["metric"] == metric) & (rows["status"] == "ok")]
        table = long[long["metric"] == metric].set_index("method").reindex(methods)
        if own["score"].nunique() > 2:
            colours = [_tint(name) for name in methods]
            sns.boxplot(
                own,
                x="score",
                y="method",
                order=methods,
                hue="method",
                hue_order=methods,
                palette=colours,
                ax=axes,
                showfliers=False,
                whis=(5, 95),
                linewidth=0.8,
                legend=False,
            )
        places = np.arange(len(methods))
        errors = np.abs(np.stack([table["mean"] - table["low"], table["high"] - table["mean"]]))
        axes.errorbar(table["mean"], places, xerr=errors, fmt="D", ms=3.5, color="black", lw=1.2, capsize=2)
        if CONTROL in methods:
            axes.axvline(table.loc[CONTROL, "mean"], color="black", ls="--", lw=1)
        axes.set_xlabel(_with_arrow(table.dropna(subset=["label"]).iloc[0]))
        axes.set_ylabel("")
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    for axes in panels:
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.5, -0.5)
    figure.suptitle(
        f"{task}: scores per sample (box: quartiles, whiskers: 5 to 95 %), mean with 95 % interval (diamond), "
        f"mean of the random control (dashed)",
        fontsize=9.5,
    )
    return figure


def mean_curves(curves: pd.DataFrame, wide: pd.DataFrame, task: str) -> Figure:
    """Mean probability of the class while features are removed or put back, with bands of 95 %."""
    metrics = list(dict.fromkeys(curves["metric"]))
    methods = [name for name in wide["method"] if name in set(curves["method"])]
    named = {*methods, CONTROL} if len(methods) <= MANY else {*methods[:NAMED], CONTROL}
    figure, panels = _figure(1, len(metrics), width=2.2 + 3.9 * len(metrics), height=3.8, sharey=True)
    for axes, metric in zip(panels, metrics, strict=True):
        for number, name in enumerate(methods):
            own = curves[(curves["metric"] == metric) & (curves["method"] == name)]
            if own.empty:
                continue
            if name not in named:
                axes.plot(100 * own["share"], own["p"], color="0.85", lw=0.8, zorder=1, label="the others")
                continue
            colour, dashes, _ = _look(name, number)
            width = 2.2 if name == CONTROL else 1.4
            axes.plot(100 * own["share"], own["p"], color=colour, ls=dashes, lw=width, label=name)
            axes.fill_between(100 * own["share"], own["low"], own["high"], color=colour, alpha=0.13, lw=0)
        higher = bool(curves.loc[curves["metric"] == metric, "higher_is_better"].iloc[0])
        verb, better = ("put back", "higher is better") if higher else ("removed", "lower is better")
        axes.set(xlabel=f"features {verb}, highest attribution first (%)", xlim=(0, 100), ylim=(0, 1.02))
        axes.set_title(f"{metric} ({better})", loc="left")
    panels[0].set_ylabel("mean probability of the explained class")
    lines = {label: line for line, label in zip(*panels[-1].get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines, loc="outside right center", frameon=False, title="by rank", handlelength=3)
    figure.suptitle(f"{task}: {_n(wide)} samples", fontsize=10, x=0.01, ha="left")
    return figure


def cost(wide: pd.DataFrame, task: str) -> Figure:
    """Seconds per sample (log) against the mean rank over the metrics that rank, with the Pareto front."""
    board = wide.dropna(subset=["mean_rank", "seconds"]).copy()
    board["seconds"] = board["seconds"].clip(lower=1e-6)
    figure, (axes,) = _figure(1, 1, width=6.4, height=4.2)
    explains = board["family"] != CONTROLS  # a control on the front would be no choice
    ordered = board[explains].sort_values(["seconds", "mean_rank"], kind="stable")
    best = ordered[ordered["mean_rank"] < ordered["mean_rank"].cummin().shift(fill_value=np.inf)]  # the Pareto front
    named = board if len(board) <= MANY else board[board["method"].isin([*best["method"], CONTROL, ORACLE])]
    for number, (_, row) in enumerate(board.iterrows()):
        colour, _, marker = _look(row["method"], number)
        order = 4  # above those that are not named
        if row["method"] not in set(named["method"]):
            colour, marker, order = "0.7", "o", 3
        axes.scatter(
            row["seconds"], row["mean_rank"], color=colour, marker=marker, s=55, zorder=order, edgecolor="white"
        )
    axes.plot(best["seconds"], best["mean_rank"], color="0.6", lw=1, drawstyle="steps-post", zorder=1)
    _label_points(axes, named)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.12)
    axes.set(xlabel="seconds to explain one sample (log)", ylabel="mean rank (up is better)")
    axes.set_title(f"{task}: what a better map costs, with the Pareto front", loc="left")
    return figure


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
    figure, panels = _figure(lines, columns, width=wide_in, height=high_in, grid=False)
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


def agreement(table: pd.DataFrame, square: pd.DataFrame, alphas: pd.DataFrame, long: pd.DataFrame, task: str) -> Figure:
    """Kendall's tau of each two metrics, those that agree side by side; marks tell the families, with their alphas.

    `square` is the task's `table` as `bench.agreement.clustered` orders it.
    """
    names = list(square.index)
    facts = long.drop_duplicates("metric").set_index("metric").loc[names]
    few = len(names) <= FEW
    cell, size = (0.36, 8.5) if few else (0.21, 7.5)
    figure, (axes,) = _figure(1, 1, width=5 + cell * len(names), height=2.8 + cell * len(names), grid=False)
    sns.heatmap(
        square,
        ax=axes,
        cmap="RdBu",
        vmin=-1,
        vmax=1,
        square=True,
        annot=square.map(_hundredths) if few else None,
        fmt="",
        linewidths=0.8 if few else 0.3,
        annot_kws={"size": 7},
        cbar_kws={"label": "opposite orders  ←  Kendall's tau  →  same order", "pad": 0.015, "aspect": 40},
    )
    places = np.arange(len(names)) + 0.5
    measured = [_with_arrow(facts.loc[name]) for name in names]
    axes.set_yticks(places, measured, rotation=0, fontsize=size)
    axes.xaxis.tick_top()
    axes.set_xticks(places, measured, rotation=50, ha="left", rotation_mode="anchor", fontsize=size)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", pad=12)
    axes.set(xlabel="", ylabel="")
    _mark_families(axes, facts["metric_family"], alphas.set_index("family"), -6 / 72 / (cell * len(names)))
    figure.suptitle(
        f"{task}: do metrics agree on the order of the methods? {table['methods'].max()} methods, controls left out; "
        f"unrelated orders stay within ±{table['chance'].max():.2f}",
        fontsize=10,
        x=0.01,
        ha="left",
    )
    return figure


def _mark_families(axes: Axes, families: pd.Series, alpha: pd.DataFrame, x: float) -> None:
    """A family's mark beside each of its lines, at `x` of the axes' width, and a legend with the families' alphas."""
    for family in _in_order(families):
        colour, marker = _family_look(family)
        own = np.flatnonzero(families == family) + 0.5
        look = {"color": colour, "marker": marker, "s": 26, "label": f"{family}{_alpha(alpha, family)}"}
        axes.scatter(np.full(len(own), x), own, clip_on=False, transform=axes.get_yaxis_transform(), **look)
    for family, called in (("ranking", "all that rank"), ("all", "all metrics")):
        if family in alpha.index:
            axes.scatter([], [], marker="", label=f"{called}{_alpha(alpha, family)}")
    axes.figure.legend(
        loc="outside lower left",
        ncols=3,
        frameon=False,
        fontsize=8,
        title="families of metrics; Krippendorff's alpha of the ranks they give (95 % interval): 1 is agreement, 0 chance",
        title_fontsize=8,
        alignment="left",
    )


def trust(table: pd.DataFrame, task: str) -> Figure:
    """Kendall's tau of each metric with the ground truth, best first; small marks for single ground-truth metrics."""
    of_mean = table[table["truth_metric"] == MEAN_TRUTH].reset_index(drop=True)
    single = table[table["truth_metric"] != MEAN_TRUTH]
    places = of_mean.index.to_numpy()
    figure, (axes,) = _figure(1, 1, width=7.6, height=1.7 + 0.23 * len(of_mean))
    axes.barh(
        places, 2 * of_mean["chance"], left=-of_mean["chance"], height=1, color="0.9", label="as unrelated orders"
    )
    axes.axvline(0, color="0.5", lw=0.8)
    where = dict(zip(of_mean["metric"], places, strict=True))
    ticks: Any = {"marker": "|", "ms": 7, "color": "0.45", "mew": 0.9, "label": "with one ground-truth metric"}
    axes.plot(single["tau"], single["metric"].map(where), ls="", **ticks)
    for family in _in_order(of_mean["metric_family"]):
        own = of_mean[of_mean["metric_family"] == family]
        colour, marker = _family_look(family)
        ends = np.stack([own["tau"] - own["low"], own["high"] - own["tau"]])
        axes.errorbar(
            own["tau"],
            own.index,
            xerr=ends,
            fmt=marker,
            ms=5,
            color=colour,
            lw=1.4,
            capsize=2,
            zorder=3,
            label=family,
        )
    for place, tau in zip(places, of_mean["tau"], strict=True):
        axes.text(1.01, place, _hundredths(tau), transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(places, [_with_arrow(row) for _, row in of_mean.iterrows()], fontsize=8.5)
    axes.set(xlim=(-1.03, 1.03), ylim=(len(of_mean) - 0.5, -0.5))
    axes.grid(False, axis="y")
    axes.set_xlabel("Kendall's tau of a metric's order of the methods with that of the ground truth")
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(
        f"{task}: which metric to believe? Truth is the mean rank over {single['truth_metric'].nunique()} metrics of the\n"
        f"ground truth; {of_mean['methods'].max()} methods, controls left out; "
        f"intervals of 95 % over {of_mean['n'].max()} samples",
        fontsize=10,
        x=0.01,
        ha="left",
    )
    return figure


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
                label.set_fontweight("bold" if name == CONTROL else "normal")
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


def training_curves(history: pd.DataFrame, task: str) -> Figure:
    """Loss and accuracy per epoch."""
    figure, (left, right) = _figure(1, 2, width=8, height=3)
    left.plot(history["epoch"], history["loss"], color="black")
    left.set(xlabel="epoch", ylabel="training loss (nats)")
    for column, label, dashes in (
        ("train_accuracy", "training batches", "--"),
        ("test_accuracy", "test, averaged weights", "-"),
    ):
        right.plot(history["epoch"], history[column], ls=dashes, label=label)
    right.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    right.legend(frameon=False, loc="lower right")
    figure.suptitle(
        f"{task}: test accuracy {history['test_accuracy'].iloc[-1]:.4f} after {len(history)} epochs", fontsize=10
    )
    return figure


def confusion(probability: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...], task: str) -> Figure:
    """Confusion matrix in samples."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, probability.argmax(1), labels=range(len(class_names)))
    figure, (axes,) = _figure(1, 1, width=2 + 0.55 * len(class_names), height=1.4 + 0.45 * len(class_names), grid=False)
    sns.heatmap(
        counts, annot=True, fmt="d", cmap="Blues", cbar=False, ax=axes, xticklabels=class_names, yticklabels=class_names
    )
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(
        f"{task}: {len(labels)} test samples, accuracy {(probability.argmax(1) == labels).mean():.4f}", loc="left"
    )
    return figure


def roc(probability: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...], task: str) -> Figure:
    """ROC curve of each class against the rest."""
    from sklearn.metrics import auc, roc_curve

    figure, (axes,) = _figure(1, 1, width=6.6, height=4)
    for number, name in enumerate(class_names):
        false, true, _ = roc_curve(labels == number, probability[:, number])
        colour, dashes, _ = _look(name, number)
        axes.plot(false, true, color=colour, ls=dashes, lw=1.3, label=f"{name} ({auc(false, true):.3f})")
    axes.plot([0, 1], [0, 1], color="0.6", ls=":", lw=1)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.01))
    axes.set_title(f"{task}: one class against the rest", loc="left")
    figure.legend(loc="outside right center", frameon=False, title="class (area)")
    return figure


def _figure(
    lines: int, columns: int, *, width: float, height: float, grid: bool = True, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    with mpl.rc_context(STYLE), sns.axes_style("whitegrid" if grid else "white"):
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False, sharey=sharey)
    return figure, list(panels.ravel())


def _look(name: str, number: int) -> tuple[Any, Any, str]:
    """Colour, dashes and marker of a method."""
    if name == CONTROL:
        return "black", "--", "s"
    colours = sns.color_palette("colorblind")
    return colours[number % len(colours)], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)]


def _family_look(family: str) -> tuple[Any, str]:
    """Colour and marker of a family of metrics."""
    number = FAMILY_ORDER.index(family) if family in FAMILY_ORDER else len(FAMILY_ORDER)
    return sns.color_palette("colorblind")[number], MARKERS[number]


def _in_order(families: pd.Series) -> list[str]:
    """The families there are, in the order of the leaderboards."""
    found = set(families)
    return [name for name in FAMILY_ORDER if name in found] + sorted(found - set(FAMILY_ORDER))


def _alpha(alphas: pd.DataFrame, family: str) -> str:
    if family not in alphas.index:
        return ""
    row = alphas.loc[family]
    span = f" [{row['low']:.2f}, {row['high']:.2f}]" if np.isfinite(row["low"]) else ""
    return f": {row['alpha']:.2f}{span}"


def _tint(name: str) -> str:
    return "0.45" if name == CONTROL else "#9ecae1"


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


def _label_points(axes: Axes, board: pd.DataFrame) -> None:
    """Names beside the points: on the left in the right half of the picture, moved apart where points crowd."""
    placed: list[tuple[float, float]] = []
    spread = np.log10(board["seconds"])
    middle = (spread.min() + spread.max()) / 2
    for _, row in board.sort_values("mean_rank").iterrows():
        x, y = np.log10(row["seconds"]), row["mean_rank"]
        shift = sum(abs(x - a) < 0.6 and abs(y - b) < 0.3 for a, b in placed)
        side, where = (-7, "right") if x > middle else (7, "left")
        axes.annotate(
            row["method"],
            (row["seconds"], y),
            xytext=(side, 4 - 10 * shift),
            textcoords="offset points",
            ha=where,
            fontsize=8.5,
        )
        placed.append((x, y))


def _why_silent(facts: pd.Series) -> str:
    """Why a metric has no vote, in short."""
    short = {"fail": "fails checks", "untested": "not judged", "surpassed": "above truth"}
    return short.get(facts["silent"], "uninformative")


def _with_arrow(row: pd.Series) -> str:
    return f"{row['label']} {'↑' if row['higher_is_better'] else '↓'}"


def _ranked(name: str, rank: float, between: str) -> str:
    name = name.replace("_", between)
    return f"{name}{between}({rank:.3g})" if np.isfinite(rank) else f"{name}{between}(–)"


def _short(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3g}"


def _hundredths(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def _n(wide: pd.DataFrame) -> int:
    return int(wide["n"].max())


def conformance(table: pd.DataFrame) -> Figure:
    """Metrics x steps of the ladder: how probably the better of two maps is scored better, with the verdict."""
    steps = [name for name in map(str, table) if " > " in name and table[name].notna().any()]
    families = {name: i for i, name in enumerate(FAMILY_ORDER)}
    order = table.assign(_family=table["family"].map(families), _failed=table["verdict"] == "fail")
    order = order.sort_values(["_family", "_failed", "metric"], kind="stable")
    values = order.set_index("metric")[steps].astype(float)
    figure, (axes,) = _figure(1, 1, width=4.4 + 0.95 * len(steps), height=1.6 + 0.235 * len(order))
    sns.heatmap(
        values,
        ax=axes,
        cmap="RdBu",
        vmin=0,
        vmax=1,
        annot=values.map("{:.2f}".format).replace("nan", ""),
        fmt="",
        linewidths=1.2,
        annot_kws={"size": 7.5},
        cbar_kws={"label": "probability that the better map is scored better", "pad": 0.015, "aspect": 40},
    )
    axes.set_xticklabels([name.replace(" > ", "\n> ") for name in steps], rotation=0, fontsize=8)
    named = [
        f"{'fails  ' if failed else ''}{name}" for name, failed in zip(values.index, order["_failed"], strict=True)
    ]
    axes.set_yticklabels(named, rotation=0, fontsize=8)
    for label, failed in zip(axes.get_yticklabels(), order["_failed"], strict=True):
        label.set_fontweight("bold" if failed else "normal")
    for line in np.nonzero(order["_family"].to_numpy() != np.roll(order["_family"].to_numpy(), 1))[0]:
        axes.axhline(line, color="0.25", lw=2 if line else 0)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlabel="", ylabel="")
    passed = int((table["verdict"] == "pass").sum())
    title = f"Metrics on closed-form problems: {passed} of {len(table)} keep the order in their stated direction"
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure
