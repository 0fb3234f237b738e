"""From rows of the store to tables. Pure: the same rows give the same bytes.

Rules. A method is complete when it has a score for every sample on every metric that ranks; others are listed after the
complete ones, without a rank. A sample on which a metric is undefined for all methods counts for none. Only families
that ask whether a map is true take part in ranks: a cheap, short or stable map is not thereby a right one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bench import stats

RANKING_FAMILIES = ("faithfulness", "localisation")
CURVE_COLUMNS = ["task", "metric", "label", "method", "method_family", "share", "p", "low", "high"]
FAMILY_ORDER = ("faithfulness", "localisation", "randomisation", "robustness", "axiom", "complexity", "cost")


def current(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that count: of each task its latest weights, of each method and metric its latest version."""
    for name, within in (("fingerprint", ["task"]), ("task_id", ["task"])):
        rows = _latest(rows, name, within)
    for kind in ("method", "metric"):
        version = rows[f"{kind}_id"].str.extract(r"@(\d+)", expand=False).astype(int)
        settings = rows[f"{kind}_id"].str.replace(r"@\d+", "", regex=True)
        newest = version.groupby([rows["task"], settings]).transform("max")
        rows = rows[version == newest]
    return rows


def long_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per task, method and metric: n, mean, interval, rank, group, status."""
    rows = _named(rows)
    tables = [_metric_table(part) for _, part in _groups(rows, ["task", "metric"])]
    if not tables:
        return pd.DataFrame(columns=["task", "method", "metric", "n"])
    table = pd.concat(tables, ignore_index=True)
    families = {name: i for i, name in enumerate(FAMILY_ORDER)}
    order = table["metric_family"].map(families).fillna(len(families))
    table = table.assign(_order=order, _rank=table["rank"].fillna(np.inf))
    table = table.sort_values(["task", "_order", "metric", "_rank", "method"], kind="stable")
    return table.drop(columns=["_order", "_rank"]).reset_index(drop=True)


def wide_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per task and method: rank, its interval, the mean of each metric, complete methods first."""
    rows = _named(rows)
    long = long_table(rows)
    boards = [_board(part, long[long["task"] == task]) for (task,), part in _groups(rows, ["task"])]
    return pd.concat(boards, ignore_index=True) if boards else pd.DataFrame(columns=["task", "method", "n", "rank"])


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Every row without a score, grouped by reason, with the number of samples it holds for."""
    without = _named(rows[rows["status"] != "ok"])
    keys = ["task", "method", "metric", "status", "note"]
    return without.groupby(keys, sort=True).size().rename("n").reset_index()


def mean_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean curve and its interval per task, metric and method: columns task, metric, label, method, share, p, low, high."""
    found = []
    for (task, metric, method), part in _groups(_named(rows[rows["status"] == "ok"]), ["task", "metric", "method"]):
        curves = np.stack(part["curve"].to_list()).astype(float)
        low, high = stats.interval(stats.bootstrap_means(curves))
        found.append(
            pd.DataFrame(
                {
                    "task": task,
                    "metric": metric,
                    "label": part["label"].iloc[0],
                    "method": method,
                    "method_family": part["method_family"].iloc[0],
                    "share": np.linspace(0, 1, curves.shape[1]),
                    "p": curves.mean(0),
                    "low": low,
                    "high": high,
                }
            )
        )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=CURVE_COLUMNS)


def _metric_table(rows: pd.DataFrame) -> pd.DataFrame:
    """All methods on one metric of one task."""
    methods = sorted(rows["method"].unique())
    scores = _scores(rows).reindex(columns=methods)
    values = scores.dropna(how="all").to_numpy()
    full = [name for i, name in enumerate(methods) if len(values) and not np.isnan(values[:, i]).any()]
    first = rows.iloc[0]
    higher = bool(first["higher_is_better"])
    means = (
        np.array([np.nan if np.isnan(v).all() else np.nanmean(v) for v in values.T])
        if len(values)
        else np.full(len(methods), np.nan)
    )
    low, high = stats.interval(stats.bootstrap_means(values)) if len(values) else (means, means)
    rank = pd.Series(stats.ranks(means[[m in full for m in methods]], higher_is_better=higher), index=full)
    best_first = rank.sort_values(kind="stable").index
    group = pd.Series(stats.letters(stats.different(scores.dropna(how="all")[best_first].to_numpy())), index=best_first)
    by_method = rows.groupby("method")
    return pd.DataFrame(
        {
            "task": first["task"],
            "method": methods,
            "method_id": by_method["method_id"].first()[methods].to_numpy(),
            "method_family": by_method["method_family"].first()[methods].to_numpy(),
            "metric": first["metric"],
            "metric_id": first["metric_id"],
            "metric_family": first["metric_family"],
            "label": first["label"],
            "higher_is_better": higher,
            "n": np.isfinite(values).sum(0) if len(values) else 0,
            "mean": means,
            "low": low,
            "high": high,
            "rank": rank.reindex(methods).to_numpy(),
            "group": group.reindex(methods).fillna("").to_numpy(),
            "status": [_status(by_method.get_group(name)["status"]) for name in methods],
        }
    )


