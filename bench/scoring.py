"""Runs metrics on explanations: what cannot be scored gets a status and a reason instead of a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bench import guard
from bench.core import ContractError, Entry, Metric
from bench.explaining import Explained, absent, explain, in_parts
from bench.masking import area
from bench.probe import Probe
from bench.registry import call
from bench.seeding import SampleRng


@dataclass(frozen=True)
class Scores:
    """The outcome of a metric on N samples."""

    values: np.ndarray  # (N,) NaN unless ok
    status: tuple[str, ...]
    note: tuple[str, ...]
    curves: np.ndarray | None  # (N, steps + 1), NaN rows unless ok
    features: int  # that a curve runs over


def score(metric: Metric, method: Entry, probe: Probe, explained: Explained, *, task: str, seed: int) -> Scores:
    """Scores N samples; probe and explanations are of the same samples in the same order.

    A metric that fails on all of them together is tried sample by sample, so that only the guilty ones fail.
    """
    status, note = list(explained.status), list(explained.note)
    lacking = absent(metric, probe.problem)
    for row, was in enumerate(explained.status):
        if lacking and was != "failed":
            status[row], note[row] = "skipped", lacking
        elif was == "undefined" and "attribution" not in metric.injected:
            status[row], note[row] = "ok", ""

    def attempt(rows: list[int]) -> list[Tensor]:
        return list(_measure(metric, method, probe.take(rows), explained.take(rows), task=task, seed=seed))

    found, failures = in_parts([[row for row, was in enumerate(status) if was == "ok"]], attempt)
    for row, (was, why) in failures.items():
        status[row], note[row] = was, why
    features = _features(metric, probe)
    numbers, curves = _summarise(found, len(status), features)
    for row, number in enumerate(numbers):
        if status[row] == "ok" and not np.isfinite(number):
            status[row], note[row] = "undefined", f"{metric.name} is not finite here"
    values_ok = np.where([was == "ok" for was in status], numbers, np.nan)
    return Scores(values_ok, tuple(status), tuple(note), curves, features)


def _measure(metric: Metric, method: Entry, probe: Probe, explained: Explained, *, task: str, seed: int) -> Tensor:
    """What the metric returns, checked: scores (N,) or curves (N, steps + 1), float64 on the CPU."""
    problem = probe.problem
    offered = {
        "probe": probe,
        "attribution": explained.attribution,
        "rng": SampleRng((seed, task, metric.id), problem.sample_ids, problem.inputs.device),
        "explain": _explainer(method, probe, task=task, seed=seed),
        "cost": explained.cost,
    }
    with guard.unchanged(problem):
        values = call(metric.fn, offered, metric.params)
    right = isinstance(values, Tensor) and values.dim() in (1, 2) and len(values) == len(problem)
    if not right or (values.dim() == 2 and not 2 <= values.shape[1] <= _features(metric, probe) + 1):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        wanted = f"({len(problem)},) or ({len(problem)}, steps + 1)"
        raise ContractError(f"metric {metric.name} returned {got}, a tensor {wanted} is needed")
    return values.detach().double().cpu()


def _features(metric: Metric, probe: Probe) -> int:
    """How many features a metric's curve runs over: those its hyper-parameter `features` names, pixels by default."""
    name = dict(metric.params).get("features", "pixel")
    return probe.cells(name).number if isinstance(name, str) else probe.features


def _explainer(method: Entry, probe: Probe, *, task: str, seed: int) -> Callable[[Tensor, int], Tensor]:
    """`explain(inputs (N, C, *S), draw) -> (N, *S)`: the method once more, on changed inputs of the same samples.

    A method with randomness draws afresh for every `draw`, as it would for a user who asks again.
    """
    problem = probe.problem

    def explain_again(inputs: Tensor, draw: int) -> Tensor:
        changed = replace(problem, inputs=inputs.to(problem.inputs))
        parts = [changed.take(rows.tolist()) for rows in torch.arange(len(problem)).split(problem.batch_size)]
        return torch.cat([explain(method, part, task=task, seed=seed, draw=draw)[0] for part in parts])

    return explain_again


def _summarise(found: dict[int, Tensor], size: int, features: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores (N,), NaN where there are none, and the curves they are the areas under, where they are."""
    if not found:
        return np.full(size, np.nan), None
    nothing = torch.full_like(next(iter(found.values())), torch.nan)
    table = torch.stack([found.get(row, nothing) for row in range(size)])
    return (area(table, features).numpy(), table.numpy()) if table.dim() == 2 else (table.numpy(), None)
