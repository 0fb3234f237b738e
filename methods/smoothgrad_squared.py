"""SmoothGrad squared: the mean squared gradient over noisy copies of the input [hooker2019roar].

    attribution = sum over channels of  mean_j (d logit_c / d x)^2  at  x + sigma * (max x - min x) * noise_j

Squares keep gradients that change sign from copy to copy, which cancel in SmoothGrad. Unsigned.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.methods.smoothgrad import noisy_gradients
from bench.registry.decorators import method


@method(cite="hooker2019roar", family="gradient", cost="medium", promises={"null", "class"})
def smoothgrad_squared(problem: Problem, rng: SampleRng, *, samples: int = 32, sigma: float = 0.15) -> Tensor:
    """Squared gradient of the class's logit averaged over noisy inputs, summed over channels. -> (N, *S)"""
    squares = (slope.square() for slope in noisy_gradients(problem, rng, samples, sigma))
    return (sum(squares) / samples).sum(1)
