"""Guided backpropagation: the gradient, with every negative signal stopped at each ReLU [springenberg2015striving].

    R_in = R_out * [R_out > 0] * [activation > 0]    at each ReLU;  elsewhere the gradient

What is left are paths that excite the class at every step. Sharp pictures, but close to an edge detector: they change little
with the class or with the weights [adebayo2018sanity]. Unsigned: the largest over the channels, as in `saliency`. Needs ReLUs.
"""

import torch
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.composites import LayerMapComposite
from zennit.core import Hook
from zennit.rules import ReLUGuidedBackprop

from bench.canonise import canonised
from bench.core import NotApplicable, Problem
from bench.hooks import chosen
from bench.registry import method


@method(cite="springenberg2015striving", family="gradient", cost="fast", promises={"null"})
def guided_backprop(problem: Problem) -> Tensor:
    """Gradient through positive signals only, absolute, the largest over the channels. -> (N, *S)"""
    return backward(problem, "guided_backprop", ReLUGuidedBackprop()).abs().amax(1)


def backward(problem: Problem, name: str, rule: Hook) -> Tensor:
    """d logit / d input with the backward pass of every ReLU replaced: (N, C, *S)."""
    graph = canonised(problem.model, problem.inputs[:1])
    if not any(isinstance(module, nn.ReLU) for module in graph.modules()):
        raise NotApplicable(f"{name} changes the backward pass of ReLUs, and the model has none")
    inputs = problem.inputs.detach().clone().requires_grad_()
    with torch.enable_grad(), Gradient(graph, LayerMapComposite([(nn.ReLU, rule)])) as attributor:
        _, slope = attributor(inputs, lambda logits: torch.autograd.grad(chosen(problem, logits).sum(), logits)[0])
    return slope.detach()
