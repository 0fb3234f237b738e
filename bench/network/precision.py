"""A model whose convolutions and dense layers compute in bfloat16: half the memory traffic, for exploring.

Each of these layers rounds its weights and inputs to bfloat16 (8 bits of mantissa instead of 24), computes, and hands float32
on. Everything between the layers, and every method and metric, stays in float32. So methods that hook layers, read feature maps
or rewrite the graph work as they do on the model itself, which they do not where whole models are cast.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from bench.core.errors import ContractError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def in_bfloat16(model: nn.Module) -> nn.Module:
    """A copy of the model that computes in bfloat16. Raises ContractError where no layer of it can.

    Layers whose class has a forward pass of its own stay as they are.
    """
    reduced, count = copy.deepcopy(model), 0
    for module in reduced.modules():
        if _computes_as(module, nn.Linear, "forward"):
            module.__class__ = _subclass(type(module), forward=_dense)
            count += 1
        for kind in CONVOLUTIONS:
            if _computes_as(module, kind, "forward", "_conv_forward"):
                module.__class__ = _subclass(type(module), _conv_forward=_convolution(kind._conv_forward))
                count += 1
                break
    if not count:
        raise ContractError(
            "bfloat16 changes convolutions and dense layers (nn.Conv, nn.Linear), and the model has none"
        )
    return reduced


def _computes_as(module: nn.Module, kind: type[nn.Module], *names: str) -> bool:
    return isinstance(module, kind) and all(getattr(type(module), name) is getattr(kind, name) for name in names)


def _subclass(kind: type[nn.Module], **changed: Any) -> type[nn.Module]:
    """The class with other functions, in the same module, so that torch.fx still takes it as one operation."""
    return type(kind.__name__, (kind,), changed | {"__module__": kind.__module__})


def _dense(layer: nn.Linear, values: Tensor) -> Tensor:
    return functional.linear(*_rounded(values, layer.weight, layer.bias)).float()


def _convolution(own: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def convolved(layer: nn.Module, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return own(layer, *_rounded(values, weight, bias)).float()

    return convolved


def _rounded(*values: Tensor | None) -> list[Any]:
    return [None if one is None else one.bfloat16() for one in values]
