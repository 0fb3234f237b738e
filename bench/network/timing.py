"""The speed of the bare model, and its fastest batch size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

from bench.core.problem import Problem
from bench.network.device import out_of_memory, synchronise

LARGEST_BATCH = 4096
BATCH_MEMORY = 2**30  # bytes that the layers' outputs of a batch and their gradients may take
SMALLEST_BATCH = 8  # unless smaller ones are clearly faster
PATIENCE = 2  # doublings of the batch size without a gain, after which the search ends


@dataclass(frozen=True)
class Pace:
    """The speed of the bare model at its best batch size, which a run is compared with."""

    batch_size: int
    forward: float  # seconds per input
    backward: float  # additional seconds per input for a gradient

    def floor(self, forwards: int, backwards: int = 0) -> float:
        """Seconds that these queries would take if only the model took time."""
        return forwards * self.forward + backwards * self.backward


def pace(problem: Problem) -> Pace:
    """Times the bare model in batches of 1, 2, 4, ... until larger ones bring no gain or do not fit.

    On a CPU a larger batch is often slower, so the best size is found by timing and not by filling the memory. No batch takes
    more than BATCH_MEMORY.
    """
    times: dict[int, float] = {}
    size, largest = 1, min(LARGEST_BATCH, BATCH_MEMORY // (2 * _bytes_of_one(problem)))
    while size <= max(1, largest):
        repeats = -(-size // len(problem))
        batch = torch.cat([problem.inputs] * repeats)[:size] if repeats > 1 else problem.inputs[:size]
        try:
            ask: Callable[[], None] = partial(_forward, problem.model, batch)
            ask()  # warms up
            times[size] = _seconds(ask, rounds=2, least=0.01) / size
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not out_of_memory(error):
                raise
            break
        if size > min(times, key=times.__getitem__) * 2**PATIENCE:
            break
        size *= 2
    # The smallest size that is about as fast as the best needs the least memory. Very small sizes are avoided, because the
    # operations around the model take a few microseconds per batch.
    good = [size for size, seconds in times.items() if seconds <= 1.05 * min(times.values())]
    best = next((size for size in good if size >= SMALLEST_BATCH), good[-1])
    return timed(replace(problem, batch_size=best), rounds=3)


def timed(problem: Problem, *, rounds: int = 1) -> Pace:
    """The speed of the bare model in batches of the problem's batch size. A single round suits a model that is warm."""
    size = problem.batch_size
    batch = torch.cat([problem.inputs] * -(-size // len(problem)))[:size]
    forward = _seconds(lambda: _forward(problem.model, batch), rounds=rounds, least=0.02)
    both = _seconds(lambda: _gradient(problem.model, batch), rounds=rounds, least=0.02)
    return Pace(size, forward / size, max(0.0, both - forward) / size)


def _seconds(ask: Callable[[], object], *, rounds: int, least: float) -> float:
    """Median over a few rounds, each long enough to be timed."""
    times: list[float] = []
    for _ in range(rounds):
        calls, start = 0, time.perf_counter()
        while not calls or time.perf_counter() - start < least:
            ask()
            synchronise()
            calls += 1
        times.append((time.perf_counter() - start) / calls)
    return median(times)


def _bytes_of_one(problem: Problem) -> int:
    """Bytes of the outputs of all layers for a single input."""
    total = 0

    def add(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal total
        total += output.numel() * output.element_size() if isinstance(output, Tensor) else 0

    handles = [module.register_forward_hook(add) for module in problem.model.modules() if not list(module.children())]
    try:
        _forward(problem.model, problem.inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    return max(1, total)


@torch.inference_mode()
def _forward(model: nn.Module, batch: Tensor) -> None:
    model(batch)


def _gradient(model: nn.Module, batch: Tensor) -> None:
    with torch.enable_grad():
        inputs = batch.detach().clone().requires_grad_()
        torch.autograd.grad(model(inputs).amax(1).sum(), inputs)
