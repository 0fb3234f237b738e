"""Which differences between methods survive a change of settings? Scores of a sweep in, tables and sentences out.

A method is ranked when it has a score wherever any method has one. A setting under which no sample has a score is left out
(for example, logits that are not positive have no percentage). A tie does not count as the same sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from bench.analysis import inference
from bench.core.vocabulary import RANDOM, Column
from bench.engine.settings import Setting
from bench.engine.sweep import SweepPlan

ALL = "all"  # metric of the rows over all settings; they are compared with the default setting of the first metric
CONTROL = RANDOM


@dataclass(frozen=True)
class Sweep:
    """Scores of all methods on all samples under all settings."""

    task: str
    settings: tuple[Setting, ...]  # S
    methods: tuple[str, ...]  # M
    scores: np.ndarray  # (S, N, M) NaN where there is none
    notes: Mapping[str, str] = field(default_factory=dict)  # method -> why scores are missing


@dataclass(frozen=True)
class Ranking:
    """Means and ranks of the methods that are ranked."""

    settings: tuple[Setting, ...]  # S
    methods: tuple[str, ...]  # M
    scores: np.ndarray  # (S, N, M)
    gain: np.ndarray  # (S, M) means, turned so that higher is better
    ranks: np.ndarray  # (S, M) 1 is best

    def groups(self) -> Iterator[tuple[str, np.ndarray, int]]:
        """ALL and each metric: name, indices of its settings, index of its default setting."""
        default = [place for place, setting in enumerate(self.settings) if setting.default and self.methods]
        if default:
            yield ALL, np.arange(len(self.settings)), default[0]
        for place in default:
            name = self.settings[place].name
            yield name, np.array([i for i, setting in enumerate(self.settings) if setting.name == name]), place


def collect(sweep: SweepPlan, rows: pd.DataFrame) -> Sweep:
    """The scores of a sweep from rows of the store, samples in the order asked for."""
    settings = {setting.metric.id: index for index, setting in enumerate(sweep.settings)}
    samples = {name: index for index, name in enumerate(sweep.sample_ids)}
    methods = {method.id: index for index, method in enumerate(sweep.plan.methods)}
    rows = rows.astype(dict.fromkeys(("metric_id", "sample_id", "method_id", "status", "note"), object))
    rows = rows[rows["metric_id"].isin(settings) & rows["sample_id"].isin(samples) & rows["method_id"].isin(methods)]
    scores = np.full((len(settings), len(samples), len(methods)), np.nan)
    places = [
        rows[name].map(index).to_numpy(int)
        for name, index in (("metric_id", settings), ("sample_id", samples), ("method_id", methods))
    ]
    scores[tuple(places)] = rows["score"].to_numpy(float)
    notes = {}
    for method in sweep.plan.methods:
        without = rows[(rows["method_id"] == method.id) & (rows["status"] != "ok")]
        if len(without):
            first = without.loc[without["metric_id"].map(settings).sort_values(kind="stable").index[0]]
            notes[method.name] = f"{first['note']} ({without['sample_id'].nunique()} of {len(samples)} samples)"
    names = tuple(method.name for method in sweep.plan.methods)
    return Sweep(sweep.task.name, sweep.settings, names, scores, notes)


def ranking(sweep: Sweep) -> Ranking:
    """Means and ranks of the methods that have all scores, under the settings that have any."""
    complete, usable = _complete(sweep), _counts(sweep) > 0
    scores = sweep.scores[usable][:, :, complete]
    settings = tuple(setting for setting, has in zip(sweep.settings, usable, strict=True) if has)
    turn = np.array([1.0 if setting.metric.higher_is_better else -1.0 for setting in settings])
    gain = np.nanmean(scores, axis=1) * turn[:, None] if scores.size else np.empty((len(settings), complete.sum()))
    methods = tuple(name for name, has in zip(sweep.methods, complete, strict=True) if has)
    return Ranking(settings, methods, scores, gain, inference.ranks(gain, higher_is_better=True))


def settings_table(sweep: Sweep) -> pd.DataFrame:
    """One row per setting and method: n, mean and rank; no rank for a method that lacks scores."""
    ranked, tables = ranking(sweep), []
    ranks = {
        setting.metric.id: dict(zip(ranked.methods, row, strict=True))
        for setting, row in zip(ranked.settings, ranked.ranks, strict=True)
    }
    for setting, scores in zip(sweep.settings, sweep.scores, strict=True):
        n = (~np.isnan(scores)).sum(0)
        mean = np.where(n > 0, np.nansum(scores, axis=0) / np.maximum(n, 1), np.nan)
        rank = [ranks.get(setting.metric.id, {}).get(name, np.nan) for name in sweep.methods]
        columns = {"task": sweep.task, **setting.levels, "default": setting.default}
        tables.append(pd.DataFrame(columns | {"method": sweep.methods, "n": n, "mean": mean, "rank": rank}))
    return pd.concat(tables, ignore_index=True)


def wins_table(sweep: Sweep) -> pd.DataFrame:
    """Per metric and method: share of settings in which it is best (ties share) and better than the random control."""
    ranked, tables = ranking(sweep), []
    for metric, places, _ in ranked.groups():
        gain, ranks = ranked.gain[places], ranked.ranks[places]
        best = gain == gain.max(axis=1, keepdims=True)
        columns = {
            "task": sweep.task,
            "metric": metric,
            "method": ranked.methods,
            "settings": len(places),
            "wins": (best / best.sum(axis=1, keepdims=True)).mean(0),
            "beats_random": _beats_control(ranked, places),
            Column.MEAN_RANK: ranks.mean(0),
            "best_rank": ranks.min(0),
            "worst_rank": ranks.max(0),
        }
        tables.append(pd.DataFrame(columns).sort_values([Column.MEAN_RANK, "method"], kind="stable"))
    return _joined(tables, ["task", "metric", "method", "settings", "wins", "beats_random", Column.MEAN_RANK])


def tau_table(sweep: Sweep) -> pd.DataFrame:
    """Per setting: Kendall's tau-b of its means with those of the sweep's default, and of its own metric's default."""
    ranked, rows = ranking(sweep), []
    defaults = {metric: place for metric, _, place in ranked.groups()}
    for place, setting in enumerate(ranked.settings):
        tau, tau_own_metric = (
            _tau(ranked.gain[place], ranked.gain[defaults[name]]) if name in defaults else np.nan
            for name in (ALL, setting.name)
        )
        columns = {"task": sweep.task, **setting.levels, "default": setting.default}
        rows.append(columns | {"methods": len(ranked.methods), "tau": tau, "tau_own_metric": tau_own_metric})
    names = ["task", "metric", "k", "baseline", "output", "features", "default", "methods", "tau", "tau_own_metric"]
    return pd.DataFrame(rows, columns=names)


