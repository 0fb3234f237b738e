"""Checks metrics on closed-form problems, where the exact attribution is known.

A metric has to order maps as its family demands (LADDERS), in its stated direction, for every shape of input that it
accepts. A sample's score must not depend on the batch size, on the other samples, on their order, or on the device. A metric
that fails keeps its column in the leaderboards, is marked, and takes no part in ranks.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from bench.core.entries import Entry, Metric
from bench.engine.explain import Attributions, explain_all
from bench.engine.score import Scores, score
from bench.network.device import place
from bench.perturbation.probe import Probe
from bench.validation.closed_form import CONTROLS, SHAPES, problem
from bench.validation.ladders import COLUMNS, LADDERS, LENIENT, STEPS, step_column

LEVEL = 0.01  # of the sign test of each step; a sound metric is at 1e-6 and less
SAME = 1e-3  # of the scores' standard deviation: float32 probabilities, added in another order, differ by 1e-5
# What must not matter to a sample's score -> in how many parts it is tried; the last: three samples, each alone.
TRIALS = {"the batch size": 1, "the order of the samples": 1, "the other samples": 3}
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "times_10": lambda maps: 10 * maps,
    "plus_1": lambda maps: maps + 1,
    "absolute": torch.Tensor.abs,
}


@dataclass
class Verdict:
    """The outcome of the checks of one metric."""

    metric: Metric
    faults: list[str] = field(default_factory=list)
    uses_sign: str = ""  # "yes" or "no", where the ladder ends in the negated map
    input_shapes: list[str] = field(default_factory=list)
    superiority: dict[tuple[str, str], float] = field(default_factory=dict)
    batch: float = np.nan  # greatest difference between TRIALS, in standard deviations of the scores
    changes: dict[str, float] = field(default_factory=dict)  # CHANGES -> greatest difference, in the same unit
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.faults

    def row(self) -> dict[Any, Any]:
        """One line of the table (COLUMNS)."""
        steps = {step_column(*step): self.superiority.get(step, np.nan) for step in STEPS}
        start: dict[Any, Any] = {
            "metric": self.metric.name,
            "metric_id": self.metric.id,
            "family": self.metric.family,
            "verdict": ("pass" if self.input_shapes else "untested") if self.passed else "fail",
            "failure_reasons": "; ".join(self.faults),
            "uses_sign": self.uses_sign,
            "input_shapes": ", ".join(self.input_shapes),
        }
        return start | steps | {"batch": self.batch} | self.changes | {"seconds": self.seconds}


def judged(metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics of families that have a ladder. Costs have none: they are measurements."""
    return [metric for metric in metrics if metric.family in LADDERS]


def table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """One row per metric (COLUMNS)."""
    return pd.DataFrame([verdict.row() for verdict in verdicts], columns=COLUMNS)


def check(metric: Metric) -> Verdict:
    """Runs a metric on every closed-form problem of its family.

    A metric under another baseline than the problem's is not checked: the exact attributions are those of that baseline.
    """
    start = time.perf_counter()
    name = metric.name.split("[")[0].removeprefix("quantus_")
    ladder, kinds = LADDERS.get(name, LADDERS.get(metric.family, ((), ())))
    verdict = Verdict(metric)
    found: dict[str, dict[str, np.ndarray]] = {}  # shape -> rung -> scores of all kinds
    for shape in () if "baseline" in dict(metric.view) else SHAPES:
        runs = {rung: [_scores(metric, rung, kind, shape) for kind in kinds] for rung in ladder}
        statuses = [status for scores in runs.values() for one in scores for status in one.status]
        notes = [note for scores in runs.values() for one in scores for note in one.note]
        if set(statuses) == {"skipped"}:
            continue
        if "failed" in statuses:
            verdict.faults.append(f"fails on {shape}: {_shortened(notes[statuses.index('failed')])}")
            continue
        verdict.input_shapes.append(shape)
        found[shape] = {rung: np.concatenate([one.values for one in scores]) for rung, scores in runs.items()}
    _judge_order(verdict, ladder, found)
    for shape in found:
        _judge_batches(verdict, ladder, kinds, shape)
    verdict.seconds = time.perf_counter() - start
    return verdict


