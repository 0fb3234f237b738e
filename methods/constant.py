"""The constant control: 1 everywhere. It has no information, so its status is `undefined` and it never gets a score."""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def constant(problem: Problem) -> Tensor:
    """The value 1 for every feature. -> (N, *S)"""
    return torch.ones_like(problem.inputs[:, 0])
