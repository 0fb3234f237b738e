"""Expected gradients (GradientSHAP): Integrated Gradients without a single baseline [erion2021expected; lundberg2017shap].

    attribution = mean over x' in the background of  (x - x') * integral_0^1  d logit_c / d x  at  x' + t (x - x')  dt

The background is a small set of typical inputs, so an absent feature takes a typical value and not one fixed baseline. The
papers draw x' and t at random; here all background inputs and Gauss-Legendre quadrature give the same mean without noise.
Signed; sums to the class's logit less its mean over the background.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.integrated_gradients import path_integral
from bench.network.gradients import at_once, repeated
from bench.registry.decorators import method


@method(cite="erion2021expected", family="gradient", needs={"background"}, cost="medium", promises={"null", "class"})
def expected_gradients(problem: Problem, *, steps: int = 4) -> Tensor:
    """Integrated gradients averaged over the task's background inputs, with `steps` points each. -> (N, *S)"""
    assert problem.background is not None
    total, starts = torch.zeros_like(problem.inputs[:, 0]), problem.background
    for together in starts.split(at_once(problem)):
        many = repeated(problem, len(together))
        found = path_integral(many, together.repeat_interleave(len(problem), 0), steps)
        total += found.unflatten(0, (len(together), len(problem))).sum(0)
    return total / len(starts)
