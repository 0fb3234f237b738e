"""The constant control: one everywhere. It says nothing, so it gets the status `undefined` and never a number."""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def constant(problem: Problem) -> Tensor:
    """One for every feature. -> (N, *S)"""
    return torch.ones_like(problem.inputs[:, 0])
