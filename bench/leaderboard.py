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

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from bench import stats
from bench.masking import even_counts

RANKING_FAMILIES = ("faithfulness", "localisation")
RANDOM, ORACLE, CONTROLS = "random", "oracle", "control"  # two methods, and the family of those that explain nothing
ENOUGH = 0.5  # share of the methods that an informative metric puts above the random control
SILENT = {  # why a metric has no vote
    "fail": "fails its checks",
    "untested": "not judged by any check",
    "uninformative": "cannot tell half of the methods from the random control here",
    "blank": "has no score for the random control on some samples",
    "surpassed": "puts another map above the truth itself",
}
BEYOND = 1e-6  # of the truth's score; less is rounding
FEWEST = 5  # samples, below which nothing is said about which metrics are one
ALIKE = 0.95  # correlation of two metrics that share a vote (their groups: `alike` in the tables)
OVERALL_COLUMNS = (
    *("rank", "rank_low", "rank_high", "group", "n_to_first"),
    *("mean_rank", "mean_rank_low", "mean_rank_high"),
)
WIN_COLUMNS = ["task", "method", "other", "wins"]
CURVE_COLUMNS = ["task", "metric", "method", "label", "higher_is_better", "method_family", "share", "p", "low", "high"]
FAMILY_ORDER = ("faithfulness", "localisation", "randomisation", "robustness", "axiom", "complexity", "cost")


