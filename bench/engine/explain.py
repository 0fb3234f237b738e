"""Runs methods: their promises checked, their cost measured, their failures told sample by sample."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from bench.core.entries import Entry
from bench.core.errors import BenchError, NotApplicable
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine import sandbox
from bench.network.cost import Cost, Meter, PeakMemory, measured
from bench.registry.decorators import call

R = TypeVar("R")


@dataclass(frozen=True)
class Explained:
    """What a method made of N samples."""

    attribution: Tensor  # (N, *S); zeros where there is none
    cost: Cost
    status: tuple[str, ...]  # (N,) of core.STATUSES; undefined where an attribution says nothing
    note: tuple[str, ...]  # (N,) why, when not ok
    again: dict[str, Tensor] = field(
        default_factory=dict, repr=False, compare=False
    )  # maps metrics had made, by digest

    def take(self, rows: Sequence[int]) -> Explained:
        """The explanations of some of the samples; itself for all of them, so that metrics are seen to ask about one map."""
        if list(rows) == list(range(len(self.status))):
            return self
        return Explained(
            self.attribution[list(rows)],
            self.cost.take(list(rows)),
            tuple(self.status[row] for row in rows),
            tuple(self.note[row] for row in rows),
            self.again,
        )


def absent(entry: Entry, problem: Problem) -> str:
    """Why the entry has to be skipped: the fields it needs and the problem lacks. "" where it has all."""
    values = {name: getattr(problem, name) for name in sorted(entry.needs)}
    lacking = [name for name, value in values.items() if value is None or len(value) == 0]
    return f"{entry.name} needs {' and '.join(lacking)}, which the task does not have" if lacking else ""


def explain(
    method: Entry, problem: Problem, *, task: str, seed: int, draw: int = 0, memory: PeakMemory | None = None
) -> tuple[Tensor, Meter]:
    """A method's attributions (N, *S), its promises checked, and what they cost.

    The method works on a copy of the model and the tensors. `draw` numbers repeated explanations of a sample, which draw
    afresh. `memory`, if given, watches the method's own tensors.
    """
    rng = SampleRng((seed, task, method.id, draw), problem.sample_ids, problem.inputs.device)
    own = sandbox.isolated(problem)
    with sandbox.unchanged(own), measured(own.model) as meter, memory or nullcontext():
        attribution = call(method.fn, {"problem": own, "rng": rng}, method.params)
    return sandbox.checked(attribution, problem), meter


def explain_all(method: Entry, problem: Problem, *, task: str, seed: int) -> Explained:
    """Explains N samples in batches; only the samples that are guilty of a failure fail."""
    size, nothing = len(problem), problem.inputs.new_zeros(problem.shape)

    def attempt(rows: list[int]) -> list[tuple[Tensor, list[float]]]:
        maps, meter = explain(method, problem.take(rows), task=task, seed=seed)
        shares = [value / len(rows) for value in (meter.seconds, meter.forwards, meter.backwards)]
        return [(one, shares) for one in maps]

    lacking = absent(method, problem)
    batches = [] if lacking else [rows.tolist() for rows in torch.arange(size).split(problem.batch_size)]
    peak = math.nan if lacking else _peak_memory(method, problem.take([0]), task=task, seed=seed)
    made, failures = bisect_failures(batches, attempt)
    unknown = (nothing, [math.nan] * 3)
    attribution = torch.stack(
        [made.get(row, unknown)[0].to(next(iter(made.values()), unknown)[0]) for row in range(size)]
    )
    verdicts = [
        ("skipped", lacking) if lacking else failures.get(row, flaw)
        for row, flaw in enumerate(sandbox.map_status(attribution))
    ]
    costs = torch.tensor([[*made.get(row, unknown)[1], peak] for row in range(size)], dtype=torch.float64)
    status, note = zip(*verdicts, strict=True)
    return Explained(attribution, Cost(*costs.unbind(1)), status, note)


def bisect_failures(
    batches: Sequence[list[int]], attempt: Callable[[list[int]], Sequence[R]]
) -> tuple[dict[int, R], dict[int, tuple[str, str]]]:
    """Results by row, and (status, reason) by row, of an attempt that gives one result per row or raises.

    A batch that raises is halved until only the guilty rows fail; one that was too big for the memory fits in the end.
    """
    results: dict[int, R] = {}
    failures: dict[int, tuple[str, str]] = {}
    queue = [rows for rows in batches if rows]
    while queue:
        rows = queue.pop(0)
        try:
            results.update(zip(rows, attempt(rows), strict=True))
        except NotApplicable as error:  # a trait of the task, not of a sample
            failures.update(dict.fromkeys(rows, ("skipped", reason(error))))
        except Exception as error:  # a plug-in may raise anything; it becomes rows, and the run goes on
            if len(rows) == 1:
                failures[rows[0]] = ("failed", reason(error))
            else:
                queue = [rows[: len(rows) // 2], rows[len(rows) // 2 :], *queue]
    return results, failures


def reason(error: BaseException) -> str:
    """One line: what was raised, and where."""
    text = " ".join(str(error).split())[:300] or "no message"
    if isinstance(error, BenchError):
        return text
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"


def _peak_memory(method: Entry, problem: Problem, *, task: str, seed: int) -> float:
    """MiB of tensors alive at once while one sample is explained. It warms the model up too. NaN where it fails."""
    try:
        memory = PeakMemory()
        explain(method, problem, task=task, seed=seed, memory=memory)
    except Exception:  # the call that counts follows and reports it
        return math.nan
    return memory.peak / 2**20
