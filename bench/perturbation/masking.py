"""From an attribution to a masked input: ranks with ties broken by index, masks of an exact size, blending, blur."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.core.errors import BenchError


def ranks(attribution: Tensor) -> Tensor:
    """Position of every feature when sorted by attribution, highest first: (N, *S) -> (N, F) int64.

    Ties are broken by the feature's index, so each position is taken once and a mask has exactly the size asked for.
    """
    order = attribution.flatten(1).argsort(dim=1, descending=True, stable=True)
    positions = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, positions)


def count(share: float, features: int) -> int:
    """int(share * features), safe from binary fractions such as 0.29 * 100 = 28.999..."""
    if not 0 <= share <= 1:
        raise BenchError(f"a share of the features lies between 0 and 1, not at {share}")
    return int(share * features + 1e-9)


def even_counts(steps: int, features: int) -> Tensor:
    """How many features are perturbed at each step of a curve, 0 to all of them: (min(steps, features) + 1,) int64."""
    steps = min(steps, features)
    return torch.arange(steps + 1) * features // steps


def blend(inputs: Tensor, baseline: Tensor, present: Tensor) -> Tensor:
    """Inputs (N, C, *S) where `present` (N, *S) is true, the baseline (C, 1, ...) elsewhere; channels share the mask."""
    return torch.where(present.unsqueeze(1), inputs, baseline)


def area(curves: Tensor, features: int) -> Tensor:
    """Area under curves over the share of features perturbed, by the trapezoid rule: (N, steps + 1) -> (N,).

    A curve is sampled at `even_counts`; where those are not quite even, their true distances count.
    """
    shares = even_counts(curves.shape[1] - 1, features).to(curves) / features
    return torch.trapezoid(curves, shares, dim=1)


def scaled(maps: Tensor, epsilon: float = 0.0) -> Tensor:
    """Each map (along the first axis) minus its minimum, over its maximum; a constant map becomes zero."""
    axes = tuple(range(1, maps.dim()))
    maps = maps - maps.amin(axes, keepdim=True)
    highest = maps.amax(axes, keepdim=True) + epsilon
    return maps / torch.where(highest > 0, highest, 1)


def upsample(maps: Tensor, shape: torch.Size) -> Tensor:
    """Linear interpolation with half-pixel centres: (N, C, *s) -> (N, C, *shape), one to three spatial axes."""
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(shape)]
    return torch.nn.functional.interpolate(maps, size=tuple(shape), mode=mode, align_corners=False)


def blurred(inputs: Tensor, sigma: float) -> Tensor:
    """Inputs (N, C, *S) convolved with a Gaussian along each spatial axis, mirrored at the edges.

    Exact at any width: under mirroring the cosines are the modes of a blur, each fading by exp(-sigma^2 frequency^2 / 2).
    """
    for axis in range(2, inputs.dim()):
        positions = torch.arange(inputs.shape[axis], dtype=torch.float64, device=inputs.device)
        frequencies = math.pi * positions / len(positions)
        modes = torch.cos(frequencies[:, None] * (positions + 0.5)) * (2 / len(positions)) ** 0.5
        modes[0] *= 0.5**0.5
        kernel = modes.T @ (modes * torch.exp(-((sigma * frequencies) ** 2) / 2)[:, None])
        inputs = (inputs.movedim(axis, -1) @ kernel.to(inputs.dtype)).movedim(-1, axis)
    return inputs
