"""Judges metrics before they may judge: each is run on closed-form problems where the exact attribution is known.

A metric has to put maps in the order that its family stands for (LADDERS), in its stated direction, in every shape of input
that it takes; and its scores must not depend on the batch, on the order of the samples, or on the device. One that fails keeps
its column in the leaderboards, is marked, and takes no part in ranks.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from bench.core.entries import Entry, Metric
from bench.engine.explain import Explained, explain_all
from bench.engine.score import Scores, score
from bench.network.device import place
from bench.perturbation.probe import Probe
from bench.validation.closed_form import CONTROLS, KINDS, SHAPES, problem

SIGNED = ("exact", "noisy(0.1)", "noisy(1)", "random", "negated")
# Family, or metric where it asks something else -> what is better, best first, and the problems on which it is.
LADDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "faithfulness": (SIGNED, tuple(KINDS)),
    "localisation": (SIGNED, tuple(KINDS)),
    "axiom": (("exact", "noisy(1)"), tuple(KINDS)),
    "complexity": (
        ("exact", "noisy(0.1)", "noisy(1)"),
        ("gate", "AND/OR", "live patch"),
    ),  # the exact map is sparse there
    "robustness": (("exact", "noisy(0.1)", "noisy(1)", "random"), tuple(KINDS)),
    "input_invariance": (("exact", "from zero"), ("linear", "live patch")),  # others take in the input before any layer
    "randomisation": (("exact", "half model", "model-free"), tuple(KINDS)),
}
LENIENT = ("exact", "noisy(0.1)")  # so little noise need not show; it must not be preferred
STEPS = tuple(dict.fromkeys(pair for ladder, _ in LADDERS.values() for pair in pairwise(ladder)))
LEVEL = 0.01  # of the sign test of each step; a sound metric is at 1e-6 and less
SAME = 1e-3  # of the scores' spread: float32 probabilities in another order of adding give 1e-5
FEW = 8  # metrics; so few are checked faster than processes start
TRIALS = {"batches of 5": 1, "the order of samples": 1, "its company": 3}  # -> parts: three samples alone
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "times 10": lambda maps: 10 * maps,
    "plus 1": lambda maps: maps + 1,
    "absolute": torch.Tensor.abs,
}
COLUMNS = [
    *("metric", "metric_id", "family", "verdict", "failure_reasons", "uses_sign", "input_shapes"),
    *(f"{better} > {worse}" for better, worse in STEPS),
    *("batch", *CHANGES, "seconds"),
]


@dataclass
class Verdict:
    """What was found of one metric."""

    metric: Metric
    faults: list[str] = field(default_factory=list)
    uses_sign: str = ""
    input_shapes: list[str] = field(default_factory=list)
    superiority: dict[tuple[str, str], float] = field(default_factory=dict)
    batch: float = np.nan  # greatest difference between batches, in spreads of the scores
    changes: dict[str, float] = field(default_factory=dict)  # CHANGES -> greatest difference, likewise
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.faults

    def row(self) -> dict[str, object]:
        """One line of the table (COLUMNS)."""
        steps = {f"{better} > {worse}": self.superiority.get((better, worse), np.nan) for better, worse in STEPS}
        start: dict[str, object] = {
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
    """Those of families that have a ladder; costs are measurements."""
    return [metric for metric in metrics if metric.family in LADDERS]


def table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """One row per metric (COLUMNS)."""
    return pd.DataFrame([verdict.row() for verdict in verdicts], columns=COLUMNS)


def check(metric: Metric) -> Verdict:
    """Runs a metric on every closed-form problem of its family."""
    start = time.perf_counter()
    ladder, kinds = LADDERS.get(metric.name.removeprefix("quantus_"), LADDERS.get(metric.family, ((), ())))
    verdict = Verdict(metric)
    found: dict[str, dict[str, np.ndarray]] = {}  # shape -> rung -> scores of all kinds
    for shape in SHAPES:
        runs = {rung: [_scores(metric, rung, kind, shape) for kind in kinds] for rung in ladder}
        statuses = [status for scores in runs.values() for one in scores for status in one.status]
        notes = [note for scores in runs.values() for one in scores for note in one.note]
        if set(statuses) == {"skipped"}:
            continue
        if "failed" in statuses:
            verdict.faults.append(f"raises on {shape}: {_shortened(notes[statuses.index('failed')])}")
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
        verdict.uses_sign = "ignored" if blind else "counts"
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
                wrong.setdefault(f"{worse} {'beats' if reversed_ else 'is not told from'} {better}", []).append(shape)
    flipped = steps and all(verdict.superiority[step] < 0.5 for step in steps)
    if wrong and flipped:
        flag = "higher" if verdict.metric.higher_is_better else "lower"
        verdict.faults.append(f"the order is the reverse of its direction ({flag} is better)")
    verdict.faults += [f"{what} on {', '.join(shapes)}" for what, shapes in wrong.items()]


def superiority(gaps: np.ndarray) -> float:
    """Probability that the better of two is scored better, ties counting half; NaN are left out."""
    known = gaps[~np.isnan(gaps)]
    return float(((known > 0) + 0.5 * (known == 0)).mean()) if len(known) else np.nan


def _judge_batches(verdict: Verdict, ladder: tuple[str, ...], kinds: tuple[str, ...], shape: str) -> None:
    """Fills in what batches, order, device and changes of the map do, on one problem of each shape."""
    metric, kind, rung = verdict.metric, kinds[0], ladder[min(2, len(ladder) - 1)]
    expected = _scores(metric, rung, kind, shape).values
    for what in (*TRIALS, *(("the device",) if torch.cuda.is_available() else ())):
        asked = [_trial(rung, kind, shape, what, part) for part in range(TRIALS.get(what, 1))]
        found = np.concatenate(
            [score(metric, control, probe, maps, task=kind, seed=0).values for control, probe, maps in asked]
        )
        gap = _difference(found, expected[::-1] if what == "the order of samples" else expected[: len(found)], expected)
        verdict.batch = float(np.fmax(verdict.batch, gap))
        if not gap <= SAME:
            verdict.faults.append(f"a score depends on {what} on {shape}")
    for name in CHANGES:
        control, probe, maps = _trial(rung, kind, shape, name, 0)
        gap = _difference(score(metric, control, probe, maps, task=kind, seed=0).values, expected, expected)
        verdict.changes[name] = float(np.fmax(verdict.changes.get(name, np.nan), gap))


@cache
def _trial(rung: str, kind: str, shape: str, what: str, part: int) -> tuple[Entry, Probe, Explained]:
    """What has to give the same scores: other batches, the reverse order, samples alone; or a change of the maps."""
    asked, control = problem(kind, shape), CONTROLS[rung]
    if what == "batches of 5":
        asked = replace(asked, batch_size=5)
    elif what == "the order of samples":
        asked = asked.take(list(reversed(range(len(asked)))))
    elif what == "its company":
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
    """Greatest difference, over the standard deviation of `scale` plus the score itself; infinite where one is undefined."""
    if (np.isnan(one) != np.isnan(other)).any():
        return np.inf
    known = ~np.isnan(one)
    gap = np.abs(one - other)[known]
    if not gap.any():  # nothing is known, or all is the same
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
def _explained(rung: str, kind: str, shape: str) -> Explained:
    return explain_all(CONTROLS[rung], _probe(kind, shape).problem, task=kind, seed=0)


def _scores(metric: Metric, rung: str, kind: str, shape: str) -> Scores:
    probe = _probe(kind, shape)
    return score(metric, CONTROLS[rung], probe, _explained(rung, kind, shape), task=kind, seed=0)
