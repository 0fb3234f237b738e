"""Integrated Gradients: the gradient, added up along the straight line from the baseline to the input [sundararajan2017ig].

    attribution = (x - x') * integral_0^1  d logit_c / d x  at  x' + t (x - x')  dt,   summed over channels

Signed, and complete: the attributions of a sample sum to logit_c(x) - logit_c(x').
"""

from captum.attr import IntegratedGradients
from torch import Tensor

from bench.core import Problem
from bench.registry import method


@method(cite="sundararajan2017ig", family="gradient")
def integrated_gradients(problem: Problem, *, steps: int = 32) -> Tensor:
    """Path integral of the gradient from the task's baseline, by Gauss-Legendre in `steps` points. -> (N, *S)"""
    explained = IntegratedGradients(problem.model).attribute(
        problem.inputs.detach().clone().requires_grad_(),
        baselines=problem.baseline.expand_as(problem.inputs),
        target=problem.targets,
        n_steps=steps,
        internal_batch_size=max(problem.batch_size, len(problem)),
    )
    return explained.detach().sum(1)
