"""Maps of methods, scores of given maps, and maps of one input side by side."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from bench import plots
from bench.api.progress import bar
from bench.api.request import (
    OWN_MODEL,
    Names,
    Paths,
    at_least_one,
    data_of,
    load_plugins,
    methods_of,
    metrics_of,
    named,
    one_task,
    own_task,
)
from bench.core.display import in_unit_range
from bench.core.entries import Entry, Metric, Task
from bench.core.errors import BenchError, NotApplicable, RequestError
from bench.core.nearest import several
from bench.core.problem import Problem
from bench.engine import one_sample
from bench.engine.explain import Attributions, explain_all
from bench.engine.plan import Plan, load
from bench.engine.sandbox import checked, map_status
from bench.engine.score import score as score_maps
from bench.network import device as devices
from bench.network.cost import Cost
from bench.perturbation.probe import Probe
from bench.task_tools.data import Data

SHOWN = ("integrated_gradients", "grad_cam", "lrp_composite", "smoothgrad", "sise", "random")  # by `explain`
NOT_FROM_MAPS = {"explain": "asks the method for other maps", "cost": "measures what an explanation costs"}

GIVEN = Entry(  # stands for the method of maps that were given; it is never called
    name="given", fn=lambda problem: problem.inputs, family="", cite="", version=1, params=(), injected=("problem",)
)


def attribute(
    problem: Problem,
    method: str,
    *,
    seed: int = 0,
    name: str = OWN_MODEL,
    device: str = "auto",
    batch_size: int | None = None,
    plugins: Paths = (),
) -> Tensor:
    """The attributions of one method: (N, *S), on the problem's device; those that `evaluate` scores.

    Args:
        problem: see `bench.Problem.from_model`.
        method: a name, with hyper-parameters or without: "grad_cam", "smoothgrad[samples=8]".
        seed: of a method that draws random numbers.
        name: what the problem is called; with the seed it tells random streams apart, as in `evaluate`.
        device: "auto", "cpu" or "cuda".
        batch_size: inputs that the model takes at once; by default the problem's.
        plugins: files or folders with methods of one's own.

    Raises:
        RequestError: the method is unknown, or the name stands for several.
        NotApplicable: the method cannot serve this model; the message says why.
        BenchError: the method failed on a sample.

    Warns where a map is constant or not finite: it cannot be scored.
    """
    load_plugins(plugins)
    entry = _one_method(method)
    task, probe = _probe(problem, name, seed, device, batch_size)
    made = explain_all(entry, probe.problem, task=task.id, seed=seed)
    for sample, status, note in zip(problem.sample_ids, made.status, made.note, strict=True):
        if status == "skipped":
            raise NotApplicable(f"{entry.name}: {note}")
        if status == "failed":
            raise BenchError(f"{entry.name} failed on sample {sample}: {note}")
    undefined = [note for note in made.note if note]
    if undefined:
        warnings.warn(
            f"{entry.name}: {len(undefined)} of {len(problem)} maps say nothing: {undefined[0]}", stacklevel=2
        )
    return made.attribution


def score(
    problem: Problem,
    maps: Tensor | np.ndarray,
    *,
    metrics: Names = None,
    seed: int = 0,
    name: str = OWN_MODEL,
    device: str = "auto",
    batch_size: int | None = None,
    plugins: Paths = (),
) -> pd.DataFrame:
    """Scores given attributions: one row per sample, one column per metric; NaN where a score is not defined.

    The scores are those that `evaluate` gives a method with these maps. A warning says why scores are missing.

    Args:
        problem: see `bench.Problem.from_model`.
        maps: attributions (N, *S), of any method or library; sum over channels first.
        metrics: names and wildcards; by default all fast metrics that need nothing but the maps.
        seed: of metrics that draw random numbers.
        name: what the problem is called; with the seed it tells random streams apart, as in `evaluate`.
        device: "auto", "cpu" or "cuda".
        batch_size: inputs that the model takes at once; by default the problem's.
        plugins: files or folders with metrics of one's own.

    Raises:
        RequestError: the maps have another shape, or a metric needs more than maps (robustness, randomisation, cost).
    """
    load_plugins(plugins)
    chosen = _metrics_of_maps(metrics)
    task, probe = _probe(problem, name, seed, device, batch_size)
    attribution = torch.as_tensor(maps).detach()
    wanted = (len(problem), *problem.shape)
    if tuple(attribution.shape) != wanted or not attribution.is_floating_point():
        raise RequestError(
            f"maps are {attribution.dtype} of shape {tuple(attribution.shape)}; floating-point values of shape "
            f"{wanted} are needed" + ("; sum them over the channels" if attribution.dim() == len(wanted) + 1 else "")
        )
    status, note = zip(*map_status(attribution), strict=True)
    unknown = torch.full((len(problem),), torch.nan, dtype=torch.float64)
    given = Attributions(checked(attribution, probe.problem), Cost(unknown, unknown, unknown, unknown), status, note)
    columns = {}
    for metric in chosen:
        scores = score_maps(metric, GIVEN, probe, given, task=task.id, seed=seed)
        columns[metric.name] = scores.values
        reasons = sorted({reason for reason in scores.note if reason})
        if reasons:
            missing = sum(status != "ok" for status in scores.status)
            warnings.warn(
                f"{metric.name}: no score on {missing} of {len(problem)} samples: {'; '.join(reasons)}", stacklevel=2
            )
    return pd.DataFrame(columns, index=pd.Index(problem.sample_ids, name="sample_id"))


@dataclass(frozen=True, eq=False)
class Explanations:
    """The maps of some methods for one input."""

    caption: str  # which input, which class, and what the model says
    inputs: np.ndarray  # (C, *S)
    explanations: tuple[one_sample.Explanation, ...]

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """Method -> attribution (*S), of the methods that have one."""
        return {one.method: one.attribution for one in self.explanations if one.attribution is not None}

    def figure(self) -> Figure:
        """The input and the maps side by side."""
        return plots.side_by_side(self.inputs, self.explanations, self.caption)

    def save(self, path: str | Path) -> Path:
        """Writes the picture (.png, .svg or .pdf) and returns its path."""
        plots.check_path(Path(path))
        plots.write(self.figure(), Path(path))
        return Path(path)


def explain(
    problem: Problem | None = None,
    *,
    task: str | None = None,
    sample: str | int = 0,
    input: str | Path | None = None,
    target: str | int | None = None,
    methods: Names = SHOWN,
    seed: int = 0,
    name: str = OWN_MODEL,
    device: str = "auto",
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
    progress: bool | None = None,
) -> Explanations:
    """Explains one input with several methods: a sample of a problem or of a task, or a file of one's own.

    Args:
        problem: a problem of one's own; or
        task: the name of a registered task, whose model is asked.
        sample: the number or the id of the sample.
        input: a file of one's own in the sample's place: an image, or values as .npy or .csv (one channel per line).
        target: the class to explain, by name or number; by default the problem's, or the model's prediction.
        methods: names and wildcards.
        seed: of methods that draw random numbers.
        name: what the problem is called in the caption.
        device: "auto", "cpu" or "cuda".
        data: folder that holds data sets.
        offline: never download.
        plugins: files or folders with methods and tasks of one's own.
        progress: False shows no progress bar.

    Raises:
        RequestError: an unknown name, sample or class, or a file that cannot be read.
    """
    load_plugins(plugins)
    if (problem is None) == (task is None):
        given = "neither a problem nor a task was" if problem is None else f"both a problem and task '{task}' were"
        raise RequestError(f"{given} given; exactly one of them is needed")
    entry = own_task(problem, name) if problem is not None else one_task(str(task))
    chosen = [method for pattern in named(methods) for method in methods_of(pattern)]
    devices.keep_freed_memory()
    single = one_sample.problem(
        entry,
        sample=str(sample),
        file=None if input is None else Path(input),
        target=None if target is None else str(target),
        data=data_of(data, offline=offline),
        device=devices.choose(device),
    )
    found = []
    with bar(progress, unit="method", total=len(chosen)) as shown:
        for method in chosen:
            shown.set_description_str(method.name)
            found.append(one_sample.explained(method, single, task=entry, seed=seed))
            shown.update()
    shown = in_unit_range(single.inputs, single.bounds)[0].cpu().numpy()
    return Explanations(one_sample.caption(single, entry), shown, tuple(found))


def _one_method(name: str) -> Entry:
    found = methods_of(name)
    if len(found) > 1:
        raise RequestError(several("method", name, [one.name for one in found]))
    return found[0]


def _probe(problem: Problem, name: str, seed: int, device: str, batch_size: int | None) -> tuple[Task, Probe]:
    """The problem as a run hands it to methods and metrics: on its device, with the explained classes."""
    task = own_task(problem, name)
    plan = Plan(
        tasks=[task],
        methods=[],
        metrics=[],
        samples=lambda _: None,
        data=Data(None, True),
        device=devices.choose(device),
    )
    loaded = load(task, problem.sample_ids, plan)
    size = problem.batch_size if batch_size is None else at_least_one(batch_size, "batch_size")
    return task, Probe(replace(loaded, batch_size=size), names=(seed, task.id))


def _metrics_of_maps(names: Names) -> list[Metric]:
    """The metrics asked for. Raises RequestError for one that needs more than maps; by default those that need no more."""
    chosen = metrics_of(names)
    if names is None:
        return [one for one in chosen if one.cost != "slow" and not set(one.injected) & set(NOT_FROM_MAPS)]
    for metric in chosen:
        for argument, reason in NOT_FROM_MAPS.items():
            if argument in metric.injected:
                raise RequestError(
                    f"metric {metric.name} {reason}, so it cannot score given maps; use bench.evaluate with the method"
                )
    return chosen
