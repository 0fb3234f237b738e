"""NumPy's global random functions, as Quantus calls them, with a separate stream for each sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from unittest.mock import patch

import numpy as np

VALUES_KEPT = 2**22  # of the choices of one metric for one set of samples


@contextmanager
def draws_per_sample(seeds: Sequence[int]) -> Iterator[None]:
    """Replaces NumPy's random functions by ones that draw from each sample's own stream; one seed per sample.

    Quantus draws for all samples of a batch at once, or, with `choice`, for one sample after the other: call n is for sample n.
    """
    draws = _Draws(tuple(seeds))
    fakes: dict[str, Any] = {
        "choice": draws.choice,
        "uniform": lambda low=0.0, high=1.0, size=None: draws.stacked("uniform", size, low, high),
        "randint": lambda low, high=None, size=None: draws.stacked("randint", size, low, high),
        "randn": lambda *shape: draws.stacked("normal", shape),
        "seed": lambda *_: None,
    }
    with patch.multiple(np.random, **fakes):
        yield


@lru_cache(maxsize=4)
def _kept_choices(seeds: tuple[int, ...]) -> list[tuple[str, Any]]:
    """The first calls of `choice` with these seeds: arguments and result of each. All methods draw the same ones."""
    return []


class _Draws:
    """Streams of N samples. What `choice` draws before anything else is kept, and not drawn again."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        self._streams = [np.random.RandomState(seed % 2**32) for seed in seeds]
        self._kept, self._calls = _kept_choices(seeds), 0
        self._skipped: list[tuple[Any, Any]] = []  # calls answered from memory, which the streams have not made

    def choice(self, *args: Any, **kwargs: Any) -> Any:
        """For the sample whose turn it is."""
        call, turn = repr((args, kwargs)), self._calls
        self._calls += 1
        if turn < len(self._kept):
            if self._kept[turn][0] == call:
                self._skipped.append((args, kwargs))
                return np.copy(self._kept[turn][1])
            self._kept = []  # other draws than before
        self._catch_up()
        drawn = self._streams[turn % len(self._streams)].choice(*args, **kwargs)
        if turn == len(self._kept) and turn * np.size(drawn) < VALUES_KEPT:
            self._kept.append((call, np.copy(drawn)))
        return drawn

    def stacked(self, name: str, size: Any, *args: Any, **kwargs: Any) -> Any:
        """For all samples: (N, ...)."""
        self._catch_up()
        self._kept = []  # what follows depends on more than the choices
        shape = tuple(np.atleast_1d(() if size is None else size).astype(int))
        if len(self._streams) == 1:
            return getattr(self._streams[0], name)(*args, size=size, **kwargs)
        return np.stack([getattr(stream, name)(*args, size=shape[1:], **kwargs) for stream in self._streams])

    def _catch_up(self) -> None:
        """Makes the calls that were answered from memory, which are the first, so that the streams are where they belong."""
        for turn, (args, kwargs) in enumerate(self._skipped):
            self._streams[turn % len(self._streams)].choice(*args, **kwargs)
        self._skipped = []