def _judge_order(verdict: Verdict, ladder: tuple[str, ...], found: dict[str, dict[str, np.ndarray]]) -> None:
    """Fills in superiority and sign, and the faults of the order."""
    steps = list(pairwise(ladder))
    if found and "negated" in ladder:
        blind = all(_same(of["exact"], of["negated"]) for of in found.values())
        verdict.uses_sign = "no" if blind else "yes"
        if blind:
            steps = [step for step in steps if "negated" not in step]
    orient = 1 if verdict.metric.higher_is_better else -1
    wrong: dict[str, list[str]] = {}
    for better, worse in steps:
        gaps = {shape: orient * (of[better] - of[worse]) for shape, of in found.items()}
        verdict.superiority[better, worse] = superiority(np.concatenate([*gaps.values(), []]))
        for shape, gap in gaps.items():
            more, less = int((gap > 0).sum()), int((gap < 0).sum())
            strict = (better, worse) != LENIENT
            right = stats.binomtest(more, more + less, alternative="greater").pvalue < LEVEL if more + less else False
            reversed_ = (
                stats.binomtest(less, more + less, alternative="greater").pvalue < LEVEL if more + less else False
            )
            if reversed_ or (strict and not right):
                wrong.setdefault(
                    f"{worse} is {'scored better' if reversed_ else 'not scored worse'} than {better}", []
                ).append(shape)
    flipped = steps and all(verdict.superiority[step] < 0.5 for step in steps)
    if wrong and flipped:
        flag = "higher" if verdict.metric.higher_is_better else "lower"
        verdict.faults.append(f"the scores run against the stated direction ({flag} is better)")
    verdict.faults += [f"{what} on {', '.join(shapes)}" for what, shapes in wrong.items()]


def superiority(gaps: np.ndarray) -> float:
    """Probability that the better of two maps is scored better; a tie counts half, NaN are left out. (N,)"""
    known = gaps[~np.isnan(gaps)]
    return float(((known > 0) + 0.5 * (known == 0)).mean()) if len(known) else np.nan


def _judge_batches(verdict: Verdict, ladder: tuple[str, ...], kinds: tuple[str, ...], shape: str) -> None:
    """Fills in how much scores change with the batch, the order, the device and the map, on one problem of a shape."""
    metric, kind, rung = verdict.metric, kinds[0], ladder[min(2, len(ladder) - 1)]
    expected = _scores(metric, rung, kind, shape).values
    for what in (*TRIALS, *(("the device",) if torch.cuda.is_available() else ())):
        asked = [_trial(rung, kind, shape, what, part) for part in range(TRIALS.get(what, 1))]
        found = np.concatenate(
            [score(metric, control, probe, maps, task=kind, seed=0).values for control, probe, maps in asked]
        )
        gap = _difference(
            found, expected[::-1] if what == "the order of the samples" else expected[: len(found)], expected
        )
        verdict.batch = float(np.fmax(verdict.batch, gap))
        if not gap <= SAME:
            verdict.faults.append(f"a sample's score depends on {what} on {shape}")
    for name in CHANGES:
        control, probe, maps = _trial(rung, kind, shape, name, 0)
        gap = _difference(score(metric, control, probe, maps, task=kind, seed=0).values, expected, expected)
        verdict.changes[name] = float(np.fmax(verdict.changes.get(name, np.nan), gap))


@cache
def _trial(rung: str, kind: str, shape: str, what: str, part: int) -> tuple[Entry, Probe, Attributions]:
    """A trial that must give the same scores (other batch size, reverse order, one sample alone), or one of CHANGES."""
    asked, control = problem(kind, shape), CONTROLS[rung]
    if what == "the batch size":
        asked = replace(asked, batch_size=5)
    elif what == "the order of the samples":
        asked = asked.take(list(reversed(range(len(asked)))))
    elif what == "the other samples":
        asked = asked.take([part])
    elif what == "the device":
        asked = place(asked, torch.device("cuda"))
    else:
        control = changed(control, CHANGES[what])
    probe = Probe(asked, names=(0, kind))
    return control, probe, explain_all(control, probe.problem, task=kind, seed=0)


def changed(control: Entry, change: Callable[[Tensor], Tensor]) -> Entry:
    """The control with its maps changed; its draws stay the same."""

    def fn(**offered: object) -> Tensor:
        return change(control.fn(**offered))

    fn.__signature__ = inspect.signature(control.fn)  # type: ignore[attr-defined]  # what `call` looks at
    return replace(control, fn=fn)


def _difference(one: np.ndarray, other: np.ndarray, scale: np.ndarray) -> float:
    """Greatest difference over the standard deviation of `scale` plus the score; infinite where only one is undefined."""
    if (np.isnan(one) != np.isnan(other)).any():
        return np.inf
    known = ~np.isnan(one)
    gap = np.abs(one - other)[known]
    if not gap.any():  # all undefined, or all equal
        return 0.0
    return float((gap / (np.nanstd(scale) + np.abs(other[known]))).max())


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return _difference(one, other, np.concatenate([one, other])) <= SAME


def _shortened(note: str) -> str:
    return note if len(note) <= 120 else note[:117] + "..."


@cache
def _probe(kind: str, shape: str) -> Probe:
    return Probe(problem(kind, shape), names=(0, kind))


@cache
def _explained(rung: str, kind: str, shape: str) -> Attributions:
    return explain_all(CONTROLS[rung], _probe(kind, shape).problem, task=kind, seed=0)


def _scores(metric: Metric, rung: str, kind: str, shape: str) -> Scores:
    probe = _probe(kind, shape)
    return score(metric, CONTROLS[rung], probe, _explained(rung, kind, shape), task=kind, seed=0)
