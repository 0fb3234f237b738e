"""Runs methods: checks what they return, measures their cost, and reports failures sample by sample."""

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

from bench.core.adapt import separates
from bench.core.entries import Entry
from bench.core.errors import BenchError, NotApplicable
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine import sandbox
from bench.network.cost import Cost, Meter, PeakMemory, measured
from bench.registry.decorators import call

R = TypeVar("R")


@dataclass(frozen=True)
class Attributions:
    """A method's attributions of N samples."""

    attribution: Tensor  # (N, *S); zeros where there is none
    cost: Cost
    status: tuple[str, ...]  # (N,) of STATUSES; undefined where an attribution is constant or not finite
    note: tuple[str, ...]  # (N,) why, when not ok
    repeated: dict[str, Tensor] = field(  # maps that metrics asked for again (registry.Explain), by digest
        default_factory=dict, repr=False, compare=False
    )

    def take(self, rows: Sequence[int]) -> Attributions:
        """The attributions of some of the samples; itself for all of them, so that the probe recognises the tensor."""
        if list(rows) == list(range(len(self.status))):
            return self
        return Attributions(
            self.attribution[list(rows)],
            self.cost.take(list(rows)),
            tuple(self.status[row] for row in rows),
            tuple(self.note[row] for row in rows),
            self.repeated,
        )


def why_skipped(entry: Entry, problem: Problem) -> str:
    """Why the entry cannot serve the problem: its kind of output, or fields that the problem lacks; "" where it can."""
    if problem.output not in entry.outputs:
        kinds = " or ".join(f"output '{kind}'" for kind in entry.outputs)
        return f"{entry.name} needs a task with {kinds}, and this one has output '{problem.output}'"
    values = {name: getattr(problem, name) for name in sorted(entry.needs)}
    missing = [name for name, value in values.items() if value is None or len(value) == 0]
    if "layers" in missing:
        return f"{entry.name} needs {_why_no_layers(problem)}"
    return f"{entry.name} needs {' and '.join(missing)}, which the task does not have" if missing else ""


def _why_no_layers(problem: Problem) -> str:
    """What a problem without layers lacks, and how it gets it."""
    if separates(problem.model, problem.inputs):
        return "one map for all channels; leave channels='separate' out"
    return "layers with feature maps, and none were found in this model; name them with layers="


def explain(
    method: Entry, problem: Problem, *, task: str, seed: int, draw: int = 0, memory: PeakMemory | None = None
) -> tuple[Tensor, Meter]:
    """A method's attributions (N, *S), checked, and what they cost.

    The method works on a copy of the model and the tensors. `draw` numbers repeated explanations of a sample, each with new
    random numbers. `memory`, if given, measures the method's tensors. Raises ContractError, or what the method raises.
    """
    rng = SampleRng((seed, task, method.id, draw), problem.sample_ids, problem.inputs.device)
    copy = sandbox.isolated(problem)
    with sandbox.unchanged(copy), measured(copy.model) as meter, memory or nullcontext():
        attribution = call(method.fn, {"problem": copy, "rng": rng}, method.params)
    return sandbox.checked(attribution, problem), meter


def explain_all(method: Entry, problem: Problem, *, task: str, seed: int, peak: float | None = None) -> Attributions:
    """Explains N samples in batches; only the samples that cause a failure fail.

    `peak`: MiB that a sample takes, where it has been measured. Otherwise the first sample is explained once more for it.
    """
    size, no_map = len(problem), problem.inputs.new_zeros(problem.shape)

    def attempt(rows: list[int]) -> tuple[Tensor, Meter]:
        return explain(method, problem.take(rows), task=task, seed=seed)

    missing = why_skipped(method, problem)
    batches = [] if missing else [rows.tolist() for rows in torch.arange(size).split(problem.batch_size)]
    if missing:
        peak = math.nan
    elif peak is None:
        peak = explain_alone(method, problem.take([0]), task=task, seed=seed)[0]
    results, failures = bisect_failures(batches, attempt)
    values = next((maps for _, (maps, _) in results), no_map).new_zeros((size, *problem.shape))
    costs = torch.full((size, 4), math.nan, dtype=torch.float64)
    costs[:, 3] = peak
    for rows, (maps, meter) in results:
        values[rows] = maps.to(values)
        costs[rows, :3] = torch.tensor([meter.seconds, meter.forwards, meter.backwards]).double() / len(rows)
    verdicts = [
        ("skipped", missing) if missing else failures.get(row, verdict)
        for row, verdict in enumerate(sandbox.map_status(values))
    ]
    status, note = zip(*verdicts, strict=True)
    return Attributions(values, Cost(*costs.unbind(1)), status, note)


def bisect_failures(
    batches: Sequence[list[int]], attempt: Callable[[list[int]], R]
) -> tuple[list[tuple[list[int], R]], dict[int, tuple[str, str]]]:
    """Rows with their result, and (status, reason) by row, of an attempt that answers for some rows or raises.

    A batch that raises is halved until only the rows that cause it fail; one that is too large for the memory, until it fits.
    """
    results: list[tuple[list[int], R]] = []
    failures: dict[int, tuple[str, str]] = {}
    queue = [rows for rows in batches if rows]
    while queue:
        rows = queue.pop(0)
        try:
            results.append((rows, attempt(rows)))
        except NotApplicable as error:  # holds for the task, not for a sample
            failures.update(dict.fromkeys(rows, ("skipped", reason(error))))
        except Exception as error:  # a plug-in may raise anything; the run goes on
            if len(rows) == 1:
                failures[rows[0]] = ("failed", reason(error))
            else:
                queue = [rows[: len(rows) // 2], rows[len(rows) // 2 :], *queue]
    return results, failures


def reason(error: BaseException) -> str:
    """What was raised and where, in one line."""
    text = " ".join(str(error).split())[:300] or "no message"
    if isinstance(error, BenchError):
        return text
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"


def explain_alone(
    method: Entry, problem: Problem, *, task: str, seed: int, plain: bool = False
) -> tuple[float, Meter | None]:
    """MiB of tensors alive at once while a sample is explained, and what that costs; NaN and None where it fails.

    It also warms the model up. `plain`: the memory is not measured, which takes time.
    """
    memory = None if plain else PeakMemory()
    try:
        _, meter = explain(method, problem, task=task, seed=seed, memory=memory)
    except Exception:  # the next call raises it again and reports it
        return math.nan, None
    return memory.peak / 2**20 if memory else math.nan, meter
