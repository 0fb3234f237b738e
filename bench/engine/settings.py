"""The settings of a sweep: every metric under every baseline, output, granularity and share k that a task can serve."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.core import vocabulary
from bench.core.entries import Metric
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.core.problem import Problem
from bench.perturbation.partition import partition
from bench.registry.decorators import METRICS
from bench.registry.selection import with_params

# Metrics that read a whole curve come first: those with k are answered from their curves.
SWEPT = ("deletion", "insertion", "drop", "increase", "topk_deletion")
SHARES = (0.1, 0.3, 0.5, 0.9)  # k; on the curves of 20 steps, so they cost no query
BASELINES = vocabulary.BASELINES[1:]  # those that a sweep tries beside the task's


@dataclass(frozen=True)
class Setting:
    """A metric with its settings, and the levels of the factors of a sweep that they stand for."""

    metric: Metric
    k: float  # share of the features; NaN for a metric that reads the whole curve
    baseline: str  # `zero` also where the task's baseline is zero
    output: str
    features: str
    default: bool  # is it what a run without settings computes?

    @property
    def name(self) -> str:
        """The metric without its settings."""
        return self.metric.name.split("[")[0]

    @property
    def levels(self) -> dict[str, object]:
        """The setting as columns of a table."""
        factors = {"baseline": self.baseline, "output": self.output, "features": self.features}
        return {"metric": self.name, "k": self.k, **factors}


def settings(problem: Problem, *, baselines: Sequence[str], features: Sequence[str]) -> tuple[Setting, ...]:
    """All settings of a problem; the task's baseline, its k and single features are always among them.

    Left out are a background that the task does not have and granularities that are single features on its inputs.
    Raises RequestError for a name that is not allowed.
    """
    _check(baselines, features)
    first = task_baseline(problem)
    named = [first, *(name for name in BASELINES if name in baselines and name != first)]
    named = [name for name in named if name != "background" or problem.background is not None]
    granularities = list(dict.fromkeys(partition(name, problem.inputs[:1]).name for name in ("pixel", *features)))
    return tuple(
        _setting(problem, name, k, baseline, output, granularity)
        for name in SWEPT
        for k in (sorted({*SHARES, problem.top_k}) if "k" in dict(METRICS[name].params) else [np.nan])
        for baseline in named
        for granularity in granularities
        for output in vocabulary.OUTPUTS
    )


def _check(baselines: Sequence[str], features: Sequence[str]) -> None:
    for name in baselines:
        if name not in vocabulary.BASELINES:
            raise RequestError(unknown("baseline", name, BASELINES, of="a sweep"))
    for name in features:
        if not re.fullmatch(vocabulary.FEATURES_PATTERN, name):
            allowed = [*vocabulary.FEATURES, "patchN", "segmentN"]
            raise RequestError(unknown("features", name, allowed, of="a sweep"))


def task_baseline(problem: Problem) -> str:
    """What tables call the task's baseline: `zero` where it is that, else `task`."""
    return "task" if problem.baseline.any() else "zero"


def _setting(problem: Problem, name: str, k: float, baseline: str, output: str, features: str) -> Setting:
    """The setting of these levels. Levels that are the defaults do not enter the metric's id, so its scores are shared."""
    usual = {"baseline": task_baseline(problem), "output": vocabulary.OUTPUTS[0], "features": vocabulary.FEATURES[0]}
    chosen = {"baseline": baseline, "output": output, "features": features}
    changed = [f"{key}={level}" for key, level in chosen.items() if level != usual[key]]
    if not np.isnan(k) and k != problem.top_k:
        changed.insert(0, f"k={k}")
    metric = with_params(METRICS[name], ",".join(changed)) if changed else METRICS[name]
    return Setting(metric, k, baseline, output, features, default=not changed)
