"""Cells in, records out: the only loop of the harness.

Samples are taken in chunks, and within a chunk every method and metric meets the same probe, so that questions to the
model are shared and a run that is stopped leaves the same samples for every method.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from bench.core.entries import Entry, Metric, Task
from bench.core.errors import ContractError, DataMissing, RequestError
from bench.core.hashing import digest
from bench.core.problem import Problem
from bench.core.progress import Progress
from bench.core.records import Record, ScoreKey
from bench.engine.explain import Explained, explain_all, reason
from bench.engine.plan import Outcome, Plan, Work, chunked, load, sample_digests
from bench.engine.score import score
from bench.network.cost import Meter, measured
from bench.network.device import describe
from bench.network.timing import pace
from bench.perturbation.probe import Probe
from bench.registry.decorators import call
from bench.storage.scores import Store

GALLERY = 6  # samples of each task whose maps are kept for pictures


@dataclass(frozen=True)
class Missing:
    """What the store lacks of a cell: rows of the chunk."""

    metric: Metric
    cell: ScoreKey
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


def _missing(
    plan: Plan, store: Store, task: Task, method: Entry, metric: Metric, problem: Problem, digests: list[str]
) -> Missing:
    cell = ScoreKey(task.id, method.id, metric.id, plan.seed, problem.fingerprint)
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
