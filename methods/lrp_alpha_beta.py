"""LRP-alpha-beta: evidence for and against the class, propagated separately [bach2015lrp, equation 60].

    R_i = sum_j ( alpha * z_ij^+ / sum_i' z_i'j^+  -  beta * z_ij^- / sum_i' z_i'j^- ) * R_j,    alpha - beta = 1

alpha 2, beta 1 as in the paper's figures: evidence against a neuron gets negative relevance, in every layer. Dense layers use
the epsilon rule.
"""

from torch import Tensor, nn

from bench.core.errors import BenchError
from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="bach2015lrp", family="propagation", cost="fast", promises={"null", "class"})
def lrp_alpha_beta(problem: Problem, *, alpha: float = 2.0, beta: float = 1.0, epsilon: float = 1e-6) -> Tensor:
    """Relevance of the class's logit by the alpha-beta rule in convolutions, epsilon in dense layers. -> (N, *S)"""
    from zennit.rules import AlphaBeta, Epsilon
    from zennit.types import Convolution

    from bench.network.lrp import relevance

    if alpha - beta != 1 or beta < 0:
        raise BenchError(
            f"alpha={alpha}, beta={beta}: alpha - beta must be 1 and beta at least 0, for example alpha=1, beta=0"
        )
    rules = [((Convolution,), AlphaBeta(alpha=alpha, beta=beta)), ((nn.Linear,), Epsilon(epsilon=epsilon))]
    return relevance(problem, "lrp_alpha_beta", rules)
