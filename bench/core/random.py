"""Random numbers that belong to a sample. What ran before, batch size and sample order never change them (law 1).

NumPy's generators are used because their streams are the same on every machine, which torch's are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.core.hashing import digests


class SampleRng:
    """One stream per sample, seeded by the given names and the sample's id. Draws are tensors (N, *shape), float32."""

    def __init__(self, names: Sequence[object], sample_ids: Sequence[str], device: torch.device | str = "cpu") -> None:
        self._names, self._sample_ids, self._device = names, sample_ids, device

    def take(self, rows: Sequence[int]) -> SampleRng:
        """Fresh streams of some of the samples, from their start."""
        return SampleRng(self._names, [self._sample_ids[row] for row in rows], self._device)

    @cached_property
    def seeds(self) -> list[int]:
        """One per sample, below 2**64."""
        return [int(name[:16], 16) for name in digests(self._names, self._sample_ids)]

    @cached_property
    def _streams(self) -> list[np.random.Generator]:
        return [np.random.Generator(np.random.Philox(seed)) for seed in self.seeds]

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """(N, *shape), uniform on [0, 1)."""
        return self._stack([stream.random(tuple(shape), dtype=np.float32) for stream in self._streams])

    def normal(self, shape: Sequence[int]) -> Tensor:
        """(N, *shape), standard normal."""
        return self._stack([stream.standard_normal(tuple(shape), dtype=np.float32) for stream in self._streams])

    def _stack(self, rows: list[np.ndarray]) -> Tensor:
        values, device = torch.from_numpy(np.stack(rows)), torch.device(self._device)
        return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


@contextmanager
def numpy_state_kept() -> Iterator[None]:
    """Puts the global random states of Python and NumPy back as they were, for libraries that reseed them."""
    import random

    ours, theirs = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)
