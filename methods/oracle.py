"""The oracle control: the truth as a map, where a task knows it. Nothing points better: localisation metrics put it first."""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", needs={"truth"}, cost="fast")
def oracle(problem: Problem) -> Tensor:
    """1 where the evidence is and 0 elsewhere. -> (N, *S)"""
    assert problem.truth is not None
    return problem.truth.to(problem.inputs.dtype)
