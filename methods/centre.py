"""The centre control: high in the middle, for any model and input. Photographs often have their object there."""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def centre(problem: Problem) -> Tensor:
    """Closeness to the centre of the input: 1 in the middle, 0 in the corners. -> (N, *S)"""
    squares = torch.zeros(problem.shape, device=problem.inputs.device)
    for axis, length in enumerate(problem.shape):
        along = torch.linspace(-1, 1, length, device=squares.device)
        squares = squares + along.view([-1 if i == axis else 1 for i in range(len(problem.shape))]) ** 2
    return (1 - (squares / len(problem.shape)).sqrt()).expand(len(problem), *problem.shape).clone()
