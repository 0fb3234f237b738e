"""What a run is asked to do, and what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from bench.core.entries import Entry, Metric, Task
from bench.core.errors import ContractError, RequestError
from bench.core.hashing import digest
from bench.core.problem import Problem
from bench.core.vocabulary import FLOAT32, SOFTMAX
from bench.engine.checks import with_checked_fields, with_checked_model
from bench.engine.costs import Costs
from bench.engine.estimate import Estimate
from bench.engine.schedule import Budget
from bench.engine.work import Work
from bench.network.device import place
from bench.network.precision import in_bfloat16
from bench.perturbation.queries import Tally
from bench.registry.decorators import call
from bench.task_tools.data import Data


@dataclass(frozen=True)
class Plan:
    """What is asked for, and settings that change the speed and no score."""

    tasks: Sequence[Task]
    methods: Sequence[Entry]
    metrics: Sequence[Metric]
    samples: Callable[[Task], int | None]  # how many of a task's samples; None is all
    data: Data
    device: torch.device
    seed: int = 0
    precision: str = FLOAT32  # that models compute in; part of the fingerprint, and of the names of `tasks`
    batch_size: int | None = None  # None: what is fastest, found by timing
    fresh: bool = False
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)  # kind -> names that the profile leaves out
    budget: Budget | None = None  # None: all samples
    for_reports: bool = True  # are the scores shown in leaderboards, plots and page? Those of a sweep are not


@dataclass
class Outcome:
    """What a run did."""

    rows: Counter[str] = field(default_factory=Counter)  # status -> rows written
    kept: int = 0  # rows that the store had already
    skipped_tasks: dict[str, str] = field(default_factory=dict)  # task -> why
    failed_tasks: dict[str, str] = field(default_factory=dict)
    failures: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (task, method, why) -> rows
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)  # task -> fingerprint, samples
    work: dict[str, Work] = field(default_factory=dict)  # task -> queries of methods and metrics
    costs: dict[str, Costs] = field(default_factory=dict)  # task -> what its methods and metrics cost
    estimates: dict[str, Estimate] = field(default_factory=dict)  # task -> what it was likely to take, when it began
    tally: Tally = field(default_factory=Tally)  # queries of the metrics alone
    stopped: bool = False  # by the budget, before all samples were scored

    @property
    def queries(self) -> int:
        """Inputs that models answered."""
        return sum(work.forwards for work in self.work.values())

    @property
    def failed(self) -> bool:
        return bool(self.failed_tasks) or self.rows["failed"] > 0


def load(task: Task, ids: Sequence[str], plan: Plan) -> Problem:
    """A task's problem for the given samples, on the plan's device."""
    made: Problem = call(task.fn, {"sample_ids": tuple(ids), "data": plan.data}, task.params)
    if tuple(made.sample_ids) != tuple(ids):
        raise ContractError(f"it was asked for samples {list(ids[:3])}... and gave {list(made.sample_ids[:3])}...")
    problem = _of_task(with_checked_fields, made)
    if (
        problem.output != SOFTMAX
    ):  # what the model returns decides what is explained, and is part of the samples' digests
        problem = _of_task(with_checked_model, problem)
    parts: tuple[object, ...] = (
        *(problem.fingerprint, problem.baseline, problem.layers, problem.top_k),
        *(problem.background, problem.bounds),
        *(() if problem.output == SOFTMAX else (problem.output,)),
    )
    if plan.precision == FLOAT32:
        return place(replace(problem, fingerprint=digest(*parts)), plan.device)
    reduced = replace(problem, model=in_bfloat16(problem.model), fingerprint=digest(*parts, plan.precision))
    return place(reduced, plan.device)


def answerable(problem: Problem) -> Problem:
    """The problem, if its model can be explained: it is asked a few times. Raises ContractError where it cannot."""
    return _of_task(with_checked_model, problem)


def _of_task(check: Callable[[Problem], Problem], problem: Problem) -> Problem:
    """The problem of a task, which may be one of several: what is wrong with it ends this task only."""
    try:
        return check(problem)
    except RequestError as error:
        raise ContractError(str(error)) from error


def sample_digests(problem: Problem) -> list[str]:
    """A digest of each sample: of its input, its truth, and its class where the task gives it."""
    fields = [
        values for values in (problem.inputs, problem.truth, problem.targets) if values is not None and len(values)
    ]
    return [digest(*(values[row] for values in fields)) for row in range(len(problem))]
