"""One check of a problem, whoever made it, before anything is computed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.core.adapt import default_target, fitted
from bench.core.errors import RequestError
from bench.core.own_model import as_inputs, as_layers, as_targets, check_top_k, check_unique
from bench.core.problem import Problem


def checked(problem: Problem) -> Problem:
    """The problem, if its fields and its model can be used.

    Raises RequestError where they cannot; the message says what is needed.
    """
    return with_checked_model(with_checked_fields(problem))


def with_checked_fields(problem: Problem) -> Problem:
    """The problem, its inputs detached. Raises RequestError where a field cannot be used. The model is not asked."""
    check_unique(problem.sample_ids)
    inputs = as_inputs(problem.inputs)
    if len(inputs) != len(problem.sample_ids):
        raise RequestError(
            f"{len(inputs)} inputs were given for {len(problem.sample_ids)} sample_ids; one for each is needed"
        )
    check_top_k(problem.top_k)
    _check_baseline(problem.baseline, inputs)
    _check_bounds(problem.bounds, inputs)
    _check_truth(problem.truth, inputs)
    if problem.background is not None and problem.background.shape[1:] != inputs.shape[1:]:
        raise RequestError(
            f"background has the shape {tuple(problem.background.shape)}; (B, {_listed(inputs.shape[1:])}) is needed"
        )
    return replace(problem, inputs=inputs)


def with_checked_model(problem: Problem) -> Problem:
    """The problem with its model as one of logits (N, K), and the classes to explain, where these are not the model's choice.

    Asks the model a few times. Raises RequestError where it cannot be used.
    """
    as_layers(problem.layers, problem.model)
    first = next(problem.model.parameters(), problem.inputs)
    model, output, classes = fitted(problem.model, problem.inputs.to(first.device), problem.output)
    chosen = problem.targets if len(problem.targets) else default_target(problem.output, output, classes)
    targets = problem.targets if chosen is None else as_targets(chosen, classes, len(problem)).to(problem.inputs.device)
    return replace(problem, model=model, output=output, targets=targets)


def _check_baseline(baseline: Tensor, inputs: Tensor) -> None:
    wanted = inputs.shape[1:]
    if not isinstance(baseline, Tensor) or not _broadcasts(baseline.shape, wanted):
        got = (
            f"the shape {tuple(baseline.shape)}"
            if isinstance(baseline, Tensor)
            else f"the type {type(baseline).__name__}"
        )
        shape = (wanted[0], *(1,) * (len(wanted) - 1))
        raise RequestError(f"baseline has {got}; a tensor of shape {shape}, one value for each channel, is needed")
    if not baseline.isfinite().all():
        raise RequestError("baseline holds values that are not finite; replace them")


def _check_bounds(bounds: Tensor | None, inputs: Tensor) -> None:
    if bounds is None:
        return
    if bounds.dim() < 2 or len(bounds) != 2 or not _broadcasts(bounds.shape[1:], inputs.shape[1:]):
        shape = (2, inputs.shape[1], *(1,) * (inputs.dim() - 2))
        raise RequestError(
            f"bounds have the shape {tuple(bounds.shape)}; {shape} is needed: the lowest and the highest value of each channel"
        )
    if not bool((bounds[0] < bounds[1]).all()):
        raise RequestError("bounds are not in order; the lowest value comes first, and is below the highest")


def _check_truth(truth: Tensor | None, inputs: Tensor) -> None:
    wanted = (len(inputs), *inputs.shape[2:])
    if truth is not None and (tuple(truth.shape) != wanted or truth.dtype != torch.bool):
        kind = str(truth.dtype).removeprefix("torch.")
        raise RequestError(f"truth is {kind} of shape {tuple(truth.shape)}; bool of shape {wanted} is needed")


def _broadcasts(shape: torch.Size, wanted: torch.Size) -> bool:
    return len(shape) == len(wanted) and all(have in (1, size) for have, size in zip(shape, wanted, strict=True))


def _listed(sizes: torch.Size) -> str:
    return ", ".join(map(str, sizes))
