"""Partitions of an input into the cells that are removed and kept together.

`pixel`: each pixel, or time step of a signal, is a cell; `patch64`: the finest grid of at most 64 equal patches;
`segment20`: about 20 superpixels [achanta2012slic], which follow the edges of each input.

A pixel is here a position of the spatial axes *S, whatever their number: all channels of it belong to one cell.
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
from bench.perturbation.masking import count, ranks


@dataclass(frozen=True)
class Partition:
    """The cells of N inputs. A sample may have fewer cells than `most`."""

    name: str
    number: int  # of cells; of segments, the number asked for
    most: int  # cells that any sample has
    shared: bool  # do all samples have the same cells?
    counts: Tensor  # (1,) if shared, else (N,): cells of each sample
    labels: Tensor | None  # (1 or N, *S) int64: the cell of each pixel; None where each pixel is a cell

    def take(self, rows: Tensor) -> Partition:
        """The same partition for some of the samples, (B,) rows."""
        if self.shared:
            return self
        counts = self.counts[rows]
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, counts=counts, labels=labels, most=int(counts.max()))

    def shares(self, shares: Sequence[float]) -> Tensor:
        """int(share * cells) of each sample, for M shares: (1 or N, M) int64 on the CPU."""
        return torch.tensor([[count(share, number) for share in shares] for number in self.counts.tolist()])

    def sums(self, maps: Tensor) -> Tensor:
        """Sum over each cell: (N, *S) -> (N, most), in the maps' precision."""
        flat = maps.flatten(1)
        if self.labels is None:
            return flat
        labels = self.labels.flatten(1).expand(len(flat), -1)
        return flat.new_zeros(len(flat), self.most).scatter_add_(1, labels, flat)

    def order(self, maps: Tensor) -> Tensor:
        """Position of each pixel's cell when cells are sorted by their mean, highest first: (N, *S) -> (N, *S) int32.

        Means, since a large cell is not more important for its size. Ties are broken by the cell's index.
        """
        if self.labels is None:
            return ranks(maps).view_as(maps).int()
        maps = maps.double()
        means = self.sums(maps) / self.sums(torch.ones_like(maps))  # NaN where a sample has fewer cells
        return self.spread(ranks(means.nan_to_num(-torch.inf)).int())

    def spread(self, values: Tensor) -> Tensor:
        """The value of each pixel's cell: (N, most) -> (N, *S). The rows are those of the partition."""
        assert self.labels is not None
        labels = self.labels.expand(len(values), *self.labels.shape[1:])
        return values.gather(1, labels.flatten(1)).view(labels.shape)

    def inside(self, samples: Tensor, cells: Tensor, shape: Sequence[int]) -> Tensor:
        """The pixels of one cell of each of these samples: (B,) rows, (B,) cells -> (B, *shape) bool."""
        chosen = cells.view(-1, *(1,) * len(shape))
        if self.labels is None:
            return torch.arange(self.number, device=cells.device).view(1, *shape) == chosen
        return (self.labels if self.shared else self.labels[samples]) == chosen


def partition(name: str, inputs: Tensor) -> Partition:
    """The partition of that name for inputs (N, C, *S). Raises BenchError for any other name.

    Patches that would be as small as a pixel are pixels, and the partition's name says so.
    """
    match = re.fullmatch(r"(pixel)|(patch|segment)([1-9]\d*)", name)
    if not match:
        raise BenchError(f"unknown features '{name}' (allowed: pixel, patchN, segmentN; for example patch64)")
    pixels, most = inputs[0, 0].numel(), int(match[3] or 0)
    if match[2] == "segment":
        return _segments(name, most, inputs)
    if match[2] == "patch" and pixels > most:
        return _patches(name, most, inputs)
    return Partition("pixel", pixels, pixels, True, torch.tensor([pixels], device=inputs.device), None)


def _patches(name: str, most: int, inputs: Tensor) -> Partition:
    """Square patches (windows of a signal), as small as possible, at most `most` of them: labels (1, *S).

    All have one size where a size divides every axis and gives at least a quarter of `most` patches. Else those at the far
    edges are smaller, and sums over patches are confounded with their size: small patches hold little of any positive map,
    and change p little.
    """
    shape = inputs.shape[2:]
    sizes = [size for size in range(1, max(shape) + 1) if _number(shape, size) <= most]
    equal = [size for size in sizes if all(length % size == 0 for length in shape)]
    equal = [size for size in equal if _number(shape, size) >= max(2, most / 4)]
    size = (equal or sizes)[0]
    labels = torch.zeros(shape, dtype=torch.int64)
    for axis, length in enumerate(shape):
        along = torch.arange(length) // size
        labels = labels * (int(along[-1]) + 1) + along.view([-1 if i == axis else 1 for i in range(len(shape))])
    number = int(labels.max()) + 1
    counts = torch.tensor([number], device=inputs.device)
    return Partition(name, number, number, True, counts, labels[None].to(inputs.device))


def _number(shape: Sequence[int], size: int) -> int:
    """How many patches of that size cover the shape."""
    return math.prod(-(-length // size) for length in shape)


def _segments(name: str, number: int, inputs: Tensor) -> Partition:
    """Superpixels by scikit-image's SLIC, which scales each input to [0, 1]; a signal is an image one pixel high."""
    from skimage.segmentation import slic

    # Compactness weighs distance in space against distance in colour; colours are compared in Lab, whose range is 100.
    compactness = 30 if inputs.dim() == 4 and inputs.shape[1] == 3 else 0.3
    images = inputs.double().cpu().numpy().reshape(len(inputs), inputs.shape[1], -1, inputs.shape[-1])
    segments = [slic(np.moveaxis(image, 0, -1), number, compactness, start_label=0) for image in images]
    labels = torch.from_numpy(np.stack(segments)).view(len(inputs), *inputs.shape[2:]).to(inputs.device)
    counts = labels.flatten(1).amax(1) + 1
    return Partition(name, number, int(counts.max()), False, counts, labels)
