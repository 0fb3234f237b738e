"""Gradient x input: the slope times how far the feature is from absent [shrikumar2017deeplift].

    attribution = sum over channels of  d logit_c / d x * (x - x')

with x' the task's baseline (the paper's is 0). The first-order guess of what removing a feature costs; exact on linear
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
