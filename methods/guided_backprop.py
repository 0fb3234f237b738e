"""Guided backpropagation: the gradient, with every negative signal stopped at each ReLU [springenberg2015striving].

    R_in = R_out * [R_out > 0] * [activation > 0]    at each ReLU;  elsewhere the gradient

Only paths remain that excite the class at every step. The maps are sharp but close to an edge detector: they change little
with the class or the weights [adebayo2018sanity]. Unsigned: the largest over the channels, as in `saliency`. Needs ReLUs.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.network import applied
from bench.network.canonical import canonised
from bench.network.gradients import gradient
from bench.registry.decorators import method


class GuidedReLU(Function):
    """A ReLU that passes positive signals back where it was active."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        result = values.relu()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(signals[0].relu(), result, 0)


@method(cite="springenberg2015striving", family="gradient", cost="fast", promises={"null"})
def guided_backprop(problem: Problem) -> Tensor:
    """Gradient through positive signals only, absolute, the largest over the channels. -> (N, *S)"""
    return backward(problem, "guided_backprop", GuidedReLU).abs().amax(1)


def backward(problem: Problem, name: str, rule: type[Function]) -> Tensor:
    """d logit / d input with another backward pass, `rule`, for every ReLU: (N, C, *S)."""
    graph = canonised(problem.model, problem.inputs[:1])
    relus = [child for child, module in graph.named_children() if isinstance(module, nn.ReLU)]
    if not relus:
        raise NotApplicable(f"{name} changes the backward pass of ReLUs, and the model has no ReLU")
    applied.note(
        graph, lambda child, _: rule.__name__.removesuffix("ReLU").lower() if child in relus else applied.GRADIENT
    )
    for child in relus:
        setattr(graph, child, _Ruled(rule))
    return gradient(replace(problem, model=graph))


class _Ruled(nn.Module):
    def __init__(self, rule: Any) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, values: Tensor) -> Tensor:
        return self.rule.apply(values)
