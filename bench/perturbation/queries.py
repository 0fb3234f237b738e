"""The query engine: asks a problem's model in batches, counts what it asks, and asks nothing twice.

A query is one input that the model is asked about. All probes of a problem share one engine, so an answer that one of them
has asked for costs the others nothing. An answer holds every output (OUTPUTS) of the explained class.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from bench.core.hashing import digest
from bench.core.outputs import predicted, score_and_logit
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.core.vocabulary import OUTPUTS
from bench.network.device import out_of_memory
from bench.perturbation.baselines import BASELINES, OWN_BASELINE

BATCHES_KEPT = 256  # batches of masks whose answers are kept as one
MASKS_KEPT = 2**20  # single masks whose answers are kept, a third of a kilobyte each
T = TypeVar("T")
Make = Callable[[slice], Tensor]  # which of the queries -> their inputs (B, C, *S)
Read = Callable[[Tensor, slice], Tensor]  # logits (B, K), of which queries -> what is read of them (B, ...)


@dataclass
class Tally:
    """How many queries the model answered, and how many were answered from memory instead."""

    asked: int = 0
    shared: int = 0


class Queries:
    """A problem's model and every answer of it that may be asked for again.

    A problem without targets gets them here: the classes that the model predicts. `names` tell apart the random numbers
    of different runs.
    """

    def __init__(self, problem: Problem, *, names: Sequence[object] = (), tally: Tally | None = None) -> None:
        self.problem, self.names, self.tally = problem, tuple(names), tally or Tally()
        self._batch_size = problem.batch_size
        self._tables: dict[Hashable, Table] = {}
        self._memory: dict[Hashable, object] = {}
        if not len(problem.targets):
            rows = torch.arange(len(problem), device=problem.inputs.device)
            answers = self.ask(len(rows), lambda part: problem.inputs[rows[part]], self._predicted)
            self.problem = replace(problem, targets=answers[:, 0].long())
            self._table("full").write(rows, torch.zeros_like(rows), answers[:, 1:])

    def ask(self, number: int, make: Make, read: Read) -> Tensor:
        """What is read of the model's answers to so many queries, in their order: (number, ...).

        A batch that does not fit the memory is halved, and so are all after it.
        """
        answers: list[Tensor] = []
        start = 0
        while start < number:
            part = slice(start, min(start + self._batch_size, number))
            try:
                with torch.inference_mode():
                    logits = self.problem.model(make(part))
                    answers.append(read(logits, part))
            except (RuntimeError, MemoryError) as error:
                size = part.stop - part.start
                if size == 1 or not out_of_memory(error):
                    raise
                self._batch_size = size // 2
                continue
            self.tally.asked += len(logits)
            start = part.stop
        return torch.cat(answers) if answers else torch.empty(0, device=self.problem.inputs.device)

    def outputs(self, rows: Tensor, make: Make) -> Tensor:
        """OUTPUTS of the explained class for queries about the samples `rows` (M,) of the problem: (M, 2)."""
        targets = self.problem.targets[rows]
        kind = self.problem.output
        answers = self.ask(len(rows), make, lambda logits, part: score_and_logit(logits, targets[part], kind))
        return answers.view(-1, len(OUTPUTS))

    def full(self, rows: Tensor) -> Tensor:
        """OUTPUTS for the unperturbed inputs of these samples: (M,) -> (M, 2)."""
        inputs, column = self.problem.inputs, torch.zeros_like(rows[:1])
        return self._complete("full", rows, column, lambda samples, _: inputs[rows[samples]])[0][:, 0]

    def empty(self, rows: Tensor, baseline: str) -> Tensor:
        """OUTPUTS for the baseline alone: (M,) -> (M, 2). One query where it is the problem's own, the same for all samples."""
        problem, column = self.problem, torch.zeros_like(rows[:1])
        if baseline == OWN_BASELINE:
            same = problem.baseline.expand_as(problem.inputs[:1])
            logits = self.once("empty", lambda: self.ask(1, lambda _: same, lambda logits, _: logits))[0]
            targets = problem.targets[rows]
            return score_and_logit(logits.expand(len(targets), -1), targets, problem.output)

        def make(samples: Tensor, _columns: Tensor) -> Tensor:
            return self.absent(rows[samples], baseline).expand_as(problem.inputs[rows[samples]])

        return self._complete(("empty", baseline), rows, column, make)[0][:, 0]

    def absent(self, rows: Tensor, baseline: str) -> Tensor:
        """The values of absent features of these samples, under OWN_BASELINE or one of BASELINES; broadcast to (M, C, *S)."""
        return self.problem.baseline if baseline == OWN_BASELINE else self._baseline(baseline)[rows]

    def masked(self, present: Tensor, rows: Tensor, baseline: str, make: Callable[[Tensor], Tensor]) -> Tensor:
        """OUTPUTS for masks (M, *S) of the samples `rows` (M,), of equal queries only the first is asked: (M, 2).

        `make` turns positions (B,) in the masks into inputs. Answers to masks that were asked together are also kept together,
        since libraries ask alike for each method.
        """
        flat = present.flatten(1).cpu().numpy()
        batch = digest(baseline, rows, np.packbits(flat, axis=1), flat.shape[1])
        batches: dict[str, Tensor] = self.once("batches of masks", dict)
        if batch in batches:
            answers = batches.pop(batch)
            self.tally.shared += len(answers)
        else:
            answers = self._each_masked(flat, rows, baseline, make)
        batches[batch] = answers  # the latest is last
        if len(batches) > BATCHES_KEPT:
            del batches[next(iter(batches))]
        return answers

    def _each_masked(self, flat: np.ndarray, rows: Tensor, baseline: str, make: Callable[[Tensor], Tensor]) -> Tensor:
        """See `masked`: each mask is looked up by itself."""
        masks = [blake2b(mask.tobytes(), digest_size=16).digest() for mask in flat]
        keys = [(baseline, row, mask) for row, mask in zip(rows.tolist(), masks, strict=True)]
        known: dict[Hashable, list[float]] = self.once("masks", dict)
        first_seen = {key: m for m, key in reversed(list(enumerate(keys))) if key not in known}
        fresh = torch.tensor(sorted(first_seen.values()), dtype=torch.long, device=rows.device)
        answers = self.outputs(rows[fresh], lambda part: make(fresh[part])).tolist()
        known.update(zip((keys[m] for m in fresh.tolist()), answers, strict=True))
        self.tally.shared += len(keys) - len(first_seen)
        found = torch.tensor([known[key] for key in keys], dtype=torch.float64, device=rows.device)
        for key in list(islice(known, max(0, len(known) - MASKS_KEPT))):  # the oldest
            del known[key]
        return found

    def table(
        self,
        key: Hashable,
        rows: Tensor,
        columns: Tensor,
        make: Callable[[Tensor, Tensor], Tensor],
        *,
        wanted: Tensor | None = None,
        slots: Tensor | None = None,
    ) -> Tensor:
        """OUTPUTS that are kept, of which only those that nobody has asked for before are asked: (N, M, 2).

        `rows` (N,): the samples of the problem. `columns` (N, M) or (M,): which questions of the table `key` are asked of
        each. `make` turns positions in `rows` and in the columns, (B,) each, into inputs. `wanted` (N, M): where it is
        False nothing is asked, and the answer is NaN. `slots` (N,): the table's lines, by default one for each sample.
        """
        answers, asked = self._complete(key, rows, columns, make, wanted=wanted, slots=slots)
        self.tally.shared += (answers.shape[0] * answers.shape[1] if wanted is None else int(wanted.sum())) - asked
        return answers

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns when the key is first asked for, kept from then on."""
        if key not in self._memory:
            self._memory[key] = make()
        return cast(T, self._memory[key])

    def _complete(
        self,
        key: Hashable,
        rows: Tensor,
        columns: Tensor,
        make: Callable[[Tensor, Tensor], Tensor],
        *,
        wanted: Tensor | None = None,
        slots: Tensor | None = None,
    ) -> tuple[Tensor, int]:
        """See `table`: the answers, and how many of them had to be asked."""
        columns = columns.expand(len(rows), -1)
        slots = (rows if slots is None else slots)[:, None].expand_as(columns)
        table = self._table(key)
        lacking = ~table.has(slots, columns)
        if wanted is not None:
            lacking &= wanted
        samples, positions = lacking.nonzero().unbind(1)
        if len(samples):
            answers = self.outputs(rows[samples], lambda part: make(samples[part], positions[part]))
            table.write(slots[samples, positions], columns[samples, positions], answers)
        return table.values[slots, columns], len(samples)

    def _predicted(self, logits: Tensor, _part: slice) -> Tensor:
        """The class that the model chooses, and OUTPUTS of it: (B, K) -> (B, 3) float64."""
        chosen = predicted(logits)
        return torch.cat([chosen.double()[:, None], score_and_logit(logits, chosen, self.problem.output)], dim=1)

    def _baseline(self, name: str) -> Tensor:
        """The values of one of BASELINES for all samples: (N, C, *S), 1 for any axis of S."""
        rng = SampleRng((*self.names, "baseline", name), self.problem.sample_ids, self.problem.inputs.device)
        return self.once(("baseline", name), lambda: BASELINES[name](self.problem, rng))

    def _table(self, key: Hashable) -> Table:
        if key not in self._tables:
            self._tables[key] = Table(self.problem.inputs.device)
        return self._tables[key]


class Table:
    """Answers by line and column, (lines, columns, 2) float64: NaN where nothing was asked. It grows as it is used."""

    def __init__(self, device: torch.device) -> None:
        self.values = torch.empty(0, 0, len(OUTPUTS), dtype=torch.float64, device=device)
        self._asked = torch.empty(0, 0, dtype=torch.bool, device=device)

    def has(self, lines: Tensor, columns: Tensor) -> Tensor:
        """Which answers are there already: (N, M), (N, M) -> (N, M) bool. Makes room for all of them."""
        if columns.numel():
            self._grow(1 + int(lines.max()), 1 + int(columns.max()))
        return self._asked[lines, columns]

    def write(self, lines: Tensor, columns: Tensor, answers: Tensor) -> None:
        """Keeps answers: (B,), (B,), (B, 2)."""
        self.has(lines, columns)
        self.values[lines, columns] = answers
        self._asked[lines, columns] = True

    def _grow(self, lines: int, columns: int) -> None:
        high, wide = self._asked.shape
        if lines <= high and columns <= wide:
            return
        # twice as many lines, so that a table that many attributions add to is not copied for each of them
        size = (max(lines, 2 * high) if lines > high else high, max(columns, wide))
        values = self.values.new_full((*size, len(OUTPUTS)), torch.nan)
        values[:high, :wide] = self.values
        asked = self._asked.new_zeros(size)
        asked[:high, :wide] = self._asked
        self.values, self._asked = values, asked
