"""The order in which attributions put features, and the points at which curves along that order are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.core.hashing import digests
from bench.core.random import SampleRng
from bench.perturbation.masking import even_counts, ranks
from bench.perturbation.partition import Partition


class Orders:
    """Names and orders of attributions. Those of the last attribution are kept: metrics ask about one after the other.

    A name is a number that stands for a sample and the values of its map, whichever tensor holds them.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], int] = {}
        self._last: tuple[Tensor, int, tuple[int, ...]] | None = None  # attribution, its version, the samples
        self._last_names: tuple[int, ...] = ()
        self._positions: dict[str, Tensor] = {}  # by partition

    def names(self, attribution: Tensor, rows: Sequence[int]) -> Tensor:
        """A number for each map (N, *S) of the samples `rows`: (N,). Computed anew where the tensor has changed in place."""
        version = -1 if attribution.is_inference() else attribution._version  # inference tensors do not count changes
        last = self._last
        if last is None or version < 0 or last[0] is not attribution or last[1:] != (version, tuple(rows)):
            hashes = digests((), attribution.detach().cpu())
            keys = zip(rows, hashes, strict=True)
            names = tuple(self._names.setdefault(key, len(self._names)) for key in keys)
            self._last = (attribution, version, tuple(rows))
            if names != self._last_names:
                self._last_names, self._positions = names, {}
        return torch.tensor(self._last_names, device=attribution.device)

    def positions(self, attribution: Tensor, rows: Sequence[int], partition: Partition) -> Tensor:
        """Position of each pixel's cell in the order of the attribution, highest first: (N, *S) -> (N, *S) int."""
        self.names(attribution, rows)
        if partition.name not in self._positions:
            self._positions[partition.name] = partition.order(attribution)
        return self._positions[partition.name]


def random_orders(rng: SampleRng, partition: Partition, draws: int) -> Tensor:
    """Position of each cell in random orders: (N, draws, cells) int32. Cells that a sample does not have come last."""
    # cells before draws: a sample's numbers do not depend on how many cells the others have
    chance = rng.uniform((partition.most, draws)).transpose(1, 2)
    missing = torch.arange(partition.most, device=chance.device) >= partition.counts[:, None]
    chance = chance.masked_fill(missing[:, None], -1.0)
    return ranks(chance.flatten(0, 1)).view(chance.shape).int()


def at_even_shares(partition: Partition, steps: int, samples: int, ask: Callable[[Tensor], Tensor]) -> Tensor:
    """A curve at even steps from no cell to all of them: (samples, min(steps, cells) + 1).

    `ask` gives its values at counts of cells (samples, M). Where samples differ in their number of cells, every number is
    asked, and values at even shares lie on the straight lines between.
    """
    steps = min(steps, partition.number)
    if partition.shared:
        return ask(even_counts(steps, partition.number).expand(samples, -1))
    curve = ask(torch.arange(partition.most + 1).expand(samples, -1))
    at = partition.counts[:, None] * torch.arange(steps + 1, device=curve.device).double() / steps
    low, high = at.floor().long(), at.ceil().long()
    return torch.lerp(curve.gather(1, low), curve.gather(1, high), at - low)


def columns_of(counts: Tensor, columns: dict[int, int]) -> Tensor:
    """The column of a table that each count has, a new one for a new count: (N, M) -> (N, M). Adds to `columns`."""
    values, positions = counts.unique(return_inverse=True)
    numbers = [columns.setdefault(count, len(columns)) for count in values.tolist()]
    return torch.tensor(numbers, device=counts.device)[positions]
