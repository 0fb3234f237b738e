"""A model as a graph in which every operation is a module of its own, so that rules can be given to operations.

Methods that replace the backward pass of single layers (LRP, DeepLIFT, guided backpropagation) hook modules. A ReLU that is
called as a function, or one module that is called twice, would slip through and give a wrong map without a word. Here the
model's forward is traced (torch.fx) and rewritten: each call gets its own module, additions and means become modules too,
batch norm is folded into the convolution before it, and what is idle at evaluation is left out. The outputs stay the same.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from zennit.layer import Sum

from bench.core.errors import BenchError, NotApplicable
from bench.core.problem import Problem

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class AnyBatchNorm(nn.BatchNorm2d):
    """Of any number of axes: what a call of the function may mean."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
IDLE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
# Functions and methods that are modules by another name; what is not listed stays a function, which has no rule.
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
# What follows the input, in order.
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
NO_STATISTICS = "batch norm without running statistics: the samples of a batch depend on each other"
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
# They move values and change none: a gradient passes through them as relevance does. Padding is among them, whatever it
# pads with: copies hand their relevance to what they copy, and constants keep theirs, as biases do.
MOVES = (
    *(torch.flatten, torch.stack, torch.broadcast_tensors, torch.permute, torch.squeeze, operator.getitem, getattr),
    *("flatten", "view", "reshape", "permute", "contiguous", "size", "squeeze"),
    functional.pad,
)
PADDINGS = (
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d),
    *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d),
)


class Mean(nn.Module):
    """The mean over some axes."""

    def __init__(self, dim: Any, keepdim: bool = False) -> None:
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, values: Tensor) -> Tensor:
        return values.mean(self.dim, self.keepdim)


class Scaling(nn.Module):
    """A batch norm that no layer could take up: a factor and a shift for each channel."""

    def __init__(self, norm: Any, axes: int) -> None:
        super().__init__()
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shape = (-1, *(1,) * (axes - 2))
        self.register_buffer("scale", scale.detach().view(shape))
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale).detach().view(shape))

    scale: Tensor
    shift: Tensor

    def forward(self, values: Tensor) -> Tensor:
        return values * self.scale + self.shift


