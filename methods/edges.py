"""The edge control: where the input changes, for any model. Some methods do little more [adebayo2018sanity]."""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def edges(problem: Problem) -> Tensor:
    """Sobel gradient of an image's mean channel; in signals and volumes the size of the central differences. -> (N, *S)"""
    grey = problem.inputs.mean(1, keepdim=True)
    if len(problem.shape) != 2:
        axes = [axis for axis, length in enumerate(problem.shape, start=1) if length > 1]
        slopes = torch.stack(torch.gradient(grey[:, 0], dim=axes)) if axes else torch.zeros_like(grey.movedim(1, 0))
        return slopes.abs()[0] if len(slopes) == 1 else slopes.square().sum(0).sqrt()
    step = grey.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    both = torch.nn.functional.conv2d(
        torch.nn.functional.pad(grey, (1, 1, 1, 1), mode="replicate"), torch.stack([step, step.T])[:, None]
    )
    return both.square().sum(1).sqrt()
