"""LRP-epsilon: relevance shared out by how much each neuron contributed [bach2015lrp, section 2.4].

    R_i = sum_j  a_i w_ij / (z_j + epsilon * sign z_j) * R_j,    z_j = sum_i a_i w_ij + b_j

It starts with the class's logit. With epsilon towards 0 (LRP-0) a network of ReLUs without biases gets exactly gradient x
input; a larger epsilon lets weak and contradicting evidence fade. Signed; sums to the logit less what biases absorb.
"""

from torch import Tensor
from zennit.rules import Epsilon

from bench.core.problem import Problem
from bench.network.lrp import LAYERS, relevance
from bench.registry.decorators import method


@method(cite="bach2015lrp", family="propagation", cost="fast", promises={"null", "class"})
def lrp_epsilon(problem: Problem, *, epsilon: float = 1e-6) -> Tensor:
    """Relevance of the class's logit by the epsilon rule in every layer, summed over channels. -> (N, *S)"""
    return relevance(problem, "lrp_epsilon", [(LAYERS, Epsilon(epsilon=epsilon))])
