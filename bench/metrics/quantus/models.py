"""The models that Quantus is given: they answer from the probe, so that no question is asked twice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bench.core.outputs import score, scores
from bench.core.problem import Problem
from bench.perturbation.masking import ranks
from bench.perturbation.partition import Partition
from bench.perturbation.probe import Probe

ModelOf = Callable[[list[int]], nn.Module]  # rows of samples -> the model that Quantus asks about them


class Presence(nn.Module):
    """Presence maps (M, 1, *S) -> p of each sample's explained class (M, 1); map m belongs to sample rows[m].

    Maps without the highest features of `attribution`, if given, are points of its deletion curve, which the probe caches.
    With `cells`, maps are (M, 1, cells), and a cell is present or absent as a whole.
    """

    def __init__(
        self,
        probe: Probe,
        rows: Sequence[int] = (),
        *,
        attribution: Tensor | None = None,
        cells: Partition | None = None,
    ) -> None:
        super().__init__()
        rows = rows or range(len(probe.problem))
        whole = len(rows) == len(probe.problem)
        self.probe, self.rows = probe, torch.tensor(list(rows), device=probe.problem.inputs.device)
        self.attribution = attribution if whole else None
        self.places = ranks(attribution).view_as(attribution) if whole and attribution is not None else None
        self.cells = None if cells is None else cells.take(self.rows)

    def forward(self, presence: Tensor) -> Tensor:
        problem = self.probe.problem
        present = presence.to(problem.inputs.device).flatten(1) > 0.5
        if self.cells is not None and self.cells.labels is not None:
            present = self.cells.spread(present)
        present = present.view(-1, *problem.shape)
        if self.attribution is not None and self.places is not None:
            absent = (~present).flatten(1).sum(1)
            if torch.equal(present, self.places >= absent.view(-1, *(1,) * len(problem.shape))):
                return self.probe.p_without_top(self.attribution, absent[:, None].cpu()).cpu()
        return self.probe.masked(present, self.rows)[:, None].cpu()


class Shades(nn.Module):
    """Maps (M, 1, *S) -> p (M, 1), like Presence but with values between: 0 is the baseline, 1 the input. Not cached."""

    def __init__(self, probe: Probe, rows: Sequence[int]) -> None:
        super().__init__()
        self.problem = probe.problem.take(rows)

    def forward(self, shades: Tensor) -> Tensor:
        problem = self.problem
        x = problem.baseline + shades.to(problem.inputs) * (problem.inputs - problem.baseline)
        return score(answers(problem, x), problem.targets, problem.output)[:, None].cpu()


class Closed(nn.Module):
    """The problem's model: (M, C, *S) -> logits, or probabilities, (M, K) on the CPU.

    Its layers are hidden, because Quantus would remove a softmax layer.
    """

    def __init__(self, problem: Problem, *, softmax: bool = False) -> None:
        super().__init__()
        self.problem, self.softmax = problem, softmax

    def forward(self, x: Tensor) -> Tensor:
        logits = answers(self.problem, x.to(self.problem.inputs).view(-1, *self.problem.inputs.shape[1:]))
        return (scores(logits, self.problem.output) if self.softmax else logits).cpu()


class Open(nn.Module):
    """A copy of the problem's model with visible layers: (M, C, *S) -> logits (M, K) on the CPU."""

    def __init__(self, problem: Problem, *, whole: bool = False) -> None:
        """`whole`: process all inputs at once, for hooks that need them together."""
        super().__init__()
        self.inner = copy.deepcopy(problem.model)
        self.device, self.batch_size = problem.inputs.device, len(problem) if whole else problem.batch_size

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.inner(part) for part in x.to(self.device).split(self.batch_size)]).cpu()


def answers(problem: Problem, x: Tensor) -> Tensor:
    """Logits of other inputs, in batches of the problem's batch size: (M, C, *S) -> (M, K)."""
    with torch.no_grad():
        return torch.cat([problem.model(part) for part in x.split(problem.batch_size)])
