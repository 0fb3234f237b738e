"""Layer-wise relevance propagation from the logit to the input, with one rule for each kind of layer.

The rules are zennit's. The model is rewritten first (`canonical`), so that every operation can have a rule. zennit imports all
of torchvision, which takes two seconds, so methods import zennit and this module when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from zennit.attribution import Gradient
from zennit.composites import SpecialFirstLayerMapComposite, layer_map_base
from zennit.core import BasicHook, Stabilizer
from zennit.rules import Flat, NoMod, Norm, Pass
from zennit.types import Activation, AvgPool, Convolution, MaxPool

from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.network import applied
from bench.network.batch_norm import Scaling
from bench.network.canonical import Mean, Sum, canonised, check
from bench.network.gradients import chosen
from bench.network.graph import layer_name

Rules = Sequence[tuple[tuple[Any, ...], Any]]
LAYERS = (Convolution, nn.Linear)  # layers with weights
OTHERS = (Activation, AvgPool, MaxPool, Mean, Scaling, Sum, nn.Flatten, nn.Unflatten)
RULES = {  # class -> what the literature calls it
    "ZPlus": "z+",
    "AlphaBeta": "alpha-beta",
    "WSquare": "w^2",
    "ZBox": "z^B",
    "Norm": "shared in proportion",
    "Pass": "passed on",
    "BasicHook": "shared among positive inputs",
}


def logit(problem: Problem, logits: Tensor) -> Tensor:
    """The relevance that propagation starts with: the logit of the explained class, 0 for other classes. (N, K)"""
    return torch.zeros_like(logits).scatter(1, problem.targets[:, None], chosen(problem, logits)[:, None])


def relevance(
    problem: Problem,
    name: str,
    rules: Rules,
    *,
    first: Rules = (),
    start: Callable[[Problem, Tensor], Tensor] = logit,
    others: Rules | None = None,
    supported: Sequence[type] = (*LAYERS, *OTHERS),
) -> Tensor:
    """Relevance of the input by these rules, summed over channels: (N, *S).

    `rules`: pairs of layer types and zennit rules; `first`: rules for the first of these layers. `others`: rules for modules
    without weights; by default activations pass relevance on, and averages and sums distribute it in proportion. `start`:
    the relevance of the logits (N, K). Raises NotApplicable if the model holds an operation that is not in `supported`, or if
    a flat rule would give all features the same relevance.
    """
    graph = canonised(problem.model, problem.inputs[:1])
    check(graph, supported, name)
    usual = [*layer_map_base(), ((Mean, Scaling, Sum), Norm())] if others is None else list(others)
    composite = SpecialFirstLayerMapComposite(layer_map=[*usual, *rules], first_map=list(first))
    _check_first(graph, composite, problem, name)
    visited: dict[str, Any] = {}
    applied.note(graph, lambda child, layer: _rule(composite.mapping(visited, child, layer)))
    inputs = problem.inputs.detach().clone().requires_grad_()
    with torch.enable_grad(), Gradient(graph, composite) as attributor:
        _, found = attributor(inputs, lambda logits: start(problem, logits))
    return found.detach().sum(1)


def _rule(hook: Any) -> str:
    """What a zennit rule is called; a layer without one keeps its gradient."""
    return applied.GRADIENT if hook is None else RULES.get(type(hook).__name__, type(hook).__name__.lower())


def _check_first(graph: fx.GraphModule, composite: Any, problem: Problem, name: str) -> None:
    """Raises NotApplicable where the flat rule meets a first layer whose every unit reads all features."""
    nodes = [node for node in graph.graph.nodes if node.op == "call_module"]
    first = next((node for node in nodes if isinstance(graph.get_submodule(str(node.target)), LAYERS)), None)
    if first is None:
        return
    layer = graph.get_submodule(str(first.target))
    flat = isinstance(composite.mapping({}, str(first.target), layer), Flat)
    if (
        flat
        and isinstance(layer, nn.Linear)
        and layer.in_features in (problem.inputs[0].numel(), problem.shape.numel())
    ):
        raise NotApplicable(
            f"{name} would give every feature the same relevance: layer {layer_name(first)} is dense and comes first, "
            "and the flat rule spreads its relevance evenly over all its inputs; lrp_epsilon does not"
        )


def one(problem: Problem, logits: Tensor) -> Tensor:
    """A relevance of 1 for the explained class, independent of its logit. (N, K)"""
    return torch.zeros_like(logits).scatter(1, problem.targets[:, None], 1)


def _only_positive() -> BasicHook:
    """A rule for sums and averages that distributes relevance among positive inputs, as z+ does in layers."""
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
