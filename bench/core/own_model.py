"""Checks and conversions of what a user brings: a model, inputs, targets and truth become the fields of a Problem.

Every RequestError says what was found, what is needed, and how to get it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import RequestError
from bench.core.nearest import unknown

Values = Tensor | np.ndarray | Sequence[float] | float


def as_signals(values: Tensor | np.ndarray) -> Tensor:
    """Feature vectors (N, F) as signals of one channel (N, 1, F); anything else as it is."""
    try:
        inputs = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"inputs are of type {type(values).__name__}; a tensor or a NumPy array is needed"
        ) from error
    return inputs.unsqueeze(1) if inputs.dim() == 2 else inputs


def as_inputs(values: Tensor | np.ndarray, what: str = "inputs") -> Tensor:
    """The inputs, detached, as a floating tensor (N, C, *S). Raises RequestError for any other shape, or non-finite values.

    `what`: the argument that messages name.
    """
    inputs = torch.as_tensor(values).detach()
    if inputs.dim() < 3 or not inputs.numel() or not inputs.is_floating_point():
        raise RequestError(
            f"{what} are {inputs.dtype} of shape {tuple(inputs.shape)}; floating-point values of shape (N, F), (N, C, L), "
            "(N, C, H, W) or (N, C, D, H, W) are needed, with at least one sample"
        )
    bad = inputs[~inputs.isfinite()]
    if len(bad):
        raise RequestError(f"{what} hold {len(bad)} values that are not finite (for example {bad[0]:g}); replace them")
    return inputs


def as_baseline(values: Values, inputs: Tensor) -> Tensor:
    """What an absent feature is replaced with, as (C, 1, ...): one number, one for each channel, or that shape."""
    channels, axes = inputs.shape[1], inputs.dim() - 2
    try:
        baseline = torch.as_tensor(values, dtype=inputs.dtype).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"baseline is of type {type(values).__name__}; a number, or one for each of the {channels} channels, is needed"
        ) from error
    if baseline.dim() == 0:
        baseline = baseline.expand(channels)
    if tuple(baseline.shape) not in ((channels,), (channels, *(1,) * axes)):
        raise RequestError(
            f"baseline has the shape {tuple(baseline.shape)}; a number, or one for each of the {channels} channels, is needed"
        )
    if not baseline.isfinite().all():
        raise RequestError(f"baseline holds {_first_bad(baseline):g}; finite values are needed")
    return baseline.reshape(channels, *(1,) * axes).clone()


def as_targets(
    values: Tensor | np.ndarray | Sequence[int] | int, classes: int, samples: int, what: str = "target"
) -> Tensor:
    """Class numbers (N,); one number stands for all samples. Raises RequestError for classes that the model lacks."""
    targets = torch.as_tensor(values)
    targets = targets.expand(samples) if targets.dim() == 0 else targets
    if tuple(targets.shape) != (samples,) or targets.is_floating_point() or targets.dtype == torch.bool:
        raise RequestError(
            f"{what}s are {targets.dtype} of shape {tuple(targets.shape)}; {samples} class numbers are needed, "
            "one for each sample"
        )
    wrong = targets[(targets < 0) | (targets >= classes)]
    if len(wrong):
        raise RequestError(
            f"{what} {int(wrong[0])} is not a class of the model; classes 0 to {classes - 1} are allowed"
        )
    return targets.long().clone()


def as_truth(values: Tensor | np.ndarray, inputs: Tensor) -> Tensor:
    """The known evidence as (N, *S) bool; (N, 1, *S) is accepted.

    Raises RequestError for any other shape or other values, and where no mask says where the evidence is.
    """
    truth = torch.as_tensor(values)
    wanted = (len(inputs), *inputs.shape[2:])
    if tuple(truth.shape) == (wanted[0], 1, *wanted[1:]):
        truth = truth[:, 0]
    if tuple(truth.shape) != wanted:
        raise RequestError(f"truth has the shape {tuple(truth.shape)}; a mask of shape {wanted} is needed")
    bad = truth[(truth != 0) & (truth != 1)]
    if len(bad):
        raise RequestError(f"truth holds the value {bad[0]:g}; a mask of 0 and 1 is needed")
    inside = truth.bool().flatten(1)
    if bool((inside.all(1) | ~inside.any(1)).all()):
        extent = (
            "all of the input" if inside.all() else "nothing" if not inside.any() else "all of the input, or nothing,"
        )
        raise RequestError(
            f"truth marks {extent} in every sample; a mask that is 1 where the evidence is and 0 elsewhere is needed"
        )
    return truth.bool()


def as_background(values: Tensor | np.ndarray, inputs: Tensor) -> Tensor:
    """Typical inputs (B, C, *S). Raises RequestError where they do not have the shape of an input."""
    background = as_inputs(values, "background inputs").to(inputs.dtype)
    if background.shape[1:] != inputs.shape[1:]:
        shape = ", ".join(map(str, inputs.shape[1:]))
        raise RequestError(f"background inputs have the shape {tuple(background.shape)}; (B, {shape}) is needed")
    return background


def as_sample_ids(names: Sequence[object] | None, samples: int) -> tuple[str, ...]:
    """The names of the samples, by default their numbers. Raises RequestError unless there is one for each, all different."""
    ids = tuple(map(str, range(samples) if names is None else names))
    if len(ids) != samples:
        raise RequestError(f"{len(ids)} sample_ids were given for {samples} inputs; one for each is needed")
    check_unique(ids)
    return ids


def check_unique(ids: Sequence[str]) -> None:
    """Raises RequestError that names a sample id that occurs twice."""
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise RequestError(f"sample id '{name}' occurs twice; every sample needs an id of its own")
        seen.add(name)


def as_bounds(values: tuple[float, float], inputs: Tensor) -> Tensor:
    """The lowest and the highest value as (2, C, 1, ...). Raises RequestError unless every input lies between them."""
    try:
        low, high = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"bounds are {values}; two numbers are needed, the lowest and the highest value that an input can have"
        ) from error
    if not low < high or bool((inputs < low).any()) or bool((inputs > high).any()):
        raise RequestError(
            f"bounds are {low} and {high}, and inputs go from {float(inputs.min()):g} to {float(inputs.max()):g}; "
            "the lowest and the highest value that an input can have are needed"
        )
    axes = (1,) * (inputs.dim() - 2)
    return torch.tensor([low, high], dtype=inputs.dtype).view(2, 1, *axes).expand(2, inputs.shape[1], *axes)


def as_layers(names: Sequence[str], model: nn.Module) -> tuple[str, ...]:
    """The names of the layers. Raises RequestError with the nearest name where the model has no such module."""
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            raise RequestError(unknown("layer", name, known, of="the model"))
    return tuple(names)


def check_top_k(top_k: float) -> None:
    """Raises RequestError unless it is a share."""
    if not 0 < top_k < 1:
        raise RequestError(f"top_k is {top_k}; a share of the features between 0 and 1 is needed")


def _first_bad(values: Tensor) -> float:
    return float(values[~values.isfinite()][0])
