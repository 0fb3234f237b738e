"""The only loop of the harness: what the store lacks of a plan is computed and written, record by record.

Samples are taken in chunks. Within a chunk every method and metric uses the same probe, so that queries to the model are
shared, and a run that is stopped leaves the same samples for every method.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bench.core.entries import Entry, Metric, Task
from bench.core.errors import ContractError, DataMissing, RequestError
from bench.core.problem import Problem
from bench.core.progress import Progress
from bench.core.records import Record, ScoreKey
from bench.engine.explain import Attributions, explain_all, reason
from bench.engine.plan import Outcome, Plan, Work, chunked, load, sample_digests
from bench.engine.score import score
from bench.network.cost import Meter, measured
from bench.network.device import describe
from bench.network.timing import pace
from bench.perturbation.probe import Probe
from bench.registry.decorators import call
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
    task: Task
    problem: Problem
    digests: list[str]
    gallery: list[str]  # samples whose maps are stored for pictures, if all of them are in this chunk
    store: Store
    progress: Progress
    outcome: Outcome
    inputs_stored: bool = False

    def step(self, *words: str) -> None:
        """Shows what is being done."""
        self.progress.set_description_str(" · ".join((self.task.name, *words)))


def run(plan: Plan, store: Store, progress: Progress) -> Outcome:
    """Computes what the store lacks of the plan and writes each record as it is made."""
    outcome = Outcome()
    pending: list[tuple[Task, list[str], list[list[str]]]] = []
    for task in plan.tasks:
        with _recording_errors(task, outcome):
            pending.append((task, *_start(plan, task, store, outcome)))
    progress.total = _steps(plan) * sum(len(chunks) for _, _, chunks in pending)
    progress.refresh()
    for task, ids, chunks in pending:
        gallery = ids[:GALLERY_SIZE] if plan.for_reports else []
        with _recording_errors(task, outcome):
            for chunk_ids in chunks:
                problem = load(task, chunk_ids, plan)
                digests = sample_digests(problem)
                _run_chunk(Chunk(plan, task, problem, digests, gallery, store, progress, outcome))
                gc.collect()  # libraries leave cycles that hold the chunk's tensors
    return outcome


def _start(plan: Plan, task: Task, store: Store, outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """The samples asked for and their chunks; marks the task in the store."""
    ids = call(task.samples, {"data": plan.data})[: plan.samples(task)]
    if not ids:
        raise ContractError("it has no samples")
    first = load(task, ids[:1], plan)
    outcome.tasks[task.name] = {"id": task.id, "fingerprint": first.fingerprint, "samples": len(ids)}
    keys = [_key(plan, task, method, metric, first) for method in plan.methods for metric in plan.metrics]
    if plan.for_reports:
        store.mark_run(task, first.fingerprint, keys, plan.left_out)
    else:
        store.mark_sweep(task, first.fingerprint, keys)
    return ids, chunked(ids, first)


def _steps(plan: Plan) -> int:
    """Steps of the progress bar for a chunk: each method explains, then each metric scores."""
    return len(plan.methods) * (1 + len(plan.metrics))


def _key(plan: Plan, task: Task, method: Entry, metric: Metric, problem: Problem) -> ScoreKey:
    return ScoreKey(task.id, method.id, metric.id, plan.seed, problem.fingerprint)


def _run_chunk(chunk: Chunk) -> None:
    plan, outcome = chunk.plan, chunk.outcome
    pending = [[_pending(chunk, method, metric) for metric in plan.metrics] for method in plan.methods]
    missing = sum(len(scores.rows) for of_method in pending for scores in of_method)
    outcome.kept += len(plan.methods) * len(plan.metrics) * len(chunk.problem) - missing
    if not missing:
        chunk.progress.update(_steps(plan))
        return
    chunk.step("timing the model")
    work = outcome.work.setdefault(chunk.task.name, Work(pace(chunk.problem)))
    chunk.problem = replace(chunk.problem, batch_size=plan.batch_size or work.pace.batch_size)
    with _counting(work, chunk.problem):
        probe = Probe(chunk.problem, names=(plan.seed, chunk.task.id), tally=outcome.tally)
        for method, of_method in zip(plan.methods, pending, strict=True):
            _run_method(chunk, method, of_method, probe)


def _pending(chunk: Chunk, method: Entry, metric: Metric) -> PendingScores:
    """The rows whose sample has no score of its present input in the store."""
    key = _key(chunk.plan, chunk.task, method, metric, chunk.problem)
    done = {} if chunk.plan.fresh else chunk.store.done(chunk.store.path(key, chunk.task, method))
    samples = zip(chunk.problem.sample_ids, chunk.digests, strict=True)
    return PendingScores(metric, key, [row for row, (name, digest) in enumerate(samples) if done.get(name) != digest])


def _run_method(chunk: Chunk, method: Entry, pending: list[PendingScores], probe: Probe) -> None:
    """Explains the samples that lack any score, then scores them with each metric."""
    rows = sorted({row for scores in pending for row in scores.rows})
    if not rows:
        chunk.progress.update(1 + len(pending))
        return
    chunk.step(method.name, "explaining")
    maps = explain_all(method, probe.problem.take(rows), task=chunk.task.id, seed=chunk.plan.seed)
    _store_maps(chunk, method, probe.take(rows), maps)
    chunk.progress.update()
    for scores in pending:
        chunk.step(method.name, scores.metric.name)
        if scores.rows:
            part = maps.take([rows.index(row) for row in scores.rows])
            record = _record(chunk, method, scores, probe.take(scores.rows), part)
            chunk.store.write(record, chunk.task, method, scores.metric)
            _record_outcome(chunk, method, record)
        chunk.progress.update()


def _record(chunk: Chunk, method: Entry, pending: PendingScores, probe: Probe, maps: Attributions) -> Record:
    start = time.perf_counter()
    scores = score(pending.metric, method, probe, maps, task=chunk.task.id, seed=chunk.plan.seed)
    return Record(
        key=pending.key,
        sample_ids=probe.problem.sample_ids,
        sample_digests=tuple(chunk.digests[row] for row in pending.rows),
        scores=scores.values,
        features=scores.features,
        status=scores.status,
        note=scores.note,
        seconds=time.perf_counter() - start,
        environment=describe(chunk.plan.device),
        curves=scores.curves,
    )


def _record_outcome(chunk: Chunk, method: Entry, record: Record) -> None:
    """Counts rows by status, and failures by reason."""
    chunk.outcome.rows.update(record.status)
    for status, note in zip(record.status, record.note, strict=True):
        if status == "failed":
            chunk.outcome.failures[chunk.task.name, method.name, note] += 1


def _store_maps(chunk: Chunk, method: Entry, explained: Probe, maps: Attributions) -> None:
    """Stores the maps of the gallery's samples for pictures, when all of them are among the samples explained."""
    problem = explained.problem
    if not chunk.gallery or not set(chunk.gallery) <= set(problem.sample_ids):
        return
    rows = [problem.sample_ids.index(name) for name in chunk.gallery]
    stored = MapStore(chunk.store.folder)
    if not chunk.inputs_stored:
        stored.write_inputs(chunk.task, problem.take(rows), explained.targets[rows], explained.full[rows])
        chunk.inputs_stored = True
    stored.write_maps(chunk.task, method, problem.take(rows), maps.attribution[rows])


@contextmanager
def _counting(work: Work, problem: Problem) -> Iterator[None]:
    """Adds the model's work in the block, also when it raises."""
    meter = Meter()
    start = time.perf_counter()
    try:
        with measured(problem.model) as meter:
            yield
    finally:
        work.forwards += meter.forwards
        work.backwards += meter.backwards
        work.seconds += time.perf_counter() - start


@contextmanager
def _recording_errors(task: Task, outcome: Outcome) -> Iterator[None]:
    """Records the error of a task that cannot be loaded; the run goes on with the other tasks."""
    try:
        yield
    except RequestError:
        raise
    except DataMissing as error:
        outcome.skipped_tasks[task.name] = str(error)
    except Exception as error:  # a task is a plug-in as well
        outcome.failed_tasks[task.name] = reason(error)
