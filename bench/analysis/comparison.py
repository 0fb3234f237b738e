"""Two results folders, before and after: what changed for each task, method and metric. Tables in, tables out.

Scores are compared on the samples that both folders scored, with the same input. What changed by rounding alone is `same`
and is not tested; the others get paired tests, Holm-corrected over all that changed: `better`, `worse`, or `unclear`. A method
that was run again and has no score where it had one has `lost` it, and so has one that is gone from a task, or whose task
is gone. Costs measure a machine and are not judged: `cost`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from bench.analysis import inference
from bench.analysis.score_matrix import scores_of
from bench.core.vocabulary import BETTER, COST, LEVEL, WORSE, Column

EVERYTHING = "(all)"  # in place of a metric, where a method is gone
LOST, SAME, UNCLEAR = "lost", "same", "unclear"
ORDER = (WORSE, LOST, BETTER, UNCLEAR, COST, SAME)
COLUMNS = (
    *("task", "method", "metric", "metric_family", "label", "higher_is_better"),
    *(Column.N_SAMPLES, "before", "after"),
    *("difference", Column.DIFFERENCE_LOW, Column.DIFFERENCE_HIGH, "p", Column.N_LOST, "verdict"),
)


def of_task(
    before: pd.DataFrame, after: pd.DataFrame, *, methods: Sequence[str] = ("*",), metrics: Sequence[str] = ("*",)
) -> pd.DataFrame:
    """One row per method and metric that both folders hold of a task, not yet judged. Names may have wildcards."""
    before, after = (rows[_named(rows["metric"], metrics)] for rows in (before, after))
    changed, found = others(before, after), [_gone(before[_named(before["method"], methods)], after)]
    for metric, old in before.groupby("metric", sort=True, observed=True):
        rounding = inference.rounding(old["score"].to_numpy(float))
        old, new = (rows[_named(rows["method"], methods)] for rows in (old, after[after["metric"] == metric]))
        if metric not in changed and set(old["method"]) & set(new["method"]):
            found.append(_metric(old, new, rounding))
    found = [part for part in found if len(part)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)


def _gone(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """A row for each method that had scores and was not run again."""
    lost = before[(before["status"] == "ok") & ~before["method"].isin(after["method"].unique())]
    samples = lost.groupby("method", sort=True, observed=True)["sample_id"].nunique()
    facts = {"metric": EVERYTHING, "metric_family": "", "label": "", "higher_is_better": True, "verdict": LOST}
    numbers = dict.fromkeys(
        ("before", "after", "difference", Column.DIFFERENCE_LOW, Column.DIFFERENCE_HIGH, "p"), np.nan
    )
    counts = {Column.N_SAMPLES: 0, Column.N_LOST: samples.to_numpy()}
    task = before["task"].iloc[0] if len(before) else ""
    return pd.DataFrame({"task": task, "method": list(samples.index)} | counts | facts | numbers)


def others(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Metrics of one name and different ids (another version): their scores are not compared."""
    ids = [rows.groupby("metric", observed=True)["metric_id"].first() for rows in (before, after)]
    both = ids[0].index.intersection(ids[1].index)
    return [str(name) for name in both if ids[0][name] != ids[1][name]]


def judged(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The tables of all tasks as one, with verdicts; worst first.

    `difference` is after less before, with its 95 % interval over samples; `p` is Holm-corrected, NaN without a test.
    """
    found = [part for part in parts if len(part)]
    if not found:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(found, ignore_index=True)
    table["p"] = inference.holm(table["p"].to_numpy(float))
    significant = (table["p"] < 1 - LEVEL).to_numpy(bool)
    gains = ((table["difference"] > 0) == table["higher_is_better"]).to_numpy(bool)
    table.loc[significant, "verdict"] = np.where(gains, BETTER, WORSE)[significant]
    table.loc[(table[Column.N_LOST] > 0) & (table["verdict"] != WORSE), "verdict"] = LOST
    table = table.assign(_order=table["verdict"].map(ORDER.index))
    keys = ["_order", "task", "method", "metric"]
    return table.sort_values(keys, kind="stable").reset_index(drop=True)[list(COLUMNS)]


def _named(names: pd.Series, patterns: Sequence[str]) -> pd.Series:
    """Which names match a pattern, or are one (a name may hold brackets, which patterns read otherwise)."""
    chosen = {name for name in names.unique() for one in patterns if name == one or fnmatchcase(name, one)}
    return names.isin(chosen)


def too_few(table: pd.DataFrame) -> list[str]:
    """The tasks whose samples are so few that no change could be significant among so many tests."""
    tests = table[table["p"].notna()]
    most = tests.groupby("task", sort=True)[Column.N_SAMPLES].max().astype(float)
    return list(most.index[len(tests) * 2.0 ** (1 - most) >= 1 - LEVEL])


def regressed(table: pd.DataFrame) -> bool:
    """Whether a method became significantly worse by any metric, or lost scores."""
    return bool(table["verdict"].isin([WORSE, LOST]).any())


def _metric(before: pd.DataFrame, after: pd.DataFrame, rounding: float) -> pd.DataFrame:
    """All methods on one metric of one task; p not yet corrected. What changes by less than `rounding` has not."""
    methods = sorted(set(before["method"]) & set(after["method"]))
    before, after = (rows[rows["method"].isin(methods)] for rows in (before, after))
    old, new, asked = (_by_input(rows, methods) for rows in (before, after, after.assign(score=1.0)))
    met = old.index.intersection(asked.index, sort=True)  # the same input of the same sample
    old, new, asked = old.loc[met], new.reindex(met), asked.loc[met]
    gaps = new - old
    first = before.iloc[0]
    counts = gaps.notna().sum()
    low, high = (
        inference.interval(inference.bootstrap_means(gaps.to_numpy()), counts.to_numpy())
        if len(gaps)
        else (np.nan,) * 2
    )
    table = pd.DataFrame(
        {
            **{name: first[name] for name in ("task", "metric", "metric_family", "label", "higher_is_better")},
            "method": methods,
            Column.N_SAMPLES: counts.to_numpy(),
            "before": old.where(gaps.notna()).mean().to_numpy(),
            "after": new.where(gaps.notna()).mean().to_numpy(),
            "difference": gaps.mean().to_numpy(),
            Column.DIFFERENCE_LOW: low,
            Column.DIFFERENCE_HIGH: high,
            Column.N_LOST: (old.notna() & new.isna() & asked.notna()).sum().to_numpy(),
        }
    )
    moved = (gaps.abs() > rounding).any().to_numpy()
    judged = first["metric_family"] != COST
    table["p"] = np.where(moved & judged, inference.paired_p(gaps.to_numpy()), np.nan)
    table["verdict"] = np.where(moved, UNCLEAR, SAME) if judged else COST
    table = table if judged else table.assign(**{Column.N_LOST: 0})
    return table[(table[Column.N_SAMPLES] > 0) | (table[Column.N_LOST] > 0)]  # others have no input in common


def _by_input(rows: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Inputs x methods, seeds averaged; NaN where there is no score."""
    named = rows.assign(sample_id=rows["sample_id"].astype(str) + "\0" + rows["sample_digest"].astype(str))
    return scores_of(named).reindex(columns=methods)
