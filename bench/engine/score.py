"""Runs metrics on explanations: what cannot be scored gets a status and a reason instead of a number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.entries import Entry, Metric
from bench.core.errors import ContractError
from bench.core.hashing import digest, digests, model_digest
from bench.core.random import SampleRng
from bench.engine import sandbox
from bench.engine.explain import Explained, absent, bisect_failures, explain
from bench.perturbation.masking import area
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, call

VALUES_KEPT = 2**26  # of the maps that metrics had made again, for the metrics that come next


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

    found, failures = bisect_failures([[row for row, was in enumerate(status) if was == "ok"]], attempt)
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
        "explain": _explainer(method, probe, explained.again, task=task, seed=seed),
        "cost": explained.cost,
    }
    with sandbox.unchanged(problem):
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
    return probe.partition(name).number if isinstance(name, str) else probe.features


def _explainer(method: Entry, probe: Probe, known: dict[str, Tensor], *, task: str, seed: int) -> Explain:
    """The `explain` that is handed to metrics (registry.Explain). Maps in `known` are not made again; it is filled up.

    `known` holds one map per question and sample, the oldest give way to new ones.
    """
    problem = probe.problem
    most = max(1, VALUES_KEPT // problem.shape.numel())

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
        about = zip(problem.sample_ids, asked.inputs.cpu(), classes.tolist(), strict=True)
        names = digests((task, seed, method.id, draw, other, shift), (digest(*one) for one in about))
        found = {name: known[name] for name in names if name in known}
        lacking = [row for row, name in enumerate(names) if name not in found]
        for start in range(0, len(lacking), problem.batch_size):
            rows = lacking[start : start + problem.batch_size]
            maps = explain(method, asked.take(rows), task=task, seed=seed, draw=draw)[0]
            made = dict(zip((names[row] for row in rows), maps, strict=True))
            found.update(made)
            known.update(made)
        for name in list(known)[: max(0, len(known) - most)]:
            del known[name]
        return torch.stack([found[name] for name in names])

    return explain_again


def _summarise(found: dict[int, Tensor], size: int, features: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores (N,), NaN where there are none, and the curves they are the areas under, where they are."""
    if not found:
        return np.full(size, np.nan), None
    nothing = torch.full_like(next(iter(found.values())), torch.nan)
    table = torch.stack([found.get(row, nothing) for row in range(size)])
    return (area(table, features).numpy(), table.numpy()) if table.dim() == 2 else (table.numpy(), None)
