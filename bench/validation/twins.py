"""Other forms of a user's problem, in which what a method should answer is known: in float64, with features that nothing reads,
and with other classes to explain."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.core.errors import NotApplicable
from bench.core.outputs import of_class
from bench.core.problem import Problem

SAME_OUTPUTS = 1e-3  # of the largest output: float32 against float64
PARALLEL = 1e-6  # 1 - |cosine| of two gradients that point along one line
FIRST_STEP = 1e-4  # of a sample's range, in which slopes are measured
HALVINGS = 14  # of the step, where a kink lies inside
STRAIGHT = 1e-3  # of the largest slope: by how much the slopes on both sides of a point may differ


class Front(nn.Module):
    """Gives the first places of an axis to a model; the places behind them reach nothing."""

    def __init__(self, model: nn.Module, axis: int, length: int) -> None:
        super().__init__()
        self.model, self.front = model, (*(slice(None),) * axis, slice(0, length))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x[self.front])
        return logits


class Widened(NamedTuple):
    """A problem with features that the model does not read, and where these are: (N, *S) -> those values."""

    problem: Problem
    unread: Callable[[Tensor], Tensor]


def in_float64(problem: Problem) -> Problem:
    """The problem computed in float64. Raises NotApplicable where the model cannot, or has other outputs then."""
    if problem.inputs.dtype == torch.float64:
        raise NotApplicable("the network computes in float64 already")
    try:
        model = copy.deepcopy(problem.model).double()
        with torch.no_grad():
            answers, wanted = model(problem.inputs.double()), problem.model(problem.inputs).double()
    except Exception as error:  # of the user's network
        text = " ".join(str(error).split())[:120]
        raise NotApplicable(f"the network does not compute in float64 ({type(error).__name__}: {text})") from error
    if answers.dtype != torch.float64:
        raise NotApplicable(f"the network returns {str(answers.dtype).removeprefix('torch.')} for inputs in float64")
    if float((answers - wanted).abs().max()) > SAME_OUTPUTS * float(wanted.abs().max()):
        raise NotApplicable("the network has other outputs in float64, so the two cannot be compared")

    def exact(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.double()

    return replace(
        problem,
        model=model,
        inputs=problem.inputs.double(),
        baseline=problem.baseline.double(),
        background=exact(problem.background),
        bounds=exact(problem.bounds),
    )


def widened(problem: Problem) -> Widened:
    """The problem with its longest axis doubled: the second half is a mirror image of the first, and the model is not given it.

    What counts as unread is the outer half of that, so that no cell of a method on patches holds both kinds of places.
    """
    length = max(problem.shape)
    axis = 2 + list(problem.shape).index(length)

    def wide(values: Tensor | None, lead: int) -> Tensor | None:
        """`lead`: axes before the spatial ones. Values that hold for a whole axis stay as they are."""
        if values is None or values.shape[axis - 2 + lead] != length or length == 1:
            return values if length > 1 or values is None else torch.cat([values, values], axis - 2 + lead)
        along = axis - 2 + lead
        return torch.cat([values, values.flip(along)], along)

    inputs, baseline = wide(problem.inputs, 2), wide(problem.baseline, 1)
    assert inputs is not None
    assert baseline is not None
    made = replace(
        problem,
        model=Front(problem.model, axis, length).eval(),
        inputs=inputs,
        baseline=baseline,
        layers=tuple(f"model.{name}" for name in problem.layers),
        truth=wide(problem.truth, 1),
        background=wide(problem.background, 2),
        bounds=wide(problem.bounds, 2),
    )
    start = length + length // 2
    return Widened(made, lambda maps: maps.narrow(axis - 1, start, 2 * length - start))


def other_classes(problem: Problem) -> tuple[Problem, Tensor]:
    """The problem with another class to explain, and the rows (M,) where its output does not rise and fall with the first.

    The class is the likeliest whose gradient points elsewhere, of three. Raises NotApplicable where no sample has one.
    """
    with torch.no_grad():
        logits = problem.model(problem.inputs)
    if logits.shape[1] < 2:
        raise NotApplicable("the network has one output")
    order = logits.scatter(1, problem.targets[:, None], -torch.inf).argsort(1, descending=True)[:, :-1]
    own, targets = slopes_of(problem, problem.targets), order[:, 0].clone()
    found = torch.zeros_like(targets, dtype=torch.bool)
    for place in range(min(order.shape[1], 3)):
        other = slopes_of(problem, order[:, place])
        one, two = own.norm(dim=1), other.norm(dim=1)
        along = (own * other).sum(1).abs()
        apart = (along < (1 - PARALLEL) * one * two) | ((one > 0) != (two > 0))
        targets = torch.where(apart & ~found, order[:, place], targets)
        found |= apart
    if not found.any():
        raise NotApplicable(
            "the outputs of the network rise and fall together, so that maps without signs are rightly the same"
        )
    return replace(problem, targets=targets), found.nonzero().flatten()


def slopes_of(problem: Problem, targets: Tensor) -> Tensor:
    """The gradient of each sample's output of a class: (N, F) float64."""
    at = problem.inputs.detach().clone().requires_grad_()
    with torch.enable_grad():
        chosen = of_class(problem.model(at), targets).sum()
        if not chosen.requires_grad:
            return torch.zeros_like(at, dtype=torch.float64).flatten(1)
        (slope,) = torch.autograd.grad(chosen, at, allow_unused=True)
    return (torch.zeros_like(at) if slope is None else slope).double().flatten(1)