def current(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that count: the newest version of each method and metric, on the newest input of each sample."""
    for kind in ("method", "metric"):
        version = rows[f"{kind}_id"].str.extract(r"@(\d+)", expand=False).astype(int)
        rows = rows[version == version.groupby([rows["task"], rows[kind]], observed=True).transform("max")]
    newest = (
        rows.sort_values("written", kind="stable")
        .groupby(["task", "sample_id"], observed=True)["sample_digest"]
        .transform("last")
    )
    return rows[rows["sample_digest"] == newest.reindex(rows.index)]


def long_table(rows: pd.DataFrame, verdicts: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per task, method and metric: n, mean, interval, rank, group, status, skill, and what the metric is worth.

    `verdicts`: id of a metric -> pass or fail in the conformance checks.
    """
    tables = [_metric_table(part, verdicts or {}) for _, part in _groups(rows, ["task", "metric"])]
    if not tables:
        return pd.DataFrame(columns=["task", "method", "metric", "n"])
    table = pd.concat(tables, ignore_index=True)
    table["informative"] = _informative(table)
    table.loc[(table["informative"] == "no") & (table["silent"] == ""), "silent"] = "uninformative"
    table["alike"], table["vote"] = _votes(rows, table)
    families = {name: i for i, name in enumerate(FAMILY_ORDER)}
    order = table["metric_family"].map(families).fillna(len(families))
    table = table.assign(_order=order, _rank=table["rank"].fillna(np.inf))
    table = table.sort_values(["task", "_order", "metric", "_rank", "method"], kind="stable")
    return table.drop(columns=["_order", "_rank", "least_p"]).reset_index(drop=True)


def wide_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per task and method: rank, its interval, the mean of each metric, complete methods first."""
    return boards(rows, long_table(rows))


def boards(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """`wide_table`, from the rows and their long table."""
    tables = [_board(part, long[long["task"] == task]) for (task,), part in _groups(rows, ["task"])]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["task", "method", "n", "rank"])


def metric_table(long: pd.DataFrame) -> pd.DataFrame:
    """One row per task and metric: what it is worth there, and its vote in the mean rank."""
    columns = ["task", "metric", "metric_id", "metric_family", "label", "higher_is_better", "conformance"]
    columns += ["informative", "beats_random", "p_informative", "silent", "vote", "alike", "friedman", "n_top_two"]
    found = long[columns] if len(long) else pd.DataFrame(columns=columns)
    return found.drop_duplicates(["task", "metric"]).reset_index(drop=True)


def _informative(long: pd.DataFrame) -> pd.Series:
    """For each line whether its metric tells half of the methods from the random control on its task: yes, no, or nothing.

    Asked of the metrics that would have a vote, and where the samples allow a yes at all: p is never below 2^-n.
    """
    found = pd.Series("", index=long.index)
    asked = long[long["metric_family"].isin(RANKING_FAMILIES) & (long["silent"] == "") & long["p_informative"].notna()]
    for _, lines in asked.groupby("task"):
        of_metric = lines.groupby("metric")[["p_informative", "least_p", "beats_random"]].first()
        possible = of_metric["least_p"] * len(of_metric) < 1 - stats.LEVEL
        sure = stats.holm(of_metric["p_informative"].to_numpy()) < 1 - stats.LEVEL
        told = pd.Series(np.where(sure & (of_metric["beats_random"] >= ENOUGH), "yes", "no"), index=of_metric.index)
        found[lines.index] = lines["metric"].map(told.where(possible, ""))
    return found


def _votes(rows: pd.DataFrame, long: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """For each line's metric the first of those that are alike, itself included, and its weight in the task's mean rank.

    The weight is 0 without a say, 1 alone, 1/m as one of m that are alike.
    """
    scored = long.groupby(["task", "metric"])["n"].transform("max") > 0
    say = long["metric_family"].isin(RANKING_FAMILIES) & (long["silent"] == "") & scored
    alike, votes = long["metric"].copy(), say.astype(float)
    for task, lines in long[say].groupby("task"):
        own = rows[rows["task"] == task]
        scores = {name: _oriented(own[own["metric"] == name]) for name in lines["metric"].unique()}
        methods, samples = sorted(set(lines["method"])), sorted(set(own["sample_id"]))
        if len(samples) < FEWEST:
            continue
        cube = np.stack([one.reindex(index=samples, columns=methods).to_numpy() for one in scores.values()])
        group = pd.Series(stats.alike(cube, ALIKE), index=list(scores))
        first = pd.Series(group.index, index=group.index).groupby(group).transform("first")
        alike[lines.index] = lines["metric"].map(first)
        votes[lines.index] = lines["metric"].map(1 / group.map(group.value_counts()))
    return alike, votes


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Every row without a score, grouped by reason, with the number of samples it holds for."""
    without = rows[rows["status"] != "ok"]
    keys = ["task", "method", "metric", "status", "note"]
    return (
        without.groupby(keys, sort=True, observed=True)
        .size()
        .rename("n")
        .reset_index()
        .astype(dict.fromkeys(keys, object))
    )


def mean_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean curve and its interval per task, metric and method, over the share of features perturbed."""
    found = []
    with_curve = rows[(rows["status"] == "ok") & rows["curve"].notna()]
    for (task, metric, method), part in _groups(with_curve, ["task", "metric", "method"]):
        curves = _of_samples(part)
        features = int(part["features"].iloc[0])
        low, high = _ends(curves)
        facts = part.iloc[0][["label", "higher_is_better", "method_family"]].to_dict()
        points = {"share": even_counts(curves.shape[1] - 1, features).numpy() / features, "p": curves.mean(0)}
        found.append(
            pd.DataFrame(
                {"task": task, "metric": metric, "method": method} | facts | points | {"low": low, "high": high}
            )
        )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=CURVE_COLUMNS)


def _of_samples(rows: pd.DataFrame) -> np.ndarray:
    """Curves, one per sample, seeds averaged: (n, points)."""
    curves, (sample, samples) = np.stack(rows["curve"].to_list()).astype(float), pd.factorize(rows["sample_id"])
    total = np.zeros((len(samples), curves.shape[1]))
    np.add.at(total, sample, curves)
    return total / np.bincount(sample)[:, None]


def _metric_table(rows: pd.DataFrame, verdicts: Mapping[str, str]) -> pd.DataFrame:
    """All methods on one metric of one task. Costs are measurements of the machine: they get no interval, rank or group."""
    methods = sorted(rows["method"].unique())
    scores = scores_of(rows).reindex(columns=methods).dropna(how="all")
    first, by_method = rows.iloc[0], rows.groupby("method", observed=True)
    statuses = {name: _status(own) for name, own in by_method["status"]}
    n, verdict = scores.notna().sum(), verdicts.get(first["metric_id"], "")
    table = pd.DataFrame(
        {
            "task": first["task"],
            "method": methods,
            "method_id": by_method["method_id"].first()[methods].to_numpy(),
            "method_family": by_method["method_family"].first()[methods].to_numpy(),
            "metric": first["metric"],
            "metric_id": first["metric_id"],
            "metric_family": first["metric_family"],
            "label": first["label"],
            "higher_is_better": bool(first["higher_is_better"]),
            "n": n.to_numpy(),
            "mean": scores.mean().to_numpy(),
            "low": np.nan,
            "high": np.nan,
            "rank": np.nan,
            "group": "",
            "p_best": np.nan,
            "p_random": np.nan,
            "superiority": np.nan,
            "status": [statuses[name] for name in methods],
            "skill": np.nan,
            "skill_low": np.nan,
            "skill_high": np.nan,
            "conformance": verdict,
            "informative": "",
            "silent": verdict if verdict in SILENT else "",
            "beats_random": np.nan,
            "p_informative": np.nan,
            "least_p": np.nan,
            "friedman": np.nan,
            "n_top_two": np.nan,
        }
    ).set_index("method", drop=False)
    if len(scores) and first["metric_family"] != "cost":
        table["low"], table["high"] = _ends(scores.to_numpy())
        asked = pd.DataFrame(stats.settled(scores.to_numpy()), index=scores.index, columns=scores.columns)
        _judge(table, asked)
        if RANDOM in scores and scores[RANDOM].notna().any():
            _against_random(table, asked)
            if table["silent"].iloc[0] in ("", "surpassed") and _blank(rows, scores):
                table["silent"] = "blank"
    return table


def _blank(rows: pd.DataFrame, scores: pd.DataFrame) -> bool:
    """Is the random control undefined (and not merely yet to be run) on a sample that others are scored on?"""
    own = rows[(rows["method"] == RANDOM) & (rows["status"] == "undefined")]
    return bool(scores.loc[scores.index.isin(own["sample_id"]), RANDOM].isna().any())


def _judge(table: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Fills in rank, group and tests of the methods that have all the scores."""
    full = table.index[table["n"] == len(scores)]
    higher = bool(table["higher_is_better"].iloc[0])
    rank = pd.Series(stats.ranks(scores[full].mean().to_numpy(), higher_is_better=higher), index=full)
    best_first = rank.sort_values(kind="stable").index
    p = stats.pairwise(scores[best_first].to_numpy())
    table.loc[full, "rank"] = rank
    table.loc[best_first, "group"] = stats.letters(p < 1 - stats.LEVEL)
    if len(full) > 1:
        table.loc[best_first[1:], "p_best"] = p[0, 1:]
        gap = (scores[best_first[0]] - scores[best_first[1]]).to_numpy()
        table["friedman"] = stats.friedman(scores[full].to_numpy())
        table["n_top_two"] = stats.samples_needed(gap, tests=_pairs(len(full)))


def _pairs(methods: int) -> int:
    """How many tests tell them apart."""
    return max(1, methods * (methods - 1) // 2)


def _against_random(table: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Fills in skill, and whether the metric tells methods from the random control."""
    values = scores if table["higher_is_better"].iloc[0] else -scores
    truth = ORACLE in values and table["metric_family"].iloc[0] == "localisation"
    gaps = values.sub(values[RANDOM], axis=0)
    table["skill"], table["skill_low"], table["skill_high"] = _skill(values, values[ORACLE] if truth else None)
    table["p_random"] = stats.against(values.to_numpy(), values.columns.get_loc(RANDOM))  # type: ignore[arg-type]
    table["superiority"] = stats.superiority(gaps.to_numpy())
    others = [name for name in gaps if name != RANDOM and table.loc[name, "method_family"] != CONTROLS]
    explain = [name for name in others if gaps[name].notna().sum() > 1]
    if explain:
        own = gaps[explain].to_numpy()
        beaten = stats.superiority(own.T)  # share of the methods that are better, on each sample
        table["beats_random"] = (stats.better(own) < 1 - stats.LEVEL).mean()
        table["p_informative"] = stats.better(beaten[:, None] - 0.5)[0]
        table["least_p"] = 2.0 ** -(~np.isnan(beaten)).sum()
    if truth and not table["silent"].iloc[0] and _surpassed(values):
        table["silent"] = "surpassed"


def _skill(values: pd.DataFrame, truth: pd.Series | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Skill of each method and the ends of its interval; higher values are better: (n, M) -> three of (M,).

    The unit, what the truth gains or the spread of the scores, is resampled with the gain. Intervals are reflected (the basic
    bootstrap): resampled units are too small on average, and plain percentiles of a skill of 4 on 24 samples hold it in 91
    cases of 100.
    """
    own, place = values.to_numpy(), values.columns.get_loc(RANDOM)
    control = np.where(np.isnan(own), np.nan, values[[RANDOM]].to_numpy())  # on the samples that the method has
    n = (~np.isnan(own + control)).sum(0)
    gain = own - control
    gain[:, place] = own[:, place] - np.nanmean(own[:, place])  # how the control's own mean varies

    def skill(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        if truth is not None:
            unit = of(truth.to_numpy()[:, None] - control)
        else:
            unit = np.sqrt((_variance(own, n, of) + _variance(control, n, of)) / 2)  # Cohen's d
        return of(gain) / np.where(unit > 0, unit, np.nan)

    found, few = skill(_means), truth is None and n < stats.FEW  # resamples of so few may hardly vary
    found[place] = 0.0 if n[place] else np.nan
    low, high = stats.interval(skill(stats.bootstrap_means), np.where(few, 0, n))
    return found, 2 * found - high, 2 * found - low


def _means(values: np.ndarray) -> np.ndarray:
    """Over the samples that are known, NaN where none is: (n, M) -> (M,)."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(0) / known.sum(0))


def _variance(values: np.ndarray, n: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Unbiased variances of the columns, from what `of` makes of their means."""
    centred = values - _means(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.maximum(of(centred**2) - of(centred) ** 2, 0.0) * (n / (n - 1))


def _surpassed(values: pd.DataFrame) -> bool:
    """Does a map beat the truth, on average over the samples that both have? Higher is better."""
    above = values.sub(values[ORACLE], axis=0).mean()
    return bool((above > BEYOND * abs(values[ORACLE].mean())).any())


def _board(rows: pd.DataFrame, long: pd.DataFrame) -> pd.DataFrame:
    """The wide leaderboard of one task."""
    metrics = list(dict.fromkeys(long["metric"]))
    voting, complete = _placed(long)
    means = long.pivot(index="method", columns="metric", values="mean")[metrics]
    votes = long.drop_duplicates("metric").set_index("metric")["vote"]
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
    for task, own in long[long["vote"] > 0].groupby("task", sort=True):
        names, methods = _placed(own)
        if len(methods) < 2:
            continue
        facts = own.drop_duplicates("metric").set_index("metric").loc[names]
        weight = facts["vote"] / facts.groupby("metric_family")["vote"].transform("sum")
        wins = sum(weight[name] * _wins(rows, str(task), name, methods) for name in facts.index) / weight.sum()
        table = pd.DataFrame(wins, index=pd.Index(methods, name="method"), columns=pd.Index(methods, name="other"))
        table = table.where(~np.eye(len(methods), dtype=bool)).stack().dropna().rename("wins").reset_index()
        found.append(table.assign(task=task)[WIN_COLUMNS])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=WIN_COLUMNS)


def _placed(long: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The metrics with a vote that rank any method, and the methods that all of these rank, of one task."""
    ranks = long[long["vote"] > 0].pivot(index="method", columns="metric", values="rank").dropna(axis=1, how="all")
    return list(ranks), sorted(ranks.index[ranks.notna().all(axis=1)]) if len(ranks.columns) else []


def _wins(rows: pd.DataFrame, task: str, metric: str, methods: list[str]) -> np.ndarray:
    """Share of the samples on which each method (row) is better than each other (column) by one metric: (M, M)."""
    own = rows[(rows["task"] == task) & (rows["metric"] == metric) & rows["method"].isin(methods)]
    scores = _oriented(own)[methods].dropna().to_numpy()
    return np.stack([stats.superiority(scores[:, [place]] - scores) for place in range(len(methods))])


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
        name: stats.ranks(
            _oriented(rows[rows["metric"] == name]).reindex(index=samples, columns=methods).to_numpy(),
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
    rank = pd.Series(stats.ranks(mean, higher_is_better=False), index=methods)
    order = np.argsort(rank.to_numpy(), kind="stable")
    differ = stats.different(places[:, order])
    group = pd.Series(stats.letters(differ), index=rank.index[order])
    low, high = np.full((2, len(methods)), np.nan)
    if len(places) > 1:
        low[order], high[order] = stats.rank_interval(mean[order], differ)
    tests = _pairs(len(methods))
    to_first = [stats.samples_needed(gap, tests=tests) for gap in (places - places[:, [order[0]]]).T]
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
    low, high = _ends(known)
    return _rounded(known.mean(0)), _rounded(low), _rounded(high)


def _rounded(means: np.ndarray) -> np.ndarray:
    """Mean ranks that differ by rounding alone are ties: copies of a method have no order."""
    return np.round(means, 9)


def _ends(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of the columns' means, each over the samples that it has: (n, M) -> (M,), (M,)."""
    return stats.interval(stats.bootstrap_means(scores), (~np.isnan(scores)).sum(0))


def scores_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Samples x methods, seeds averaged; NaN where there is no score."""
    (sample, samples), (method, methods) = (pd.factorize(rows[key], sort=True) for key in ("sample_id", "method"))
    shape = len(samples), len(methods)
    score = rows["score"].to_numpy(float)
    known = ~np.isnan(score)
    place = np.ravel_multi_index((sample[known], method[known]), shape)
    count, total = (np.bincount(place, weights, minlength=shape[0] * shape[1]) for weights in (None, score[known]))
    with np.errstate(invalid="ignore"):
        means = (total / count).reshape(shape)
    index, columns = (pd.Index(np.asarray(names, dtype=object)) for names in (samples, methods))
    return pd.DataFrame(means, index=index, columns=columns)


def _oriented(rows: pd.DataFrame) -> pd.DataFrame:
    """`scores_of` one metric, turned so that higher is better; what differs by rounding alone is equal."""
    scores = scores_of(rows) * (1 if rows["higher_is_better"].iloc[0] else -1)
    return pd.DataFrame(stats.settled(scores.to_numpy()), index=scores.index, columns=scores.columns)


def _status(statuses: pd.Series) -> str:
    """`ok`, or how many samples have which other status."""
    counts = sorted(Counter(statuses).items())
    others = [f"{name} {n}" for name, n in counts if name != "ok"]
    return "ok" if not others else f"{', '.join(others)} of {len(statuses)}"


def _groups(rows: pd.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[str, ...], pd.DataFrame]]:
    return rows.groupby(keys, sort=True, observed=True)  # type: ignore[return-value]
