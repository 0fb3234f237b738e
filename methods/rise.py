"""RISE: random masks, weighted by the class probability that they preserve [petsiuk2018rise].

    attribution = 1 / (masks * share) * sum_m  p(x' + M_m (x - x')) * M_m

A mask is a grid of 7 x 7 cells (7 on signals), each on with probability `share`, shifted by a random part of a cell and
upsampled linearly; 4000 masks as in the paper. Needs no gradient and no access to layers. Never negative.
"""

import torch
from torch import Tensor

from bench.core.outputs import score
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.masking import upsample
from bench.registry.decorators import method


@method(cite="petsiuk2018rise", family="perturbation", cost="slow", promises={"class"})
def rise(problem: Problem, rng: SampleRng, *, masks: int = 4000, grid: int = 7, share: float = 0.5) -> Tensor:
    """Random masks weighted by the class probability that they preserve. -> (N, *S)"""
    total = torch.zeros(len(problem), *problem.shape, dtype=torch.float64, device=problem.inputs.device)
    nothing = problem.baseline.expand_as(problem.inputs[:1])
    at_once = max(1, problem.batch_size // len(problem))
    for start in range(0, masks, at_once):
        many = min(at_once, masks - start)
        drawn = random_masks(problem, rng, many, grid, share)  # (N, many, *S)
        with torch.no_grad():
            share_of = drawn.flatten(0, 1).unsqueeze(1).to(nothing.dtype)
            masked = torch.lerp(nothing, problem.inputs.repeat_interleave(many, 0), share_of)
            rows = torch.arange(len(problem)).repeat_interleave(many).tolist()
            kept = score(problem.model(masked), problem.take(rows).targets, problem.output).view(len(problem), many)
        total += torch.einsum("nm,nm...->n...", kept.double(), drawn.double())
    return (total / (masks * share)).to(problem.inputs.dtype)


def random_masks(problem: Problem, rng: SampleRng, many: int, grid: int, share: float) -> Tensor:
    """Smooth masks in [0, 1] for each sample: (N, many, *S)."""
    axes = len(problem.shape)
    drawn = rng.uniform((many, (grid + 1) ** axes + axes))  # each mask's own numbers, however many are drawn at once
    on = (drawn[..., :-axes] < share).float().view(-1, 1, *[grid + 1] * axes)
    cell = [-(-side // grid) for side in problem.shape]
    large = upsample(on, torch.Size((grid + 1) * side for side in cell))[:, 0]
    for axis, (side, length) in enumerate(zip(cell, problem.shape, strict=True), start=1):
        moved = (drawn[..., axis - 1 - axes].reshape(-1, 1) * side).long() + torch.arange(length, device=drawn.device)
        index = moved.view(-1, *(length if i == axis else 1 for i in range(1, axes + 1)))
        shape = list(large.shape)
        shape[axis] = length
        large = large.gather(axis, index.expand(shape))
    return large.view(len(problem), many, *problem.shape)
