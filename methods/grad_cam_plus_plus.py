"""Grad-CAM++: feature maps weighed by positive gradients, each place in its own measure [chattopadhay2018gradcampp].

    attribution = upsampled ReLU( sum_k w_k A_k ),    w_k = sum over places of  alpha_k * ReLU(g_k)
    alpha_k = g_k^2 / (2 g_k^2 + sum(A_k) g_k^3),     g_k = d logit_c / d A_k

The paper takes the class's exponential for the score, whose higher derivatives are then powers of g. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.grad_cam import weighed
from bench.network.gradients import features_and_slopes
from bench.registry.decorators import method


@method(cite="chattopadhay2018gradcampp", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def grad_cam_plus_plus(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighed by positive gradients with the paper's alpha, ReLU, upsampled. -> (N, *S)"""
    maps, slope = features_and_slopes(problem, layer)
    maps_, slope_ = maps.flatten(2), slope.flatten(2)
    below = 2 * slope_**2 + maps_.sum(2, keepdim=True) * slope_**3
    alpha = torch.where(below != 0, slope_**2 / torch.where(below != 0, below, 1), 0)
    return weighed(problem, maps, (alpha * slope_.clamp_min(0)).sum(2))
