"""A task's board for pasting: Markdown for a README, LaTeX (booktabs) for a paper. Tables in, text out."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from bench.analysis.comparison import EVERYTHING, LOST, ORDER, SAME, too_few
from bench.analysis.summary import sentences, summary
from bench.core.entries import GIVEN
from bench.core.vocabulary import (
    BETTER,
    CONTROLS,
    COST,
    INDISTINGUISHABLE,
    NOT_RUN,
    RANDOM,
    RANKING_FAMILIES,
    WORSE,
    YES,
    Column,
    mean_rank_by,
)


def comparison_markdown(table: pd.DataFrame, *, before: str, after: str, everything: bool = False) -> str:
    """What changed, as GitHub's Markdown: a summary, and a row for each change (or for all comparisons)."""
    counts = {name: int((table["verdict"] == name).sum()) for name in ORDER}
    verdicts = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing in common"
    shown = table if everything else table[~table["verdict"].isin([SAME, COST])]
    text = f"### {cell(before)} → {cell(after)}\n\n{len(table)} comparisons: {verdicts}.\n"
    if len(shown):
        text += f"\n{pipe_table(_comparison_lines(shown))}\n\n{COMPARISON_NOTES}\n"
    few, count = too_few(table), int(table["p"].notna().sum())
    if few:
        tasks = ", ".join(map(cell, few))
        text += f"\n**Too few samples** of {tasks}: among {count} tests none can be significant. Score more (`--samples`).\n"
    return text


COMPARISON_NOTES = (
    "Difference: after minus before, on the samples that both scored, with its 95 % interval. Better, worse: significant by a "
    "paired test at 5 %, Holm-corrected over all scores that changed. Unclear: changed, not significantly."
)


def _comparison_lines(table: pd.DataFrame) -> pd.DataFrame:
    arrows = np.where(table["higher_is_better"].astype(bool), " ↑", " ↓")
    return pd.DataFrame(
        {
            "task": table["task"].map(cell),
            "method": table["method"].map(cell),
            "metric": table["metric"].map(cell) + np.where(table["metric"] == EVERYTHING, "", arrows),
            "samples": table[Column.N_SAMPLES].astype(str),
            "before": table["before"].map(_number),
            "after": table["after"].map(_number),
            "difference": table["difference"].map("{:+.3g}".format).replace("+nan", "").replace("nan", ""),
            "95 %": [
                f"{_number(low)} to {_number(high)}" if np.isfinite(low) else ""
                for low, high in zip(table[Column.DIFFERENCE_LOW], table[Column.DIFFERENCE_HIGH], strict=True)
            ],
            "p": table["p"].map("{:.2g}".format).replace("nan", ""),
            "verdict": [
                " and ".join([verdict] * (verdict != LOST) + [f"{count} {LOST}"] * (count > 0))
                for verdict, count in zip(table["verdict"], table[Column.N_LOST], strict=True)
            ],
        }
    )


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4g}"


HEADLINES = ("drop", "deletion", "insertion", "localisation_auc", "seconds")  # metrics of a short board
FEW = 6  # metrics that a short board has room for
MARKS = {YES: "yes", BETTER: "better", WORSE: "worse", INDISTINGUISHABLE: "~"}
IN_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)  # as pandas escapes cells
LEGEND = (
    "Rank: by the mean rank over the metrics that count, with its 95 % interval. Top: cannot be "
    "distinguished from the best method. vs random: significantly better or worse than the random control, ~ where neither."
)


