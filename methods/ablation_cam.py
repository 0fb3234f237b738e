"""Ablation-CAM: feature maps weighted by what the class loses without them [desai2020ablationcam].

    attribution = upsampled ReLU( sum_k  (logit_c - logit_c without A_k) / logit_c * A_k )

No gradient, so it does not saturate. For each feature map only the layers behind it are computed. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.grad_cam import weighted
from bench.network.gradients import chosen, features
from bench.network.graph import after, check_equal
from bench.registry.decorators import method


@method(cite="desai2020ablationcam", family="activation", needs={"layers"}, cost="medium", promises={"class"})
def ablation_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighted by the share of the logit lost without them, ReLU, upsampled. -> (N, *S)"""
    with torch.no_grad():
        maps, logits = features(problem, layer)
        head, full = after(problem, problem.layers[layer]), chosen(problem, logits)
        check_equal(head(maps), logits)
        lost = maps.new_zeros(maps.shape[:2])
        for pairs in maps.flatten(2).any(2).nonzero().split(problem.batch_size):  # an empty map costs nothing
            sample, channel = pairs.unbind(1)
            without = maps[sample]
            without[torch.arange(len(sample)), channel] = 0
            lost[sample, channel] = full[sample] - chosen(problem.take(sample.tolist()), head(without))
    return weighted(problem, maps, lost / full[:, None])
