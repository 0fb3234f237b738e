"""Measures time, model queries and memory of a block of code."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.network.device import synchronise


@dataclass(frozen=True)
class Cost:
    """Cost of explanations, per sample: (N,) float64 each."""

    seconds: Tensor
    forwards: Tensor
    backwards: Tensor
    mebibytes: Tensor

    def take(self, rows: list[int]) -> Cost:
        return Cost(*(getattr(self, name)[rows] for name in ("seconds", "forwards", "backwards", "mebibytes")))


@dataclass
class Meter:
    """Totals of one measured block."""

    seconds: float = 0.0
    forwards: int = 0
    backwards: int = 0


@contextmanager
def measured(model: nn.Module) -> Iterator[Meter]:
    """Counts the inputs that pass forwards and backwards through the model, and the seconds of the block."""
    meter = Meter()

    def forwards(_model: nn.Module, _inputs: Any, output: Tensor) -> None:
        meter.forwards += len(output)
        if output.requires_grad:
            output.register_hook(backwards)

    def backwards(gradient: Tensor) -> None:
        meter.backwards += len(gradient)

    handle = model.register_forward_hook(forwards)
    synchronise()
    start = time.perf_counter()
    try:
        yield meter
        synchronise()
        meter.seconds = time.perf_counter() - start
    finally:
        handle.remove()


class PeakMemory(TorchDispatchMode):
    """Peak number of bytes in tensors that were made inside the block, without what the allocator reserves.

    Storages are counted as they are made and freed, so the figure is the same on every machine and device.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return (
            False  # nothing is compiled here, and torch would load its compiler to say so, which takes a second or two
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {t.untyped_storage()._cdata for t in _tensors(args)} | {
            t.untyped_storage()._cdata for t in _tensors((kwargs or {}).values())
        }
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result if isinstance(result, (tuple, list)) else (result,)):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in known and key not in self._alive:
                self._alive.add(key)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._free, key, storage.nbytes())
        return result

    def _free(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)
