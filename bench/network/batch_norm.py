"""Batch norm at evaluation is linear: in a graph it joins the layer before it, or becomes a layer with a factor and a shift."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from bench.core.errors import NotApplicable
from bench.network.graph import axes_of, calls, remove, replace

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NO_STATISTICS = (
    "the model has a batch norm without running statistics, so the samples of a batch influence each other; "
    "use batch norms with track_running_stats=True"
)


class AnyBatchNorm(nn.BatchNorm2d):
    """Batch norm of tensors with any number of axes, as the function takes them."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class Scaling(nn.Module):
    """A batch norm that no layer can absorb: a factor and a shift for each channel."""

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


def module_of_call(graph: fx.GraphModule, node: fx.Node) -> nn.Module:
    """A module for the function call `batch_norm(input, mean, var, weight, bias, training, ...)`."""
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


def fold(graph: fx.GraphModule, example: Tensor) -> None:
    """Folds every batch norm of a graph, in place. `example` is an input (1, C, *S)."""
    norms = [node for node in graph.graph.nodes if calls(graph, node, BATCH_NORMS)]
    axes = axes_of(graph, example) if norms else {}
    for node in norms:
        norm: Any = graph.get_submodule(str(node.target))
        before = node.args[0]
        if norm.running_mean is None:
            raise NotApplicable(NO_STATISTICS)
        if norm.weight is None:
            norm.weight = nn.Parameter(torch.ones_like(norm.running_var), requires_grad=False)
            norm.bias = nn.Parameter(torch.zeros_like(norm.running_var), requires_grad=False)
        only_user = len(before.users) == 1
        if only_user and calls(graph, before, CONVOLUTIONS):
            merged: nn.Module = fuse_conv_bn_eval(graph.get_submodule(str(before.target)), norm)  # type: ignore[type-var]
        elif only_user and calls(graph, before, (nn.Linear,)) and axes[node] == 2:
            merged = fuse_linear_bn_eval(graph.get_submodule(str(before.target)), norm)  # type: ignore[type-var]
        else:
            replace(graph, node, Scaling(norm, axes[node]), node.args[:1], {})
            continue
        replace(graph, before, merged.requires_grad_(False), before.args, before.kwargs)
        remove(graph, node)
