"""A model as a graph in which every operation is a module of its own, so that each operation can have a rule.

Methods that replace the backward pass of single layers (LRP, DeepLIFT, guided backpropagation) hook modules. A ReLU that is
called as a function, or a module that is called twice, would escape the hooks, and the map would be wrong without an error.
Here the model's forward is traced (torch.fx) and rewritten: each call gets its own module, additions and means become modules
too, batch norm is folded into the convolution before it, and modules without effect at evaluation are removed. The outputs
stay the same.
"""

from __future__ import annotations

import copy
import operator
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from bench.core.errors import NotApplicable
from bench.network import batch_norm
from bench.network.graph import axes_of, check_equal, layer_name, remove, replace, traced

IDLE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
# Functions and methods that equal a module. What is not listed stays a function, which has no rule.
AS_MODULES: dict[Any, Callable[..., nn.Module]] = {
    **dict.fromkeys((functional.relu, functional.relu_, torch.relu, torch.relu_, "relu", "relu_"), nn.ReLU),
    functional.relu6: nn.ReLU6,
    functional.leaky_relu: nn.LeakyReLU,
    functional.elu: nn.ELU,
    functional.gelu: nn.GELU,
    functional.silu: nn.SiLU,
    functional.softplus: nn.Softplus,
    **dict.fromkeys((functional.sigmoid, torch.sigmoid, "sigmoid"), nn.Sigmoid),
    **dict.fromkeys((functional.tanh, torch.tanh, "tanh"), nn.Tanh),
    functional.max_pool1d: nn.MaxPool1d,
    functional.max_pool2d: nn.MaxPool2d,
    functional.avg_pool1d: nn.AvgPool1d,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}
# The arguments that follow the input, in order.
SETTINGS: dict[Any, tuple[str, ...]] = {
    functional.leaky_relu: ("negative_slope", "inplace"),
    functional.elu: ("alpha", "inplace"),
    functional.softplus: ("beta", "threshold"),
    **dict.fromkeys(
        (functional.max_pool1d, functional.max_pool2d),
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    ),
    functional.avg_pool1d: ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    functional.avg_pool2d: ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    **dict.fromkeys((functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d), ("output_size",)),
}
OPERATION = "the operation "  # what is no layer
MOST = 3  # kinds of operations without a rule that a message lists
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
# Operations that move values and change none: relevance passes through them as a gradient does. Padding is one of them,
# whatever the padded values: copies pass their relevance to the original, and constants keep theirs, as biases do.
MOVES = (
    *(torch.flatten, torch.stack, torch.broadcast_tensors, torch.permute, torch.squeeze, operator.getitem, getattr),
    *("flatten", "view", "reshape", "permute", "contiguous", "size", "squeeze"),
    functional.pad,
)
PADDINGS = (
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d),
    *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d),
)


class Sum(nn.Module):
    """The sum over the last axis, on which the terms of an addition are stacked."""

    def forward(self, values: Tensor) -> Tensor:
        return values.sum(-1)


class Mean(nn.Module):
    """The mean over some axes."""

    def __init__(self, dim: Any, keepdim: bool = False) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, values: Tensor) -> Tensor:
        return values.mean(self.dim, self.keepdim)


