"""From rows of the store to tables. Pure: the same rows give the same bytes.

Rules. A method is complete when it has a score for every sample on every metric that ranks; others are listed after the
complete ones, without a rank. A sample on which a metric is undefined for all methods counts for none. Only families
that ask whether a map is true take part in ranks: a cheap, short or stable map is not thereby a right one. Of these a metric
has a vote unless it fails its conformance checks (bench/conformance.py), or cannot judge on the task (SILENT): it cannot be
said that half of the methods are better than the random control; the random control has no score on a sample that others
are scored on; or, where it compares with the truth, another map beats the truth itself. Metrics whose scores have nearly all
their variance in common (deletion's area and AOPC, say) ask one question, and share one vote. Scores of a sample that differ by
rounding alone (`stats.settled`) are ties.

The same samples say which metrics have a vote and how methods stand to the random control, so the first is asked strictly: on
a sample more than half of the methods have to be better (a test over samples), Holm-corrected over the metrics. On noise a
metric has a vote in at most one board of twenty then, however few its methods. Where samples are too few for any such answer,
all have one.

A board's mean rank is Friedman's: methods are ranked on each sample by each metric, and these ranks are averaged, so that it is
a mean over samples, of which intervals and paired tests hold. (Ranks of mean scores do not settle as samples are added
where methods are equal: on noise, groups made of them told methods apart in 24 to 100 cases of 100.) Where all metrics have
the same samples it is one plus the sum of the shares of the comparisons that a method loses, those of `win_table`. The
interval of a rank leaves out the places of those that are significantly before and behind it; groups and intervals come from
one set of tests, which holds for all pairs together.

Skill puts metrics on one scale: 0 is the random control, negative is worse. Where an oracle exists (localisation: the truth as
a map) it is (score - random) / (oracle - random); elsewhere Cohen's d, the difference of means over their standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from bench.analysis import inference
from bench.analysis.groups import letters
from bench.analysis.metric_table import long_table, pair_count
from bench.analysis.score_matrix import grouped, mean_interval, oriented
from bench.core.vocabulary import RANKING_FAMILIES

OVERALL_COLUMNS = (
    *("rank", "rank_low", "rank_high", "group", "n_required_vs_best"),
    *("mean_rank", "mean_rank_low", "mean_rank_high"),
)
WIN_COLUMNS = ["task", "method", "other", "wins"]


def wide_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per task and method: rank, its interval, the mean of each metric, complete methods first."""
    return boards(rows, long_table(rows))


def boards(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """`wide_table`, from the rows and their long table."""
    tables = [_board(part, long[long["task"] == task]) for (task,), part in grouped(rows, ["task"])]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["task", "method", "n", "rank"])


