"""Saliency: the absolute gradient of the class's logit [simonyan2014saliency].

    attribution = max over channels of |d logit_c / d x|

Unsigned, as in the paper.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import gradient
from bench.registry.decorators import method


@method(cite="simonyan2014saliency", family="gradient", cost="fast", promises={"null", "class"})
def saliency(problem: Problem) -> Tensor:
    """Absolute gradient of the class's logit, the largest over the channels. -> (N, *S)"""
    return gradient(problem).abs().amax(1)
