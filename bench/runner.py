"""Cells in, records out: the only loop of the harness.

Samples are taken in chunks, and within a chunk every method and metric meets the same probe, so that questions to the
model are shared and a run that is stopped leaves the same samples for every method.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch

from bench.core import Cell, ContractError, DataMissing, Entry, Metric, Problem, Record, RequestError, Task, digest
from bench.data import Data
from bench.device import Pace, describe, pace, place
from bench.explaining import Explained, explain_all, reason
from bench.meter import Meter, measured
from bench.probe import Probe, Tally
from bench.registry import call
from bench.scoring import score
from bench.store import Store

VALUES_PER_CHUNK = 2**23  # of input; bounds the memory of a run, whatever its number of samples
CHUNK_LIMITS = (16, 256)
GALLERY = 6  # samples of each task whose maps are kept for pictures


class Progress(Protocol):
    """What the runner tells of its work; a tqdm bar fits."""

    total: float | None

    def update(self, n: float | None = 1) -> Any: ...
    def set_description_str(self, desc: str | None = None) -> Any: ...
    def refresh(self) -> Any: ...


@dataclass(frozen=True)
class Plan:
    """What is asked for, and the settings that change speed and no score."""

    tasks: Sequence[Task]
    methods: Sequence[Entry]
    metrics: Sequence[Metric]
    samples: Callable[[Task], int | None]  # how many of a task's samples; None is all
    data: Data
    device: torch.device
    seed: int = 0
    batch_size: int | None = None  # None: what is fastest, found by timing
    fresh: bool = False
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)  # kind -> names too slow for what is asked


@dataclass
class Work:
    """What a task asked of its model, and how long that took."""

    pace: Pace  # of the bare model
    seconds: float = 0.0
    forwards: int = 0
    backwards: int = 0

    @property
    def floor(self) -> float:
        """Seconds that the model alone would need for these queries."""
        return self.pace.floor(self.forwards, self.backwards)


@dataclass
class Outcome:
    """What a run did."""

    rows: Counter[str] = field(default_factory=Counter)  # status -> rows written
    kept: int = 0  # rows that the store had already
    skipped_tasks: dict[str, str] = field(default_factory=dict)  # task -> why
    failed_tasks: dict[str, str] = field(default_factory=dict)
    failures: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (task, method, why) -> rows
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)  # task -> fingerprint, samples
    work: dict[str, Work] = field(default_factory=dict)  # task -> what its models answered, for methods and metrics
    tally: Tally = field(default_factory=Tally)  # those that metrics asked for

    @property
    def queries(self) -> int:
        """Inputs that models answered."""
        return sum(work.forwards for work in self.work.values())

    @property
    def failed(self) -> bool:
        return bool(self.failed_tasks) or self.rows["failed"] > 0


@dataclass(frozen=True)
class Missing:
    """What the store lacks of a cell: rows of the chunk."""

    metric: Metric
    cell: Cell
    rows: list[int]


def run(plan: Plan, store: Store, progress: Progress) -> Outcome:
    """Computes what the store lacks of the plan, writing each record as it comes."""
    outcome = Outcome()
    work: list[tuple[Task, list[str], list[list[str]]]] = []
    for task in plan.tasks:
        with _errors_told(task, outcome):
            ids = call(task.samples, {"data": plan.data})[: plan.samples(task)]
            if not ids:
                raise ContractError("it has no samples")
            one = load(task, ids[:1], plan)
            outcome.tasks[task.name] = {"id": task.id, "fingerprint": one.fingerprint, "samples": len(ids)}
            store.mark_current(task, one.fingerprint, plan.left_out)
            work.append((task, ids, chunked(ids, one)))
    steps = len(plan.methods) * (1 + len(plan.metrics))
    progress.total = sum(steps * len(chunks) for _, _, chunks in work)
    progress.refresh()
    for task, ids, chunks in work:
        with _errors_told(task, outcome):
            for chunk in chunks:
                _run_chunk(plan, task, chunk, ids[:GALLERY], store, progress, outcome)
                gc.collect()  # libraries leave cycles, which would hold the chunk's answers until Python looks for them
    return outcome


def chunked(ids: list[str], problem: Problem) -> list[list[str]]:
    """The samples in parts that fit the memory, given a problem of any of them."""
    low, high = CHUNK_LIMITS
    size = max(low, min(high, VALUES_PER_CHUNK // problem.inputs[0].numel()))
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def load(task: Task, ids: Sequence[str], plan: Plan) -> Problem:
    """A task's problem for the given samples, on the plan's device."""
    problem: Problem = call(task.fn, {"sample_ids": tuple(ids), "data": plan.data}, task.params)
    _check(problem, ids)
    parts = (
        *(problem.fingerprint, problem.baseline, problem.layers, problem.top_k),
        *(problem.background, problem.bounds),
    )
    return place(replace(problem, fingerprint=digest(*parts)), plan.device)


def _check(problem: Problem, ids: Sequence[str]) -> None:
    """Raises ContractError when a task breaks its promise."""
    if tuple(problem.sample_ids) != tuple(ids) or len(set(ids)) < len(ids):
        raise ContractError(f"it was asked for samples {list(ids[:3])}... and gave {list(problem.sample_ids[:3])}...")
    if len(problem.inputs) != len(ids) or problem.inputs.dim() < 3 or not problem.inputs.is_floating_point():
        shape = tuple(problem.inputs.shape)
        raise ContractError(f"inputs are {problem.inputs.dtype} {shape}, float ({len(ids)}, C, *S) is needed")
    if not problem.inputs.isfinite().all():
        raise ContractError("inputs are not finite")


def _run_chunk(
    plan: Plan, task: Task, ids: list[str], gallery: list[str], store: Store, progress: Progress, outcome: Outcome
) -> None:
    problem = load(task, ids, plan)
    digests = sample_digests(problem)
    lacking = [
        [_missing(plan, store, task, method, metric, problem, digests) for metric in plan.metrics]
        for method in plan.methods
    ]
    outcome.kept += sum(len(ids) - len(one.rows) for cells in lacking for one in cells)
    if not any(one.rows for cells in lacking for one in cells):
        progress.update(len(plan.methods) * (1 + len(plan.metrics)))
        return
    progress.set_description_str(f"{task.name} · timing the model")
    work = outcome.work.setdefault(task.name, Work(pace(problem)))
    problem = replace(problem, batch_size=plan.batch_size or work.pace.batch_size)
    with _counted(work, problem):
        probe = Probe(problem, names=(plan.seed, task.id), tally=outcome.tally)
        for method, cells in zip(plan.methods, lacking, strict=True):
            wanted = sorted({row for one in cells for row in one.rows})
            if not wanted:
                progress.update(1 + len(cells))
                continue
            progress.set_description_str(f"{task.name} · {method.name} · explaining")
            explained = explain_all(method, probe.problem.take(wanted), task=task.id, seed=plan.seed)
            _keep_maps(store, task, method, probe.take(wanted), explained, gallery)
            progress.update()
            for one in cells:
                progress.set_description_str(f"{task.name} · {method.name} · {one.metric.name}")
                if one.rows:
                    part = explained.take([wanted.index(row) for row in one.rows])
                    record = _record(plan, task, method, one, probe.take(one.rows), part, digests)
                    store.write(record, task, method, one.metric)
                    _tell(outcome, task, method, record)
                progress.update()


@contextmanager
def _counted(work: Work, problem: Problem) -> Iterator[None]:
    """Adds what the block asks of the model, however it ends."""
    meter = Meter()
    start = time.perf_counter()
    try:
        with measured(problem.model) as meter:
            yield
    finally:
        work.forwards += meter.forwards
        work.backwards += meter.backwards
        work.seconds += time.perf_counter() - start


def sample_digests(problem: Problem) -> list[str]:
    """What each sample is: its input, its truth, and its class where the task chooses that."""
    fields = [values for values in (problem.inputs, problem.truth, problem.targets) if values is not None]
    return [digest(*(values[row] for values in fields)) for row in range(len(problem))]


def _missing(
    plan: Plan, store: Store, task: Task, method: Entry, metric: Metric, problem: Problem, digests: list[str]
) -> Missing:
    cell = Cell(task.id, method.id, metric.id, plan.seed, problem.fingerprint)
    done = {} if plan.fresh else store.done(store.path(cell, task, method))
    ids = problem.sample_ids
    return Missing(metric, cell, [row for row, own in enumerate(digests) if done.get(ids[row]) != own])


def _record(
    plan: Plan, task: Task, method: Entry, lacking: Missing, probe: Probe, explained: Explained, digests: list[str]
) -> Record:
    start = time.perf_counter()
    scores = score(lacking.metric, method, probe, explained, task=task.id, seed=plan.seed)
    return Record(
        cell=lacking.cell,
        sample_ids=probe.problem.sample_ids,
        sample_digests=tuple(digests[row] for row in lacking.rows),
        scores=scores.values,
        features=scores.features,
        status=scores.status,
        note=scores.note,
        seconds=time.perf_counter() - start,
        environment=describe(plan.device),
        curves=scores.curves,
    )


def _tell(outcome: Outcome, task: Task, method: Entry, record: Record) -> None:
    outcome.rows.update(record.status)
    for status, note in zip(record.status, record.note, strict=True):
        if status == "failed":
            outcome.failures[task.name, method.name, note] += 1


def _keep_maps(store: Store, task: Task, method: Entry, probe: Probe, explained: Explained, gallery: list[str]) -> None:
    """Keeps the gallery samples and their maps for pictures, when all of them are among those explained."""
    problem = probe.problem
    if not set(gallery) <= set(problem.sample_ids):
        return
    rows = [problem.sample_ids.index(name) for name in gallery]
    labels = probe.targets if problem.labels is None else problem.labels
    classes = 1 + int(max(probe.targets.max(), labels.max()))
    named = np.array([*problem.class_names, *map(str, range(len(problem.class_names), classes))])
    about = {"sample_ids": np.array(gallery), "fingerprint": np.array(problem.fingerprint)}
    inputs = about | {
        "inputs": problem.inputs[rows].cpu().contiguous().numpy(),
        "explained": named[probe.targets[rows].cpu().numpy()],
        "label": named[labels[rows].cpu().numpy()],
        "probability": probe.full[rows].cpu().numpy(),
        "baseline": problem.baseline.cpu().numpy(),
    }
    if problem.truth is not None:
        inputs["truth"] = problem.truth[rows].cpu().numpy()
    store.write_maps(task.name, "inputs", inputs)
    maps = about | {"maps": explained.attribution[rows].float().cpu().numpy(), "method_id": np.array(method.id)}
    store.write_maps(task.name, f"method={method.name}-{digest(method.id)[:8]}", maps)


@contextmanager
def _errors_told(task: Task, outcome: Outcome) -> Iterator[None]:
    """A task that cannot be loaded is told of, and the run goes on with the others."""
    try:
        yield
    except RequestError:
        raise
    except DataMissing as error:
        outcome.skipped_tasks[task.name] = str(error)
    except Exception as error:  # a task is a plug-in as well
        outcome.failed_tasks[task.name] = reason(error)
