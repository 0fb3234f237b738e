"""Relevance handed down from the logit to the input, one rule per kind of layer (the LRP family).

The rules are zennit's; the model comes canonised, so that no operation is without a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.composites import SpecialFirstLayerMapComposite, layer_map_base
from zennit.core import BasicHook, Stabilizer
from zennit.layer import Sum
from zennit.rules import NoMod, Norm, Pass
from zennit.types import Activation, AvgPool, Convolution, MaxPool

from bench.core.problem import Problem
from bench.network.batch_norm import Scaling
from bench.network.canonical import Mean, canonised, check
from bench.network.gradients import chosen

Rules = Sequence[tuple[tuple[Any, ...], Any]]
LAYERS = (Convolution, nn.Linear)  # what rules are about
OTHERS = (Activation, AvgPool, MaxPool, Mean, Scaling, Sum, nn.Flatten, nn.Unflatten)


def logit(problem: Problem, logits: Tensor) -> Tensor:
    """Logits (N, K) with only the explained class's kept: where propagation starts."""
    return torch.zeros_like(logits).scatter(1, problem.targets[:, None], chosen(problem, logits)[:, None])


def relevance(
    problem: Problem,
    name: str,
    rules: Rules,
    *,
    first: Rules = (),
    start: Callable[[Problem, Tensor], Tensor] = logit,
    others: Rules | None = None,
    served: Sequence[type] = (*LAYERS, *OTHERS),
) -> Tensor:
    """Relevance of the input by these rules, summed over channels: (N, *S).

    `rules` maps kinds of layers to zennit rules, `first` those of the first such layer. `others` (default: activations pass
    relevance on, averages and sums share it out in proportion) are those of what has no weights. `start` gives the
    relevance of the logits (N, K). Raises NotApplicable where the model holds what is not `served`.
    """
    graph = canonised(problem.model, problem.inputs[:1])
    check(graph, served, name)
    usual = [*layer_map_base(), ((Mean, Scaling), Norm())] if others is None else list(others)
    composite = SpecialFirstLayerMapComposite(layer_map=[*usual, *rules], first_map=list(first))
    inputs = problem.inputs.detach().clone().requires_grad_()
    with torch.enable_grad(), Gradient(graph, composite) as attributor:
        _, found = attributor(inputs, lambda logits: start(problem, logits))
    return found.detach().sum(1)


def one(problem: Problem, logits: Tensor) -> Tensor:
    """A relevance of 1 for the explained class, whatever its logit."""
    return torch.zeros_like(logits).scatter(1, problem.targets[:, None], 1)


def _only_positive() -> BasicHook:
    """Sums and averages share relevance out among what is positive, as z+ does in layers."""
    steady = Stabilizer.ensure(1e-6)
    return BasicHook(
        input_modifiers=[lambda values: values.clamp(min=0)],
        param_modifiers=[NoMod(param_keys=[])],
        output_modifiers=[lambda output: output],
        gradient_mapper=lambda signal, outputs: signal / steady(outputs[0]),
        reducer=lambda inputs, gradients: inputs[0] * gradients[0],
    )


POSITIVE: Rules = [((Activation,), Pass()), ((AvgPool, Mean, Sum), _only_positive())]
RELU_ONLY = (*LAYERS, nn.ReLU, AvgPool, MaxPool, Mean, Sum, nn.Flatten, nn.Unflatten)
