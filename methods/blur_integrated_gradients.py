"""Blur Integrated Gradients: the integral of the gradient from the blurred input to the input [xu2020blurig].

    attribution = - integral_0^sigma_max  d logit_c / d L(s) * d L(s) / d s  ds

L(s) is the input blurred by a Gaussian of width s. The path starts from the input without its details, so no colour serves as
the baseline. Widths are evenly spaced up to 50 for a side of 224 as in the paper, in proportion for other sides. The input is
mirrored at its edges. Signed, summed over channels; sums to the class's logit less that of the blurred input.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import gradient
from bench.perturbation.masking import blurred
from bench.registry.decorators import method


@method(cite="xu2020blurig", family="gradient", cost="medium", promises={"class"})
def blur_integrated_gradients(problem: Problem, *, steps: int = 32, width: float = 50 / 224) -> Tensor:
    """Path integral of the gradient from the blurred input to the input, in `steps` steps. -> (N, *S)

    `width`: width of the strongest blur as a share of the longest side.
    """
    widest = width * max(problem.shape)
    total = torch.zeros_like(problem.inputs)
    before = blurred(problem.inputs, widest)
    for step in range(steps):
        middle = blurred(problem.inputs, widest * (1 - (step + 0.5) / steps))
        after = blurred(problem.inputs, widest * (1 - (step + 1) / steps))
        total += gradient(problem, middle) * (after - before)
        before = after
    return total.sum(1)
