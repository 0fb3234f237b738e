"""Extremal perturbation: the part of the input, of a given area, that maximises the class's logit [fong2019extremal].

    max over masks m of  logit_c(x' + m (x - x'))  -  lambda * mean( (sorted m - r_a)^2 )

r_a is 1 on a share `a` of the features and 0 elsewhere, so the mask becomes binary with area `a`. The mask is a coarse grid,
upsampled linearly. Step size, momentum and the growing lambda are those of the authors' package. The attribution is the sum of
the masks of four areas, so features of the smallest mask count most. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import chosen
from bench.perturbation.masking import upsample
from bench.registry.decorators import method

AREAS = (0.05, 0.1, 0.2, 0.4)
LAMBDA, GROWTH, RATE, MOMENTUM = 300.0, 1.0035, 0.01, 0.9


@method(cite="fong2019extremal", family="perturbation", cost="slow", promises={"class"})
def extremal_perturbation(problem: Problem, *, steps: int = 200, grid: int = 16) -> Tensor:
    """Sum of optimised masks of 5, 10, 20 and 40 % of the features that keep the class's logit high. -> (N, *S)"""
    # One sample at a time: hundreds of steps would amplify the rounding errors, which depend on the batch size.
    return torch.cat([_masks(problem.take([row]), steps, grid).sum(0, keepdim=True) for row in range(len(problem))])


def _masks(problem: Problem, steps: int, grid: int) -> Tensor:
    """The optimised mask of one sample for each area: (areas, *S)."""
    some = problem.take([0] * len(AREAS))
    coarse = [min(grid, length) for length in problem.shape]
    mask = torch.full((len(AREAS), 1, *coarse), 0.5, device=problem.inputs.device, requires_grad=True)
    places = some.inputs[0, 0].numel()
    asked = torch.tensor(AREAS, device=mask.device)[:, None] * places
    wanted = (torch.arange(places, device=mask.device) >= places - asked).float()  # in ascending order
    optimiser = torch.optim.SGD([mask], lr=RATE, momentum=MOMENTUM)
    strength = LAMBDA
    with torch.enable_grad():
        for _ in range(steps):
            fine = upsample(mask, problem.shape)
            gained = chosen(some, some.model(some.baseline + fine * (some.inputs - some.baseline)))
            off = (fine.flatten(1).sort(1).values - wanted).square().mean(1)
            optimiser.zero_grad()
            (strength * off - gained).sum().backward(inputs=[mask])
            optimiser.step()
            mask.data.clamp_(0, 1)
            strength *= GROWTH
    return upsample(mask.detach(), problem.shape)[:, 0]
