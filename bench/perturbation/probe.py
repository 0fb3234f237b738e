"""The questions that metrics ask the model about perturbed inputs: each is asked once, in batches that suit the model.

A query is one input that the model is asked about. Three kinds are shared:

- the ends, the full and the empty input, by all metrics and methods;
- answers that depend on no attribution (single cells, random subsets), by all metrics and methods;
- the curves of one attribution, by all metrics: p while cells are removed (deletion), or kept (insertion), best first.

Masks, ranks and gathers stay on the model's device, and only a batch of perturbed inputs exists at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import cast

import torch
from torch import Tensor

from bench.core.hashing import digest
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.network.device import out_of_memory
from bench.perturbation.imputation import impute
from bench.perturbation.masking import blend, count, even_counts, ranks
from bench.perturbation.partition import Partition, partition
from bench.perturbation.queries import OUTPUTS, Make, Read, T, Tally, outputs_of, prediction


class Probe:
    """Probabilities of the explained class for perturbed versions of a problem's inputs.

    A problem without targets gets them here: the classes that the model predicts. `names` (of seed and task) tell apart
    the random perturbations of different runs; beyond them a draw depends on its sample alone, so all methods meet the same.

    Where features are absent, the problem's baseline stands, or each sample's own `absent` (N, C, *S), 1 for any axis of S.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        names: Sequence[object] = (),
        tally: Tally | None = None,
        absent: Tensor | None = None,
    ) -> None:
        self.tally = tally or Tally()
        self.problem = problem
        self.features = problem.inputs[0, 0].numel()
        self._names = names
        self._absent = absent
        self._output, self._pixel = OUTPUTS[0], "pixel"  # what is told, and what metrics that speak of pixels get
        self._views: dict[tuple[str, str], Probe] = {}
        self._whole, self._rows = self, torch.arange(len(problem), device=problem.inputs.device)
        self._batch = problem.batch_size
        self._parts: dict[tuple[int, ...], Probe] = {}
        self._cells: dict[str, Partition] = {}
        self._orders_drawn: dict[tuple[str, int], Tensor] = {}
        self._noise: Tensor | None = None
        self._tables: dict[tuple[object, ...], Tensor] = {}
        self._curves: dict[tuple[object, ...], Tensor] = {}
        self._orders: dict[tuple[str, str], Tensor] = {}
        self._kept: dict[tuple[object, ...], object] = {}
        self._masks: dict[tuple[int, bytes], list[float]] = {}
        self._nothing: Tensor | None = None  # logits of the empty input, where all samples have the same
        self._last: tuple[Tensor, int, str] | None = None
        if problem.targets is None:
            found = self._ask(self._rows, lambda part, rows: problem.inputs[rows], prediction)
            self.problem = replace(problem, targets=found[:, 0].long())
            self._tables["full",] = found[:, None, 1:]

    def take(self, rows: Sequence[int]) -> Probe:
        """The same probe for some of the samples; what is known already stays known."""
        rows = tuple(rows)
        if rows == tuple(range(len(self.problem))):
            return self
        if rows not in self._parts:
            absent = None if self._absent is None else self._absent[list(rows)]
            part = Probe(self.problem.take(rows), names=self._names, tally=self.tally, absent=absent)
            part._whole, part._rows = self._whole, self._rows[list(rows)]
            self._parts[rows] = part
        return self._parts[rows].view(output=self._output, features=self._pixel)

    def view(self, *, output: str = OUTPUTS[0], features: str = "pixel") -> Probe:
        """The same probe, telling another of OUTPUTS, and with other cells for metrics that speak of pixels.

        What any view has asked is known to all of them: one answer of the model holds every output.
        """
        if (output, features) == (self._output, self._pixel):
            return self
        if (output, features) not in self._views:
            view = copy.copy(self)
            view._output, view._pixel = output, features
            self._views[self._output, self._pixel] = self
            self._views[output, features] = view
        return self._views[output, features]

    def with_baseline(self, absent: Tensor) -> Probe:
        """A probe of the same samples, of which these values stand for what is absent: (N, C, *S), 1 for any axis of S."""
        other = Probe(self.problem, names=self._names, tally=self.tally, absent=absent)
        other._cells, other._batch = self._cells, self._whole._batch
        other._tables["full",] = self._table(("full",), 1, self._present)
        return other

    @property
    def targets(self) -> Tensor:
        """(N,) the explained classes."""
        assert self.problem.targets is not None
        return self.problem.targets

    @property
    def full(self) -> Tensor:
        """p(x) of the unperturbed inputs (N,)."""
        return self._told(self._full()).clone()

    @property
    def full_logit(self) -> Tensor:
        """Logit of the explained class for the unperturbed inputs (N,); of the same queries as `full`."""
        return self._full()[:, 1].clone()

    @property
    def empty(self) -> Tensor:
        """p of the input with every feature absent (N,); one query where that input is the same for all samples."""
        return self._told(self._empty())

    @property
    def empty_logit(self) -> Tensor:
        """Logit of the explained class for the input with every feature absent (N,); of the same queries as `empty`."""
        return self._empty()[:, 1]

    def cells(self, features: str) -> Partition:
        """The partition called `features` (pixel, patch64, segment20) of these inputs."""
        name = self._pixel if features == "pixel" else features
        if name not in self._cells:
            if self is self._whole:
                self._cells[name] = partition(name, self.problem.inputs)
            else:
                self._cells[name] = self._whole.cells(name).take(self._rows)
        return self._cells[name]

    def deletion(self, attribution: Tensor, steps: int, *, features: str = "pixel") -> Tensor:
        """p while features are removed, highest first, from none to all: (N, *S) -> (N, min(steps, cells) + 1)."""
        return self._even_steps(self.p_without_top, attribution, steps, features)

    def insertion(self, attribution: Tensor, steps: int, *, features: str = "pixel") -> Tensor:
        """p while features are put back, highest first, from none to all: (N, *S) -> (N, min(steps, cells) + 1)."""
        return self._even_steps(self.p_with_top, attribution, steps, features)

    def counts(self, shares: Sequence[float], *, features: str = "pixel") -> Tensor:
        """int(share * cells) for each sample and share: (N, M)."""
        per_sample = self.cells(features).counts.tolist()
        counts = torch.tensor([[count(share, number) for share in shares] for number in per_sample])
        return counts.expand(len(self.problem), -1)

    def p_without_top(self, attribution: Tensor, counts: Tensor, *, features: str = "pixel") -> Tensor:
        """p without so many of the highest features: (N, *S), (N, M) -> (N, M)."""
        return self._curve(attribution, counts, features, kept=False)

    def p_with_top(self, attribution: Tensor, counts: Tensor, *, features: str = "pixel") -> Tensor:
        """p with only so many of the highest features: (N, *S), (N, M) -> (N, M)."""
        return self._curve(attribution, counts, features, kept=True)

    def leave_one_out(self, features: str) -> Tensor:
        """p with one cell absent, for each cell in turn: (N, cells); NaN where a sample has fewer."""
        cells, problem = self.cells(features), self.problem

        def make(rows: Tensor, columns: Tensor) -> Tensor:
            return blend(problem.inputs[rows], self._gone(rows), ~self._inside(cells, rows, columns))

        most = self._whole.cells(features).most
        return self._shared(("single", cells.name), most, make, limits=cells.counts)[:, : cells.most]

    def resampled_one(self, features: str, draws: int) -> Tensor:
        """p with one cell's values drawn uniformly from the sample's own range, for each cell: (N, cells, draws)."""
        cells, inputs = self.cells(features), self.problem.inputs
        axes = tuple(range(2, inputs.dim()))
        low, high = inputs.amin(axes, keepdim=True), inputs.amax(axes, keepdim=True)
        noise: Tensor | None = None

        def make(rows: Tensor, columns: Tensor) -> Tensor:
            nonlocal noise
            if noise is None:
                noise = self.rng("disturbed").uniform((draws, *inputs.shape[1:]))
            other = low[rows] + (high - low)[rows] * noise[rows, columns % draws]
            return blend(inputs[rows], other, ~self._inside(cells, rows, columns // draws))

        most = self._whole.cells(features).most
        table = self._shared(("disturbed", cells.name, draws), most * draws, make, limits=cells.counts * draws)
        return table.view(len(inputs), most, draws)[:, : cells.most]

    def subsets(self, features: str, share: float, draws: int) -> tuple[Tensor, Tensor]:
        """Random subsets of int(share * cells) cells, at least one, and p without them: (N, draws, cells) bool, (N, draws)."""
        cells, problem = self.cells(features), self.problem
        masks = self._subset_masks(cells, share, draws)

        def make(rows: Tensor, columns: Tensor) -> Tensor:
            removed = masks[rows, columns]
            places = removed.view(-1, *problem.shape) if cells.labels is None else cells.take(rows).spread(removed)
            return blend(problem.inputs[rows], self._gone(rows), ~places)

        return masks, self._shared(("subsets", cells.name, share, draws), draws, make)

    def top1_after_imputation(self, attribution: Tensor, counts: Tensor, noise: float) -> Tensor:
        """Is the class still the model's first choice with so many of the highest features imputed? (N, M) -> (N, M) 0 or 1.

        `noise` is the standard deviation of what is added to imputed values, as a share of the sample's range.
        """
        inputs, axes = self.problem.inputs, tuple(range(1, self.problem.inputs.dim()))
        spread = noise * (inputs.amax(axes, keepdim=True) - inputs.amin(axes, keepdim=True))
        order, limits = self._order(attribution, "pixel"), counts.to(inputs.device).flatten()
        rows = torch.arange(len(inputs), device=inputs.device).repeat_interleave(counts.shape[1])
        if self._noise is None:
            self._noise = self.rng("road").normal(inputs.shape[1:])
        normal = self._noise

        def make(part: slice, rows: Tensor) -> Tensor:
            known = order[rows] >= limits[part].view(-1, *(1,) * (order.dim() - 1))
            some = inputs[rows]
            return torch.where(known.unsqueeze(1), some, impute(some, known) + spread[rows] * normal[rows])

        hits = self._ask(rows, make, lambda logits, rows: (logits.argmax(1) == self.targets[rows]).double())
        return hits.view(counts.shape)

    def masked(self, present: Tensor, rows: Tensor) -> Tensor:
        """p of sample rows[m] with only the features of mask m present: (M, *S) bool, (M,) -> (M,) float64.

        For libraries that build their own masks: one met before, for any method or metric, is answered from memory.
        """
        known, rows = self._whole._masks, rows.to(self._rows.device)
        masks = present.flatten(1).cpu().numpy()
        owners = self._rows[rows].tolist()
        keys = [
            (row, blake2b(mask.tobytes(), digest_size=16).digest()) for row, mask in zip(owners, masks, strict=True)
        ]
        first_seen = {key: m for m, key in reversed(list(enumerate(keys))) if key not in known}
        fresh = torch.tensor(sorted(first_seen.values()), dtype=torch.long, device=rows.device)
        problem, here = self.problem, present.to(rows.device)

        def make(part: slice, some: Tensor) -> Tensor:
            return blend(problem.inputs[some], self._gone(some), here[fresh[part]])

        answers = self._ask(rows[fresh], make).tolist()
        known.update(zip((keys[m] for m in fresh.tolist()), answers, strict=True))
        self.tally.shared += len(keys) - len(first_seen)
        column = OUTPUTS.index(self._output)
        return torch.tensor([known[key][column] for key in keys], dtype=torch.float64, device=rows.device)

    def answers(self, inputs: Tensor, read: Read) -> Tensor:
        """What the model says to M other versions of the inputs, (M, N, C, *S) -> (M, N, ...).

        `read` takes it from logits (B, K) and the rows (B,) of their samples. Not kept: see `once`.
        """
        flat, rows = inputs.flatten(0, 1), torch.arange(len(self.problem), device=inputs.device).repeat(len(inputs))
        return self._ask(rows, lambda part, _: flat[part], read).unflatten(0, inputs.shape[:2])

    def once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """What depends on no attribution, made when it is first asked for and kept for all metrics and methods."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(T, self._kept[key])

    def rng(self, *names: object) -> SampleRng:
        """Random numbers of each sample under the given names, which all methods and metrics that use those names meet."""
        return SampleRng((*self._names, *names), self.problem.sample_ids, self._rows.device)

    def rng_of(self, name: str) -> SampleRng:
        """One stream that belongs to no sample: draws are (1, *shape)."""
        return SampleRng(self._names, [name], self._rows.device)

    def _curve(self, attribution: Tensor, counts: Tensor, features: str, *, kept: bool) -> Tensor:
        """p at each count of top cells removed or kept: (N, *S), (N, M) -> (N, M). Counts met before are not asked again."""
        cells, problem = self.cells(features), self.problem
        about = (kept, cells.name, self._name(attribution))
        alike = bool((counts == counts[:1]).all())
        each = [] if alike else [self._curves.get((*about, column)) for column in range(cells.most + 1)]
        if each and all(one is not None for one in each):  # asked at every count: no sample's own count is new
            self.tally.shared += counts.numel()
            curves = torch.stack([one for one in each if one is not None], dim=1)
            return self._told(curves).gather(1, counts.to(curves.device))
        keys = [(*about, column) for column in (counts[0].tolist() if alike else map(digest, counts.unbind(1)))]
        new = [m for m, key in enumerate(keys) if key not in self._curves]
        number = cells.counts.expand(len(problem))
        none, every = (self._empty(), self._full()) if kept else (self._full(), self._empty())
        if new:
            some = counts[:, new].to(number.device)
            answers = torch.where((some > 0)[..., None], every[:, None], none[:, None])
            rows, columns = ((some > 0) & (some < number[:, None])).nonzero().unbind(1)
            limits = some[rows, columns]
            order = self._order(attribution, features) if len(rows) else self._rows
            shape = (-1,) + (1,) * len(problem.shape)

            def make(part: slice, rows: Tensor) -> Tensor:
                first = order[rows] < limits[part].view(shape)
                return blend(problem.inputs[rows], self._gone(rows), first if kept else ~first)

            answers[rows, columns] = self._ask(rows, make)
            self._curves.update({keys[m]: column for m, column in zip(new, answers.unbind(1), strict=True)})
        self.tally.shared += len(problem) * (len(keys) - len(new))
        return self._told(torch.stack([self._curves[key] for key in keys], dim=1))

    def _shared(
        self,
        key: tuple[object, ...],
        width: int,
        make: Callable[[Tensor, Tensor], Tensor],
        *,
        limits: Tensor | None = None,
    ) -> Tensor:
        """What is told of `_table`, with what was known before counted as shared."""
        before = self.tally.asked
        answers = self._told(self._table(key, width, make, limits=limits))
        self.tally.shared += int((~answers.isnan()).sum()) - (self.tally.asked - before)
        return answers

    def _table(
        self,
        key: tuple[object, ...],
        width: int,
        make: Callable[[Tensor, Tensor], Tensor],
        *,
        limits: Tensor | None = None,
    ) -> Tensor:
        """Answers that depend on no attribution (N, width, 2): those that no part of the whole probe has asked for are asked.

        `make` turns rows and columns into inputs; `limits`: how many columns a sample has, the others are NaN. The width is
        that of the whole probe.
        """
        tables, rows = self._whole._tables, self._rows
        if key not in tables:
            size = (len(self._whole.problem), width, len(OUTPUTS))
            tables[key] = torch.full(size, torch.nan, dtype=torch.float64, device=rows.device)
        table = tables[key]
        lacking = table[rows][..., 0].isnan()
        if limits is not None:
            lacking &= torch.arange(width, device=rows.device) < limits[:, None]
        samples, columns = lacking.nonzero().unbind(1)
        if len(samples):
            table[rows[samples], columns] = self._ask(samples, lambda part, some: make(some, columns[part]))
        return table[rows]

    def _ask(self, rows: Tensor, make: Make, read: Read | None = None) -> Tensor:
        """What the model says to the queries, in their order; rows[m] is the sample that query m is about.

        Reads OUTPUTS (M, 2) of the explained class unless told otherwise. A batch that does not fit the memory is halved,
        and so are all after it.
        """
        whole, found, start = self._whole, [], 0
        while start < len(rows):
            part = slice(start, start + whole._batch)
            try:
                with torch.inference_mode():
                    logits = self.problem.model(make(part, rows[part]))
                    found.append(read(logits, rows[part]) if read else outputs_of(logits, self.targets[rows[part]]))
            except (RuntimeError, MemoryError) as error:
                size = min(whole._batch, len(rows) - start)
                if size == 1 or not out_of_memory(error):
                    raise
                whole._batch = size // 2
                continue
            self.tally.asked += len(logits)
            start = part.stop
        nothing = torch.empty(0, len(OUTPUTS), dtype=torch.float64, device=rows.device)
        return torch.cat(found) if found else nothing

    def _told(self, answers: Tensor) -> Tensor:
        """The output that this probe tells of answers: (..., 2) -> (...)."""
        return answers[..., OUTPUTS.index(self._output)]

    def _gone(self, rows: Tensor) -> Tensor:
        """What stands where features of these samples are absent; broadcasts to (B, C, *S)."""
        return self.problem.baseline if self._absent is None else self._absent[rows]

    def _full(self) -> Tensor:
        """Answers to the unperturbed inputs (N, 2)."""
        return self._table(("full",), 1, self._present)[:, 0]

    def _present(self, rows: Tensor, _columns: Tensor) -> Tensor:
        return self.problem.inputs[rows]

    def _emptied(self, rows: Tensor, _columns: Tensor) -> Tensor:
        return self._gone(rows).expand_as(self.problem.inputs[rows])

    def _empty(self) -> Tensor:
        """Answers to the empty inputs (N, 2)."""
        if self._absent is not None:
            return self._table(("empty",), 1, self._emptied)[:, 0]
        whole = self._whole
        if whole._nothing is None:
            nothing = self.problem.baseline.expand_as(self.problem.inputs[:1])
            whole._nothing = self._ask(self._rows[:1], lambda part, rows: nothing, lambda logits, rows: logits)
        logits = whole._nothing[0]
        return torch.stack([logits.softmax(0)[self.targets].double(), logits[self.targets].double()], dim=1)

    def _even_steps(self, ask: Callable[..., Tensor], attribution: Tensor, steps: int, features: str) -> Tensor:
        """A curve at even steps from no cell to all of them: (N, min(steps, cells) + 1).

        Where samples differ in their number of cells, every number is asked, and read between at even shares.
        """
        cells = self.cells(features)
        steps = min(steps, cells.number)
        if cells.alike:
            counts = even_counts(steps, cells.number).expand(len(self.problem), -1)
            return ask(attribution, counts, features=features)
        curve = ask(attribution, torch.arange(cells.most + 1).expand(len(self.problem), -1), features=features)
        place = cells.counts[:, None] * torch.arange(steps + 1, device=curve.device).double() / steps
        low, high = place.floor().long(), place.ceil().long()
        return torch.lerp(curve.gather(1, low), curve.gather(1, high), place - low)

    def _subset_masks(self, cells: Partition, share: float, draws: int) -> Tensor:
        """(N, draws, cells) bool, each with int(share * cells) of a sample's cells, but at least one.

        A draw is an order of the cells, so its subsets of different sizes are nested.
        """
        key = (cells.name, draws)
        if key not in self._orders_drawn:
            # cells before draws: a sample's numbers do not depend on how many cells the others have
            chance = self.rng("subsets", *key).uniform((cells.most, draws)).transpose(1, 2)
            absent = torch.arange(cells.most, device=chance.device) >= cells.counts[:, None]
            chance = chance.masked_fill(absent[:, None], -1.0)
            self._orders_drawn[key] = ranks(chance.flatten(0, 1)).view(chance.shape).int()
        size = self.counts([share], features=cells.name).to(self._rows.device).clamp_min(1)
        return self._orders_drawn[key] < size[:, :, None]

    def _inside(self, cells: Partition, rows: Tensor, columns: Tensor) -> Tensor:
        """The places that belong to each sample's given cell: (B,), (B,) -> (B, *S) bool."""
        shape = (-1,) + (1,) * len(self.problem.shape)
        labels = torch.arange(cells.number, device=rows.device) if cells.labels is None else cells.take(rows).labels
        assert labels is not None
        return labels.view(-1, *self.problem.shape) == columns.view(shape)

    def _order(self, attribution: Tensor, features: str) -> Tensor:
        """Position of each place's cell in the order of the attribution; kept for the last attribution asked about."""
        key = (self._name(attribution), self.cells(features).name)
        if key not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k[0] == key[0]}
            self._orders[key] = self.cells(features).order(attribution)
        return self._orders[key]

    def _name(self, attribution: Tensor) -> str:
        """A hash of the attribution, computed once while metrics ask about one and the same."""
        if attribution.is_inference():  # these do not tell when they are changed
            return digest(attribution)
        if self._last is None or self._last[0] is not attribution or self._last[1] != attribution._version:
            self._last = (attribution, attribution._version, digest(attribution))
        return self._last[2]
