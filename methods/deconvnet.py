"""DeconvNet: the class's signal sent back through the network, with a ReLU on the way back [zeiler2014visualizing].

    R_in = R_out * [R_out > 0]    at each ReLU, active or not;  elsewhere the gradient

Unsigned: the largest over the channels, as in `saliency`. Needs ReLUs.
"""

from typing import Any

from torch import Tensor
from torch.autograd import Function

from bench.core.problem import Problem
from bench.methods.guided_backprop import backward
from bench.registry.decorators import method


class DeconvReLU(Function):
    """A ReLU that passes positive signals back everywhere."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.relu()

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> Tensor:
        return signals[0].relu()


@method(cite="zeiler2014visualizing", family="gradient", cost="fast")
def deconvnet(problem: Problem) -> Tensor:
    """Signal of the class's logit with negative parts removed on the way back, largest over channels. -> (N, *S)"""
    return backward(problem, "deconvnet", DeconvReLU).abs().amax(1)
