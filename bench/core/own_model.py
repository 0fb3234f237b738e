"""Checks and conversions of what a user brings: a model, inputs, targets and truth become the fields of a Problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import RequestError
from bench.core.nearest import unknown

Values = Tensor | np.ndarray | Sequence[float] | float


def as_inputs(values: Tensor | np.ndarray, what: str = "inputs") -> Tensor:
    """The inputs, detached, as a floating tensor (N, C, *S). Raises RequestError for any other shape, or non-finite values.

    `what`: the argument that messages name.
    """
    inputs = torch.as_tensor(values).detach()
    if inputs.dim() < 3 or not len(inputs) or not inputs.is_floating_point():
        raise RequestError(
            f"{what} are {inputs.dtype} of shape {tuple(inputs.shape)}; floating-point values of shape (N, C, L) or "
            "(N, C, H, W) are needed, with at least one sample"
        )
    bad = inputs[~inputs.isfinite()]
    if len(bad):
        raise RequestError(f"{what} hold {len(bad)} values that are not finite (for example {bad[0]:g}); replace them")
    return inputs


def as_baseline(values: Values, inputs: Tensor) -> Tensor:
    """What an absent feature is replaced with, as (C, 1, ...): one number, one for each channel, or that shape."""
    channels, axes = inputs.shape[1], inputs.dim() - 2
    baseline = torch.as_tensor(values, dtype=inputs.dtype)
    if baseline.dim() == 0:
        baseline = baseline.expand(channels)
    if tuple(baseline.shape) not in ((channels,), (channels, *(1,) * axes)):
        raise RequestError(
            f"baseline has the shape {tuple(baseline.shape)}; a number, or one for each of the {channels} channels, is needed"
        )
    return baseline.reshape(channels, *(1,) * axes).clone()


def as_targets(values: Tensor | np.ndarray | Sequence[int] | int, logits: Tensor, samples: int) -> Tensor:
    """The explained classes (N,); one number stands for all samples. Raises RequestError for classes the model lacks."""
    targets = torch.as_tensor(values)
    targets = targets.expand(samples) if targets.dim() == 0 else targets
    if tuple(targets.shape) != (samples,) or targets.is_floating_point():
        raise RequestError(
            f"targets are {targets.dtype} of shape {tuple(targets.shape)}; {samples} class numbers are needed, "
            "one for each sample"
        )
    classes = logits.shape[1]
    wrong = targets[(targets < 0) | (targets >= classes)]
    if len(wrong):
        raise RequestError(
            f"target {int(wrong[0])} is not a class of the model; classes 0 to {classes - 1} are allowed"
        )
    return targets.long()


def as_truth(values: Tensor | np.ndarray, inputs: Tensor) -> Tensor:
    """The known evidence as (N, *S) bool; (N, 1, *S) is accepted. Raises RequestError for any other shape or other values."""
    truth = torch.as_tensor(values)
    wanted = (len(inputs), *inputs.shape[2:])
    if tuple(truth.shape) == (wanted[0], 1, *wanted[1:]):
        truth = truth[:, 0]
    if tuple(truth.shape) != wanted:
        raise RequestError(f"truth has the shape {tuple(truth.shape)}; a mask of shape {wanted} is needed")
    bad = truth[(truth != 0) & (truth != 1)]
    if len(bad):
        raise RequestError(f"truth holds the value {bad[0]:g}; a mask of 0 and 1 is needed")
    return truth.bool()


def checked_logits(model: nn.Module, inputs: Tensor) -> Tensor:
    """The model's answer to the first input (1, K). Raises RequestError unless it is finite logits of two or more classes."""
    with torch.no_grad():
        logits, again = model(inputs[:1]), model(inputs[:1])
    if not isinstance(logits, Tensor):
        raise RequestError(f"the model returns {type(logits).__name__}; one tensor of logits (N, classes) is needed")
    if logits.dim() != 2 or len(logits) != 1 or logits.shape[1] < 2:
        raise RequestError(
            f"the model returns the shape {tuple(logits.shape)} for one input; logits (1, classes) of two or more "
            "classes are needed"
        )
    if not logits.isfinite().all():
        bad = float(logits[~logits.isfinite()][0])
        raise RequestError(f"the model's logits hold {bad:g}; check its weights and the range of the inputs")
    if not torch.allclose(logits, again, rtol=1e-4, atol=1e-6):  # rounding of another order of sums is far smaller
        raise RequestError(
            "the model gives two answers to the same input; it must not draw random numbers or change its "
            "buffers when it predicts"
        )
    return logits


def as_sample_ids(names: Sequence[object] | None, samples: int) -> tuple[str, ...]:
    """The names of the samples, by default their numbers. Raises RequestError unless there is one for each, all different."""
    ids = tuple(map(str, range(samples) if names is None else names))
    if len(ids) != samples:
        raise RequestError(f"{len(ids)} sample_ids were given for {samples} inputs; one for each is needed")
    repeated = next((name for name in ids if ids.count(name) > 1), None) if len(set(ids)) < samples else None
    if repeated is not None:
        raise RequestError(f"sample id '{repeated}' occurs twice; every sample needs an id of its own")
    return ids


def as_bounds(values: tuple[float, float], inputs: Tensor) -> Tensor:
    """The lowest and the highest value as (2, C, 1, ...). Raises RequestError unless every input lies between them."""
    low, high = values
    if not low < high or bool((inputs < low).any()) or bool((inputs > high).any()):
        raise RequestError(
            f"bounds are {low} and {high}, and inputs go from {float(inputs.min()):g} to {float(inputs.max()):g}; "
            "the lowest and the highest value that an input can have are needed"
        )
    axes = (1,) * (inputs.dim() - 2)
    return torch.tensor(values, dtype=inputs.dtype).view(2, 1, *axes).expand(2, inputs.shape[1], *axes)


def as_layers(names: Sequence[str], model: nn.Module) -> tuple[str, ...]:
    """The names of the layers. Raises RequestError with the nearest name where the model has no such module."""
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            raise RequestError(unknown("layer", name, known, of="the model"))
    return tuple(names)
