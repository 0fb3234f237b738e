"""What an explanation costs. Costs take no part in ranks, and are the only scores that may differ between runs.

Each score is the average over the batch in which the sample was explained.
"""

from __future__ import annotations

from torch import Tensor

from bench.network.cost import Cost
from bench.registry.decorators import metric


@metric(family="cost", higher_is_better=False, cite="", label="seconds per sample", limits=(0, None))
def seconds(cost: Cost) -> Tensor:
    """Wall-clock seconds to explain one sample, after a warm-up and with the device synchronised. (N,)"""
    return cost.seconds


@metric(family="cost", higher_is_better=False, cite="", label="forward queries per sample", limits=(0, None))
def forward_queries(cost: Cost) -> Tensor:
    """Number of inputs that the model processes to explain one sample. (N,)"""
    return cost.forwards


@metric(family="cost", higher_is_better=False, cite="", label="backward queries per sample", limits=(0, None))
def backward_queries(cost: Cost) -> Tensor:
    """Number of inputs through which a gradient is propagated to explain one sample. (N,)"""
    return cost.backwards


@metric(family="cost", higher_is_better=False, cite="", label="peak memory (MiB)", limits=(0, None))
def peak_memory(cost: Cost) -> Tensor:
    """Most memory that tensors take at once while one sample is explained, beyond model and input. (N,)"""
    return cost.mebibytes
