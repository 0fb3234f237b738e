"""Ada-SISE: SISE with an adaptive choice of feature maps [sudhakar2021adasise].

As in `sise`, the feature maps of every block are used as masks. But of the maps with a positive mean gradient, divided by the
block's highest, only those above their Otsu threshold [otsu1979] are kept: no threshold to choose, and about 30 % fewer model
queries. Values lie in [0, number of blocks]; never negative.
"""

import numpy as np
import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.sise import fused, layer_maps
from bench.registry.decorators import method


@method(cite="sudhakar2021adasise", family="perturbation", needs={"layers"}, cost="medium", promises={"class"})
def ada_sise(problem: Problem) -> Tensor:
    """SISE with the feature maps of each block chosen by Otsu's threshold on their mean gradients. -> (N, *S)"""
    return fused(layer_maps(problem, keep=above_otsu))


def above_otsu(weights: Tensor) -> Tensor:
    """Which feature maps are kept for their mean gradients: (N, K) -> (N, K) bool."""
    return torch.stack([_above(one) for one in weights])


def _above(weights: Tensor) -> Tensor:
    from skimage.filters import threshold_otsu

    positive = weights > 0
    levels = np.floor((weights[positive] / weights.max()).double().cpu().numpy() * 255).astype(np.uint8)
    if len(np.unique(levels)) < 2:
        return positive
    return positive & (weights / weights.max() * 255 >= float(threshold_otsu(levels)) + 1)