def short(board: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per method, as text: rank with interval or why there is none, top group, random, mean ranks, a few metrics.

    `board` and `metrics`: the wide table and the table of metrics of one task.
    """
    board = board[board["status"] != NOT_RUN]
    higher = metrics.set_index("metric")["higher_is_better"]
    table = pd.DataFrame({"method": named(board), "rank": [_rank(line) for _, line in board.iterrows()]})
    table["top"] = board[Column.TOP_GROUP].map(MARKS).fillna("")
    table[f"vs {RANDOM}"] = board[Column.VS_RANDOM].map(MARKS).fillna("")
    for family in RANKING_FAMILIES:
        mean_rank = mean_rank_by(family)[0]
        if mean_rank in board and board[mean_rank].notna().any():
            table[f"mean rank, {family}"] = board[mean_rank].map("{:.1f}".format).replace("nan", "")
    for name in headlines(board, metrics):
        table[f"{name} {'↑' if higher[name] else '↓'}"] = board[name].map("{:.3g}".format).replace("nan", "")
    return table.reset_index(drop=True)


def headlines(board: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """The metrics that a short board shows: all that have scores where these are few, else those of HEADLINES."""
    scored = [name for name in metrics["metric"] if board[name].notna().any()]
    first = [name for name in HEADLINES if name in scored]
    return first + [name for name in scored if name not in first] if len(scored) <= FEW else first


def named(board: pd.DataFrame) -> pd.Series:
    """The methods' names; controls, maps that were made elsewhere, rows of a release file and outdated ones marked."""
    family = board["method_family"].map({CONTROLS: " (control)", GIVEN: f" ({GIVEN})"}).fillna("")
    beside = board[Column.ORIGIN].ne("").map({True: " (beside)", False: ""}) if Column.ORIGIN in board else ""
    return board["method"] + family + beside + board[Column.OUTDATED].map({YES: " (outdated)"}).fillna("")


def beside_notes(board: pd.DataFrame) -> list[str]:
    """Which release file the methods marked `beside` are from, and that costs are not compared."""
    if Column.ORIGIN not in board:
        return []
    counts = board.loc[board[Column.ORIGIN] != "", Column.ORIGIN].value_counts()
    return [
        f"beside: {count} methods from {name}, whose costs were measured elsewhere" for name, count in counts.items()
    ]


def cell(text: object) -> str:
    """A name inside a Markdown table, whatever a user called it."""
    return " ".join(str(text).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def pipe_table(table: pd.DataFrame) -> str:
    """A table of text as GitHub's Markdown draws it, with columns of one width."""
    rows = [list(map(str, table)), *table.astype(str).to_numpy().tolist()]
    widths = [max(len(rows[0][i]) + 2, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join(":" + "-" * (width + 1) for width in widths) + "|", *lines[1:]])


def markdown(board: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """GitHub's Markdown: what the board says, the table, and how to read it."""
    table = short(board, metrics)
    table["method"] = table["method"].map(cell)
    lines = "\n".join(f"- {cell(one)}" for one in [_title(board), *sentences(summary(board))])
    return f"{lines}\n\n{pipe_table(table)}\n\n{cell(_notes(board, metrics))}\n"


def latex(board: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """A table environment for booktabs; arrows are in mathematics mode."""
    table = short(board, metrics)
    table.columns = pd.Index([str(name) for name in table])
    caption = " ".join([_title(board), *sentences(summary(board)), _notes(board, metrics)])
    text = table.to_latex(
        index=False,
        escape=True,
        caption=caption.translate(IN_LATEX),
        label=f"tab:{re.sub(r'[^A-Za-z0-9]+', '-', board['task'].iloc[0])}",
        position="t",
        column_format="ll" + "r" * (table.shape[1] - 2),
    )
    return text.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")


def _rank(line: pd.Series) -> str:
    if pd.isna(line["rank"]):
        return str(line["status"])
    if pd.isna(line[Column.RANK_LOW]):
        return f"{line['rank']:g}"
    return f"{line['rank']:g} ({line[Column.RANK_LOW]:g}-{line[Column.RANK_HIGH]:g})"


def _title(board: pd.DataFrame) -> str:
    return f"{board['task'].iloc[0]}: {board[Column.N_SAMPLES].max()} samples."


def _notes(board: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """How to read the table, and how many metrics it leaves out."""
    scored = [name for name in metrics["metric"] if board[name].notna().any()]
    hidden = len(scored) - len(headlines(board, metrics))
    excluded = metrics["metric_family"].isin(RANKING_FAMILIES) & (metrics[Column.RANK_WEIGHT] == 0)
    shown = [name for name in headlines(board, metrics) if name in set(metrics.loc[excluded, "metric"])]
    notes = [LEGEND, *(f"{note[0].upper()}{note[1:]}." for note in beside_notes(board))]
    notes += [f"Not counted in the rank: {', '.join(shown)}."] if shown else []
    notes += [f"{hidden} metric{'s' * (hidden > 1)} hidden."] if hidden else []
    return " ".join(notes)
