"""The questions that metrics ask the model about perturbed inputs.

A `Probe` is a view (some samples, one output, one partition of the features, one baseline) of a query engine that all views
of a problem share. The engine keeps the answers, so each query costs once, whichever metric or view asks:

- the full and the empty input, single cells and random subsets: once for all methods;
- the curves of an attribution, p while cells are removed (deletion) or kept (insertion), highest first: once for each map.

Masks, ranks and gathers stay on the model's device, and only a batch of perturbed inputs exists at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from bench.core.errors import BenchError
from bench.core.nearest import unknown
from bench.core.outputs import decides_for
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.core.vocabulary import BASELINES, OUTPUTS
from bench.perturbation.baselines import OWN_BASELINE
from bench.perturbation.imputation import impute
from bench.perturbation.masking import blend
from bench.perturbation.ordering import Orders, at_even_shares, columns_of, random_orders
from bench.perturbation.partition import Partition, partition
from bench.perturbation.queries import Queries, T, Tally


@dataclass(frozen=True)
class View:
    """The settings of a probe."""

    queries: Queries
    rows: tuple[int, ...]  # the samples of the engine's problem
    output: str = OUTPUTS[0]
    features: str = "pixel"  # the partition that "pixel" stands for
    baseline: str = OWN_BASELINE


class Probe:
    """Probabilities of the explained class for perturbed versions of a problem's inputs.

    `names` (of seed and task) tell apart the random perturbations of different runs; beyond them a draw depends on its
    sample alone, so all methods get the same. A problem without targets gets the classes that the model predicts.
    """

    def __init__(self, source: Problem | View, *, names: Sequence[object] = (), tally: Tally | None = None) -> None:
        """`source`: a problem, for which an engine is made, or a view of an engine."""
        if isinstance(source, Problem):
            source = View(Queries(source, names=names, tally=tally), tuple(range(len(source))))
        self._view, self._queries, whole = source, source.queries, source.queries.problem
        self._rows = torch.tensor(source.rows, dtype=torch.long, device=whole.inputs.device)
        self.tally = self._queries.tally
        self.problem = whole if self._is_whole else self._once("problem", lambda: whole.take(source.rows))
        self.features = whole.shape.numel()
        self._orders = self._queries.once("orders", Orders)
        self._queries.once(source, lambda: self)

    def take(self, rows: Sequence[int]) -> Probe:
        """The same probe for some of its samples; itself for all of them in their order."""
        if list(rows) == list(range(len(self._view.rows))):
            return self
        return self._at(replace(self._view, rows=tuple(self._view.rows[row] for row in rows)))

    def view(self, *, output: str = OUTPUTS[0], features: str = "pixel", baseline: str = OWN_BASELINE) -> Probe:
        """The same samples under other settings.

        `output`: softmax or logit of the explained class. `features`: the partition that metrics get who ask for pixels.
        `baseline`: the values of absent features, "task" for the problem's own. Raises BenchError for an unknown name, and
        NotApplicable for a baseline that the problem cannot serve.
        """
        for word, name, allowed in (("output", output, OUTPUTS), ("baseline", baseline, BASELINES)):
            if name not in allowed:
                raise BenchError(unknown(word, name, allowed))
        baseline = OWN_BASELINE if baseline == "zero" and not self.problem.baseline.any() else baseline
        self._queries.absent(self._rows[:1], baseline)  # raises where the problem cannot serve it
        return self._at(replace(self._view, output=output, features=features, baseline=baseline))

    @property
    def targets(self) -> Tensor:
        """(N,) the explained classes."""
        return self.problem.targets

    @property
    def full(self) -> Tensor:
        """p(x) of the unperturbed inputs (N,)."""
        return self._read(self._queries.full(self._rows))

    @property
    def full_logit(self) -> Tensor:
        """Logit of the explained class for the unperturbed inputs (N,); of the same queries as `full`."""
        return self._queries.full(self._rows)[:, 1]

    @property
    def empty(self) -> Tensor:
        """p of the input with every feature absent (N,); one query where that input is the same for all samples."""
        return self._read(self._empty())

    @property
    def empty_logit(self) -> Tensor:
        """Logit of the explained class for the input with every feature absent (N,); of the same queries as `empty`."""
        return self._empty()[:, 1]

    def partition(self, features: str) -> Partition:
        """The partition called `features` (pixel, patch64, segment20) of these inputs."""
        name = self._view.features if features == "pixel" else features
        whole = self._queries.once(("cells", name), lambda: partition(name, self._queries.problem.inputs))
        return whole if self._is_whole else self._once(("cells", name), lambda: whole.take(self._rows))

    def counts(self, shares: Sequence[float], *, features: str = "pixel") -> Tensor:
        """int(share * cells) for each sample and share: (N, M)."""
        return self.partition(features).shares(shares).expand(len(self.problem), -1)

    def deletion(self, attribution: Tensor, steps: int, *, features: str = "pixel") -> Tensor:
        """p while features are removed, highest first, from none to all: (N, *S) -> (N, min(steps, cells) + 1)."""
        return at_even_shares(
            self.partition(features),
            steps,
            len(attribution),
            lambda at: self._curve(attribution, at, features, kept=False),
        )

    def insertion(self, attribution: Tensor, steps: int, *, features: str = "pixel") -> Tensor:
        """p while features are put back, highest first, from none to all: (N, *S) -> (N, min(steps, cells) + 1)."""
        return at_even_shares(
            self.partition(features),
            steps,
            len(attribution),
            lambda at: self._curve(attribution, at, features, kept=True),
        )

    def p_without_top(self, attribution: Tensor, counts: Tensor, *, features: str = "pixel") -> Tensor:
        """p without so many of the highest features: (N, *S), (N, M) -> (N, M)."""
        return self._curve(attribution, counts, features, kept=False)

    def p_with_top(self, attribution: Tensor, counts: Tensor, *, features: str = "pixel") -> Tensor:
        """p with only so many of the highest features: (N, *S), (N, M) -> (N, M)."""
        return self._curve(attribution, counts, features, kept=True)

    def leave_one_out(self, features: str) -> Tensor:
        """p with one cell absent, for each cell in turn: (N, cells); NaN where a sample has fewer."""
        cells, inputs = self.partition(features), self.problem.inputs
        columns = torch.arange(cells.most, device=inputs.device)

        def make(samples: Tensor, columns: Tensor) -> Tensor:
            return blend(inputs[samples], self._absent(samples), ~cells.inside(samples, columns, self.problem.shape))

        key = ("leave one out", cells.name, self._view.baseline)
        return self._table(key, columns, make, columns < cells.counts[:, None])

    def resampled_one(self, features: str, draws: int) -> Tensor:
        """p with one cell's values drawn uniformly from the sample's own range, for each cell: (N, cells, draws)."""
        cells, inputs = self.partition(features), self.problem.inputs
        columns = torch.arange(cells.most * draws, device=inputs.device)
        axes = tuple(range(2, inputs.dim()))
        low, high = inputs.amin(axes, keepdim=True), inputs.amax(axes, keepdim=True)
        noise: list[Tensor] = []  # drawn when the first question is asked

        def make(samples: Tensor, columns: Tensor) -> Tensor:
            if not noise:
                noise.append(self.rng("disturbed").uniform((draws, *inputs.shape[1:])))
            other = low[samples] + (high - low)[samples] * noise[0][samples, columns % draws]
            return blend(inputs[samples], other, ~cells.inside(samples, columns // draws, self.problem.shape))

        wanted = columns < (cells.counts * draws)[:, None]
        answers = self._table(("resampled one", cells.name, draws), columns, make, wanted)
        return answers.view(len(inputs), cells.most, draws)

    def subsets(self, features: str, share: float, draws: int) -> tuple[Tensor, Tensor]:
        """Random subsets of int(share * cells) cells, at least one, and p without them: (N, draws, cells) bool, (N, draws)."""
        cells, inputs = self.partition(features), self.problem.inputs
        masks = self._subset_masks(cells, share, draws)

        def make(samples: Tensor, columns: Tensor) -> Tensor:
            removed = masks[samples, columns]
            pixels = removed if cells.labels is None else cells.take(samples).spread(removed)
            return blend(inputs[samples], self._absent(samples), ~pixels.view(-1, *self.problem.shape))

        key = ("subsets", cells.name, share, draws, self._view.baseline)
        return masks, self._table(key, torch.arange(draws, device=inputs.device), make)

    def top1_after_imputation(self, attribution: Tensor, counts: Tensor, noise: float) -> Tensor:
        """Is the class still the model's first choice with so many of the highest features imputed? (N, M) -> (N, M) 0 or 1.

        `noise` is the standard deviation of what is added to imputed values, as a share of the sample's range.
        """
        inputs, axes = self.problem.inputs, tuple(range(1, self.problem.inputs.dim()))
        spread = noise * (inputs.amax(axes, keepdim=True) - inputs.amin(axes, keepdim=True))
        order = self._orders.positions(attribution, self._view.rows, self.partition("pixel"))
        limits = counts.to(inputs.device).flatten()
        samples = torch.arange(len(inputs), device=inputs.device).repeat_interleave(counts.shape[1])
        normal = self._once("road", lambda: self.rng("road").normal(inputs.shape[1:]))

        def make(part: slice) -> Tensor:
            rows = samples[part]
            present = order[rows] >= limits[part].view(-1, *(1,) * (order.dim() - 1))
            values = inputs[rows]
            return torch.where(present.unsqueeze(1), values, impute(values, present) + spread[rows] * normal[rows])

        def hits(logits: Tensor, part: slice) -> Tensor:
            return decides_for(logits, self.targets[samples[part]], self.problem.output).double()

        return self._queries.ask(len(samples), make, hits).view(counts.shape)

    def masked(self, present: Tensor, rows: Tensor) -> Tensor:
        """p of sample rows[m] with only the features of mask m present: (M, *S) bool, (M,) -> (M,) float64.

        For libraries that build their own masks. A mask that any method or metric has asked for is answered from memory.
        """
        inputs, rows = self.problem.inputs, rows.to(self._rows.device)
        on_device, owners = present.to(rows.device), self._rows[rows]

        def make(queries: Tensor) -> Tensor:
            return blend(inputs[rows[queries]], self._absent(rows[queries]), on_device[queries])

        return self._read(self._queries.masked(present, owners, self._view.baseline, make))

    def answers(self, inputs: Tensor, read: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What the model says to M other versions of the inputs, (M, N, C, *S) -> (M, N, ...).

        `read` takes it from logits (B, K) and the rows (B,) of their samples. Not kept: see `once`.
        """
        flat, rows = inputs.flatten(0, 1), torch.arange(len(self.problem), device=inputs.device).repeat(len(inputs))
        values = self._queries.ask(len(rows), lambda part: flat[part], lambda logits, part: read(logits, rows[part]))
        return values.unflatten(0, inputs.shape[:2])

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns when the key is first asked for these samples; it must depend on no attribution or setting."""
        return self._once(("once", key), make)

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns when the key is first asked for, whichever the samples; it must depend on none of them."""
        return self._queries.once(("shared", key), make)

    def rng(self, *names: object) -> SampleRng:
        """Random numbers of each sample, the same for all methods and metrics that use the same names."""
        return SampleRng((*self._queries.names, *names), self.problem.sample_ids, self._rows.device)

    def rng_of(self, name: str) -> SampleRng:
        """Random numbers that belong to no sample: draws are (1, *shape)."""
        return SampleRng(self._queries.names, [name], self._rows.device)

    @property
    def _is_whole(self) -> bool:
        return self._view.rows == tuple(range(len(self._queries.problem)))

    def _at(self, view: View) -> Probe:
        return self._queries.once(view, lambda: Probe(view))

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        """See `Queries.once`, for these samples."""
        return self._queries.once((self._view.rows, key), make)

    def _read(self, answers: Tensor) -> Tensor:
        """This probe's output of answers that hold all: (..., 2) -> (...)."""
        return answers[..., OUTPUTS.index(self._view.output)]

    def _table(
        self, key: Hashable, columns: Tensor, make: Callable[[Tensor, Tensor], Tensor], wanted: Tensor | None = None
    ) -> Tensor:
        """This probe's output of what depends on no attribution, see `Queries.table`: (N, M)."""
        return self._read(self._queries.table(key, self._rows, columns, make, wanted=wanted))

    def _absent(self, samples: Tensor) -> Tensor:
        """The values of absent features of these samples (B,); broadcast to (B, C, *S)."""
        return self._queries.absent(self._rows[samples], self._view.baseline)

    def _empty(self) -> Tensor:
        """OUTPUTS for the empty inputs: (N, 2)."""
        return self._queries.empty(self._rows, self._view.baseline)

    def _curve(self, attribution: Tensor, counts: Tensor, features: str, *, kept: bool) -> Tensor:
        """p at each count of highest cells removed or kept: (N, *S), (N, M) -> (N, M). Each point is asked once."""
        cells, inputs, rows = self.partition(features), self.problem.inputs, self._view.rows
        counts = counts.to(inputs.device)
        order = cache(lambda: self._orders.positions(attribution, rows, cells))  # where a question is new
        shape = (-1,) + (1,) * len(self.problem.shape)

        def make(samples: Tensor, columns: Tensor) -> Tensor:
            first = order()[samples] < counts[samples, columns].view(shape)
            return blend(inputs[samples], self._absent(samples), first if kept else ~first)

        full, empty = self._queries.full(self._rows), self._empty()
        start, end = (empty, full) if kept else (full, empty)
        key = ("curve", kept, cells.name, self._view.baseline)
        columns = columns_of(counts, self._queries.once((*key, "columns"), dict))
        inside = (counts > 0) & (counts < cells.counts[:, None])
        slots = self._orders.names(attribution, rows)
        points = self._queries.table(key, self._rows, columns, make, wanted=inside, slots=slots)
        ends = torch.where((counts > 0)[..., None], end[:, None], start[:, None])
        return self._read(torch.where(inside[..., None], points, ends))

    def _subset_masks(self, cells: Partition, share: float, draws: int) -> Tensor:
        """(N, draws, cells) bool, each with int(share * cells) of a sample's cells, but at least one."""
        key = ("subsets", cells.name, draws)
        orders = self._once(key, lambda: random_orders(self.rng(*key), cells, draws))
        return orders < cells.shares([share]).to(orders.device).clamp_min(1)[:, :, None]
