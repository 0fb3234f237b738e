"""The input control: what stands out from the baseline, whatever the model. It asks the model nothing."""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def input_magnitude(problem: Problem) -> Tensor:
    """Distance of each feature from the baseline, summed over channels. -> (N, *S)"""
    return (problem.inputs - problem.baseline).abs().sum(1)
