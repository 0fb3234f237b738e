"""Maps of methods, and scores of maps."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from bench.api.request import (
    OWN_MODEL,
    Names,
    Paths,
    at_least_one,
    data_of,
    load_plugins,
    methods_of,
    metrics_of,
    one_task,
    own_task,
    samples_of,
)
from bench.core.entries import GIVEN, Entry, Metric, Task
from bench.core.errors import BenchError, BenchWarning, NotApplicable, RequestError
from bench.core.nearest import several
from bench.core.problem import Problem
from bench.engine import given
from bench.engine.explain import Attributions, explain_all
from bench.engine.map_checks import Source, Subject, aligned, label_of, note_of_sum, of_one
from bench.engine.plan import Plan, load
from bench.engine.sandbox import checked, map_status
from bench.engine.score import score as score_maps
from bench.network import device as devices
from bench.network.cost import Cost
from bench.perturbation.probe import Probe
from bench.registry.decorators import call
from bench.storage import map_files

NAMELESS = Entry(  # stands for the method of maps that were given; it is never called
    name="given", fn=lambda problem: problem.inputs, family=GIVEN, cite="", version=1, params=(), injected=("problem",)
)


def attribute(
    problem: Problem | str,
    method: str,
    *,
    samples: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    name: str = OWN_MODEL,
    device: str = "auto",
    batch_size: int | None = None,
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
) -> Tensor:
    """The attributions of one method: (N, *S), on the problem's device; those that `evaluate` scores.

    Args:
        problem: see `bench.Problem.from_model`; or the name of a registered task.
        method: a name, with hyper-parameters or without: "grad_cam", "smoothgrad[samples=8]".
        samples: how many samples, from the first; by default all of a problem, and as many of a task as profile standard takes.
        out: a .npz or .safetensors file that the maps are written to, under the ids of their samples; `evaluate`, `score` and
            `python -m bench run --maps NAME=FILE` read it. Maps that are not finite are left out.
        seed: of a method that draws random numbers.
        name: what the problem is called; with the seed it tells random streams apart, as in `evaluate`.
        device: "auto", "cpu" or "cuda".
        batch_size: inputs that the model takes at once; by default the problem's.
        data: folder that holds data sets, for tasks that need it.
        offline: never download.
        plugins: files or folders with methods and tasks of one's own.

    Raises:
        RequestError: the method or the task is unknown, the name stands for several, or `out` cannot be written.
        NotApplicable: the method cannot serve this model; the message says why.
        BenchError: the method failed on a sample.

    Warns where a map is constant or not finite: it cannot be scored.
    """
    load_plugins(plugins)
    entry = _one_method(method)
    path = None if out is None else Path(out)
    if path is not None:
        map_files.check_writable(path)
    task, plan = asked_for(problem, name, samples, device, data, offline=offline)
    probe = _probe(task, ids_of(task, plan), plan, batch_size, seed)
    made = explain_all(entry, probe.problem, task=task.id, seed=seed)
    for sample, status, note in zip(probe.problem.sample_ids, made.status, made.note, strict=True):
        if status == "skipped":
            raise NotApplicable(f"{entry.name}: {note}")
        if status == "failed":
            raise BenchError(f"{entry.name} failed on sample {sample}: {note}")
    undefined = [note for note in made.note if note]
    if undefined:
        text = f"{entry.name}: {len(undefined)} of {len(probe.problem)} maps say nothing: {undefined[0]}"
        warnings.warn(text, BenchWarning, stacklevel=2)
    if path is not None:
        finite = made.attribution.flatten(1).isfinite().all(1).nonzero().flatten().tolist()
        names = [probe.problem.sample_ids[row] for row in finite]
        map_files.write(path, names, made.attribution[finite], task.id if isinstance(problem, str) else "")
    return made.attribution


def score(
    problem: Problem | str,
    maps: Source,
    *,
    metrics: Names = None,
    samples: int | None = None,
    seed: int = 0,
    name: str = OWN_MODEL,
    device: str = "auto",
    batch_size: int | None = None,
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
) -> pd.DataFrame:
    """Scores given attributions: one row per sample, one column per metric; NaN where a score is not defined.

    The scores are those that `evaluate` gives a method with these maps. A warning says why scores are missing.

    Args:
        problem: see `bench.Problem.from_model`; or the name of a registered task.
        maps: attributions of any method or library: an array (N, *S) in the order of the samples, sample id -> array (*S), or
            a .npz or .safetensors file (see `evaluate`). Maps with channels, (N, C, *S), are summed over them, with a warning.
        metrics: names and wildcards; by default all fast metrics that need nothing but the maps.
        samples: how many samples, from the first; by default all of a problem, and those of a task that have a map.
        seed: of metrics that draw random numbers.
        name: what the problem is called; with the seed it tells random streams apart, as in `evaluate`.
        device: "auto", "cpu" or "cuda".
        batch_size: inputs that the model takes at once; by default the problem's.
        data: folder that holds data sets, for tasks that need it.
        offline: never download.
        plugins: files or folders with metrics and tasks of one's own.

    Raises:
        RequestError: the maps have another shape or lack a sample, the file cannot be read, or a metric needs more than maps
            (robustness, randomisation, cost).
    """
    load_plugins(plugins)
    chosen = _metrics_of_maps(metrics)
    task, plan = asked_for(problem, name, samples, device, data, offline=offline)
    ids, attribution = _in_order(maps, task, plan, every=samples is not None or isinstance(problem, Problem))
    probe = _probe(task, ids, plan, batch_size, seed)
    status, note = zip(*map_status(attribution), strict=True)
    unknown = torch.full((len(ids),), torch.nan, dtype=torch.float64)
    made = Attributions(checked(attribution, probe.problem), Cost(unknown, unknown, unknown, unknown), status, note)
    columns = {}
    for metric in chosen:
        scores = score_maps(metric, NAMELESS, probe, made, task=task.id, seed=seed)
        columns[metric.name] = scores.values
        reasons = sorted({reason for reason in scores.note if reason})
        if reasons:
            missing = sum(status != "ok" for status in scores.status)
            text = f"{metric.name}: no score on {missing} of {len(ids)} samples: {'; '.join(reasons)}"
            warnings.warn(text, BenchWarning, stacklevel=2)
    return pd.DataFrame(columns, index=pd.Index(ids, name="sample_id"))


def _one_method(name: str) -> Entry:
    found = methods_of(name)
    if len(found) > 1:
        raise RequestError(several("method", name, [one.name for one in found]))
    return found[0]


def asked_for(
    problem: Problem | str, name: str, samples: int | None, device: str, data: str | Path | None, *, offline: bool
) -> tuple[Task, Plan]:
    """The problem or the registered task as a run has it."""
    task = one_task(problem) if isinstance(problem, str) else own_task(problem, name)
    amount = samples_of(task, samples, "standard")
    plan = Plan(
        tasks=[task],
        methods=[],
        metrics=[],
        samples=lambda _: amount,
        data=data_of(data, offline=offline),
        device=devices.choose(device),
    )
    return task, plan


def ids_of(task: Task, plan: Plan) -> Sequence[str]:
    """The ids of the samples asked for."""
    return call(task.samples, {"data": plan.data})[: plan.samples(task)]


def _probe(task: Task, ids: Sequence[str], plan: Plan, batch_size: int | None, seed: int) -> Probe:
    """The samples as a run hands them to methods and metrics: on its device, with the explained classes."""
    loaded = load(task, ids, plan)
    size = loaded.batch_size if batch_size is None else at_least_one(batch_size, "batch_size")
    return Probe(replace(loaded, batch_size=size), names=(seed, task.id))


def _in_order(maps: Source, task: Task, plan: Plan, *, every: bool) -> tuple[Sequence[str], Tensor]:
    """The ids of samples, and their maps (N, *S). `every`: all samples asked for, or else those that have a map."""
    known, label = call(task.samples, {"data": plan.data}), label_of(maps)
    first = load(task, known[:1], plan)
    asked = known[: plan.samples(task)] if every else known
    subject = Subject(task, known, asked, tuple(first.inputs.shape[1:]), first.fingerprint)
    if isinstance(maps, str | Path | Mapping):
        own, summed = of_one(maps, subject, label, every=every)
        ids = [sample for sample in asked if sample in own]
        attribution = torch.stack([own[sample] for sample in ids])
    else:
        ids = asked if every else asked[: len(maps)]
        attribution, summed = aligned(maps, subject._replace(asked=ids), label)
    if summed:
        warnings.warn(note_of_sum(label), BenchWarning, stacklevel=3)
    return ids, attribution


def _metrics_of_maps(names: Names) -> list[Metric]:
    """The metrics asked for. Raises RequestError for one that needs more than maps; by default those that need no more."""
    chosen = metrics_of(names)
    if names is None:
        return [one for one in chosen if one.cost != "slow" and not given.why_not(one)]
    for reason in filter(None, map(given.why_not, chosen)):
        raise RequestError(f"{reason}; use bench.evaluate with the method")
    return chosen
