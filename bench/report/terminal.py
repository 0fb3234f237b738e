"""Tables as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.sensitivity import ALL
from bench.analysis.summary import sentences, summary
from bench.analysis.task_tables import Tables
from bench.core.vocabulary import EXCLUSION_REASONS, NOT_RUN, RANDOM, RANKING_FAMILIES, YES, Column
from bench.report import markup
from bench.report.markup import LEGEND
from bench.storage import run_facts
from bench.storage.scores import Store
from bench.validation.ladders import CHANGE_LABELS, STEP_LABELS
from bench.validation.verdicts import VERDICTS_FILE, read_verdicts

NOTHING = "no leaderboard yet: nothing has been scored"
FEW = 3  # names that a line can hold; more are counted


def conformance_text(table: pd.DataFrame) -> str:
    """The table of verdicts as text for a terminal, then why metrics fail."""
    steps = [name for name in STEP_LABELS if name in table and table[name].notna().any()]
    short = {name: STEP_LABELS[name].replace("noisy", "n").replace(" > ", ">") for name in steps} | CHANGE_LABELS
    columns = ["verdict", "family", "uses_sign", "input_shapes", *short, "seconds"]
    shown = table.set_index("metric")[columns].rename(columns=short)
    numbers: dict[Any, Callable[[Any], str]] = dict.fromkeys((*short.values(), "seconds"), _two_digits)
    text = shown.rename_axis(None).to_string(formatters=numbers, line_width=200, na_rep="")
    failed = table[table["failure_reasons"] != ""]
    reasons = [f"  {line['metric']}: {line['failure_reasons']}" for line in failed.to_dict("records")]
    return "\n".join([text, *(["failed checks:"] if reasons else []), *reasons])


def _two_digits(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}"


def sweep_text(tables: Mapping[str, pd.DataFrame]) -> str:
    """Wins and factors as text for a terminal."""
    wins, factors = tables["wins"], tables["factors"]
    wins = wins[wins["metric"] == ALL]
    shown = pd.DataFrame(
        {
            "mean rank": wins[Column.MEAN_RANK].map("{:.1f}".format),
            "ranks": [f"{row.best_rank:g}-{row.worst_rank:g}" for row in wins.itertuples()],
            "best in": wins["wins"].map("{:.0%}".format),
            f"beats {RANDOM} in": wins["beats_random"].map("{:.0%}".format),
        }
    )
    shown.index = pd.Index(wins["method"], name=None)
    levels = factors.assign(**{name: factors[name].map("{:.2f}".format) for name in ("low", "median", "high")})
    parts = [
        shown.to_string(),
        "Kendall's tau of the rankings before and after one factor alone is changed from the default:",
        levels.to_string(index=False),
    ]
    return "\n\n".join(parts) + "\n"


def boards_text(tables: Tables | None, out: Path) -> str:
    """The leaderboards as text for a terminal: what each board says, its table, and what is not in it.

    `out` is the results folder: it holds what the profile of the last run left out.
    """
    return NOTHING if tables is None else f"{board_text(tables, out)}\n\n{closing_text(out)}"


def board_text(tables: Tables, out: Path) -> str:
    """The leaderboard of each task, without what holds for all of them."""
    failing, left_out = _failing(out), Store(out).left_out("metrics")
    parts = []
    for task, board in tables.wide.groupby("task", sort=True):
        metrics = tables.metrics[tables.metrics["task"] == task]
        absent = [name for name in left_out.get(str(task), ()) if name not in _scored(board, metrics)]
        notes = markup.beside_notes(board) + _notes(board, metrics, absent, failing)
        notes += _hidden(board, metrics, out / "leaderboards" / f"{task}.csv")
        lines = [f"\n{task}: {board[Column.N_SAMPLES].max()} samples", *sentences(summary(board))]
        parts.append("\n".join([*lines, _board_table(board, metrics), *notes]))
    return "\n".join(parts)


def closing_text(out: Path) -> str:
    """What holds for all leaderboards of a folder: what the profile left out, and what the columns mean."""
    return f"{_left_out(run_facts.read(out), _failing(out))}{LEGEND}\n"


def _failing(out: Path) -> set[str]:
    """The metrics that fail their checks."""
    verdicts = read_verdicts(out / VERDICTS_FILE)
    return set(verdicts.loc[verdicts["verdict"] == "fail", "metric"])


def _left_out(facts: Mapping[str, Any], failing: Collection[str]) -> str:
    """A line with what the profile of a run left out, and how to add it; empty where that is nothing."""
    names = {kind: [name for name in some if name not in failing] for kind, some in facts.get("left_out", {}).items()}
    parts = [_counted(kind.removesuffix("s"), some) for kind, some in names.items() if some]
    if not parts or "profile" not in facts:
        return ""
    more = (
        "--profile standard takes more of them, full all" if facts["profile"] == "quick" else "--profile full takes all"
    )
    return f"profile {facts['profile']} leaves out {_in_words(parts)}; {more}, or name them\n"


def _counted(kind: str, names: Sequence[str]) -> str:
    """`task hmt_mosaic`, `5 methods`: the names where they are few."""
    return f"{kind}{'s' * (len(names) > 1)} {_in_words(names)}" if len(names) <= FEW else f"{len(names)} {kind}s"


def _in_words(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _board_table(board: pd.DataFrame, metrics: pd.DataFrame) -> str:
    table = markup.short(board, metrics)
    table.insert(4, "mean rank", board.loc[board["status"] != NOT_RUN, Column.MEAN_RANK].map("{:.1f}".format).to_list())
    table = table.drop(columns=[name for name in table if str(name).startswith("mean rank, ")])
    return table.replace("nan", "").set_index("method").rename_axis(None).to_string(line_width=160)


def _scored(board: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """The metrics that have a score of any method."""
    return [name for name in metrics["metric"] if board[name].notna().any()]


def _hidden(board: pd.DataFrame, metrics: pd.DataFrame, path: Path) -> list[str]:
    hidden = len(_scored(board, metrics)) - len(markup.headlines(board, metrics))
    return [f"{hidden} metric{'s' * (hidden > 1)} hidden; {path} holds all"] if hidden else []


def _notes(board: pd.DataFrame, metrics: pd.DataFrame, absent: Sequence[str], failing: Collection[str]) -> list[str]:
    """Which metrics do not count in the rank and why, what was left out, what is outdated."""
    ranking = metrics[metrics["metric_family"].isin(RANKING_FAMILIES)]
    about = {
        f"not counted in the rank, {reason}": ranking.loc[ranking[Column.EXCLUSION_REASON] == code, "metric"]
        for code, reason in EXCLUSION_REASONS.items()
    } | {
        "left out, fail their checks (--profile full, or by name)": [name for name in absent if name in failing],
        "outdated, scored by an older version (run again)": [
            *board.loc[board[Column.OUTDATED] == YES, "method"],
            *metrics.loc[metrics[Column.OUTDATED] == YES, "metric"],
        ],
    }
    return [f"{what}: {', '.join(names)}" for what, names in about.items() if len(names)]
