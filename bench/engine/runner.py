"""The only loop of the harness: what the store lacks of a plan is computed and written, record by record.

Samples are taken in chunks. Within a chunk every method and metric uses the same probe, so that queries to the model are
shared, and a run that is stopped leaves the same samples for every method.
"""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench.core.entries import OWN_MODELS, Entry, Metric, Task
from bench.core.errors import ContractError, DataMissing, RequestError
from bench.core.problem import Problem
from bench.core.progress import Progress
from bench.core.records import Record, ScoreKey
from bench.engine import given
from bench.engine.chunk import Chunk, Gallery, PendingScores, Slices
from bench.engine.costs import Ahead, Costs
from bench.engine.estimate import Estimate, estimate
from bench.engine.explain import Attributions, explain_all, reason
from bench.engine.plan import Outcome, Plan, answerable, load, sample_digests
from bench.engine.schedule import Forecast, Job, cheap_first, legs
from bench.engine.score import score
from bench.engine.work import Work
from bench.network.device import describe
from bench.network.timing import pace
from bench.perturbation.probe import Probe
from bench.registry.decorators import call
from bench.storage.background import BackgroundWriter
from bench.storage.scores import Store

FEW = 8  # samples that may be explained together by a method whose metrics nobody has seen at work


def run(
    plan: Plan,
    store: Store,
    progress: Progress,
    finished: Callable[[Task], object] = lambda task: None,
    told: Callable[[Estimate], object] = lambda estimate: None,
) -> Outcome:
    """Computes what the store lacks of the plan and writes each record as it is made.

    Cheap tasks come first. `finished` is called with each task when it has all its scores, those of a budget at the end; `told`
    with what a task is likely to cost, before the first of its samples is scored.
    """
    outcome = Outcome()
    jobs: list[Job] = []
    for task in plan.tasks:
        with _recording_errors(task, outcome):
            jobs.append(_start(plan, task, store, outcome))
    jobs, budget = cheap_first(jobs), plan.budget
    to_do = legs(jobs, in_rounds=budget is not None)
    forecast = Forecast(progress, to_do)
    for leg in to_do:
        if budget is not None and not budget.allows_a_round:
            outcome.stopped = True
            break
        for job, ids in forecast.begin(leg):
            if job.task.name not in outcome.failed_tasks:
                with _recording_errors(job.task, outcome):
                    _run_part(plan, job, ids, store, forecast, outcome, told)
                gc.collect()  # libraries leave cycles that hold the chunk's tensors
        if budget is None:
            finished(leg[0][0].task)
        elif outcome.rows.total():
            budget.longest = max(budget.longest, forecast.elapsed)
    if not outcome.stopped:
        forecast.end()
    if budget is not None:
        for job in jobs:
            finished(job.task)
    return outcome


def _start(plan: Plan, task: Task, store: Store, outcome: Outcome) -> Job:
    """The samples asked for, and the work for a chunk of them; marks the task in the store."""
    ids = call(task.samples, {"data": plan.data})[: plan.samples(task)]
    if not ids:
        raise ContractError("it has no samples")
    first = load(task, ids[:1], plan)
    outcome.tasks[task.name] = {"id": task.id, "fingerprint": first.fingerprint, "samples": 0, "asked": len(ids)}
    job = Job(task, ids, first.inputs[0].numel(), len(plan.methods) * (1 + len(plan.metrics)))
    keys = [_key(plan, task, method, metric, first) for method in plan.methods for metric in plan.metrics]
    if plan.for_reports:
        maps = {method.name: method.id for method in plan.methods if isinstance(method, given.GivenMaps)}
        store.mark_run(task, first.fingerprint, keys, plan.left_out, maps, _own_samples(plan, job))
    else:
        store.mark_sweep(task, first.fingerprint, keys)
    return job


def _own_samples(plan: Plan, job: Job) -> dict[str, str] | None:
    """Id -> digest of the samples of a problem of one's own, the only ones that its boards show.

    Another problem may have the same name and the same ids, such as the numbers of rows.
    """
    if job.task.family != OWN_MODELS:
        return None
    digests = (sample_digests(load(job.task, ids, plan)) for ids in job.chunks())  # a chunk at a time fits the memory
    return dict(zip(job.sample_ids, itertools.chain.from_iterable(digests), strict=True))


def _run_part(
    plan: Plan,
    job: Job,
    ids: Sequence[str],
    store: Store,
    forecast: Forecast,
    outcome: Outcome,
    told: Callable[[Estimate], object],
) -> None:
    problem = load(job.task, ids, plan)
    _run_chunk(Chunk(plan, job, problem, sample_digests(problem), store, forecast, outcome, told))
    outcome.tasks[job.task.name]["samples"] += len(ids)


def _key(plan: Plan, task: Task, method: Entry, metric: Metric, problem: Problem) -> ScoreKey:
    return ScoreKey(task.id, method.id, metric.id, plan.seed, problem.fingerprint)


def _run_chunk(chunk: Chunk) -> None:
    plan, outcome = chunk.plan, chunk.outcome
    pending = [_pending(chunk, method) for method in plan.methods]
    missing = sum(len(scores.rows) for of_method in pending for scores in of_method)
    outcome.kept += len(plan.methods) * len(plan.metrics) * len(chunk.problem) - missing
    if not missing:
        chunk.update_all(chunk.job.steps)
        return
    chunk.step("timing the model")
    chunk.problem = answerable(chunk.problem)
    if chunk.task.name not in outcome.work:
        found = None if plan.batch_size else pace(chunk.problem)
        outcome.work[chunk.task.name] = Work(found.batch_size if found else plan.batch_size or 1, found)
    work = outcome.work[chunk.task.name]
    chunk.problem = replace(chunk.problem, batch_size=work.batch_size)
    with work.watched(chunk.problem) as laps, BackgroundWriter(chunk.store) as writer:
        probe = Probe(chunk.problem, names=(plan.seed, chunk.task.id), tally=outcome.tally)
        _meter(chunk, pending, probe)
        gallery = Gallery(chunk, probe)
        for method, of_method in zip(plan.methods, pending, strict=True):
            gallery.begin()
            for _ in _run_method(chunk, method, of_method, probe, writer, gallery):
                laps.lap()


