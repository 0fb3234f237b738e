"""LRP: layer-wise relevance propagation [bach2015lrp], with one rule per kind of layer [montavon2019lrp].

The class's logit is handed down layer by layer, each neuron sharing out what it got among those that fed it:

    R_i = sum_j  z_ij / sum_i' z_i'j * R_j

z_ij = a_i w_ij, with a small epsilon in the denominator of the dense layers and only the positive z_ij in the convolutions
(z+): the composite "epsilon-plus". Signed; the relevances sum to the logit, less what biases absorb.
"""

from torch import Tensor
from torch.nn.functional import one_hot
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonPlus

from bench.core import Problem
from bench.registry import method


@method(cite="bach2015lrp", family="propagation")
def lrp(problem: Problem, *, epsilon: float = 1e-6) -> Tensor:
    """Relevance of the class's logit by the epsilon and z+ rules, summed over channels. -> (N, *S)"""
    composite = EpsilonPlus(epsilon=epsilon, canonizers=[SequentialMergeBatchNorm()])
    inputs = problem.inputs.detach().clone().requires_grad_()

    def of_target(logits: Tensor) -> Tensor:
        return logits * one_hot(problem.targets, logits.shape[1])

    with Gradient(problem.model, composite) as attributor:
        _, relevance = attributor(inputs, of_target)
    return relevance.detach().sum(1)