class Slopes(NamedTuple):
    """Slopes of the explained outputs at a few places, by autograd and by differences: (M, C) each, and what they are of."""

    rows: Tensor  # (M,) samples
    places: Tensor  # (M,) places, as indices into the flattened spatial axes
    gradient: Tensor  # (M, C) by autograd
    measured: Tensor  # (M, C) by central differences
    smooth: Tensor  # (M,) bool: no kink at the place itself
    scale: float  # the largest slope


def measured_slopes(problem: Problem, few: int = 3) -> Slopes:
    """Slopes at some places of each sample: the `few` steepest, and as many evenly spaced. `problem`: in float64."""
    channels = problem.inputs.shape[1]
    slopes = slopes_of(problem, problem.targets).view(len(problem), channels, -1)
    number = slopes.shape[2]
    steep = slopes.abs().amax(1).topk(min(few, number), dim=1).indices
    even = torch.linspace(0, number - 1, min(few + 2, number), device=steep.device).round().long()
    places = torch.cat([steep, even.expand(len(problem), -1)], 1)
    rows = torch.arange(len(problem), device=steep.device)[:, None].expand_as(places).flatten()
    places = places.flatten()
    gradient = slopes[rows, :, places]
    left, right, straight = _one_sided(problem, rows, places, float(gradient.abs().max()))
    scale = float(torch.stack([gradient, left, right]).abs().max())
    return Slopes(rows, places, gradient, (left + right) / 2, straight.all(1), scale)


def _one_sided(problem: Problem, rows: Tensor, places: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes below and above the inputs at single features, (M, C) each, and whether these agree at the end.

    A kink between the two points makes them differ; the step is halved there.
    """
    many, channels = len(rows), problem.inputs.shape[1]
    spread = (problem.inputs.flatten(1).amax(1) - problem.inputs.flatten(1).amin(1)).clamp_min(1e-6)
    step = (FIRST_STEP * spread)[rows, None].expand(many, channels).clone()
    left, right = torch.zeros_like(step), torch.zeros_like(step)
    open_ = torch.ones_like(step, dtype=torch.bool)
    with torch.no_grad():
        here = of_class(problem.model(problem.inputs), problem.targets)
    for _ in range(HALVINGS):
        item, channel = open_.nonzero().unbind(1)
        sample, size = rows[item], step[item, channel]
        moved = (channel, places[item], size)
        right[item, channel] = (_moved(problem, sample, *moved, sign=1) - here[sample]) / size
        left[item, channel] = (here[sample] - _moved(problem, sample, *moved, sign=-1)) / size
        largest = max(scale, float(torch.stack([left, right]).abs().max()), 1e-30)
        open_ = (right - left).abs() > STRAIGHT * largest
        if not open_.any():
            break
        step = torch.where(open_, step / 2, step)
    return left, right, ~open_


def _moved(problem: Problem, sample: Tensor, channel: Tensor, place: Tensor, size: Tensor, *, sign: int) -> Tensor:
    """The explained output where one feature of each input is moved: (B,)."""
    found = []
    with torch.no_grad():
        for part in torch.arange(len(sample), device=sample.device).split(problem.batch_size):
            inputs = problem.inputs[sample[part]].contiguous()
            flat = inputs.view(len(part), inputs.shape[1], -1)
            flat[range(len(part)), channel[part], place[part]] += sign * size[part]
            found.append(of_class(problem.model(inputs), problem.targets[sample[part]]))
    return torch.cat(found)
