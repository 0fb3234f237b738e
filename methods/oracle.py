"""The oracle control: the ground truth as a map, where the task has one. It gets the best score of localisation metrics."""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", needs={"truth"}, cost="fast")
def oracle(problem: Problem) -> Tensor:
    """1 in the ground truth and 0 elsewhere. -> (N, *S)"""
    assert problem.truth is not None
    return problem.truth.to(problem.inputs.dtype)
