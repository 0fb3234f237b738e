"""Noisy linear imputation [rong2022road]: removed pixels take the values that their surroundings suggest.

A removed pixel is the weighted mean of its neighbours (1/6 beside, 1/12 diagonally; 1/2 each in a signal), which are known
or removed themselves: a linear system. In one dimension it is solved exactly, by straight lines; in two dimensions by
conjugate gradients, preconditioned by one multigrid cycle. The number of iterations is fixed, so that the values of a
sample do not depend on the rest of its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

ITERATIONS = 4  # leave an error of about 1e-3 of the range of values, a tenth of the noise
# At one resolution: the removed pixels (B, 1, h, w) as 0/1; the diagonal of the system (all of it is times 12); the factor
# of a Jacobi step; and two buffers (B, C, h, w), since on a CPU fresh memory costs more than the arithmetic.
Level = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def impute(inputs: Tensor, known: Tensor) -> Tensor:
    """Inputs (B, C, *S) with the pixels that are not `known` (B, *S) filled in; a sample without any known pixel becomes 0."""
    return _lines(inputs, known) if inputs.dim() == 3 else _harmonic(inputs, known)


def _lines(inputs: Tensor, known: Tensor) -> Tensor:
    """Straight lines between the known neighbours, constant beyond the last: (B, C, L), (B, L) -> (B, C, L)."""
    length = inputs.shape[2]
    positions = torch.arange(length, device=inputs.device)
    left = torch.where(known, positions, -1).cummax(1).values
    right = torch.where(known, positions, length).flip(1).cummin(1).values.flip(1)
    left, right = torch.where(left < 0, right, left), torch.where(right == length, left, right)
    share = ((positions - left) / (right - left).clamp_min(1)).to(inputs).unsqueeze(1)
    left, right = (ends.clamp(0, length - 1).unsqueeze(1).expand_as(inputs) for ends in (left, right))
    return torch.where(
        known.any(1)[:, None, None], torch.lerp(inputs.gather(2, left), inputs.gather(2, right), share), 0
    )


def _harmonic(inputs: Tensor, known: Tensor) -> Tensor:
    """Solves the system on images: (B, C, H, W), (B, H, W) -> (B, C, H, W)."""
    inputs = inputs.contiguous()
    present = known.unsqueeze(1).to(inputs)
    levels = _levels(1 - present, inputs.shape[1])
    values = _pulled_and_pushed(inputs * present, levels)
    residual = _apply(values, levels[0]).neg()
    step = direction = _cycle(residual, levels)
    energy = _dot(residual, step)
    for iteration in range(ITERATIONS):
        image = _apply(direction, levels[0])
        length = energy / _dot(direction, image).clamp_min(1e-30)
        values.addcmul_(length, direction)
        if iteration + 1 == ITERATIONS:
            break
        image = image.clone()
        residual.addcmul_(length, image, value=-1)
        step = _cycle(residual, levels)
        # Polak-Ribiere, as the cycle is not quite symmetric: the residual has changed by -length * image
        turn = -length * _dot(image, step) / energy.clamp_min(1e-30)
        direction = torch.addcmul(step, turn, direction)
        energy = _dot(residual, step)
    return values


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product over space: (B, C, h, w) twice -> (B, C, 1, 1)."""
    return torch.linalg.vecdot(a.flatten(2), b.flatten(2))[..., None, None]


def _levels(removed: Tensor, channels: int) -> list[Level]:
    """The holes at full, half, quarter, ... resolution; a coarse pixel is removed where all four of its pixels are."""
    levels = []
    while True:
        down, both = (removed.new_empty(len(removed), channels, *removed.shape[2:]) for _ in range(2))
        around = _blurred(torch.ones_like(removed), *torch.empty_like(removed).unsqueeze(0).repeat(2, 1, 1, 1, 1))
        # 16 inside, less at the border; four of it are the pixel itself
        levels.append((removed, around, removed / (around - 4).clamp_min(1), down, both))
        if max(removed.shape[2:]) < 4:
            return levels
        removed = 1 - F.max_pool2d(1 - removed, _factors(removed), ceil_mode=True)


def _pulled_and_pushed(values: Tensor, levels: list[Level]) -> Tensor:
    """A first guess: a removed pixel takes the mean of known pixels nearby, at the finest resolution that has some."""
    removed = levels[0][0]
    if len(levels) == 1:
        known = 1 - removed
        mean = values.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
        return values + mean * removed
    factors = _factors(removed)
    share = F.avg_pool2d(1 - removed, factors, ceil_mode=True)
    coarse = F.avg_pool2d(values, factors, ceil_mode=True).div_(share.masked_fill_(share == 0, 1))
    coarse = _pulled_and_pushed(coarse, levels[1:])
    size = [factor * length for factor, length in zip(factors, coarse.shape[2:], strict=True)]
    fine = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return values.addcmul_(removed.expand_as(values), fine[..., : values.shape[2], : values.shape[3]])


def _factors(values: Tensor) -> tuple[int, int]:
    """By what the next coarser level divides height and width: 1 for a side that is short already."""
    height, width = values.shape[2:]
    return 2 if height >= 4 else 1, 2 if width >= 4 else 1


def _blurred(values: Tensor, down: Tensor, both: Tensor) -> Tensor:
    """[1 2 1] down, then across: weighted sum of the neighbours plus four times the value itself. Zeros beyond the border.

    Overwrites the two buffers and returns the second. Several times as fast on a CPU as a convolution.
    """
    torch.mul(values, 2, out=down)
    down[..., 1:, :].add_(values[..., :-1, :])
    down[..., :-1, :].add_(values[..., 1:, :])
    torch.mul(down, 2, out=both)
    both[..., 1:].add_(down[..., :-1])
    both[..., :-1].add_(down[..., 1:])
    return both


def _apply(values: Tensor, level: Level) -> Tensor:
    """The left side of the equations, 0 where nothing is removed; in the level's second buffer, until the next call."""
    removed, diagonal, _, *buffers = level
    return _blurred(values, *buffers).neg_().addcmul_(diagonal.expand_as(values), values).mul_(removed)


def _cycle(residual: Tensor, levels: list[Level]) -> Tensor:
    """One V-cycle: an approximate solution for a residual."""
    removed, _, jacobi, *_ = levels[0]
    values = jacobi * residual  # a Jacobi step from zero; it damps what changes from pixel to pixel
    if len(levels) > 1:
        factors = _factors(removed)
        coarse = F.avg_pool2d(_apply(values, levels[0]).neg_().add_(residual), factors, ceil_mode=True)
        coarse = _cycle(coarse.mul_(4 * levels[1][0]), levels[1:])
        size = [factor * length for factor, length in zip(factors, coarse.shape[2:], strict=True)]
        fine = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
        values.addcmul_(removed.expand_as(values), fine[..., : values.shape[2], : values.shape[3]])
    return values.addcmul_(jacobi.expand_as(values), _apply(values, levels[0]).neg_().add_(residual))
