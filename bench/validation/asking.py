"""Asks a method for maps, without trusting it: what it changes is put back."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.entries import Entry
from bench.core.errors import ContractError
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine import sandbox
from bench.registry.decorators import call

TASK = "laws"  # the name under which random numbers are drawn


class Watched(SampleRng):
    """Random numbers that remember whether any were drawn."""

    used = False

    def take(self, rows: Sequence[int]) -> SampleRng:
        self.used = True
        return super().take(rows)

    @property
    def drawn(self) -> bool:
        return self.used or bool({"_streams", "seeds"} & vars(self).keys())


def maps_of(method: Entry, problem: Problem, *, seed: int = 0, draw: int = 0) -> Tensor:
    """The maps (N, *S), explained in batches of the problem's size; what the method changes is put back, and not reported."""
    rows = torch.arange(len(problem)).split(problem.batch_size)
    return torch.cat([_maps(method, problem.take(part.tolist()), seed, draw) for part in rows])


def difference(one: Tensor, other: Tensor, problem: Problem, tolerance: float = 0.0) -> str:
    """The sample whose map differs most, and by how much; "" where none differs by more than the tolerance.

    The tolerance is a share of the largest value of `one`.
    """
    gaps = (one.double() - other.double()).abs().flatten(1)
    equal = ((one == other) | (one.isnan() & other.isnan())).flatten(1)
    gaps = torch.where(equal, torch.zeros_like(gaps), gaps)
    most = gaps.nan_to_num(nan=torch.inf).amax(1)
    largest = float(one.abs().nan_to_num().max())
    if float(most.max()) <= tolerance * largest:
        return ""
    sample = problem.sample_ids[int(most.argmax())]
    return f"sample '{sample}', largest difference {float(most.max()):.2g} of values up to {largest:.2g}"


def hooks_of(model: nn.Module) -> int:
    """The number of hooks on a model."""
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in sandbox.HOOKS)


def _maps(method: Entry, problem: Problem, seed: int, draw: int) -> Tensor:
    rng = SampleRng((seed, TASK, method.id, draw), problem.sample_ids, problem.inputs.device)
    return sandbox.checked(called(method, problem, rng)[0], problem)


def answer(method: Entry, problem: Problem) -> tuple[Any, str]:
    """What the method returns, unchecked, and what it changed; "" where that is nothing."""
    return called(method, problem, SampleRng((0, TASK, method.id, 0), problem.sample_ids, problem.inputs.device))


def called(method: Entry, problem: Problem, rng: SampleRng) -> tuple[Any, str]:
    """What the method returns for a copy of the problem, and what it changed, which is put back."""
    copy, returned = sandbox.isolated(problem), False
    found: Any = None
    try:
        with sandbox.unchanged(copy):
            found = call(method.fn, {"problem": copy, "rng": rng}, method.params)
            returned = True
    except ContractError as error:
        if not returned:
            raise
        return found, str(error)
    others = [name for name in ("background", "bounds") if not _equal(getattr(copy, name), getattr(problem, name))]
    return found, f"it changed its {' and '.join(others)}" if others else ""


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def offered(method: Entry, problem: Problem) -> dict[str, Any]:
    """What a method may ask for."""
    return {"problem": problem, "rng": SampleRng((0, TASK, method.id, 0), problem.sample_ids)}


@contextmanager
def other_global_draws() -> Iterator[None]:
    """In the block the global generators of torch, NumPy and Python stand elsewhere."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        torch.default_generator.manual_seed(7919)
        np.random.seed(7919)
        random.seed(7919)
        yield
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])
