"""VarGrad: the variance of the gradient over noisy copies of the input [adebayo2018sanity].

    attribution = sum over channels of  var_j (d logit_c / d x)  at  x + sigma * (max x - min x) * noise_j

SmoothGrad squared less the squared SmoothGrad: high where the gradient varies with the noise, not where it is large. Unsigned;
zero for a linear model.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.methods.smoothgrad import noisy_gradients
from bench.registry.decorators import method


@method(cite="adebayo2018sanity", family="gradient", cost="medium", promises={"null", "class"})
def vargrad(problem: Problem, rng: SampleRng, *, samples: int = 32, sigma: float = 0.15) -> Tensor:
    """Variance of the gradient of the class's logit over noisy inputs, summed over channels. -> (N, *S)"""
    mean, squares = torch.zeros_like(problem.inputs), torch.zeros_like(problem.inputs)
    for number, slope in enumerate(noisy_gradients(problem, rng, samples, sigma), start=1):  # Welford's running sums
        off = slope - mean
        mean += off / number
        squares += off * (slope - mean)
    return (squares / (samples - 1)).sum(1)
