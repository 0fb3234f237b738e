"""Some samples of a task: what of them is not scored yet, and what is noted when it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor

from bench.core.entries import Entry, Metric, Task
from bench.core.problem import Problem
from bench.core.records import Record, ScoreKey
from bench.engine.costs import Ahead, Costs
from bench.engine.estimate import Estimate
from bench.engine.explain import Attributions
from bench.engine.plan import Outcome, Plan
from bench.engine.schedule import Forecast, Job, next_slice
from bench.perturbation.probe import Probe
from bench.storage.maps import GALLERY_SIZE, MapStore
from bench.storage.scores import Store


@dataclass(frozen=True)
class PendingScores:
    """Rows of a chunk without a stored score, for a method and a metric."""

    metric: Metric
    key: ScoreKey
    rows: list[int]


@dataclass
class Chunk:
    """Some samples of a task, loaded once, and the plan that they belong to."""

    plan: Plan
    job: Job
    problem: Problem
    digests: list[str]
    store: Store
    forecast: Forecast
    outcome: Outcome
    told: Callable[[Estimate], object]
    weights: dict[tuple[str, str], float] = field(
        default_factory=dict
    )  # steps by names of method and metric; of 1 each

    @property
    def task(self) -> Task:
        return self.job.task

    @property
    def samples(self) -> str:
        """What samples are called."""
        return f"{self.task.family}s" if self.task.family in ("image", "signal") else "samples"

    @property
    def costs(self) -> Costs:
        return self.outcome.costs[self.task.name]

    def step(self, *words: str) -> None:
        """Shows what is being done."""
        if self.plan.budget is not None:
            self.plan.budget.check(self.forecast)
        self.forecast.step(self.job, *words)

    def update(self, method: Entry, metric: Metric | None = None, share: float = 1.0) -> None:
        """This share of a step is done."""
        self.update_all(share * self.weights[method.name, metric.name if metric else ""])

    def update_all(self, steps: float) -> None:
        """So many of the chunk's steps are done."""
        self.forecast.update(self.job, len(self.problem), steps)

    def weigh(self, ahead: Sequence[Ahead]) -> None:
        """Gives each step the weight of the time that it is likely to take."""
        seconds = self.costs.steps(ahead)
        whole = sum(seconds.values())
        for step in product([m.name for m in self.plan.methods], ["", *(m.name for m in self.plan.metrics)]):
            self.weights[step] = self.job.steps * seconds.get(step, 0.0) / whole

    def record_outcome(self, method: Entry, record: Record) -> None:
        """Counts rows by status, and failures by reason."""
        self.outcome.rows.update(record.status)
        for status, note in zip(record.status, record.note, strict=True):
            if status == "failed":
                self.outcome.failures[self.task.name, method.name, note] += 1


@dataclass
class Slices:
    """Rows of a chunk in parts, each of which is explained, scored and stored before the next.

    `seconds`: what a row takes; whoever goes through the slices keeps it up to date.
    """

    rows: Sequence[int]
    seconds: float

    def __iter__(self) -> Iterator[list[int]]:
        left = list(self.rows)
        while left:
            part = next_slice(left, self.seconds)
            yield part
            left = left[len(part) :]


@dataclass
class Gallery:
    """Stores the maps of some samples for pictures, where all of them are in the chunk and are explained."""

    chunk: Chunk
    probe: Probe
    _inputs_stored: bool = False
    _maps: dict[int, Tensor] = field(default_factory=dict)  # of the present method

    @property
    def rows(self) -> list[int]:
        wanted = self.chunk.job.sample_ids[:GALLERY_SIZE] if self.chunk.plan.for_reports else []
        known = {name: row for row, name in enumerate(self.chunk.problem.sample_ids)}
        return [known[name] for name in wanted] if known.keys() >= set(wanted) else []

    def begin(self) -> None:
        """Forgets the maps of the method before."""
        self._maps = {}

    def add(self, method: Entry, rows: Sequence[int], maps: Attributions) -> None:
        """Maps of some rows of the chunk. When those of all samples are there they are stored."""
        wanted = self.rows
        new = {row: one for row, one in zip(rows, maps.attribution, strict=True) if row in wanted}
        self._maps |= new
        if not new or len(self._maps) < len(wanted):
            return
        stored, shown = MapStore(self.chunk.store.folder), self.probe.take(wanted)
        if not self._inputs_stored:
            stored.write_inputs(self.chunk.task, shown.problem, shown.targets, self.probe.full[wanted])
            self._inputs_stored = True
        attribution = torch.stack([self._maps[row] for row in wanted])
        stored.write_maps(self.chunk.task, method, shown.problem, attribution)
