"""A task's board for pasting: Markdown for a README, LaTeX (booktabs) for a paper. Tables in, text out."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from bench.analysis.comparison import EVERYTHING, LOST, ORDER, SAME, too_few
from bench.core.vocabulary import COST, NOT_RUN, RANKING_FAMILIES, Column, mean_rank_by


def comparison_markdown(table: pd.DataFrame, *, before: str, after: str, everything: bool = False) -> str:
    """What changed, as GitHub's Markdown: a summary, and a line for each comparison that is not `same` (or for all)."""
    counts = {name: int((table["verdict"] == name).sum()) for name in ORDER}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing in common"
    shown = table if everything else table[~table["verdict"].isin([SAME, COST])]
    text = f"### {cell(before)} → {cell(after)}\n\n{len(table)} comparisons: {told}.\n"
    if len(shown):
        text += f"\n{pipe_table(_comparison_lines(shown))}\n\n{COMPARISON_NOTES}\n"
    few, count = too_few(table), int(table["p"].notna().sum())
    if few:
        tasks = ", ".join(map(cell, few))
        text += f"\n**Too few samples** of {tasks} to find anything among {count} tests: score more (`--samples`).\n"
    return text


COMPARISON_NOTES = (
    "Difference: after less before, on the samples that both scored, with its 95 % interval. Better and worse: paired "
    "tests at 5 %, Holm-corrected over all that moved; unclear: it moved, and that may be chance."
)


def _comparison_lines(table: pd.DataFrame) -> pd.DataFrame:
    arrows = np.where(table["higher_is_better"].astype(bool), " ↑", " ↓")
    return pd.DataFrame(
        {
            "task": table["task"].map(cell),
            "method": table["method"].map(cell),
            "metric": table["metric"].map(cell) + np.where(table["metric"] == EVERYTHING, "", arrows),
            "n": table[Column.N_SAMPLES].astype(str),
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
IN_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)  # as pandas escapes cells
WHAT_IT_SAYS = (
    "Ranks by mean rank over the metrics that have a vote, with 95 % intervals; methods that share a letter cannot be told "
    "apart."
)


def short(board: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """One line per method: rank with interval or why there is none, group, mean rank of each family, a few metrics. Text."""
    board = board[board["status"] != NOT_RUN]
    facts = long.drop_duplicates("metric").set_index("metric")
    table = pd.DataFrame({"method": board["method"], "rank": [_rank(line) for _, line in board.iterrows()]})
    table["group"] = board["group"]
    for family in RANKING_FAMILIES:
        mean_rank = mean_rank_by(family)[0]
        if mean_rank in board and board[mean_rank].notna().any():
            table[family] = board[mean_rank].map("{:.1f}".format).replace("nan", "")
    for name in HEADLINES:
        if name in board and name in facts.index and board[name].notna().any():
            arrow = "↑" if facts.loc[name, "higher_is_better"] else "↓"
            table[f"{name.replace('_', ' ')} {arrow}"] = board[name].map("{:.3g}".format).replace("nan", "")
    return table.reset_index(drop=True)


def cell(text: object) -> str:
    """A name inside a Markdown table, whatever a user called it."""
    return " ".join(str(text).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def pipe_table(table: pd.DataFrame) -> str:
    """A table of text as GitHub's Markdown draws it, with columns of one width."""
    rows = [list(map(str, table)), *table.astype(str).to_numpy().tolist()]
    widths = [max(len(rows[0][i]) + 2, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join(":" + "-" * (width + 1) for width in widths) + "|", *lines[1:]])


def markdown(board: pd.DataFrame, long: pd.DataFrame) -> str:
    """GitHub's Markdown."""
    table = short(board, long)
    table["method"] = table["method"].map(cell)
    return f"{pipe_table(table)}\n\n{cell(_caption(board))}\n"


def latex(board: pd.DataFrame, long: pd.DataFrame) -> str:
    """A table environment for booktabs; arrows and spans are in mathematics mode."""
    table = short(board, long)
    table.columns = pd.Index([str(name) for name in table])
    text = table.to_latex(
        index=False,
        escape=True,
        caption=_caption(board).translate(IN_LATEX),
        label=f"tab:{re.sub(r'[^A-Za-z0-9]+', '-', board['task'].iloc[0])}",
        position="t",
        column_format="ll" + "r" * (table.shape[1] - 2),
    )
    return text.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")


def _rank(line: pd.Series) -> str:
    if pd.isna(line["rank"]):
        return str(line["status"])
    return f"{line['rank']:g}" + (
        f" ({line['rank_low']:g}-{line['rank_high']:g})" if pd.notna(line[Column.RANK_LOW]) else ""
    )


def _caption(board: pd.DataFrame) -> str:
    return f"{board['task'].iloc[0]}, {board[Column.N_SAMPLES].max()} samples. {WHAT_IT_SAYS}"
