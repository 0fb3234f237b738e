"""Which layers a method sent its signal back through, and by which rules: noted while the method runs.

Methods that replace the backward pass of layers (LRP, DeepLIFT, guided backpropagation) call `note`. It costs nothing unless
somebody watches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import fx, nn

from bench.network.batch_norm import Scaling

MOVES = (nn.Flatten, nn.Unflatten, nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d)  # change no value
KINDS = {  # start of a class -> what its layers are called; others are called as their class is
    "ConvTranspose": "transposed conv",
    "Conv": "conv",
    "Linear": "linear",
    "MaxPool": "max pool",
    "AvgPool": "average pool",
    "AdaptiveAvgPool": "average pool",
    "Mean": "mean",
    "Sum": "add",
}
GRADIENT = ""  # the rule of a layer that keeps its own backward pass
Rules = Counter[tuple[str, str]]  # (kind of layer, rule) -> number of layers, in the order of the network
_watched: ContextVar[list[Rules] | None] = ContextVar("watched", default=None)


@contextmanager
def watched() -> Iterator[list[Rules]]:
    """In the block, every note is added to the list."""
    found: list[Rules] = []
    token = _watched.set(found)
    try:
        yield found
    finally:
        _watched.reset(token)


def note(graph: fx.GraphModule, rule_of: Callable[[str, nn.Module], str]) -> None:
    """Notes the rule of each layer of a rewritten model (`canonised`). `rule_of`: name and layer -> rule, or GRADIENT."""
    found = _watched.get()
    if found is None:
        return
    rules: Rules = Counter()
    for name, layer in graph.named_children():
        if not isinstance(layer, MOVES):
            rules[kind(layer), rule_of(name, layer)] += 1
    found.append(rules)


def kind(layer: nn.Module) -> str:
    """What a layer of a rewritten model is called."""
    if isinstance(layer, Scaling):
        return "batch norm"
    name = type(layer).__name__
    return next((shown for start, shown in KINDS.items() if name.startswith(start)), name)


def in_words(rules: Rules, merged: int = 0) -> str:
    """For example `conv 8 (z+), ReLU 8 (passed on), max pool 1 (gradient), linear 1 (epsilon), batch norm merged 8`.

    `merged`: batch norms that became part of the layer before them.
    """
    parts = [f"{name} {number} ({rule or 'gradient'})" for (name, rule), number in rules.items()]
    return ", ".join([*parts, *([f"batch norm merged {merged}"] if merged else [])])
