"""Saliency: how fast the class's logit changes with each feature [simonyan2014saliency].

    attribution = max over channels of |d logit_c / d x|

Unsigned, as in the paper.
"""

from captum.attr import Saliency
from torch import Tensor

from bench.core import Problem
from bench.registry import method


@method(cite="simonyan2014saliency", family="gradient")
def saliency(problem: Problem) -> Tensor:
    """Absolute gradient of the class's logit, the largest over the channels. -> (N, *S)"""
    inputs = problem.inputs.detach().clone().requires_grad_()
    return Saliency(problem.model).attribute(inputs, target=problem.targets, abs=True).amax(1)