def factors_table(sweep: Sweep) -> pd.DataFrame:
    """Per level of each factor: tau of the ranking before and after that alone is changed from the default to the level.

    Over all settings of the other factors. A metric is compared with the first, whose own k stands for any k.
    """
    ranked, rows = ranking(sweep), []
    places = {_levels(setting): place for place, setting in enumerate(ranked.settings)}
    defaults = {name: ranked.settings[place] for name, _, place in ranked.groups()}
    for factor in ("baseline", "output", "features", "k", "metric") if defaults else ():
        for place, setting in enumerate(ranked.settings):
            usual = dict(_levels(defaults[ALL] if factor == "metric" else defaults[setting.name]))
            changed = {factor, "k"} if factor == "metric" else {factor}
            before = tuple((name, usual[name] if name in changed else level) for name, level in _levels(setting))
            level = dict(_levels(setting))[factor]
            if before in places and level != usual[factor]:
                tau = _tau(ranked.gain[place], ranked.gain[places[before]])
                rows.append({"factor": factor, "level": str(level), "tau": tau})
    table = pd.DataFrame(rows, columns=["factor", "level", "tau"]).dropna()
    groups = table.astype({"tau": float}).groupby(["factor", "level"], sort=False)["tau"]
    return groups.agg(settings="size", low="min", median="median", high="max").reset_index()


def _levels(setting: Setting) -> tuple[tuple[str, object], ...]:
    """The level of each factor; None for a metric without k."""
    k = None if np.isnan(setting.k) else setting.k
    return tuple((setting.levels | {"k": k}).items())


