"""Grad-CAM++: feature maps weighted by positive gradients, with a factor for each position [chattopadhay2018gradcampp].

    attribution = upsampled ReLU( sum_k w_k A_k ),    w_k = sum over positions of  alpha_k * ReLU(g_k)
    alpha_k = g_k^2 / (2 g_k^2 + sum(A_k) g_k^3),     g_k = d logit_c / d A_k

The paper uses the exponential of the logit as the score; its higher derivatives are powers of g. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.grad_cam import weighted
from bench.network.gradients import features_and_slopes
from bench.registry.decorators import method


@method(cite="chattopadhay2018gradcampp", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def grad_cam_plus_plus(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighted by positive gradients with the paper's alpha, ReLU, upsampled. -> (N, *S)"""
    maps, slope = features_and_slopes(problem, layer)
    maps_, slope_ = maps.flatten(2), slope.flatten(2)
    below = 2 * slope_**2 + maps_.sum(2, keepdim=True) * slope_**3
    alpha = torch.where(below != 0, slope_**2 / torch.where(below != 0, below, 1), 0)
    return weighted(problem, maps, (alpha * slope_.clamp_min(0)).sum(2))
