"""XGrad-CAM: feature maps weighed so that the map is sensitive and conserving [fu2020xgradcam].

    attribution = upsampled ReLU( sum_k w_k A_k ),    w_k = sum over places of  A_k / sum(A_k) * d logit_c / d A_k

The gradient averaged where the map fires, and not over all places as in Grad-CAM. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.grad_cam import weighed
from bench.network.gradients import features_and_slopes
from bench.registry.decorators import method


@method(cite="fu2020xgradcam", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def xgrad_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighed by their gradient where they fire, summed, ReLU, upsampled. -> (N, *S)"""
    maps, slope = features_and_slopes(problem, layer)
    total = maps.flatten(2).sum(2)
    along = (maps * slope).flatten(2).sum(2)
    return weighed(problem, maps, torch.where(total != 0, along / torch.where(total != 0, total, 1), 0))
