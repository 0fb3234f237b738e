"""XGrad-CAM: feature maps weighted so that sensitivity and conservation hold [fu2020xgradcam].

    attribution = upsampled ReLU( sum_k w_k A_k ),    w_k = sum over positions of  A_k / sum(A_k) * d logit_c / d A_k

The gradient is averaged where the map is active, and not over all positions as in Grad-CAM. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.grad_cam import weighted
from bench.network.gradients import features_and_slopes
from bench.registry.decorators import method


@method(cite="fu2020xgradcam", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def xgrad_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighted by their gradient where they are active, summed, ReLU, upsampled. -> (N, *S)"""
    maps, slope = features_and_slopes(problem, layer)
    total = maps.flatten(2).sum(2)
    along = (maps * slope).flatten(2).sum(2)
    return weighted(problem, maps, torch.where(total != 0, along / torch.where(total != 0, total, 1), 0))
