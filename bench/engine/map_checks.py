"""Maps that were made elsewhere, read and checked against the samples that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.core.entries import OWN_MODELS, Task
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.engine.plan import Plan, load
from bench.registry.decorators import call
from bench.storage import map_files

Values = Tensor | np.ndarray
Source = Values | Mapping[str, Values] | str | Path
Maps = dict[str, Tensor]  # sample id -> map


class Subject(NamedTuple):
    """The samples that maps can be of."""

    task: Task
    known: Sequence[str]  # ids of all samples
    asked: Sequence[str]  # of those that are scored
    shape: tuple[int, ...]  # of an input: (C, *S)
    fingerprint: str


def label_of(source: Source, name: str = "") -> str:
    """What messages call maps."""
    return " ".join(["maps", *([name] if name else []), *([f"({source})"] if isinstance(source, str | Path) else [])])


def note_of_sum(label: str) -> str:
    """The sentence about maps that have channels."""
    return f"{label} have an axis of channels, (N, C, *S); they are summed over it"


def subject_of(task: Task, plan: Plan) -> Subject | None:
    """The samples of a task; None where it cannot be loaded: the run will tell why."""
    try:
        known = call(task.samples, {"data": plan.data})
        asked = known[: plan.samples(task)]
        first = load(task, asked[:1], plan)
    except RequestError:
        raise
    except Exception:  # a task is a plug-in
        return None
    return Subject(task, known, asked, tuple(first.inputs.shape[1:]), first.fingerprint)


def keyed(source: Mapping[str, Values] | str | Path, label: str) -> tuple[Maps, str]:
    """Sample id -> map, of a file or a mapping, and the id of the task that they are of, if the file has one.

    Raises RequestError unless all values are finite numbers of a floating type.
    """
    found = map_files.read(Path(source)) if isinstance(source, str | Path) else map_files.MapFile(dict(source))
    if not found.maps:
        raise RequestError(f"{label} hold nothing; a map for each sample id is needed")
    maps: Maps = {}
    for name, values in found.maps.items():
        values = values if isinstance(values, Tensor) else np.asarray(values)
        if not _is_floating(values):
            raise RequestError(
                f"{label}: the map of sample '{name}' is of type {values.dtype}; a floating-point type is needed, for example "
                "values.astype('float32')"
            )
        maps[str(name)] = _floating(values)
        if not maps[str(name)].isfinite().all():
            raise RequestError(
                f"{label}: the map of sample '{name}' is not finite; replace its NaN and infinite values"
            )
    if any(values.dtype == torch.float64 for values in maps.values()):  # so that all are of one type
        maps = {name: values.double() for name, values in maps.items()}
    return maps, found.task


def aligned(values: Values, subject: Subject, label: str) -> tuple[Tensor, bool]:
    """An array of maps as (N, *S) of the samples asked for, and whether it had an axis of channels."""
    given = values if isinstance(values, Tensor) else np.asarray(values)
    channels, *axes = subject.shape
    wanted, with_channels = (len(subject.asked), *axes), (len(subject.asked), channels, *axes)
    if not _is_floating(given) or tuple(given.shape) not in (wanted, with_channels):
        raise RequestError(
            f"{label} are {given.dtype} of shape {tuple(given.shape)}; floating-point values of shape {wanted} are needed, or "
            f"{with_channels}, which are summed over the channels"
        )
    maps = _floating(given)
    return (maps, False) if tuple(maps.shape) == wanted else (maps.sum(1), True)


def of_one(
    source: Mapping[str, Values] | str | Path, subject: Subject, label: str, *, every: bool = True
) -> tuple[Maps, bool]:
    """The maps of a subject's samples as (*S), and whether some had an axis of channels. Raises RequestError for other maps.

    `every`: each sample asked for has to have one.
    """
    maps, task = keyed(source, label)
    check_task(task, [subject], label)
    check_ids(maps, [subject], label)
    return of_samples(maps, subject if every else subject._replace(asked=[]), label)


def of_samples(maps: Maps, subject: Subject, label: str) -> tuple[Maps, bool]:
    """The maps of a subject's samples as (*S), and whether some had an axis of channels.

    Raises RequestError where a map has another shape, or a sample asked for has none.
    """
    channels, *axes = subject.shape
    own, summed = {}, False
    for name in subject.known:
        if name not in maps:
            continue
        values = maps[name]
        if list(values.shape) == [channels, *axes]:
            values, summed = values.sum(0), True
        if list(values.shape) != axes:
            raise RequestError(
                f"{label}: the map of sample '{name}' has the shape {tuple(values.shape)}; {tuple(axes)} is needed, or "
                f"{subject.shape}, which is summed over the channels"
            )
        own[name] = values
    missing = [name for name in subject.asked if name not in own]
    if missing:
        first = subject.asked.index(missing[0])
        own_model = subject.task.family == OWN_MODELS
        alone = "leave these samples out of the problem" if own_model else "score the others alone with bench.score"
        way = f"ask for {first} sample{'s' * (first > 1)}" if first else alone
        raise RequestError(
            f"{label}: {len(missing)} of the {len(subject.asked)} samples of {subject.task.name} have no map, for example "
            f"'{missing[0]}'; add them, or {way}"
        )
    return own, summed


def check_task(task: str, subjects: Sequence[Subject], label: str) -> list[Subject]:
    """The subjects that maps of a task (id, or "" where it is not known) can be of. Raises RequestError where that is none."""
    taken = [one for one in subjects if task in ("", one.task.id) or one.task.family == OWN_MODELS]
    if subjects and not taken:
        asked = " and ".join(one.task.id for one in subjects)
        raise RequestError(f"{label} are of task {task}, not of {asked}; ask for that task, or give maps of this one")
    return taken


def check_ids(maps: Maps, subjects: Sequence[Subject], label: str) -> None:
    """Raises RequestError for a sample that no task has, or that several have."""
    if not subjects:
        return
    known = [set(subject.known) for subject in subjects]
    for name in maps:
        having = [subject.task.name for subject, ids in zip(subjects, known, strict=True) if name in ids]
        if not having:
            ids = [one for subject in subjects for one in subject.known]
            asked = " and ".join(subject.task.name for subject in subjects)
            raise RequestError(
                f"{label}: {unknown('sample', name, ids, of=asked)}; maps are keyed by the ids of samples"
            )
        if len(having) > 1:
            raise RequestError(
                f"{label}: '{name}' is a sample of {' and of '.join(having)}; ask for one of these tasks, or let `bench "
                "attribute` write the file, which notes the task"
            )


def _is_floating(values: Values) -> bool:
    return values.is_floating_point() if isinstance(values, Tensor) else values.dtype.kind == "f"


def _floating(values: Values) -> Tensor:
    """Values of a floating type as a tensor on the CPU, of single or double precision."""
    if isinstance(values, np.ndarray):
        return torch.from_numpy(np.array(values, dtype=np.float64 if values.dtype.itemsize > 4 else np.float32))
    dense = values.detach() if values.layout == torch.strided else values.detach().to_dense()
    return dense.cpu().to(torch.float64 if values.dtype == torch.float64 else torch.float32)
