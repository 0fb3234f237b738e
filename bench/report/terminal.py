"""Tables as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.board import FIRST, LAST
from bench.analysis.sensitivity import ALL
from bench.core import vocabulary
from bench.core.vocabulary import RANDOM, Column
from bench.storage.scores import Store
from bench.validation.ladders import CHANGE_LABELS, STEP_LABELS
from bench.validation.verdicts import VERDICTS_FILE, read_verdicts


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


MOST_COLUMNS = 8  # metrics on the terminal; where there are more, these:
HEADLINES = ("drop", "deletion", "insertion", "seconds")


def boards_text(out: Path) -> str:
    """The leaderboards as text for a terminal."""
    path = out / "leaderboard.csv"
    if not path.is_file():
        return "no leaderboard yet: nothing has been scored"
    board = pd.read_csv(path)
    parts = []
    for task, own in board.groupby("task", sort=True):
        metrics = [name for name in own.columns.drop([*FIRST, *LAST], errors="ignore") if own[name].notna().any()]
        more = ""
        if len(metrics) > MOST_COLUMNS:
            files = f"{out / 'leaderboards' / str(task)}.csv and {out / 'plots' / str(task)}_heatmap.png"
            more = f"\nall {len(metrics)} metrics are in {files}"
            metrics = [Column.MEAN_RANK, *(name for name in metrics if name in HEADLINES)]
        ranked = own["rank"].notna()
        span = own[Column.RANK_LOW].map("{:g}".format) + "-" + own[Column.RANK_HIGH].map("{:g}".format)
        table = pd.DataFrame(
            {
                "rank": own["rank"].map("{:g}".format).where(ranked, own["status"]),
                "95 %": span.where(own[Column.RANK_LOW].notna(), ""),
            }
            | {name.replace("quantus_", "q_"): own[name].map("{:.4g}".format).replace("nan", "-") for name in metrics}
        )
        table.index = pd.Index(own["method"], name=None)
        table = table.drop(index=own.loc[own["status"] == vocabulary.NOT_RUN, "method"])
        more += "".join(f"\n{line}" for line in _notes(out, str(task), own))
        how = ", ranked by mean rank over the metrics that have a vote" if ranked.any() else ""
        parts.append(f"\n{task}: {own[Column.N_SAMPLES].max()} samples{how}\n{table.to_string(line_width=160)}{more}")
    return "\n".join(parts) + "\n"


def _notes(out: Path, task: str, own: pd.DataFrame) -> list[str]:
    """What a reader has to know of a board: which metrics have no say, and what was left out."""
    path = out / "leaderboards" / f"{task}_metrics.csv"
    metrics = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["metric", Column.EXCLUSION_REASON])
    verdicts = dict(zip(*(read_verdicts(out / VERDICTS_FILE)[name] for name in ("metric", "verdict")), strict=True))
    kind = metrics["metric_family"].isin(vocabulary.RANKING_FAMILIES) if len(metrics) else []
    ranking = metrics[kind] if len(metrics) else metrics
    absent = [
        name for name in Store(out).left_out("metrics").get(task, ()) if name not in own or own[name].isna().all()
    ]
    told = {
        f"no vote, {why}": ranking.loc[ranking[Column.EXCLUSION_REASON] == name, "metric"]
        for name, why in vocabulary.EXCLUSION_REASONS.items()
    } | {
        "left out, slow (--profile full, or by name)": [
            *own.loc[own["status"] == vocabulary.NOT_RUN, "method"],
            *(name for name in absent if verdicts.get(name) != "fail"),
        ],
        "left out, fail their checks (--profile full, or by name)": [
            name for name in absent if verdicts.get(name) == "fail"
        ],
    }
    return [f"{what}: {', '.join(names)}" for what, names in told.items() if len(names)]
