"""The board of a task: one row per method, the answer first.

A method is complete when every metric that counts in the rank has a score for it on every sample; the others are listed after
the complete ones, without a rank. A sample on which a metric is undefined for all methods is left out for all.

Only families that ask whether a map is true (faithfulness, localisation) rank methods: a map that is cheap, short or
stable need not be right. A metric of these families counts unless it has an exclusion reason (`rank_weights`): it fails its
conformance checks; it cannot put half of the methods above the random control on this task; it has no score for the
random control; or it scores a map above the ground truth itself. Metrics whose scores correlate above 0.95 ask the same
question and share one weight. `overall` says how ranks follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from bench.analysis.metric_table import counted, long_table
from bench.analysis.overall import TEXTS, overall
from bench.analysis.score_matrix import grouped, origins
from bench.core.vocabulary import (
    COMPLETE,
    CONTROLS,
    COST,
    INCOMPLETE,
    NOT_RUN,
    OK,
    RANKING_FAMILIES,
    SKIPPED,
    UNDEFINED,
    Column,
    mean_rank_by,
)

FIRST = (
    *("task", "method", "rank", Column.RANK_LOW, Column.RANK_HIGH, Column.TOP_GROUP, Column.VS_RANDOM),
    *(Column.MEAN_RANK, Column.MEAN_RANK_LOW, Column.MEAN_RANK_HIGH),
    *(name for family in RANKING_FAMILIES for name in mean_rank_by(family)),
    *(Column.N_REQUIRED_VS_BEST, Column.N_SAMPLES, "status", "method_family", "method_id", Column.OUTDATED),
)  # then the metrics, those that count in the rank first
LAST = ("group",)


def wide_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per task and method: rank, its interval, the mean of each metric, complete methods first."""
    return boards(rows, long_table(rows))


def boards(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """`wide_table`, from the rows and their long table."""
    tables = [_board(part, long[long["task"] == task]) for (task,), part in grouped(rows, ["task"])]
    return (
        in_order(pd.concat(tables, ignore_index=True))
        if tables
        else pd.DataFrame(columns=["task", "method", "rank", Column.N_SAMPLES])
    )


def in_order(board: pd.DataFrame) -> pd.DataFrame:
    """The columns in the order in which they are read: FIRST, where scores are from, the metrics, LAST."""
    first = [name for name in (*FIRST, Column.ORIGIN) if name in board]
    metrics = [name for name in board if name not in first and name not in LAST]
    return board[[*first, *metrics, *LAST]]


def _board(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """The board of one task."""
    facts = long.drop_duplicates("metric").set_index("metric")
    metrics = sorted(facts.index, key=lambda name: facts[Column.RANK_WEIGHT][name] == 0)  # stable
    counting, complete = counted(long)
    means = long.pivot(index="method", columns="metric", values="mean")[metrics]
    about = _about_methods(rows, means.index, set(complete) if counting else _with_every_score(long))
    controls = set(about.loc[about["method_family"] == CONTROLS, "method"])
    standing = overall(rows, complete, facts[Column.RANK_WEIGHT][counting], controls).reindex(means.index)
    standing[list(TEXTS)] = standing[list(TEXTS)].astype(object).fillna("")
    table = pd.concat([about, standing.reset_index(drop=True), means.reset_index(drop=True)], axis=1)
    return table.sort_values(["rank", "status", "method"], na_position="last", kind="stable").reset_index(drop=True)


def _about_methods(rows: pd.DataFrame, methods: pd.Index, complete: set[str]) -> pd.DataFrame:
    """Id, family, number of samples and status of each method of one task."""
    judged = rows[rows["metric_family"] != COST]
    facts = rows.groupby("method", observed=True)[["method_id", "method_family"]].first().reindex(methods)
    scored = judged[judged["status"] == OK].groupby("method", observed=True)["sample_id"].nunique()
    statuses = dict(iter(judged.groupby("method", observed=True)["status"]))
    beside = origins(rows)
    return pd.DataFrame(
        {
            "task": rows["task"].iloc[0],
            "method": methods,
            "method_id": facts["method_id"].to_numpy(),
            "method_family": facts["method_family"].to_numpy(),
            Column.N_SAMPLES: scored.reindex(methods).fillna(0).astype(int).to_numpy(),
            "status": [COMPLETE if name in complete else _why_incomplete(statuses.get(name, ())) for name in methods],
            Column.OUTDATED: "",
        }
        | ({Column.ORIGIN: [beside[name] for name in methods]} if beside else {})
    )


def _with_every_score(long: pd.DataFrame) -> set[str]:
    """The methods of a task that have every score that any has."""
    most = long.groupby("metric")[Column.N_SAMPLES].transform("max").clip(lower=1)
    return set(long["method"]) - set(long.loc[long[Column.N_SAMPLES] < most, "method"])


def _why_incomplete(statuses: Iterable[str]) -> str:
    """`undefined` or `skipped` where a method has no score at all for that reason, else `incomplete`."""
    found = set(statuses)
    if found and found <= {SKIPPED, UNDEFINED}:
        return UNDEFINED if UNDEFINED in found else SKIPPED
    return INCOMPLETE


def with_left_out(board: pd.DataFrame, left_out: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The board with a row, of status `not run`, for each method that was too slow for the profile and has no scores."""
    present = set(zip(board["task"], board["method"], strict=True))
    more = [
        {"task": task, "method": name, Column.N_SAMPLES: 0, "status": NOT_RUN}
        | dict.fromkeys([*TEXTS, *(name for name in (Column.ORIGIN, Column.OUTDATED) if name in board)], "")
        for task in board["task"].unique()
        for name in left_out.get(task, ())
        if (task, name) not in present
    ]
    if not more:
        return board
    count = {Column.N_SAMPLES: object}
    both = pd.concat([board.astype(count), pd.DataFrame(more).astype(count)], ignore_index=True)
    return both.astype({Column.N_SAMPLES: int}).sort_values("task", kind="stable").reset_index(drop=True)