def canonised(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """The model, rewritten; `example` (1, C, *S) is one of its inputs. Weights are copied where they change.

    A call of the graph runs the model's own forward hooks, so it counts as a query of the model. Raises BenchError where
    forward cannot be traced, or where the graph and the model answer the example differently.
    """
    graph = traced(model)
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target is torch._assert:
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    both_vary = _sums(graph, example)
    for node in list(graph.graph.nodes):
        _rewrite(graph, node, both_vary)
    graph.graph.eliminate_dead_code()
    batch_norm.fold(graph, example)
    graph.graph.lint()
    ordered = fx.GraphModule(graph, graph.graph).eval()  # holds what is used, in the order of its use
    _compare(ordered, model, example)
    ordered._forward_hooks.update(graph._forward_hooks)
    return ordered


def _compare(graph: fx.GraphModule, model: nn.Module, example: Tensor) -> None:
    """Raises BenchError where the two answer differently. The model's own hooks do not see these calls."""
    hooks = dict(model._forward_hooks)
    model._forward_hooks.clear()
    try:
        with torch.no_grad():
            expected, found = model(example), graph(example)
    finally:
        model._forward_hooks.update(hooks)
    check_equal(found, expected)


def check(graph: fx.GraphModule, modules: Collection[type], method: str) -> None:
    """Raises NotApplicable where the graph holds an operation that is neither one of these modules nor a mere move."""
    found = [(node, missing) for node in graph.graph.nodes if (missing := _without_rule(graph, node, modules))]
    if not found:
        return
    node, first = found[0]
    where = f"{'layer' if node.op == 'call_module' else 'node'} {layer_name(node)}"
    counts = Counter(name.removeprefix(OPERATION) for _, name in found[1:])
    some = [f"{name} {number}" if number > 1 else name for name, number in counts.most_common(MOST)]
    others = f", nor for {len(found) - 1} other{'s' * (len(found) > 2)}: {', '.join(some)}" if some else ""
    raise NotApplicable(f"{method} has no rule for {first} ({where}){others}{', ...' * (len(counts) > MOST)}")


def _without_rule(graph: fx.GraphModule, node: fx.Node, modules: Collection[type]) -> str:
    """What a node computes, if it is neither one of these modules nor a mere move; else ""."""
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        if not isinstance(module, (*modules, *PADDINGS)) or getattr(module, "return_indices", False):
            return type(module).__name__
        if hasattr(module, "weight") and "weight" not in vars(module)["_parameters"]:
            return "layers whose weight is computed"
    if node.op in ("call_function", "call_method") and node.target not in MOVES:
        return f"{OPERATION}{getattr(node.target, '__name__', node.target)}"
    return ""


def _sums(graph: fx.GraphModule, example: Tensor) -> set[fx.Node]:
    """The additions of two tensors that both come from the input."""
    asked = [node for node in graph.graph.nodes if node.op != "call_module" and node.target in ADDITIONS]
    axes = axes_of(graph, example) if asked else {}
    vary: set[fx.Node] = set()
    for node in graph.graph.nodes:
        if node.op == "placeholder" or any(one in vary for one in node.all_input_nodes):
            vary.add(node)
    return {
        node
        for node in asked
        if len(node.args) == 2
        and not node.kwargs
        and all(isinstance(one, fx.Node) and one in vary and one in axes for one in node.args)
    }


def _rewrite(graph: fx.GraphModule, node: fx.Node, both_vary: set[fx.Node]) -> None:
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        if isinstance(module, IDLE):
            remove(graph, node)
        else:  # a copy for each call, and never in place: rules read the inputs
            own = _shallow(module)
            if getattr(own, "inplace", False):
                own.inplace = False  # type: ignore[assignment]
            replace(graph, node, own, node.args, node.kwargs)
    elif node.op in ("call_function", "call_method"):
        settled = not any(isinstance(one, fx.Node) for one in (*node.args[1:], *node.kwargs.values()))
        if node.target in AS_MODULES and settled and len(node.args) > 0:
            replace(graph, node, _module_of(node), node.args[:1], {})
        elif node.target in (functional.dropout, functional.dropout1d, functional.dropout2d):
            remove(graph, node)
        elif node.target is functional.batch_norm:
            replace(graph, node, batch_norm.module_of_call(graph, node), node.args[:1], {})
        elif node.target in (torch.mean, "mean") and settled:
            settings: dict[str, Any] = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | node.kwargs
            if "dim" in settings and set(settings) <= {"dim", "keepdim"}:
                replace(graph, node, Mean(**settings), node.args[:1], {})
        elif node in both_vary:
            with graph.graph.inserting_before(node):
                alike = graph.graph.call_function(torch.broadcast_tensors, node.args)
                both = graph.graph.call_function(torch.stack, (alike,), {"dim": -1})
            replace(graph, node, Sum(), (both,), {})


def _module_of(node: fx.Node) -> nn.Module:
    """The module that does what a function call does."""
    settings: dict[str, Any] = dict(zip(SETTINGS.get(node.target, ()), node.args[1:], strict=False)) | node.kwargs
    settings.pop("inplace", None)
    return AS_MODULES[node.target](**settings)


def _shallow(module: nn.Module) -> nn.Module:
    """A copy that shares the weights but has hooks and settings of its own."""
    if next(module.children(), None) is not None:  # such as weights that are computed
        return copy.deepcopy(module, {id(p): p for p in (*module.parameters(), *module.buffers())})
    own = copy.copy(module)
    for name, value in vars(own).items():
        if isinstance(value, dict):
            vars(own)[name] = value.copy()
    return own
