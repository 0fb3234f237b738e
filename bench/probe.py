"""The questions that metrics ask the model about perturbed inputs, each asked once and in full batches.

Masks, ranks and gathers stay on the model's device. A query is one input that the model is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import torch
from torch import Tensor

from bench.core import Problem, digest
from bench.masking import blend, count, even_counts, ranks


@dataclass
class Tally:
    """How many queries the model answered, and how many were answered from memory instead."""

    asked: int = 0
    shared: int = 0


class Probe:
    """Probabilities of the explained class for perturbed versions of a problem's inputs.

    A problem without targets gets them here: the classes that the model predicts.
    """

    def __init__(self, problem: Problem, *, tally: Tally | None = None) -> None:
        self.tally = tally or Tally()
        self.problem = problem
        self.features = problem.inputs[0, 0].numel()
        self._full: Tensor | None = None
        self._empty: Tensor | None = None
        self._curves: dict[tuple[object, ...], Tensor] = {}
        self._answers: dict[bytes, Tensor] = {}
        self._parts: dict[tuple[int, ...], Probe] = {}
        if problem.targets is None:
            logits = self._forward(problem.inputs)
            self.problem = replace(problem, targets=logits.argmax(1))
            self._full = self._of_target(logits, torch.arange(len(problem)))

    def take(self, rows: Sequence[int]) -> Probe:
        """The same probe for some of the samples; what is known already stays known."""
        rows = tuple(rows)
        if rows == tuple(range(len(self.problem))):
            return self
        if rows not in self._parts:
            part = Probe(self.problem.take(rows), tally=self.tally)
            part._answers = self._answers
            part._full = None if self._full is None else self._full[list(rows)]
            self._parts[rows] = part
        return self._parts[rows]

    @property
    def targets(self) -> Tensor:
        """(N,) the explained classes."""
        assert self.problem.targets is not None
        return self.problem.targets

    @property
    def full(self) -> Tensor:
        """p(x) of the unperturbed inputs (N,)."""
        if self._full is None:
            self._full = self.ask(self.problem.inputs, torch.arange(len(self.problem)))
        return self._full.clone()

    @property
    def empty(self) -> Tensor:
        """p of the input with every feature absent (N,); one query, since that input is the same for all samples."""
        if self._empty is None:
            nothing = self.problem.baseline.expand_as(self.problem.inputs[0]).unsqueeze(0)
            self._empty = self._forward(nothing).softmax(1)[0, self.targets].double()
        return self._empty.clone()

    def ask(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """p of the explained class of sample rows[m] for input m: (M, C, *S), (M,) -> (M,) float64."""
        return self._of_target(self._forward(inputs), rows)

    def ask_once(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """Like `ask`, but an input asked about before, for any method or metric, is answered from memory.

        For libraries that build their own perturbed inputs. Where their masks do not depend on the attribution,
        all methods share the answers.
        """
        keys = [blake2b(one.tobytes(), digest_size=16).digest() for one in inputs.cpu().contiguous().numpy()]
        first_seen = {key: m for m, key in reversed(list(enumerate(keys))) if key not in self._answers}
        if first_seen:
            fresh = sorted(first_seen.values())
            for m, logits in zip(fresh, self._forward(inputs[fresh]), strict=True):
                self._answers[keys[m]] = logits
        self.tally.shared += len(keys) - len(first_seen)
        return self._of_target(torch.stack([self._answers[key] for key in keys]), rows)

    def kept(self, attribution: Tensor, share: float) -> Tensor:
        """p with only the int(share * F) highest features kept: (N, *S) -> (N,)."""
        number = torch.tensor([count(share, self.features)])
        return self._curve("kept", attribution, number, largest_present=True)[:, 0]

    def removed(self, attribution: Tensor, share: float) -> Tensor:
        """p without the int(share * F) highest features: (N, *S) -> (N,)."""
        number = torch.tensor([count(share, self.features)])
        return self._curve("removed", attribution, number, largest_present=False)[:, 0]

    def deletion(self, attribution: Tensor, steps: int) -> Tensor:
        """p while features are removed, highest first, from none to all: (N, *S) -> (N, min(steps, F) + 1)."""
        inner = even_counts(steps, self.features)[1:-1]
        asked = self._curve("removed", attribution, inner, largest_present=False)
        return torch.cat([self.full[:, None], asked, self.empty[:, None]], dim=1)

    def insertion(self, attribution: Tensor, steps: int) -> Tensor:
        """p while features are put back, highest first, from none to all: (N, *S) -> (N, min(steps, F) + 1)."""
        inner = even_counts(steps, self.features)[1:-1]
        asked = self._curve("kept", attribution, inner, largest_present=True)
        return torch.cat([self.empty[:, None], asked, self.full[:, None]], dim=1)

    def _curve(self, kind: str, attribution: Tensor, counts: Tensor, *, largest_present: bool) -> Tensor:
        """p at each count of top features kept or removed: (N, *S), (M,) -> (N, M)."""
        key = (kind, digest(attribution), *counts.tolist())
        if key in self._curves:
            self.tally.shared += self._curves[key].numel()
            return self._curves[key].clone()
        position = ranks(attribution)
        problem, size, batch = self.problem, len(self.problem), self.problem.batch_size
        rows = torch.arange(size).repeat_interleave(len(counts))
        numbers = counts.repeat(size)
        parts = []
        for some_rows, some_numbers in zip(rows.split(batch), numbers.split(batch), strict=True):
            here, limits = some_rows.to(position.device), some_numbers.to(position.device)
            is_top = (position[here] < limits[:, None]).view(-1, *attribution.shape[1:])
            present = is_top if largest_present else ~is_top
            parts.append(self.ask(blend(problem.inputs[here], problem.baseline, present), some_rows))
        self._curves[key] = torch.cat(parts).view(size, len(counts)) if parts else self.full.new_empty(size, 0)
        return self._curves[key].clone()

    @torch.inference_mode()
    def _forward(self, inputs: Tensor) -> Tensor:
        self.tally.asked += len(inputs)
        return torch.cat([self.problem.model(batch) for batch in inputs.split(self.problem.batch_size)])

    def _of_target(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Softmax in the model's own precision, so that a rise too small for the model to tell is none."""
        classes = self.targets[rows.to(self.targets.device)]
        return logits.softmax(1).gather(1, classes[:, None])[:, 0].double()