def _board(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """The wide leaderboard of one task."""
    metrics = list(dict.fromkeys(long["metric"]))
    voting, complete = _placed(long)
    means = long.pivot(index="method", columns="metric", values="mean")[metrics]
    votes = long.drop_duplicates("metric").set_index("metric")["rank_weight"]
    first = rows.groupby("method", observed=True)[["method_id", "method_family"]].first().reindex(means.index)
    scored = (
        rows[(rows["status"] == "ok") & (rows["metric_family"] != "cost")]
        .groupby("method", observed=True)["sample_id"]
        .nunique()
    )
    statuses = dict(iter(rows[rows["metric_family"] != "cost"].groupby("method", observed=True)["status"]))
    ok = set(complete) if voting else _whole(long)
    table = pd.DataFrame(
        {
            "task": rows["task"].iloc[0],
            "method": means.index,
            "method_id": first["method_id"].to_numpy(),
            "family": first["method_family"].to_numpy(),
            "n": scored.reindex(means.index).fillna(0).astype(int).to_numpy(),
            "status": ["complete" if name in ok else _why(statuses.get(name, ())) for name in means.index],
        }
        | {name: own.reindex(means.index).to_numpy() for name, own in _overall(rows, complete, votes[voting]).items()}
    )
    table["group"] = table["group"].astype(object).fillna("")
    table = pd.concat([table, means.reset_index(drop=True)], axis=1)
    return table.sort_values(["rank", "status", "method"], na_position="last", kind="stable").reset_index(drop=True)


def _whole(long: pd.DataFrame) -> set[str]:
    """The methods of a task that have every score that any has."""
    most = long.groupby("metric")["n"].transform("max").clip(lower=1)
    return set(long["method"]) - set(long.loc[long["n"] < most, "method"])


def win_table(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """How often a method is scored better than another, a tie counting half: one row per task and ordered pair.

    Over the methods that are complete, the samples, and the metrics by their votes; each family counts once, as in the
    mean rank.
    """
    found = []
    for task, own in long[long["rank_weight"] > 0].groupby("task", sort=True):
        names, methods = _placed(own)
        if len(methods) < 2:
            continue
        facts = own.drop_duplicates("metric").set_index("metric").loc[names]
        weight = facts["rank_weight"] / facts.groupby("metric_family")["rank_weight"].transform("sum")
        wins = sum(weight[name] * _wins(rows, str(task), name, methods) for name in facts.index) / weight.sum()
        table = pd.DataFrame(wins, index=pd.Index(methods, name="method"), columns=pd.Index(methods, name="other"))
        table = table.where(~np.eye(len(methods), dtype=bool)).stack().dropna().rename("wins").reset_index()
        found.append(table.assign(task=task)[WIN_COLUMNS])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=WIN_COLUMNS)


def _placed(long: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The metrics with a vote that rank any method, and the methods that all of these rank, of one task."""
    ranks = (
        long[long["rank_weight"] > 0].pivot(index="method", columns="metric", values="rank").dropna(axis=1, how="all")
    )
    return list(ranks), sorted(ranks.index[ranks.notna().all(axis=1)]) if len(ranks.columns) else []


def _wins(rows: pd.DataFrame, task: str, metric: str, methods: list[str]) -> np.ndarray:
    """Share of the samples on which each method (row) is better than each other (column) by one metric: (M, M)."""
    own = rows[(rows["task"] == task) & (rows["metric"] == metric) & rows["method"].isin(methods)]
    scores = oriented(own)[methods].dropna().to_numpy()
    return np.stack([inference.superiority(scores[:, [place]] - scores) for place in range(len(methods))])


def with_left_out(board: pd.DataFrame, left_out: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The wide table with a line for each method that was too slow for the profile, unless it has been run after all."""
    known = set(zip(board["task"], board["method"], strict=True))
    more = [
        {"task": task, "method": name, "n": 0, "status": "slow"}
        for task in board["task"].unique()
        for name in left_out.get(task, ())
        if (task, name) not in known
    ]
    if not more:
        return board
    both = pd.concat([board.astype({"n": object}), pd.DataFrame(more).astype({"n": object})], ignore_index=True)
    return both.astype({"n": int}).sort_values("task", kind="stable").reset_index(drop=True)


def _why(statuses: Iterable[str]) -> str:
    """Of a method that is not complete: `undefined` where its maps never say anything, `skipped` where it cannot serve."""
    found = set(statuses)
    if found and found <= {"skipped", "undefined"}:
        return "undefined" if "undefined" in found else "skipped"
    return "incomplete"


def _overall(rows: pd.DataFrame, methods: list[str], votes: pd.Series) -> dict[str, pd.Series]:
    """Mean ranks within and across families with intervals, and the rank, its interval and the group that follow.

    Methods are ranked on each sample by each metric. Within a family metrics count by their votes; across families each
    counts once, however many metrics it has. Everything else is about the means of these ranks over samples.
    """
    families = rows.drop_duplicates("metric").set_index("metric")["metric_family"].reindex(votes.index)
    names = [name for name in RANKING_FAMILIES if (families == name).any()]
    if not methods:
        own_columns = [f"mean_rank_{name}{end}" for name in names for end in ("", "_low", "_high")]
        return dict.fromkeys((*OVERALL_COLUMNS, *own_columns), pd.Series(dtype=float))
    samples = sorted(rows["sample_id"].unique())
    by_metric = {
        name: inference.ranks(
            oriented(rows[rows["metric"] == name]).reindex(index=samples, columns=methods).to_numpy(),
            higher_is_better=True,
        )
        for name in votes.index
    }
    own = {
        family: _mean([by_metric[name] for name in votes.index[families == family]], votes[families == family])
        for family in names
    }
    places = _mean(list(own.values()), np.ones(len(own)))
    places = places[~np.isnan(places).any(1)]  # (n, M): samples on which something is defined
    mean = _rounded(places.mean(0))
    rank = pd.Series(inference.ranks(mean, higher_is_better=False), index=methods)
    order = np.argsort(rank.to_numpy(), kind="stable")
    differ = inference.different(places[:, order])
    group = pd.Series(letters(differ), index=rank.index[order])
    low, high = np.full((2, len(methods)), np.nan)
    if len(places) > 1:
        low[order], high[order] = inference.rank_interval(mean[order], differ)
    tests = pair_count(len(methods))
    to_first = [inference.samples_needed(gap, tests=tests) for gap in (places - places[:, [order[0]]]).T]
    to_first[order[0]] = np.nan
    columns = dict(zip(OVERALL_COLUMNS, (rank, low, high, group, to_first, *_with_ends(places)), strict=True))
    for family, ranks in own.items():
        names_of = (f"mean_rank_{family}{end}" for end in ("", "_low", "_high"))
        columns |= dict(zip(names_of, _with_ends(ranks), strict=True))
    return {name: pd.Series(values, index=methods) for name, values in columns.items()}


def _mean(parts: Sequence[np.ndarray], weights: Sequence[float] | pd.Series | np.ndarray) -> np.ndarray:
    """Weighted mean of arrays of one shape over those that know a value; NaN where none does."""
    cube = np.stack(parts)
    weight = np.asarray(weights, dtype=float).reshape(-1, *[1] * (cube.ndim - 1)) * ~np.isnan(cube)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.nan_to_num(cube) * weight).sum(0) / weight.sum(0))


def _with_ends(places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean ranks and their intervals over the samples that have any: (n, M) -> three of (M,)."""
    known = places[~np.isnan(places).any(1)]
    low, high = mean_interval(known)
    return _rounded(known.mean(0)), _rounded(low), _rounded(high)


def _rounded(means: np.ndarray) -> np.ndarray:
    """Mean ranks that differ by rounding alone are ties: copies of a method have no order."""
    return np.round(means, 9)
