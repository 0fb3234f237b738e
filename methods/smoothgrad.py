"""SmoothGrad: the mean gradient over noisy copies of the input [smilkov2017smoothgrad].

    attribution = max over channels of | mean_j  d logit_c / d x  at  x + sigma * (max x - min x) * noise_j |

Gradients of ReLU networks change abruptly between points; the mean is smooth. Unsigned, as in the paper's figures.
"""

from collections.abc import Iterator

from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.network.gradients import gradients
from bench.registry.decorators import method


@method(cite="smilkov2017smoothgrad", family="gradient", cost="medium", core=True, promises={"null", "class"})
def smoothgrad(problem: Problem, rng: SampleRng, *, samples: int = 32, sigma: float = 0.15) -> Tensor:
    """Gradient of the class's logit averaged over noisy inputs, absolute, the largest over the channels. -> (N, *S)"""
    return (sum(noisy_gradients(problem, rng, samples, sigma)) / samples).abs().amax(1)  # type: ignore[union-attr]


def noisy_gradients(problem: Problem, rng: SampleRng, samples: int, sigma: float) -> Iterator[Tensor]:
    """Gradients (N, C, *S) at each of `samples` noisy copies; sigma is relative to each input's range."""
    inputs, axes = problem.inputs, tuple(range(1, problem.inputs.dim()))
    spread = sigma * (inputs.amax(axes, keepdim=True) - inputs.amin(axes, keepdim=True))
    return gradients(problem, (inputs + spread * rng.normal(inputs.shape[1:]) for _ in range(samples)))
