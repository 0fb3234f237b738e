"""NumPy's global random functions, as Quantus calls them, with a separate stream for each sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
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
def _kept_choices(seeds: tuple[int, ...]) -> list[tuple[tuple[Any, ...], dict[str, Any], np.ndarray]]:
    """The first calls of `choice` with these seeds: arguments and result of each. All methods draw the same ones."""
    return []


class _Draws:
    """Streams of N samples. What `choice` draws before anything else is kept, and not drawn again."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        self._seeds, self._kept = seeds, _kept_choices(seeds)
        self._calls = 0
        self._behind = 0  # calls answered from memory, the first ones, which the streams have not made

    @cached_property
    def _streams(self) -> list[np.random.RandomState]:
        return [np.random.RandomState(seed % 2**32) for seed in self._seeds]

    def choice(self, *args: Any, **kwargs: Any) -> Any:
        """For the sample whose turn it is; not to be changed in place."""
        turn = self._calls
        self._calls += 1
        of_numbers = bool(args) and args[0].__class__ is int  # not among given values
        if turn < len(self._kept):
            call = self._kept[turn]
            if of_numbers and call[0] == args and call[1] == kwargs:
                self._behind = turn + 1
                return call[2]
            self._catch_up()
            self._kept = []  # other draws than before
        self._catch_up()
        drawn = self._streams[turn % len(self._seeds)].choice(*args, **kwargs)
        if of_numbers and turn == len(self._kept) and turn * np.size(drawn) < VALUES_KEPT:
            drawn = np.asarray(drawn)
            drawn.flags.writeable = False
            self._kept.append((args, kwargs, drawn))
        return drawn

    def stacked(self, name: str, size: Any, *args: Any, **kwargs: Any) -> Any:
        """For all samples: (N, ...)."""
        self._catch_up()
        self._kept = []  # what follows depends on more than the choices
        shape = tuple(np.atleast_1d(() if size is None else size).astype(int))
        if len(self._seeds) == 1:
            return getattr(self._streams[0], name)(*args, size=size, **kwargs)
        return np.stack([getattr(stream, name)(*args, size=shape[1:], **kwargs) for stream in self._streams])

    def _catch_up(self) -> None:
        """Makes the calls that were answered from memory, so that the streams are where they belong."""
        for turn, (args, kwargs, _) in enumerate(self._kept[: self._behind]):
            self._streams[turn % len(self._seeds)].choice(*args, **kwargs)
        self._behind = 0
