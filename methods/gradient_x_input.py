"""Gradient x input: the gradient times the distance from the baseline [shrikumar2017deeplift].

    attribution = sum over channels of  d logit_c / d x * (x - x')

with x' the task's baseline (0 in the paper). A first-order estimate of the effect of removing a feature, exact for linear
models. Signed.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import gradient
from bench.registry.decorators import method


@method(cite="shrikumar2017deeplift", family="gradient", cost="fast", promises={"null", "linear", "class"})
def gradient_x_input(problem: Problem) -> Tensor:
    """Gradient of the class's logit times the distance from the baseline, summed over channels. -> (N, *S)"""
    return (gradient(problem) * (problem.inputs - problem.baseline)).sum(1)
