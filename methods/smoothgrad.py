"""SmoothGrad: the gradient, averaged over noisy copies of the input [smilkov2017smoothgrad].

    attribution = max over channels of | mean_j  d logit_c / d x  at  x + sigma * (max x - min x) * noise_j |

Gradients of ReLU networks jump from point to point; the average is what stays. Unsigned, as in the paper's figures.
"""

import torch
from captum.attr import Saliency
from torch import Tensor

from bench.core import Problem
from bench.registry import method
from bench.seeding import SampleRng


@method(cite="smilkov2017smoothgrad", family="gradient")
def smoothgrad(problem: Problem, rng: SampleRng, *, samples: int = 32, sigma: float = 0.15) -> Tensor:
    """Gradient of the class's logit averaged over noisy inputs, absolute, the largest over the channels. -> (N, *S)"""
    inputs, axes = problem.inputs.detach(), tuple(range(1, problem.inputs.dim()))
    spread = sigma * (inputs.amax(axes, keepdim=True) - inputs.amin(axes, keepdim=True))
    gradient = Saliency(problem.model)
    total = torch.zeros_like(inputs)
    for _ in range(samples):
        noisy = (inputs + spread * rng.normal(inputs.shape[1:])).requires_grad_()
        total += gradient.attribute(noisy, target=problem.targets, abs=False).detach()
    return (total / samples).abs().amax(1)
