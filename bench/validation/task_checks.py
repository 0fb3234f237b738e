"""Checks a task: what the harness needs of it, asked step by step, and a method and a metric on its first samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from bench.core.entries import Task
from bench.core.errors import BenchError, DataMissing
from bench.core.problem import Problem
from bench.core.vocabulary import PROFILES
from bench.engine.explain import explain_all, reason
from bench.engine.plan import Plan, load, sample_digests
from bench.engine.score import score
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS, call
from bench.task_tools.data import Data
from bench.validation.method_checks import FAIL, PASS, SKIPPED, Finding

FEW = 3  # samples that are loaded
STEPS = {
    "samples": "lists the ids of all samples: texts, each once",
    "profiles": "says how many samples quick, standard and full take",
    "loads": "gives a problem of the samples asked for, whose model answers",
    "subset": "gives a sample the same input, truth and class whatever it is asked with",
    "repeat": "gives the same problem twice",
    "runs": "can be explained (saliency) and scored (drop)",
}


class _Asked:
    """A task, its ids and its problems, each asked once."""

    def __init__(self, task: Task, data: Data) -> None:
        self.task = task
        self.plan = Plan(
            tasks=[task], methods=[], metrics=[], samples=lambda _: None, data=data, device=torch.device("cpu")
        )
        self.ids: Sequence[str] = ()
        self.problem: Problem | None = None

    def load(self, ids: Sequence[str]) -> Problem:
        return load(self.task, ids, self.plan)

    @property
    def first(self) -> Problem:
        if self.problem is None:
            self.problem = self.load(self.ids[:FEW])
        return self.problem


def check_task(task: Task, data: Data) -> Iterator[Finding]:
    """One finding per step (STEPS). After a step that fails the others are not asked."""
    asked, stopped = _Asked(task, data), ""
    asks: dict[str, Callable[[_Asked], str]] = {
        "samples": _samples,
        "profiles": _profiles,
        "loads": _loads,
        "subset": _subset,
        "repeat": _repeat,
        "runs": _runs,
    }
    for name in STEPS:
        if stopped:
            yield Finding("task", task.name, name, SKIPPED, stopped)
            continue
        verdict, note = _answer(asks[name], asked)
        if verdict != PASS and name != "profiles":
            stopped = f"not asked, since `{name}` {'fails' if verdict == FAIL else 'is skipped'}"
        yield Finding("task", task.name, name, verdict, note)


def _answer(ask: Callable[[_Asked], str], asked: _Asked) -> tuple[str, str]:
    try:
        wrong = ask(asked)
    except DataMissing as error:
        return SKIPPED, reason(error)
    except BenchError as error:
        return FAIL, reason(error)
    except Exception as error:  # a task may raise anything
        return FAIL, f"it raised {reason(error)}"
    return (FAIL, wrong) if wrong else (PASS, "")


def _samples(asked: _Asked) -> str:
    ids: Any = call(asked.task.samples, {"data": asked.plan.data})
    if not isinstance(ids, (list, tuple)) or not ids:
        return f"samples() gave {type(ids).__name__ if ids else 'none'}; a list of the ids of all samples is needed"
    others = [one for one in ids if not isinstance(one, str)]
    if others:
        return f"samples() gave {others[0]!r}; every id must be a text, for example '{others[0]}'"
    twice = next((one for one in ids if ids.count(one) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        return f"samples() gave '{twice}' twice; every sample needs an id of its own"
    asked.ids = ids
    return ""


def _profiles(asked: _Asked) -> str:
    given = dict(asked.task.profiles)
    missing = [name for name in PROFILES if name not in given]
    if missing:
        return f"profiles= lacks {', '.join(missing)}; give a number of samples for each, or None for all"
    wrong = next((name for name, number in given.items() if number is not None and number < 1), None)
    return f"profile {wrong} takes {given[wrong]} samples; at least 1 is needed, or None for all" if wrong else ""


def _loads(asked: _Asked) -> str:
    p = Probe(asked.first).full
    return "" if bool(p.isfinite().all()) else "the model's answers are not finite; check its weights and the inputs"


def _subset(asked: _Asked) -> str:
    together, last = sample_digests(asked.first), len(asked.first) - 1
    alone = asked.load(asked.ids[last : last + 1])
    if sample_digests(alone)[0] == together[last] and alone.fingerprint == asked.first.fingerprint:
        return ""
    return (
        f"sample '{asked.ids[last]}' alone is another than beside others; a sample, the weights, baseline and background "
        "must not depend on which samples are asked for"
    )


def _repeat(asked: _Asked) -> str:
    again = asked.load(asked.ids[:FEW])
    if again.fingerprint != asked.first.fingerprint:
        return "the model or its settings differ when the task is asked twice; fix the seed, or load stored weights"
    equal = sample_digests(again) == sample_digests(asked.first)
    return "" if equal else "the samples differ when the task is asked twice; fix the seed of what is drawn"


def _runs(asked: _Asked) -> str:
    method, metric = METHODS["saliency"], METRICS["drop"]
    probe = Probe(replace(asked.first, batch_size=FEW), names=(0, asked.task.id))
    maps = explain_all(method, probe.problem, task=asked.task.id, seed=0)
    scores = score(metric, method, probe, maps, task=asked.task.id, seed=0)
    bad = [row for row, status in enumerate(scores.status) if status not in ("ok", "skipped")]
    return f"{method.name} and {metric.name} on sample '{asked.ids[bad[0]]}': {scores.note[bad[0]]}" if bad else ""
