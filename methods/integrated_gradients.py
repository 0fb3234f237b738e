"""Integrated Gradients: the integral of the gradient along the line from the baseline to the input [sundararajan2017ig].

    attribution = (x - x') * integral_0^1  d logit_c / d x  at  x' + t (x - x')  dt,   summed over channels

Signed and complete: the attributions of a sample sum to logit_c(x) - logit_c(x'), up to the error of the quadrature.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(
    cite="sundararajan2017ig",
    family="gradient",
    cost="medium",
    core=True,
    promises={"complete", "null", "linear", "class"},
)
def integrated_gradients(problem: Problem, *, steps: int = 32) -> Tensor:
    """Path integral of the gradient from the task's baseline, by Gauss-Legendre with `steps` points. -> (N, *S)"""
    return path_integral(problem, problem.baseline, steps)


def path_integral(problem: Problem, start: Tensor, steps: int) -> Tensor:
    """(x - start) times the mean gradient on the way from `start` to the inputs, summed over channels: (N, *S)."""
    from captum.attr import IntegratedGradients

    explained = IntegratedGradients(problem.model).attribute(
        problem.inputs.detach().clone().requires_grad_(),
        baselines=start.expand_as(problem.inputs),
        target=problem.targets,
        n_steps=steps,
        internal_batch_size=max(problem.batch_size, len(problem)),
    )
    return explained.detach().sum(1)