def canonised(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """The model, rewritten; `example` (1, C, *S) is an input of its. Weights are copied where they change.

    Asking it counts as asking the model. Raises BenchError where forward cannot be traced, or where the graph does not answer
    the example as the model does: what runs on values (branches, hooks, results changed in place) is not in a trace.
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
    _fold_batch_norms(graph, example)
    graph.graph.lint()
    ordered = fx.GraphModule(graph, graph.graph).eval()  # holds what is used, in the order of its use
    _compare(ordered, model, example)
    ordered._forward_hooks.update(graph._forward_hooks)
    return ordered


def _compare(graph: fx.GraphModule, model: nn.Module, example: Tensor) -> None:
    """Raises BenchError where the two answer differently. Asks behind the back of whoever counts."""
    counting = dict(model._forward_hooks)
    model._forward_hooks.clear()
    try:
        with torch.no_grad():
            wanted, found = model(example), graph(example)
    finally:
        model._forward_hooks.update(counting)
    if found.shape != wanted.shape or not torch.allclose(
        found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max())
    ):
        raise BenchError("traced as a graph of operations, the model gives other answers than it gives itself")


def traced(model: nn.Module) -> fx.GraphModule:
    """The model's forward as a graph of the calls it makes."""
    try:
        graph = fx.symbolic_trace(model)
    except Exception as error:  # tracing runs the model's own code
        raise BenchError(
            "the model's forward cannot be traced as a graph of operations, and the rules of this method belong to operations "
            f"({type(error).__name__}: {' '.join(str(error).split())[:120]})"
        ) from error

    def tell(_graph: nn.Module, inputs: Any, output: Tensor) -> None:
        for hook in list(model._forward_hooks.values()):
            hook(model, inputs, output)

    graph.register_forward_hook(tell)
    return graph.eval()


def check(graph: fx.GraphModule, modules: Collection[type], method: str) -> None:
    """Raises NotApplicable where the graph holds an operation that is neither of these modules nor a mere move."""
    known: dict[str, Any] = dict(graph.named_modules())
    for node in graph.graph.nodes:
        if node.op == "call_module":
            module = known[str(node.target)]
            if not isinstance(module, (*modules, *PADDINGS)) or getattr(module, "return_indices", False):
                raise NotApplicable(f"{method} has no rule for {type(module).__name__} ({node.target})")
            if hasattr(module, "weight") and "weight" not in vars(module)["_parameters"]:
                raise NotApplicable(f"{method} has no rule for layers whose weight is computed ({node.target})")
        if node.op in ("call_function", "call_method") and node.target not in MOVES:
            name = getattr(node.target, "__name__", node.target)
            raise NotApplicable(f"{method} has no rule for the operation {name} (at {node.name})")


def after(problem: Problem, layer: str) -> Callable[[Tensor], Tensor]:
    """The part of the model behind a layer: its outputs (N, C, *s) -> logits (N, K).

    Raises NotApplicable where something leads around the layer, BenchError where forward cannot be traced.
    """
    graph = traced(problem.model)
    inside = [node for node in graph.graph.nodes if _within(node, layer)]
    if not inside:
        raise NotApplicable(f"layer {layer} is not in the model's graph")
    tail = fx.Graph()
    known: dict[fx.Node, fx.Node] = {inside[-1]: tail.placeholder("features")}
    wanted = _ancestors(graph.graph, stop=inside[-1])
    for node in graph.graph.nodes:
        if node in wanted:
            if node.op == "placeholder":
                raise NotApplicable(f"the model leads around layer {layer}")
            known[node] = tail.node_copy(node, known.__getitem__)
    cut = fx.GraphModule(graph, tail)
    cut._forward_hooks.update(graph._forward_hooks)
    return cut.eval()


def _within(node: fx.Node, layer: str) -> bool:
    path = node.target if node.op == "call_module" else ""
    stack = node.meta.get("nn_module_stack") or {}
    owners = {str(key).split("@")[0] for key in stack} | {str(value[0]) for value in stack.values()}
    return path == layer or layer in owners


def _ancestors(graph: fx.Graph, stop: fx.Node) -> set[fx.Node]:
    """The nodes that the output needs, not looking behind `stop`."""
    found: set[fx.Node] = set()
    queue = [node for node in graph.nodes if node.op == "output"]
    while queue:
        node = queue.pop()
        if node is not stop and node not in found:
            found.add(node)
            queue.extend(node.all_input_nodes)
    return found


def _sums(graph: fx.GraphModule, example: Tensor) -> set[fx.Node]:
    """The additions of two tensors that both come from the input."""
    asked = [node for node in graph.graph.nodes if node.op != "call_module" and node.target in ADDITIONS]
    if not asked:
        return set()
    shapes = _Shapes(graph)
    with torch.no_grad():
        shapes.run(example)
    vary: set[fx.Node] = set()
    for node in graph.graph.nodes:
        if node.op == "placeholder" or any(one in vary for one in node.all_input_nodes):
            vary.add(node)
    return {
        node
        for node in asked
        if len(node.args) == 2
        and not node.kwargs
        and all(isinstance(one, fx.Node) and one in vary and one in shapes.axes for one in node.args)
    }


def _rewrite(graph: fx.GraphModule, node: fx.Node, both_vary: set[fx.Node]) -> None:
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        if isinstance(module, IDLE):
            _skip(graph, node)
        else:  # its own copy for each call; and never in place, for rules look at what went in
            own = _shallow(module)
            if getattr(own, "inplace", False):
                own.inplace = False  # type: ignore[assignment]
            _replace(graph, node, own, node.args, node.kwargs)
    elif node.op in ("call_function", "call_method"):
        settled = not any(isinstance(one, fx.Node) for one in (*node.args[1:], *node.kwargs.values()))
        if node.target in AS_MODULES and settled and len(node.args) > 0:
            _replace(graph, node, _module_of(node), node.args[:1], {})
        elif node.target in (functional.dropout, functional.dropout1d, functional.dropout2d):
            _skip(graph, node)
        elif node.target is functional.batch_norm:
            _replace(graph, node, _batch_norm_of(graph, node), node.args[:1], {})
        elif node.target in (torch.mean, "mean") and settled:
            settings: dict[str, Any] = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | node.kwargs
            if "dim" in settings and set(settings) <= {"dim", "keepdim"}:
                _replace(graph, node, Mean(**settings), node.args[:1], {})
        elif node in both_vary:
            with graph.graph.inserting_before(node):
                alike = graph.graph.call_function(torch.broadcast_tensors, node.args)
                both = graph.graph.call_function(torch.stack, (alike,), {"dim": -1})
            _replace(graph, node, Sum(dim=-1), (both,), {})


def _module_of(node: fx.Node) -> nn.Module:
    """The module that does what a function call does."""
    settings: dict[str, Any] = dict(zip(SETTINGS.get(node.target, ()), node.args[1:], strict=False)) | node.kwargs
    settings.pop("inplace", None)
    return AS_MODULES[node.target](**settings)


def _batch_norm_of(graph: fx.GraphModule, node: fx.Node) -> nn.Module:
    """A batch norm of the same statistics as the function call `batch_norm(x, mean, var, weight, bias, training, ...)`."""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    settings: dict[str, Any] = dict(zip(names, node.args, strict=False)) | node.kwargs

    def tensor(name: str, default: float) -> Tensor:
        value = settings.get(name)
        if not isinstance(value, fx.Node):
            return torch.full_like(tensor("running_mean", 0), default)
        owner: Any = graph
        for part in str(value.target).split("."):
            owner = getattr(owner, part)
        return owner.detach()

    if not isinstance(settings.get("running_mean"), fx.Node):
        raise NotApplicable(NO_STATISTICS)
    mean = tensor("running_mean", 0)
    norm = AnyBatchNorm(len(mean), eps=settings.get("eps", 1e-5)).to(mean)
    norm.load_state_dict(
        {
            "running_mean": mean,
            "running_var": tensor("running_var", 1),
            "weight": tensor("weight", 1),
            "bias": tensor("bias", 0),
            "num_batches_tracked": torch.tensor(0),
        }
    )
    return norm.eval().requires_grad_(False)


def _fold_batch_norms(graph: fx.GraphModule, example: Tensor) -> None:
    """Batch norm at evaluation is linear: it joins the layer before it, or becomes a layer of its own."""
    norms = [node for node in graph.graph.nodes if _is(graph, node, BATCH_NORMS)]
    if not norms:
        return
    shapes = _Shapes(graph)
    with torch.no_grad():
        shapes.run(example)
    for node in norms:
        norm: Any = graph.get_submodule(str(node.target))
        before = node.args[0]
        if norm.running_mean is None:
            raise NotApplicable(NO_STATISTICS)
        if norm.weight is None:
            norm.weight = nn.Parameter(torch.ones_like(norm.running_var), requires_grad=False)
            norm.bias = nn.Parameter(torch.zeros_like(norm.running_var), requires_grad=False)
        single = len(before.users) == 1
        if single and _is(graph, before, CONVOLUTIONS):
            merged: nn.Module = fuse_conv_bn_eval(graph.get_submodule(str(before.target)), norm)  # type: ignore[type-var]
        elif single and _is(graph, before, (nn.Linear,)) and shapes.axes[node] == 2:
            merged = fuse_linear_bn_eval(graph.get_submodule(str(before.target)), norm)  # type: ignore[type-var]
        else:
            _replace(graph, node, Scaling(norm, shapes.axes[node]), node.args[:1], {})
            continue
        _replace(graph, before, merged.requires_grad_(False), before.args, before.kwargs)
        _skip(graph, node)


class _Shapes(fx.Interpreter):
    """Runs a graph and notes how many axes each result has."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.axes: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.axes[n] = result.dim()
        return result


def _is(graph: fx.GraphModule, node: Any, kinds: tuple[type, ...]) -> bool:
    return (
        isinstance(node, fx.Node)
        and node.op == "call_module"
        and isinstance(graph.get_submodule(str(node.target)), kinds)
    )


def _shallow(module: nn.Module) -> nn.Module:
    """A copy that shares the weights but has hooks and settings of its own."""
    if next(module.children(), None) is not None:  # such as weights that are computed
        return copy.deepcopy(module, {id(p): p for p in (*module.parameters(), *module.buffers())})
    own = copy.copy(module)
    for name, value in vars(own).items():
        if isinstance(value, dict):
            vars(own)[name] = value.copy()
    return own


def _replace(graph: fx.GraphModule, node: fx.Node, module: nn.Module, args: Any, kwargs: Any) -> None:
    """Puts a call of the module in the node's place."""
    name = f"{node.name}_"
    while hasattr(graph, name):
        name += "_"
    graph.add_module(name, module.eval())
    with graph.graph.inserting_after(node):
        new = graph.graph.call_module(name, args, kwargs)
    new.meta = dict(node.meta)
    node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
    graph.graph.erase_node(node)


def _skip(graph: fx.GraphModule, node: fx.Node) -> None:
    node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
    graph.graph.erase_node(node)