def _meter(chunk: Chunk, pending: Sequence[Sequence[PendingScores]], probe: Probe) -> None:
    """Finds what the steps cost, and says what the task will take before the first of its chunks that lacks scores."""
    ahead = [
        Ahead(method, len(_rows(scores)), [(one.metric, len(one.rows)) for one in scores if one.rows])
        for method, scores in zip(chunk.plan.methods, pending, strict=True)
        if _rows(scores)
    ]
    name, outcome = chunk.task.name, chunk.outcome
    if name not in outcome.costs:
        pace = outcome.work[name].pace
        outcome.costs[name] = Costs(chunk.task.id, chunk.plan.seed, len(chunk.job.sample_ids), pace)
        chunk.costs.meter(ahead, probe.problem, lambda method: chunk.step(method, "metering"))
        later = len(chunk.job.sample_ids) - outcome.tasks[name]["samples"] - len(chunk.problem)
        whole = [
            Ahead(method, samples + later, [(metric, number + later) for metric, number in metrics])
            for method, samples, metrics in ahead
        ]
        expected = estimate(name, chunk.costs, whole)
        outcome.estimates[name] = replace(
            expected, in_all=chunk.forecast.expect(chunk.job, expected.seconds), round=len(chunk.job.rounds()[0])
        )
        chunk.told(outcome.estimates[name])
    chunk.weigh(ahead)


def _rows(pending: Sequence[PendingScores]) -> list[int]:
    """The rows that lack any score."""
    return sorted({row for scores in pending for row in scores.rows})


def _pending(chunk: Chunk, method: Entry) -> list[PendingScores]:
    """For each metric the rows whose sample has no score of its present input in the store."""
    plan, samples = chunk.plan, list(zip(chunk.problem.sample_ids, chunk.digests, strict=True))
    keys = [_key(plan, chunk.task, method, metric, chunk.problem) for metric in plan.metrics]
    done = chunk.store.done(chunk.task, method, keys[0]) if keys and not plan.fresh else {}
    found = []
    for metric, key in zip(plan.metrics, keys, strict=True):
        known = done.get(metric.id, {})
        found.append(
            PendingScores(metric, key, [r for r, (name, digest) in enumerate(samples) if known.get(name) != digest])
        )
    return found


def _run_method(
    chunk: Chunk,
    method: Entry,
    pending: Sequence[PendingScores],
    probe: Probe,
    writer: BackgroundWriter,
    gallery: Gallery,
) -> Iterator[None]:
    """Explains the samples that lack any score, then scores them with each metric; yields when some of them are stored."""
    rows = _rows(pending)
    if not rows:
        return
    metrics, costs = [scores.metric for scores in pending if scores.rows], chunk.costs
    peak = costs.of_method(method, probe.take(rows).problem).peak
    careful = len(rows) >= FEW and not costs.knows(method, metrics)
    slices = Slices(rows, math.inf if careful else costs.slowest(method, metrics))
    for part in slices:
        share, start = len(part) / len(rows), time.perf_counter()
        done = [] if len(part) == len(rows) else [f"{rows.index(part[0])} of {len(rows)} {chunk.samples}"]
        chunk.step(method.name, "explaining", *done)
        explained = probe.take(part)
        maps = explain_all(method, explained.problem, task=chunk.task.id, seed=chunk.plan.seed, peak=peak)
        gallery.add(method, part, maps)
        costs.learn_explaining(method, len(part), time.perf_counter() - start)
        place = {row: position for position, row in enumerate(part)}
        chunk.update(method, share=share)
        slowest = 0.0
        for scores in pending:
            chunk.step(method.name, scores.metric.name, *done)
            some = [row for row in scores.rows if row in place]
            if some:
                positions = [place[row] for row in some]
                record = _record(chunk, method, scores, some, explained.take(positions), maps.take(positions))
                writer.write(record, chunk.task, method, scores.metric)
                chunk.record_outcome(method, record)
                costs.learn_scoring(method, scores.metric, record.status.count("ok"), record.seconds)
                slowest = max(slowest, record.seconds / len(some))
            chunk.update(method, scores.metric, share)
        slices.seconds = costs.explaining(method) + slowest
        yield


def _record(
    chunk: Chunk, method: Entry, pending: PendingScores, rows: Sequence[int], probe: Probe, maps: Attributions
) -> Record:
    start = time.perf_counter()
    reason = given.why_not(pending.metric) if isinstance(method, given.GivenMaps) else ""
    if reason:
        scores = given.no_scores(reason, len(probe.problem), probe.features)
    else:
        scores = score(pending.metric, method, probe, maps, task=chunk.task.id, seed=chunk.plan.seed)
    return Record(
        key=pending.key,
        sample_ids=probe.problem.sample_ids,
        sample_digests=tuple(chunk.digests[row] for row in rows),
        scores=scores.values,
        features=scores.features,
        status=scores.status,
        note=scores.note,
        seconds=time.perf_counter() - start,
        environment=describe(chunk.plan.device),
        curves=scores.curves,
    )


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
