"""The negated control: a method with reversed sign. It should rank below `random`; otherwise the metric ignores signs."""

from torch import Tensor

from bench.core.errors import RequestError
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.registry.decorators import METHODS, call, method
from bench.registry.selection import unknown_name


@method(cite="", family="control", cost="medium", core=True)
def negated(problem: Problem, rng: SampleRng, *, of: str = "integrated_gradients") -> Tensor:
    """The attribution of another method, `of`, with its sign reversed. -> (N, *S)"""
    if of not in METHODS or of == "negated":
        raise RequestError(unknown_name(of, METHODS, "method"))
    return -call(METHODS[of].fn, {"problem": problem, "rng": rng}, METHODS[of].params)
