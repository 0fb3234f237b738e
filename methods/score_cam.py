"""Score-CAM: feature maps weighted by the class's score when only they are visible [wang2020scorecam].

    attribution = upsampled ReLU( sum_k  softmax_k( logit_c(x' + s(A_k) (x - x')) ) * A_k )

s upsamples a feature map and scales it to [0, 1]; x' is the baseline. One model query for each map that is not constant, and
no gradient. Never negative.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.methods.grad_cam import weighted
from bench.network.gradients import chosen, features
from bench.perturbation.masking import scaled, upsample
from bench.registry.decorators import method


@method(cite="wang2020scorecam", family="activation", needs={"layers"}, cost="medium", promises={"class"})
def score_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighted by the softmax of the logits they preserve, ReLU, upsampled. -> (N, *S)"""
    with torch.no_grad():
        maps, _ = features(problem, layer)
        nothing = problem.baseline.expand_as(problem.inputs[:1])
        scores = chosen(problem, problem.model(nothing).expand(len(maps), -1))[:, None].repeat(1, maps.shape[1])
        flat = maps.flatten(2)
        for pairs in (flat.amax(2) > flat.amin(2)).nonzero().split(problem.batch_size):
            sample, channel = pairs.unbind(1)
            masks = scaled(upsample(maps[sample, channel].unsqueeze(1), problem.shape))
            masked = torch.lerp(nothing, problem.inputs[sample], masks)
            scores[sample, channel] = chosen(problem.take(sample.tolist()), problem.model(masked))
    return weighted(problem, maps, scores.softmax(1))
