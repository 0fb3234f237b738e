"""Deep Taylor decomposition: each neuron's relevance expanded at a root point of its own [montavon2017dtd].

Above the input the root points have positive activations, which gives the z+ rule. At the input the rule depends on the range
of the inputs:

    bounded (pixels), l <= x <= h:   z^B   R_i = sum_j (x_i w_ij - l_i w_ij^+ - h_i w_ij^-) / sum_i' (...) * R_j
    unbounded:                       w^2   R_i = sum_j w_ij^2 / sum_i' w_i'j^2 * R_j

Never negative: it decomposes the positive part of the class's logit, and is zero where the logit is not positive. Only for ReLU
networks, for which it is derived.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="montavon2017dtd", family="propagation", cost="fast", promises={"class"})
def deep_taylor(problem: Problem) -> Tensor:
    """Positive relevance of the class's logit by the z+ rule, and z^B or w^2 at the input, summed over channels. -> (N, *S)"""
    from zennit.rules import WSquare, ZBox, ZPlus

    from bench.network.lrp import LAYERS, POSITIVE, RELU_ONLY, logit, relevance

    first = WSquare(zero_params="bias")
    if problem.bounds is not None:
        low, high = problem.bounds
        alike = bool((low == low.flatten()[0]).all() and (high == high.flatten()[0]).all())
        first = ZBox(*(float(one.flatten()[0]) if alike else one.expand_as(problem.inputs) for one in (low, high)))

    def positive(problem: Problem, logits: Tensor) -> Tensor:
        return logit(problem, logits).clamp_min(0)

    rules = [(LAYERS, ZPlus(zero_params="bias"))]
    above = {"rules": rules, "others": POSITIVE, "first": [(LAYERS, first)]}
    return relevance(problem, "deep_taylor", **above, start=positive, supported=RELU_ONLY)
