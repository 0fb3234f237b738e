"""Turns what a user asks for into entries of the registries: tasks, methods, metrics, data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.core.entries import OWN_MODELS, Entry, Metric, Task
from bench.core.errors import RequestError
from bench.core.nearest import several, unknown
from bench.core.vocabulary import FLOAT32, PROFILES
from bench.engine import loading
from bench.engine.schedule import Budget
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.registry.selection import select, split
from bench.task_tools.data import Data

if TYPE_CHECKING:
    from bench.core.problem import Problem

E = TypeVar("E", bound=Entry)
Names = str | Sequence[str] | None
Paths = str | Path | Sequence[str | Path]
OWN_MODEL = "model"  # the default name of a problem of one's own


def load_plugins(plugins: Paths) -> tuple[Path, ...]:
    """Fills the registries, a user's files included; returns these files."""
    paths = plugin_paths(plugins)
    loading.load_all(paths)
    return paths


def plugin_paths(plugins: Paths) -> tuple[Path, ...]:
    """The files and folders that were given: one, several or none."""
    return tuple(Path(path) for path in ([plugins] if isinstance(plugins, str | Path) else plugins))


def named(names: Names) -> list[str]:
    """The patterns that were given, those parted by commas included; none were given: all."""
    return ["*"] if names is None else split([names] if isinstance(names, str) else names)


def methods_of(names: Names) -> list[Entry]:
    """The methods of these names and wildcards."""
    return select(METHODS, named(names), "method")


def metrics_of(names: Names) -> list[Metric]:
    """The metrics of these names and wildcards."""
    return select(METRICS, named(names), "metric")


def tasks_of(problem: Problem | None, task: Names, name: str) -> list[Task]:
    """The tasks asked for: a problem of one's own, or registered tasks by name. Raises RequestError for both or neither."""
    if problem is not None:
        if task is not None:
            raise RequestError(f"both a problem and task '{', '.join(named(task))}' were given; give one of them")
        return [own_task(problem, name)]
    return select(TASKS, named(task), "task")


def in_profile(entries: Sequence[E], names: Names, profile: str) -> tuple[list[E], list[str]]:
    """The entries that the profile takes, all of them where they were named, and the names of the others."""
    taken = [entry for entry in entries if names is not None or entry.in_profile(profile)]
    return taken, [entry.name for entry in entries if entry not in taken]


def one_task(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """The registered task of that name, or of that name with settings: `hmt[size=224]`."""
    found = select(tasks, [name], "task")
    if len(found) > 1:
        raise RequestError(several("task", name, [task.name for task in found]))
    return found[0]


def named_by_precision(task: Task, precision: str) -> Task:
    """The task under a name that says the precision of its model, unless that is float32. Its random numbers stay the same."""
    if precision == FLOAT32:
        return task
    name, _, settings = task.name.rstrip("]").partition("[")
    settings = ",".join(filter(None, [settings, f"precision={precision}"]))
    return replace(task, name=f"{name}[{settings}]")


def own_task(problem: Problem, name: str = OWN_MODEL) -> Task:
    """A problem of one's own as a task, so that it runs as registered ones do."""
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise RequestError(
            f"name '{name}' cannot be used in file names; letters, digits, '_', '-' and '.' are allowed, but no '.' first"
        )
    if name in TASKS:
        raise RequestError(f"name '{name}' is that of a registered task; give the problem another name")
    from bench.engine.checks import checked  # loads torch, which names alone do not need

    found = checked(problem)
    rows = {sample: row for row, sample in enumerate(found.sample_ids)}

    def own_problem(sample_ids: Sequence[str]) -> Problem:
        """The given samples of a problem of one's own."""
        return found.take([rows[sample] for sample in sample_ids])

    return Task(
        name=name,
        fn=own_problem,
        family=OWN_MODELS,
        cite="",
        version=1,
        params=(),
        injected=("sample_ids",),
        samples=lambda: list(found.sample_ids),
        profiles=tuple((profile, None) for profile in PROFILES),
    )


def samples_of(task: Task, samples: int | None, profile: str) -> int | None:
    """How many samples of a task are asked for; None stands for all. Raises RequestError for a profile that it lacks."""
    if samples is not None:
        return at_least_one(samples, "samples")
    profiles = dict(task.profiles)
    if profile not in profiles:
        raise RequestError(
            f"{unknown('profile', profile, profiles, of=f'task {task.name}')}; or give the number of samples"
        )
    return profiles[profile]


def at_least_one(number: int, what: str) -> int:
    """The number. Raises RequestError where it is below 1."""
    if number < 1:
        raise RequestError(f"{what} is {number}; a whole number of at least 1 is needed")
    return number


def budget_of(time: str | float | None) -> Budget | None:
    """A duration in seconds, or as text (`90s`, `10m`, `1.5h`), from now on. Raises RequestError for anything else."""
    if time is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", str(time).strip().lower())
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    seconds = float(time) if isinstance(time, (int, float)) else seconds
    if not 0 < seconds < math.inf:
        raise RequestError(f"budget '{time}' is not a duration above zero; write 90s, 10m or 1.5h")
    return Budget(seconds)


def data_of(folder: str | Path | None, *, offline: bool) -> Data:
    """Where data sets are read from. Raises RequestError where the folder does not exist."""
    if folder is not None and not Path(folder).is_dir():
        raise RequestError(f"data folder {folder} does not exist; give an existing one, or none to use the user cache")
    return Data(None if folder is None else Path(folder), offline)


def checked_choice(value: str, allowed: Iterable[str], what: str) -> str:
    """The value, if it is allowed; else RequestError with the nearest."""
    if value not in allowed:
        raise RequestError(unknown(what, value, allowed))
    return value
