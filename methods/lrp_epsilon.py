"""LRP-epsilon: relevance in proportion to the contribution of each neuron [bach2015lrp, section 2.4].

    R_i = sum_j  a_i w_ij / (z_j + epsilon * sign z_j) * R_j,    z_j = sum_i a_i w_ij + b_j

Propagation starts with the class's logit. For epsilon towards 0 (LRP-0) a ReLU network without biases gets gradient x input; a
larger epsilon suppresses weak and contradictory evidence. Signed; sums to the logit less the relevance of the biases.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="bach2015lrp", family="propagation", cost="fast", promises={"null", "class"})
def lrp_epsilon(problem: Problem, *, epsilon: float = 1e-6) -> Tensor:
    """Relevance of the class's logit by the epsilon rule in every layer, summed over channels. -> (N, *S)"""
    from zennit.rules import Epsilon

    from bench.network.lrp import LAYERS, relevance

    return relevance(problem, "lrp_epsilon", [(LAYERS, Epsilon(epsilon=epsilon))])
