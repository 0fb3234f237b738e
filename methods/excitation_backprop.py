"""Excitation backpropagation: a random walk from the class down to the input [zhang2016excitation].

    P(a_i) = sum_j  a_i w_ij^+ / sum_i' a_i' w_i'j^+ * P(a_j),    biases left out

The probability that a walk from the class ends at this input, if it follows excitatory connections in proportion to their
contribution. Never negative where inputs are not; sums to 1. Only for networks with non-negative activations.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="zhang2016excitation", family="propagation", cost="fast", promises={"null", "class"})
def excitation_backprop(problem: Problem) -> Tensor:
    """Probability that a random walk from the class along excitatory weights ends at a feature. -> (N, *S)"""
    from zennit.rules import ZPlus

    from bench.network.lrp import LAYERS, POSITIVE, RELU_ONLY, one, relevance

    rules = [(LAYERS, ZPlus(zero_params="bias"))]
    return relevance(problem, "excitation_backprop", rules, start=one, others=POSITIVE, supported=RELU_ONLY)
