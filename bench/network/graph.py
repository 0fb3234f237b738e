"""A model as a graph of operations (torch.fx): traced, cut behind a layer, and edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from bench.core.errors import BenchError, NotApplicable
from bench.core.problem import Problem


def traced(model: nn.Module) -> fx.GraphModule:
    """The model's forward as a graph of the calls it makes. A call of the graph runs the model's own forward hooks.

    Raises BenchError where forward cannot be traced.
    """
    try:
        graph = fx.symbolic_trace(model)
    except Exception as error:  # tracing runs the model's own code
        raise BenchError(
            f"torch.fx cannot trace the model's forward ({type(error).__name__}: {' '.join(str(error).split())[:120]}); "
            "this method needs the graph of the model's operations, so forward may not branch on the values of tensors"
        ) from error

    def run_hooks(_graph: nn.Module, inputs: Any, output: Tensor) -> None:
        for hook in list(model._forward_hooks.values()):
            hook(model, inputs, output)

    graph.register_forward_hook(run_hooks)
    return graph.eval()


def check_equal(found: Tensor, expected: Tensor) -> None:
    """Raises BenchError where a graph's outputs (N, K) differ from the model's own by more than rounding."""
    near = 1e-3 * float(expected.abs().max())
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-3, atol=near):
        raise BenchError(
            "the graph that torch.fx traced does not reproduce the model's outputs; forward may not depend on the values "
            "of tensors, on hooks that change outputs, or on results that are changed in place"
        )


def after(problem: Problem, layer: str) -> Callable[[Tensor], Tensor]:
    """The part of the model behind a layer: its outputs (N, C, *s) -> logits (N, K).

    Raises NotApplicable where a connection bypasses the layer, BenchError where forward cannot be traced.
    """
    graph = traced(problem.model)
    inside = [node for node in graph.graph.nodes if _within(node, layer)]
    if not inside:
        raise NotApplicable(f"layer '{layer}' does not appear in the model's graph of operations")
    tail = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {inside[-1]: tail.placeholder("features")}
    needed = _ancestors(graph.graph, stop=inside[-1])
    for node in graph.graph.nodes:
        if node in needed:
            if node.op == "placeholder":
                raise NotApplicable(f"a connection of the model bypasses layer '{layer}'")
            copies[node] = tail.node_copy(node, copies.__getitem__)
    cut = fx.GraphModule(graph, tail)
    cut._forward_hooks.update(graph._forward_hooks)
    return cut.eval()


def _within(node: fx.Node, layer: str) -> bool:
    path = node.target if node.op == "call_module" else ""
    stack = node.meta.get("nn_module_stack") or {}
    owners = {str(key).split("@")[0] for key in stack} | {str(value[0]) for value in stack.values()}
    return path == layer or layer in owners


def _ancestors(graph: fx.Graph, stop: fx.Node) -> set[fx.Node]:
    """The nodes that the output depends on, up to `stop`."""
    found: set[fx.Node] = set()
    queue = [node for node in graph.nodes if node.op == "output"]
    while queue:
        node = queue.pop()
        if node is not stop and node not in found:
            found.add(node)
            queue.extend(node.all_input_nodes)
    return found


def axes_of(graph: fx.GraphModule, example: Tensor) -> dict[fx.Node, int]:
    """How many axes the tensor of each node has, found by running the graph on an input (1, C, *S)."""
    run = _Axes(graph)
    with torch.no_grad():
        run.run(example)
    return run.axes


class _Axes(fx.Interpreter):
    """Runs a graph and notes how many axes each result has."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.axes: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.axes[n] = result.dim()
        return result


def calls(graph: fx.GraphModule, node: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a node is a call of a module of one of these types."""
    return (
        isinstance(node, fx.Node)
        and node.op == "call_module"
        and isinstance(graph.get_submodule(str(node.target)), kinds)
    )


def replace(graph: fx.GraphModule, node: fx.Node, module: nn.Module, args: Any, kwargs: Any) -> None:
    """Replaces a node by a call of a new module."""
    name = f"{node.name}_"
    while hasattr(graph, name):
        name += "_"
    graph.add_module(name, module.eval())
    with graph.graph.inserting_after(node):
        new = graph.graph.call_module(name, args, kwargs)
    new.meta = dict(node.meta)
    node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
    graph.graph.erase_node(node)


def remove(graph: fx.GraphModule, node: fx.Node) -> None:
    """Removes a node that passes its first argument on unchanged."""
    node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
    graph.graph.erase_node(node)


def layer_name(node: fx.Node) -> str:
    """The name that a node's layer has in the model, or that of the node where it is a function."""
    stack = node.meta.get("nn_module_stack") or {}
    inside = node.op == "call_module" and stack
    return str(next(reversed(stack))).split("@")[0] if inside else node.name.rstrip("_")
