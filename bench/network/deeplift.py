"""DeepLIFT's backward pass: secants between an input and its reference take the place of gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.network import applied
from bench.network.batch_norm import CONVOLUTIONS, Scaling
from bench.network.canonical import Mean, Sum, canonised, check
from bench.network.gradients import chosen

LINEAR = (
    *(*CONVOLUTIONS, nn.Linear, Mean, Scaling, Sum, nn.Flatten, nn.Unflatten, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
)
ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign),
    *(nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.LogSigmoid, nn.Tanhshrink),
)
POOLS = (nn.MaxPool1d, nn.MaxPool2d)
NEAR = 1e-6  # where inputs are closer than this, the gradient takes the place of the secant


def ruled(problem: Problem, name: str) -> fx.GraphModule:
    """The problem's model with DeepLIFT's backward pass. Raises NotApplicable if an operation has no rule."""
    graph = canonised(problem.model, problem.inputs[:1])
    check(graph, (*LINEAR, *ELEMENTWISE, *POOLS), name)
    applied.note(graph, lambda _, layer: applied.GRADIENT if isinstance(layer, LINEAR) else "rescale")
    for child, module in graph.named_children():
        if isinstance(module, (*ELEMENTWISE, *POOLS)):
            setattr(graph, child, _Ruled(module))
    return graph


def contributions(problem: Problem, graph: fx.GraphModule, reference: Tensor) -> Tensor:
    """Contributions to logit_c(x) - logit_c(reference), summed over channels: (N, *S). `graph`: the model with rules."""
    inputs = problem.inputs.detach().clone().requires_grad_()
    other = reference.expand_as(problem.inputs)
    with torch.enable_grad():
        here, there = (chosen(problem, logits) for logits in graph(torch.cat([inputs, other])).chunk(2))
        (multiplier,) = torch.autograd.grad(here.sum(), inputs)
    found = (multiplier * (problem.inputs - other)).sum(1)
    gained = (here - there).detach()
    if not torch.allclose(found.flatten(1).sum(1), gained, rtol=0.02, atol=0.02 * float(gained.abs().max())):
        raise NotApplicable(
            "DeepLIFT is not complete on this model: one of its operations mixes the samples of a batch"
        )
    return found


class _Ruled(nn.Module):
    """An activation or a max-pool on inputs (2 N, ...), the second half being the references of the first."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own, self.rule = own, _MaxPool if isinstance(own, POOLS) else _Secant

    def forward(self, values: Tensor) -> Tensor:
        return self.rule.apply(values, self.own)


class _Secant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, own: nn.Module) -> Tensor:
        result = own(values)
        ctx.save_for_backward(values, result)
        ctx.own = own
        return result

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:
        values, result = ctx.saved_tensors
        (here, there), (out, out_there) = values.chunk(2), result.chunk(2)
        signal = signals[0].chunk(2)[0]
        step = here - there
        near = step.abs() < NEAR
        with torch.enable_grad():
            at = here.detach().requires_grad_()
            (slope,) = torch.autograd.grad(ctx.own(at), at, signal)
        passed = torch.where(near, slope, signal * (out - out_there) / torch.where(near, 1, step))
        return torch.cat([passed, torch.zeros_like(passed)]), None


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, own: Any) -> Tensor:
        pool = nn.functional.max_pool1d if isinstance(own, nn.MaxPool1d) else nn.functional.max_pool2d
        result, winners = pool(
            *(values, own.kernel_size, own.stride, own.padding, own.dilation),
            ceil_mode=own.ceil_mode,
            return_indices=True,
        )
        ctx.save_for_backward(values, result, winners)
        return result

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:
        values, result, winners = ctx.saved_tensors
        (here, there), (out, out_there) = values.chunk(2), result.chunk(2)
        signal, larger = signals[0].chunk(2)[0], torch.maximum(out, out_there)
        # A share other than 0 goes to a position whose input differs between the halves, so nothing is divided by 0.
        shares = (signal * (larger - out_there), signal * (out - larger))
        moved = torch.zeros_like(here).flatten(2)
        for share, place in zip(shares, winners.chunk(2), strict=True):
            moved.scatter_add_(2, place.flatten(2), share.flatten(2))
        step = here - there
        passed = moved.view_as(here) / torch.where(step == 0, 1, step)
        return torch.cat([passed, torch.zeros_like(passed)]), None
