"""Grad-CAM: the last feature maps, each weighted by its mean gradient [selvaraju2017gradcam].

    attribution = upsampled ReLU( sum_k  mean(d logit_c / d A_k) * A_k )

Never negative. Zero everywhere, and so undefined, for a sample whose weighted sum is nowhere positive.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import features_and_slopes
from bench.perturbation.masking import upsample
from bench.registry.decorators import method


@method(cite="selvaraju2017gradcam", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def grad_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighted by their mean gradient, summed, ReLU, upsampled linearly. -> (N, *S)"""
    maps, slope = features_and_slopes(problem, layer)
    return weighted(problem, maps, slope.flatten(2).mean(2))


def weighted(problem: Problem, maps: Tensor, weights: Tensor) -> Tensor:
    """ReLU of the sum of feature maps (N, K, *s) with a weight for each (N, K), upsampled: (N, *S)."""
    axes = (...,) + (None,) * (maps.dim() - 2)
    return upsample((weights[axes] * maps).sum(1, keepdim=True).clamp_min(0), problem.shape)[:, 0]
