"""Maps that were made elsewhere (another library, a colleague, a radiologist) as a method of a run.

They are read and checked before anything is computed. The method looks maps up by sample id, and a digest of their values is
part of its id, so that stored scores of other maps are never taken for theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.core.entries import GIVEN, Entry, Metric
from bench.core.errors import ContractError, NotApplicable, RequestError
from bench.core.hashing import digest
from bench.core.problem import Problem
from bench.core.vocabulary import SKIPPED
from bench.engine.map_checks import (
    Maps,
    Source,
    Subject,
    Values,
    aligned,
    check_ids,
    check_task,
    keyed,
    label_of,
    note_of_sum,
    of_samples,
    subject_of,
)
from bench.engine.plan import Plan
from bench.engine.score import Scores
from bench.registry.decorators import METHODS

NEEDS_MORE = {"explain": "asks the method for other maps", "cost": "measures what an explanation costs"}


@dataclass(frozen=True)
class GivenMaps(Entry):
    """A method that looks its maps up by sample id."""

    source: str = ""  # where they are from, as messages name it
    samples: int = 0


class _Found(NamedTuple):
    """What was given under a name."""

    of_task: dict[str, Maps]  # fingerprint of a task -> the maps of its samples
    digest: str  # of all maps
    summed: bool  # over an axis of channels


def why_not(metric: Metric) -> str:
    """Why a metric cannot score given maps; "" where it can."""
    reasons = [reason for argument, reason in NEEDS_MORE.items() if argument in metric.injected]
    return f"metric {metric.name} {reasons[0]}, so it cannot score given maps" if reasons else ""


def no_scores(reason: str, samples: int, features: int) -> Scores:
    """The scores of a metric that cannot score given maps."""
    return Scores(np.full(samples, np.nan), (SKIPPED,) * samples, (reason,) * samples, None, features)


def methods(given: Mapping[str, Source], plan: Plan) -> tuple[list[GivenMaps], list[str]]:
    """Given maps (name -> maps, see `keyed`) as methods for the tasks of a plan, and what was done to them, in sentences.

    An array (N, *S) is of the samples asked for, in their order. Raises RequestError for names and maps that cannot be used.
    """
    if not isinstance(given, Mapping):
        raise RequestError(
            f"maps are of type {type(given).__name__}; a mapping from names to maps is needed, for example "
            "{'radiologist': 'maps.npz'}"
        )
    read = {name: _read(source, name, plan) for name, source in given.items()}
    subjects = [subject for subject in (subject_of(task, plan) for task in plan.tasks) if subject is not None]
    made, notes = [], []
    for name, source in given.items():
        label = label_of(source, name)
        found = _found(read[name], subjects, label)
        made.append(_method(name, found, str(source) if isinstance(source, str | Path) else "the maps given"))
        if found.summed:
            notes.append(note_of_sum(label))
    return made, notes


def check_name(name: str) -> None:
    """Raises RequestError unless maps can be shown under this name."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise RequestError(
            f"'{name}' cannot be the name of maps; letters, digits, '_', '-' and '.' are allowed, but no '.' first"
        )
    if name in METHODS:
        raise RequestError(f"'{name}' is the name of a registered method; give the maps another name")


def _read(source: Source, name: str, plan: Plan) -> Values | tuple[Maps, str]:
    """Maps under a name, before any task is loaded."""
    check_name(name)
    if isinstance(source, str | Path | Mapping):
        return keyed(source, label_of(source, name))
    if len(plan.tasks) != 1:
        raise RequestError(
            f"maps {name} are an array, and several tasks are asked for; maps keyed by sample id are needed"
        )
    return source


def _found(read: Values | tuple[Maps, str], subjects: Sequence[Subject], label: str) -> _Found:
    """The maps of each task."""
    summed = False
    if not isinstance(read, tuple):
        if not subjects:
            return _Found({}, "", False)
        values, summed = aligned(read, subjects[0], label)
        read = keyed(dict(zip(subjects[0].asked, values, strict=True)), label)
    maps, task = read
    named = check_task(task, subjects, label)
    check_ids(maps, named, label)
    found: dict[str, Maps] = {}
    for subject in named:
        if not maps.keys().isdisjoint(subject.known):
            own, with_channels = of_samples(maps, subject, label)
            found.setdefault(subject.fingerprint, {}).update(own)
            summed |= with_channels
    return _Found(found, _digest(maps), summed)


def _method(name: str, found: _Found, source: str) -> GivenMaps:
    def given_maps(problem: Problem, *, maps: str) -> Tensor:
        """Maps that were made elsewhere: (N, C, *S) -> (N, *S)."""
        own = found.of_task.get(problem.fingerprint, {})
        missing = [sample for sample in problem.sample_ids if sample not in own]
        if missing and len(missing) < len(problem):  # it is asked again, sample by sample
            raise ContractError(f"no map of sample '{missing[0]}' in {source}")
        if missing:
            raise NotApplicable(f"no map of {'this sample' if own else 'any sample of this task'} in {source}")
        return torch.stack([own[sample] for sample in problem.sample_ids])

    return GivenMaps(
        name=name,
        fn=given_maps,
        family=GIVEN,
        cite="",
        version=1,
        params=(("maps", found.digest),),
        injected=("problem",),
        source=source,
        samples=sum(map(len, found.of_task.values())),
    )


def _digest(maps: Maps) -> str:
    return digest(*(part for name in sorted(maps) for part in (name, maps[name])))[:16]
