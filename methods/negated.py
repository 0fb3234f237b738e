"""The negated control: a method upside down. It should come below `random`; where it does not, the metric is blind to signs."""

from torch import Tensor

from bench.core import Problem, RequestError
from bench.registry import METHODS, call, method, unknown
from bench.seeding import SampleRng


@method(cite="", family="control", cost="medium")
def negated(problem: Problem, rng: SampleRng, *, of: str = "integrated_gradients") -> Tensor:
    """The attribution of another method, `of`, with its sign turned. -> (N, *S)"""
    if of not in METHODS or of == "negated":
        raise RequestError(unknown(of, METHODS, "method"))
    return -call(METHODS[of].fn, {"problem": problem, "rng": rng}, METHODS[of].params)
