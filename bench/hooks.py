"""Activations and gradients of named layers. Always a context manager, so no hook outlives its use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from bench.core import BenchError


@contextmanager
def activations(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yields a dict that each forward pass fills with the outputs of the named layers, (N, C, *S) each.

    The outputs keep their place in the autograd graph. Raises BenchError where the model has no such layer.
    """
    modules = dict(model.named_modules())
    missing = [name for name in layers if name not in modules]
    if missing:
        raise BenchError(f"the model has no layer {', '.join(missing)} (it has: {', '.join(filter(None, modules))})")
    seen: dict[str, Tensor] = {}

    def keep(name: str):  # type: ignore[no-untyped-def]
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = output

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
