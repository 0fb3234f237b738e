"""The settings of a sweep: baselines, outputs, features and shares k under which a map can be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.core.entries import Metric
from bench.core.problem import Problem
from bench.core.vocabulary import OUTPUTS
from bench.perturbation.baselines import BASELINES
from bench.perturbation.partition import partition
from bench.registry.decorators import METRICS
from bench.registry.selection import with_params

SWEPT = (
    "deletion",
    "insertion",
    "drop",
    "increase",
    "topk_deletion",
)  # those with k last: they read the others' curves
SHARES = (0.1, 0.3, 0.5, 0.9)  # k; on the curves of 20 steps, so they cost no query
FEATURES = ("pixel", "patch64", "segment20")
VERSION = 1  # of what the baselines are


@dataclass(frozen=True)
class Setting:
    """One way to score a map."""

    metric: Metric  # with its k
    baseline: str
    output: str  # of probe.OUTPUTS
    features: str
    default: bool  # is it what a plain run does?

    @property
    def name(self) -> str:
        """The metric without its k."""
        return self.metric.name.split("[")[0]

    @property
    def k(self) -> float:
        """NaN for a metric that reads the whole curve."""
        return float(dict(self.metric.params).get("k", np.nan))

    @property
    def id(self) -> str:
        """All that can change its scores but the method, task, seed and sample."""
        return f"{self.metric.id} {self.baseline}@{VERSION} {self.output} {self.features}"


@dataclass(frozen=True)
class Sweep:
    """Scores of all methods on all samples under all settings."""

    task: str
    settings: tuple[Setting, ...]  # S
    methods: tuple[str, ...]  # M
    scores: np.ndarray  # (S, N, M) NaN where there is none
    notes: Mapping[str, str] = field(default_factory=dict)  # method -> why scores are missing


def own_baseline(problem: Problem) -> str:
    """What the task's own baseline is called: `zero` where it is that, else `task`."""
    return "task" if problem.baseline.any() else "zero"


def settings(problem: Problem, *, baselines: Sequence[str], features: Sequence[str]) -> tuple[Setting, ...]:
    """All settings of a problem, the task's own baseline and pixels always among them.

    Baselines that the task cannot serve are left out, and cells that are its single places. The task's own k joins SHARES.
    """
    own = own_baseline(problem)
    named = [own, *(name for name in BASELINES if name in baselines and name != own)]
    named = [name for name in named if name != "background" or problem.background is not None]
    cells = list(dict.fromkeys(partition(name, problem.inputs[:1]).name for name in ("pixel", *features)))
    shares = sorted({*SHARES, problem.top_k})
    found = []
    for name in SWEPT:
        plain = METRICS[name]
        for metric in [with_params(plain, f"k={k}") for k in shares] if "k" in dict(plain.params) else [plain]:
            usual = dict(metric.params).get("k", problem.top_k) == problem.top_k
            found += [
                Setting(
                    metric, baseline, output, cell, usual and (baseline, output, cell) == (own, OUTPUTS[0], "pixel")
                )
                for baseline in named
                for cell in cells
                for output in OUTPUTS
            ]
    return tuple(found)


def described(setting: Setting) -> dict[str, object]:
    """A setting as columns of a table."""
    chosen = {"baseline": setting.baseline, "output": setting.output, "features": setting.features}
    return {"metric": setting.name, "k": setting.k, **chosen}