def _board(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """The wide leaderboard of one task."""
    metrics = list(dict.fromkeys(long["metric"]))
    ranking = long[long["metric_family"].isin(RANKING_FAMILIES)]
    judged = [m for m in dict.fromkeys(ranking["metric"]) if ranking.loc[ranking["metric"] == m, "rank"].notna().any()]
    placed = ranking[ranking["metric"].isin(judged)].pivot(index="method", columns="metric", values="rank")
    complete = sorted(placed.index[placed.notna().all(axis=1)]) if judged else []
    rank, low, high, mean_rank = _overall(rows, complete, judged)
    means = long.pivot(index="method", columns="metric", values="mean")[metrics]
    first = rows.groupby("method")[["method_id", "method_family"]].first()
    samples = rows.groupby("method")["sample_id"].nunique()
    table = pd.DataFrame(
        {
            "task": rows["task"].iloc[0],
            "method": means.index,
            "method_id": first["method_id"].reindex(means.index).to_numpy(),
            "family": first["method_family"].reindex(means.index).to_numpy(),
            "n": samples.reindex(means.index).to_numpy(),
            "status": ["complete" if name in complete else "incomplete" for name in means.index],
            "rank": rank.reindex(means.index).to_numpy(),
            "rank_low": low.reindex(means.index).to_numpy(),
            "rank_high": high.reindex(means.index).to_numpy(),
            "mean_rank": mean_rank.reindex(means.index).to_numpy(),
        }
    )
    table = pd.concat([table, means.reset_index(drop=True)], axis=1)
    return table.sort_values(["rank", "method"], na_position="last", kind="stable").reset_index(drop=True)


def _overall(rows: pd.DataFrame, methods: list[str], metrics: Iterable[str]) -> tuple[pd.Series, ...]:
    """Rank of the mean rank over metrics, with its bootstrap interval over samples, and the mean rank itself."""
    if not methods:
        return tuple(pd.Series(dtype=float) for _ in range(4))
    observed, resampled = [], []
    samples = sorted(rows["sample_id"].unique())
    for name in metrics:
        part = rows[rows["metric"] == name]
        higher = bool(part["higher_is_better"].iloc[0])
        scores = _scores(part).reindex(index=samples, columns=methods).to_numpy()
        observed.append(stats.ranks(np.nanmean(scores, axis=0), higher_is_better=higher))
        resampled.append(stats.ranks(stats.bootstrap_means(scores), higher_is_better=higher))
    mean_rank = np.mean(observed, axis=0)
    low, high = stats.interval(stats.ranks(np.mean(resampled, axis=0), higher_is_better=False))
    rank = stats.ranks(mean_rank, higher_is_better=False)
    return tuple(pd.Series(values, index=methods) for values in (rank, low, high, mean_rank))


def _scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Samples x methods, seeds averaged; NaN where there is no score."""
    return rows.pivot_table(index="sample_id", columns="method", values="score", aggfunc="mean", dropna=False)


def _status(statuses: pd.Series) -> str:
    """`ok`, or how many samples have which other status."""
    counts = statuses.value_counts().sort_index()
    others = [f"{name} {n}" for name, n in counts.items() if name != "ok"]
    return "ok" if not others else f"{', '.join(others)} of {len(statuses)}"


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Where several settings of one method or metric are in the store, their ids stand for their names."""
    rows = rows.copy()
    for kind in ("method", "metric"):
        settings = rows.groupby(["task", kind])[f"{kind}_id"].transform("nunique")
        rows[kind] = rows[kind].where(settings == 1, rows[f"{kind}_id"])
    return rows


def _latest(rows: pd.DataFrame, column: str, within: list[str]) -> pd.DataFrame:
    """Of each group, the rows whose value of the column was written last."""
    last = rows.sort_values(["written", column], kind="stable").groupby(within)[column].last()
    return rows[rows[column].to_numpy() == rows[within[0]].map(last).to_numpy()]


def _groups(rows: pd.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[str, ...], pd.DataFrame]]:
    return rows.groupby(keys, sort=True)  # type: ignore[return-value]
