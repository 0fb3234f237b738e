"""Eigen-CAM: the pattern that most feature maps share [muhammad2020eigencam].

    attribution = upsampled ReLU( first principal component of the feature maps over positions )

It uses neither the class nor a gradient: it shows where the network responds to anything. A component has no sign; here it
gets the sign in which it agrees with the sum of the maps. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import features
from bench.perturbation.masking import upsample
from bench.registry.decorators import method


@method(cite="muhammad2020eigencam", family="activation", needs={"layers"}, cost="fast")
def eigen_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """First principal component of one block's feature maps, ReLU, upsampled linearly. -> (N, *S)"""
    with torch.no_grad():
        found, _ = features(problem, layer)
    maps = found.double().flatten(2)  # (N, K, places)
    centred = maps - maps.mean(2, keepdim=True)
    wide = maps.shape[1] > maps.shape[2]  # of two covariances with the same eigenvalues, the smaller one
    values, vectors = torch.linalg.eigh(
        centred.mT @ centred if wide else centred @ centred.mT
    )  # the last is the largest
    lead = vectors[:, :, -1]
    shared = lead * values[:, -1:].clamp_min(0).sqrt() if wide else torch.einsum("nk,nkp->np", lead, centred)
    agrees = (shared * centred.sum(1)).sum(1, keepdim=True)
    shared = torch.where(agrees < 0, -shared, shared).view(len(maps), 1, *found.shape[2:])
    return upsample(shared.clamp_min(0).to(problem.inputs.dtype), problem.shape)[:, 0]
