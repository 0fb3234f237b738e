"""What an explanation costs. Measured, not judged: costs have no part in ranks, and alone may differ between runs.

These scores are averages over the batch a sample was explained in.
"""

from __future__ import annotations

from torch import Tensor

from bench.network.cost import Cost
from bench.registry.decorators import metric


@metric(family="cost", higher_is_better=False, cite="", label="seconds per sample", limits=(0, None))
def seconds(cost: Cost) -> Tensor:
    """Wall-clock seconds to explain one sample, after a warm-up, the device synchronised. (N,)"""
    return cost.seconds


@metric(family="cost", higher_is_better=False, cite="", label="forward queries per sample", limits=(0, None))
def forward_queries(cost: Cost) -> Tensor:
    """Inputs that the model answered to explain one sample. (N,)"""
    return cost.forwards


@metric(family="cost", higher_is_better=False, cite="", label="backward queries per sample", limits=(0, None))
def backward_queries(cost: Cost) -> Tensor:
    """Inputs through which a gradient was sent to explain one sample. (N,)"""
    return cost.backwards


@metric(family="cost", higher_is_better=False, cite="", label="peak memory (MiB)", limits=(0, None))
def peak_memory(cost: Cost) -> Tensor:
    """Most memory that tensors held at once while a single sample was explained, beyond model and input. (N,)"""
    return cost.mebibytes
