"""Sensitivity analysis: the squared gradient [montavon2018methods, section 3].

    attribution = sum over channels of (d logit_c / d x)^2

Its sum is the squared norm of the gradient: it explains a change of the logit, not its value. Unsigned.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import gradient
from bench.registry.decorators import method


@method(cite="montavon2018methods", family="gradient", cost="fast", promises={"null", "class"})
def sensitivity(problem: Problem) -> Tensor:
    """Squared gradient of the class's logit, summed over channels. -> (N, *S)"""
    return gradient(problem).square().sum(1)
