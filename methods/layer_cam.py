"""LayerCAM: feature maps weighted at each position [jiang2021layercam].

    attribution = upsampled ReLU( sum_k  ReLU(d logit_c / d A_k) * A_k )

No mean over positions, so it works at any depth: with `layer=0` it is as fine as the first block. Never negative.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import features_and_slopes
from bench.perturbation.masking import upsample
from bench.registry.decorators import method


@method(cite="jiang2021layercam", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def layer_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block times their positive gradient, summed, ReLU, upsampled linearly. -> (N, *S)"""
    maps, slope = features_and_slopes(problem, layer)
    return upsample((slope.clamp_min(0) * maps).sum(1, keepdim=True).clamp_min(0), problem.shape)[:, 0]
