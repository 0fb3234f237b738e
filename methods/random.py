"""The random control: uniform random numbers, independent of model and input. Every method should beat it."""

from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def random(problem: Problem, rng: SampleRng) -> Tensor:
    """Uniform random numbers between 0 and 1, seeded per sample. -> (N, *S)"""
    return rng.uniform(problem.shape)
