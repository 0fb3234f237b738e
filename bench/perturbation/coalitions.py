"""What the model answers when only some cells of an input are there: what Shapley values, LIME and their kin are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.masking import blend
from bench.perturbation.partition import Partition, partition


def cells_of(problem: Problem, features: str) -> Partition:
    """The cells of that name (`pixel`, `patch64`, `segment20`), labels and all."""
    cells = partition(features, problem.inputs)
    if cells.labels is None:  # each place is a cell of its own
        labels = torch.arange(cells.number, device=problem.inputs.device).view(1, *problem.shape)
        cells = Partition(cells.name, cells.number, cells.most, True, cells.counts, labels)
    return cells


def logits(problem: Problem, cells: Partition, present: Tensor) -> Tensor:
    """The class's logit with only the cells there that are `present` (N, M, cells) bool: (N, M)."""
    size, many = present.shape[:2]
    answers = problem.inputs.new_empty(size * many)
    with torch.no_grad():
        for asked in torch.arange(size * many, device=present.device).split(problem.batch_size):
            sample = asked // many
            places = cells.take(sample).spread(present[sample, asked % many])
            found = problem.model(blend(problem.inputs[sample], problem.baseline, places))
            answers[asked] = found.gather(1, problem.targets[sample, None])[:, 0]
    return answers.view(size, many)


def explained(
    problem: Problem, rng: SampleRng, features: str, values: Callable[[Problem, SampleRng, Partition], Tensor]
) -> Tensor:
    """A map (N, *S) from a value for each cell (N, cells), shared evenly by the cell's places, so that sums are kept.

    Where samples have cells of their own each is explained alone, so that what is drawn does not depend on its company.
    """
    cells = cells_of(problem, features)
    if cells.alike:
        return _to_places(cells, values(problem, rng, cells)).to(problem.inputs.dtype)
    maps = []
    for row in range(len(problem)):
        own = cells.take(torch.tensor([row]))
        maps.append(_to_places(own, values(problem.take([row]), rng.take([row]), own)))
    return torch.cat(maps).to(problem.inputs.dtype)


def _to_places(cells: Partition, values: Tensor) -> Tensor:
    assert cells.labels is not None
    ones = torch.ones(len(values), *cells.labels.shape[1:], dtype=values.dtype, device=values.device)
    return cells.spread(values / cells.sums(ones).clamp_min(1))
