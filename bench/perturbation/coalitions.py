"""The model's answers when only some cells of an input are present: the coalitions of Shapley values, LIME and others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.masking import blend
from bench.perturbation.partition import Partition, partition


def cells_of(problem: Problem, features: str) -> Partition:
    """The partition of that name (pixel, patch64, segment20), with labels even where each pixel is a cell."""
    cells = partition(features, problem.inputs)
    if cells.labels is None:
        labels = torch.arange(cells.number, device=problem.inputs.device).view(1, *problem.shape)
        cells = Partition(cells.name, cells.number, cells.most, True, cells.counts, labels)
    return cells


def logits(problem: Problem, cells: Partition, present: Tensor) -> Tensor:
    """Logit of the explained class with only the cells of each coalition present: (N, M, cells) bool -> (N, M)."""
    number = present.shape[1]  # of coalitions of a sample
    answers = problem.inputs.new_empty(len(problem) * number)
    with torch.no_grad():
        for queries in torch.arange(len(answers), device=present.device).split(problem.batch_size):
            samples = queries // number
            pixels = cells.take(samples).spread(present[samples, queries % number])
            output = problem.model(blend(problem.inputs[samples], problem.baseline, pixels))
            answers[queries] = output.gather(1, problem.targets[samples, None])[:, 0]
    return answers.view(len(problem), number)


def explained(
    problem: Problem, rng: SampleRng, features: str, values: Callable[[Problem, SampleRng, Partition], Tensor]
) -> Tensor:
    """A map (N, *S) from a value of each cell (N, cells), spread evenly over its pixels, so that sums stay the same.

    Where samples differ in their cells each is explained alone, so that its draws do not depend on the batch.
    """
    cells = cells_of(problem, features)
    if cells.shared:
        return _to_pixels(cells, values(problem, rng, cells)).to(problem.inputs.dtype)
    maps = []
    for row in range(len(problem)):
        of_sample = cells.take(torch.tensor([row]))
        maps.append(_to_pixels(of_sample, values(problem.take([row]), rng.take([row]), of_sample)))
    return torch.cat(maps).to(problem.inputs.dtype)


def _to_pixels(cells: Partition, values: Tensor) -> Tensor:
    assert cells.labels is not None
    ones = torch.ones(len(values), *cells.labels.shape[1:], dtype=values.dtype, device=values.device)
    return cells.spread(values / cells.sums(ones).clamp_min(1))
