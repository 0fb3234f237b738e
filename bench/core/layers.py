"""Which layers of a convolutional network hold its feature maps: the end of each block."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

SKEW = 1.35  # how much more one spatial axis may shrink than another; beyond it the axes are not spatial ones


class _Output(NamedTuple):
    name: str
    space: tuple[int, ...]


def block_ends(model: nn.Module, inputs: Tensor, without: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Names of the modules whose outputs are the last ones of each spatial size, in the order of the forward pass.

    `inputs` (N, C, *S) with any N; one forward pass of the first is made. Only modules that are called once and return one
    tensor (1, channels, *smaller S) count, so a network without feature maps, or one that keeps channels last, has none.
    `without`: names of modules that do not count.
    """
    outputs: list[_Output] = []
    calls: Counter[str] = Counter()

    def record(name: str, output: object) -> None:
        calls[name] += 1
        if isinstance(output, Tensor) and _is_feature_map(output, inputs):
            outputs.append(_Output(name, tuple(output.shape[2:])))

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: record(name, output))
        for name, module in model.named_modules()
        if name and name not in without
    ]
    try:
        with torch.no_grad():
            model(inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    once = [output for output in outputs if calls[output.name] == 1]
    return tuple(list(group)[-1].name for _, group in groupby(once, key=lambda output: output.space))


def _is_feature_map(output: Tensor, inputs: Tensor) -> bool:
    if output.dim() != inputs.dim() or len(output) != 1 or output.shape[2:].numel() == 1:
        return False
    shrunk = [size / whole for size, whole in zip(output.shape[2:], inputs.shape[2:], strict=True)]
    return max(shrunk) <= 1 and max(shrunk) <= SKEW * min(shrunk)
