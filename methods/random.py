"""The random control: uniform numbers that know nothing of the model or the input. A method must beat it to say anything."""

from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.registry.decorators import method


@method(cite="", family="control", cost="fast")
def random(problem: Problem, rng: SampleRng) -> Tensor:
    """Uniform on [0, 1), seeded per sample. -> (N, *S)"""
    return rng.uniform(problem.shape)
