"""What is removed and kept as one: single places, patches of a grid, or segments of the input.

`pixel` is every place of its own (a time step of a signal); `patch64` the finest grid of at most 64 equal cells;
`segment20` about 20 superpixels [achanta2012slic], which follow the edges of each input.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import BenchError
from bench.perturbation.masking import ranks


@dataclass(frozen=True)
class Partition:
    """A partition of the places of N inputs, or of all inputs alike. A sample may have fewer cells than `most`."""

    name: str
    number: int  # of cells; of segments, the number asked for
    most: int  # cells that any sample has
    alike: bool  # is one partition shared by all samples?
    counts: Tensor  # (1,) if alike, else (N,): cells of each sample
    labels: Tensor | None  # (1 or N, *S) int64: the cell of each place; None where each place is a cell of its own

    def take(self, rows: Tensor) -> Partition:
        """The same partition for some of the samples."""
        if self.alike:
            return self
        counts = self.counts[rows]
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, counts=counts, labels=labels, most=int(counts.max()))

    def sums(self, maps: Tensor) -> Tensor:
        """Sum over each cell: (N, *S) -> (N, most), in the maps' precision."""
        flat = maps.flatten(1)
        if self.labels is None:
            return flat
        labels = self.labels.flatten(1).expand(len(flat), -1)
        return flat.new_zeros(len(flat), self.most).scatter_add_(1, labels, flat)

    def order(self, maps: Tensor) -> Tensor:
        """Position of each place's cell, sorted by the cells' mean, highest first: (N, *S) -> (N, *S) int32.

        Means, since a big cell is not more important for its size. Ties go to the cell of lower index.
        """
        if self.labels is None:
            return ranks(maps).view_as(maps).int()
        maps = maps.double()
        means = self.sums(maps) / self.sums(torch.ones_like(maps))  # NaN where a sample has fewer cells
        return self.spread(ranks(means.nan_to_num(-torch.inf)).int())

    def spread(self, values: Tensor) -> Tensor:
        """A value for each cell to a value for each place: (N, most) -> (N, *S), for samples in the order of these."""
        assert self.labels is not None
        labels = self.labels.expand(len(values), *self.labels.shape[1:])
        return values.gather(1, labels.flatten(1)).view(labels.shape)

    def inside(self, samples: Tensor, cells: Tensor, shape: Sequence[int]) -> Tensor:
        """The places of one cell of each of these samples: (B,), (B,) -> (B, *shape) bool."""
        chosen = cells.view(-1, *(1,) * len(shape))
        if self.labels is None:
            return torch.arange(self.number, device=cells.device).view(1, *shape) == chosen
        return (self.labels if self.alike else self.labels[samples]) == chosen


def partition(name: str, inputs: Tensor) -> Partition:
    """The cells of that name for inputs (N, C, *S). Raises BenchError for a name of none."""
    match = re.fullmatch(r"(pixel)|(patch|segment)([1-9]\d*)", name)
    if not match:
        raise BenchError(f"features={name} is none of pixel, patchN, segmentN (for example patch64)")
    places, most = inputs[0, 0].numel(), int(match[3] or 0)
    if match[2] == "segment":
        return _segments(name, most, inputs)
    if match[2] == "patch" and places > most:
        return _patches(name, most, inputs)
    return Partition("pixel", places, places, True, torch.tensor([places], device=inputs.device), None)


def _patches(name: str, most: int, inputs: Tensor) -> Partition:
    """Square patches (windows of a signal), the smallest of one size that are at most so many: (1, *S) labels.

    Where the size divides no axis well (fewer than a quarter as many), those at the far edges are smaller. Then sums over
    patches are confounded with their size: small patches hold little of any positive map, and cost little p.
    """
    shape = inputs.shape[2:]
    few = [size for size in range(1, max(shape) + 1) if _cells(shape, size) <= most]
    equal = [
        size for size in few if all(length % size == 0 for length in shape) and _cells(shape, size) >= max(2, most / 4)
    ]
    size = (equal or few)[0]
    labels = torch.zeros(shape, dtype=torch.int64)
    for axis, length in enumerate(shape):
        along = torch.arange(length) // size
        labels = labels * (int(along[-1]) + 1) + along.view([-1 if i == axis else 1 for i in range(len(shape))])
    number = int(labels.max()) + 1
    counts = torch.tensor([number], device=inputs.device)
    return Partition(name, number, number, True, counts, labels[None].to(inputs.device))


def _cells(shape: Sequence[int], size: int) -> int:
    """Patches of that size that it takes to cover the shape."""
    return math.prod(-(-length // size) for length in shape)


def _segments(name: str, number: int, inputs: Tensor) -> Partition:
    """Superpixels by scikit-image's SLIC, which scales each input to [0, 1]; a signal is an image one place high."""
    from skimage.segmentation import slic

    # Compactness weighs nearness against likeness; colours are compared in Lab, whose range is 100.
    compactness = 30 if inputs.dim() == 4 and inputs.shape[1] == 3 else 0.3
    images = inputs.double().cpu().numpy().reshape(len(inputs), inputs.shape[1], -1, inputs.shape[-1])
    found = [slic(np.moveaxis(one, 0, -1), number, compactness, start_label=0) for one in images]
    labels = torch.from_numpy(np.stack(found)).view(len(inputs), *inputs.shape[2:]).to(inputs.device)
    counts = labels.flatten(1).amax(1) + 1
    return Partition(name, number, int(counts.max()), False, counts, labels)
