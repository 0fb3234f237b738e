"""The input control: how far features are from the baseline, for any model. It does not query the model."""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def input_magnitude(problem: Problem) -> Tensor:
    """Distance of each feature from the baseline, summed over channels. -> (N, *S)"""
    return (problem.inputs - problem.baseline).abs().sum(1)
