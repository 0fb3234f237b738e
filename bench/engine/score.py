"""Runs metrics on attributions: what cannot be scored gets a status and a reason instead of a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.entries import Entry, Metric
from bench.core.errors import ContractError
from bench.core.hashing import digest, digests, model_digest
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine import sandbox
from bench.engine.explain import Attributions, bisect_failures, explain, why_skipped
from bench.perturbation.masking import area
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, call

VALUES_KEPT = 2**26  # of repeated maps, for the metrics that follow


@dataclass(frozen=True)
class Scores:
    """A metric's scores of N samples."""

    values: np.ndarray  # (N,) NaN unless ok
    status: tuple[str, ...]
    note: tuple[str, ...]
    curves: np.ndarray | None  # (N, steps + 1), NaN rows unless ok
    features: int  # number of features that a curve removes or puts back


def score(metric: Metric, method: Entry, probe: Probe, maps: Attributions, *, task: str, seed: int) -> Scores:
    """Scores N samples under the metric's view; probe and maps are of the same samples in the same order.

    A metric that fails on all of them together is tried on fewer, so that only the samples that cause it fail.
    """
    status, note = list(maps.status), list(maps.note)
    missing = why_skipped(metric, probe.problem)
    for row, state in enumerate(maps.status):
        if missing and state != "failed":
            status[row], note[row] = "skipped", missing
        elif state == "undefined" and "attribution" not in metric.injected:
            status[row], note[row] = "ok", ""
    view = dict(metric.view)

    def attempt(rows: list[int]) -> Tensor:  # NotApplicable where the task has no such baseline
        return _measure(metric, method, probe.view(**view).take(rows), maps.take(rows), task=task, seed=seed)

    results, failures = bisect_failures([[row for row, state in enumerate(status) if state == "ok"]], attempt)
    for row, (state, why) in failures.items():
        status[row], note[row] = state, why
    features = _features(metric, probe.view(**view) if results else probe)
    numbers, curves = _summarise(results, len(status), features)
    for row in np.flatnonzero(~np.isfinite(numbers)).tolist():
        if status[row] == "ok":
            status[row], note[row] = "undefined", f"{metric.name} is not finite here"
    values = np.where([state == "ok" for state in status], numbers, np.nan)
    return Scores(values, tuple(status), tuple(note), curves, features)


def _measure(metric: Metric, method: Entry, probe: Probe, maps: Attributions, *, task: str, seed: int) -> Tensor:
    """What the metric returns, checked: scores (N,) or curves (N, steps + 1), float64 on the CPU."""
    problem = probe.problem
    offered = {
        "probe": probe,
        "attribution": maps.attribution,
        "rng": SampleRng((seed, task, metric.id), problem.sample_ids, problem.inputs.device),
        "explain": _explainer(method, probe, maps.repeated, task=task, seed=seed),
        "cost": maps.cost,
    }
    model = probe.shared("snapshot", lambda: sandbox.ModelSnapshot(problem.model))
    with sandbox.unchanged(problem, probe.once("snapshot", lambda: sandbox.Snapshot(problem, model))):
        values = call(metric.fn, offered, metric.params)
    valid = isinstance(values, Tensor) and values.dim() in (1, 2) and len(values) == len(problem)
    if not valid or (values.dim() == 2 and not 2 <= values.shape[1] <= _features(metric, probe) + 1):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        wanted = f"({len(problem)},) or ({len(problem)}, steps + 1)"
        raise ContractError(f"metric {metric.name} returned {got}, a tensor {wanted} is needed")
    return values.detach().double().cpu()


def _features(metric: Metric, probe: Probe) -> int:
    """The number of features of a metric's curve: those of its hyper-parameter `features`, else those of the view."""
    name = dict(metric.params).get("features", "pixel")
    return probe.partition(name).number if isinstance(name, str) else probe.features


def _explainer(method: Entry, probe: Probe, repeated: dict[str, Tensor], *, task: str, seed: int) -> Explain:
    """The `explain` that metrics may ask for (registry.Explain); its maps are stored in `repeated` and read from there."""
    problem = probe.problem

    def explain_again(
        inputs: Tensor,
        draw: int,
        *,
        model: nn.Module | None = None,
        targets: Tensor | None = None,
        shift: float = 0.0,
    ) -> Tensor:
        draw = draw if "rng" in method.injected else 0
        other = "" if model is None else model_digest(model)
        classes = probe.targets if targets is None else targets.to(probe.targets)
        asked = replace(
            problem if shift == 0 else problem.shifted(shift),
            model=problem.model if model is None else model,
            inputs=inputs.to(problem.inputs),
            targets=classes,
            fingerprint=problem.fingerprint + other,
        )
        samples = zip(problem.sample_ids, asked.inputs.cpu(), classes.tolist(), strict=True)
        names = digests((task, seed, method.id, draw, other, shift), (digest(*sample) for sample in samples))
        return _cached(names, repeated, asked, lambda part: explain(method, part, task=task, seed=seed, draw=draw)[0])

    return explain_again


def _cached(
    names: list[str], repeated: dict[str, Tensor], problem: Problem, explain_part: Callable[[Problem], Tensor]
) -> Tensor:
    """The maps of these names, one per sample of the problem (N, *S): from `repeated`, or explained and stored there.

    Of the stored maps the oldest give way to new ones.
    """
    maps = {name: repeated[name] for name in names if name in repeated}
    missing = [row for row, name in enumerate(names) if name not in maps]
    for start in range(0, len(missing), problem.batch_size):
        rows = missing[start : start + problem.batch_size]
        new = dict(zip((names[row] for row in rows), explain_part(problem.take(rows)), strict=True))
        maps.update(new)
        repeated.update(new)
    most = max(1, VALUES_KEPT // problem.shape.numel())
    for name in list(repeated)[: max(0, len(repeated) - most)]:
        del repeated[name]
    return torch.stack([maps[name] for name in names])


def _summarise(
    results: list[tuple[list[int], Tensor]], size: int, features: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores (N,), NaN where there are none, and curves (N, steps + 1) where the metric returned curves."""
    if not results:
        return np.full(size, np.nan), None
    table = torch.full((size, *results[0][1].shape[1:]), torch.nan, dtype=torch.float64)
    for rows, values in results:
        table[rows] = values
    return (area(table, features).numpy(), table.numpy()) if table.dim() == 2 else (table.numpy(), None)
