"""LRP-gamma: positive contributions count more, by a factor 1 + gamma [montavon2019lrp, section 10.2.1].

    R_i = sum_j  a_i (w_ij + gamma w_ij^+) / sum_i' a_i' (w_i'j + gamma w_i'j^+) * R_j

Between LRP-0 (gamma 0) and the z+ rule (gamma towards infinity): less noise than the first, more contrast than the second.
Dense layers use the epsilon rule.
"""

from torch import Tensor, nn

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="montavon2019lrp", family="propagation", cost="fast", promises={"null", "class"})
def lrp_gamma(problem: Problem, *, gamma: float = 0.25, epsilon: float = 1e-6) -> Tensor:
    """Relevance of the class's logit by the gamma rule in convolutions, epsilon in dense layers. -> (N, *S)"""
    from zennit.rules import Epsilon, Gamma
    from zennit.types import Convolution

    from bench.network.lrp import relevance

    rules = [((Convolution,), Gamma(gamma=gamma)), ((nn.Linear,), Epsilon(epsilon=epsilon))]
    return relevance(problem, "lrp_gamma", rules)