def survive_table(sweep: Sweep) -> pd.DataFrame:
    """Per metric and pair of methods: in what share of settings the one that is better at the default stays better.

    `significant` and `reversed`: shares of settings in which the difference is significant, in the default's and in the
    other direction (paired tests, Holm-corrected over the pairs of a setting).
    """
    ranked, tables = ranking(sweep), []
    known = [scores[~np.isnan(scores).all(axis=1)] for scores in ranked.scores]
    differ = [inference.different(scores) for scores in known]
    left, right = np.triu_indices(len(ranked.methods), 1)
    for metric, places, default in ranked.groups():
        turned = ranked.gain[default, left] < ranked.gain[default, right]
        a, b = np.where(turned, right, left), np.where(turned, left, right)
        gap = ranked.gain[places][:, a] - ranked.gain[places][:, b]
        clear = np.stack([differ[place][a, b] for place in places])
        columns = {
            "task": sweep.task,
            "metric": metric,
            "better": [ranked.methods[i] for i in a],
            "worse": [ranked.methods[i] for i in b],
            "settings": len(places),
            "significant_at_default": differ[default][a, b],
            "share": (gap > 0).mean(0),
            "same_sign": (gap > 0).all(0),
            "significant": (clear & (gap > 0)).mean(0),
            "reversed": (clear & (gap < 0)).mean(0),
        }
        tables.append(pd.DataFrame(columns))
    return _joined(tables, ["task", "metric", "better", "worse", "settings", "significant_at_default", "same_sign"])


def statement(sweep: Sweep) -> list[str]:
    """What survives, in sentences."""
    ranked, told = ranking(sweep), []
    survive = survive_table(sweep)
    for metric, places, default in ranked.groups():
        pairs = survive[survive["metric"] == metric]
        clear = pairs[pairs["significant_at_default"]]
        setting = ranked.settings[default]
        at = [setting.metric.name] if metric == ALL else [f"k={setting.k:g}"] if setting.k == setting.k else []
        where = ", ".join([*at, setting.baseline, setting.output, setting.features])
        told.append(
            f"{metric}: of {len(pairs)} pairs of methods, {len(clear)} differ significantly at the default ({where}); "
            f"{clear['same_sign'].sum()} of these keep their sign in all {len(places)} settings, "
            f"{(clear['reversed'] > 0).sum()} are significantly the other way round in some"
        )
    wins = wins_table(sweep)
    wins = wins[wins["metric"] == ALL]
    if CONTROL in ranked.methods and len(wins):
        always = wins.loc[wins["beats_random"] == 1, "method"]
        told.append(f"better than {CONTROL} in all {len(ranked.settings)} settings: {', '.join(always) or 'no method'}")
    if len(wins):
        most = wins[wins["wins"] > 0].sort_values("wins", ascending=False, kind="stable").head(5)
        told.append("best most often: " + ", ".join(f"{row.method} ({row.wins:.0%})" for row in most.itertuples()))
    for name in sorted(set(sweep.methods) - set(ranked.methods)):
        told.append(f"not ranked: {name}: {sweep.notes.get(name, 'no score')}")
    unused = len(sweep.settings) - len(ranked.settings)
    if unused:
        told.append(f"{unused} settings have no score at all and count nowhere")
    return told


def tables(sweep: Sweep) -> dict[str, pd.DataFrame]:
    """File name -> table."""
    return {
        "settings": settings_table(sweep),
        "wins": wins_table(sweep),
        "tau": tau_table(sweep),
        "factors": factors_table(sweep),
        "survive": survive_table(sweep),
    }


def _complete(sweep: Sweep) -> np.ndarray:
    """Which methods have a score wherever any method has one, and one at all: (M,) bool."""
    known = ~np.isnan(sweep.scores)
    return (known | ~known.any(axis=2, keepdims=True)).all(axis=(0, 1)) & known.any(axis=(0, 1))


def _counts(sweep: Sweep) -> np.ndarray:
    """Samples that any method has a score of: (S,)."""
    return (~np.isnan(sweep.scores)).any(axis=2).sum(axis=1)


def _beats_control(ranked: Ranking, places: np.ndarray) -> np.ndarray:
    """Share of settings in which each method's mean is better than that of the random control; NaN without one: (M,)."""
    if CONTROL not in ranked.methods:
        return np.full(len(ranked.methods), np.nan)
    gain = ranked.gain[places]
    return (gain > gain[:, [ranked.methods.index(CONTROL)]]).mean(0)


def _tau(one: np.ndarray, other: np.ndarray) -> float:
    """Kendall's tau-b; NaN where either does not vary."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(kendalltau(one, other).statistic)


def _joined(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
