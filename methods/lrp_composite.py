"""LRP with the composite "epsilon-plus-flat": different rules at different depths [montavon2019lrp].

    dense layers    epsilon   R_i = sum_j a_i w_ij / (z_j + epsilon sign z_j) * R_j
    convolutions    z+        relevance goes to the positive a_i w_ij only
    first layer     flat      all inputs of a neuron get the same share, so the map is smooth

The flat rule shows where relevance arrives, independent of the brightness of the pixels. Signed; sums to the logit less the
relevance of the biases.
"""

from torch import Tensor, nn

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="montavon2019lrp", family="propagation", cost="fast", promises={"class"})
def lrp_composite(problem: Problem, *, epsilon: float = 1e-6) -> Tensor:
    """Relevance of the class's logit by the epsilon, z+ and flat rules, summed over channels. -> (N, *S)"""
    from zennit.rules import Epsilon, Flat, ZPlus
    from zennit.types import Convolution

    from bench.network.lrp import LAYERS, relevance

    rules = [((Convolution,), ZPlus()), ((nn.Linear,), Epsilon(epsilon=epsilon))]
    return relevance(problem, "lrp_composite", rules, first=[(LAYERS, Flat())])
