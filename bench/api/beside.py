"""Ranks methods among those of a release file: which file, what of it can be compared, and what a run computes beside it.

Scores are comparable where the task, its weights and settings, the inputs, the metrics with their settings, the seed and the
precision are the same. What differs is refused, with a way out: nothing unequal is ranked together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import __version__
from bench.api.packing import parts_of
from bench.api.request import at_least_one, named_by_precision, one_task
from bench.core.entries import Entry, Metric, Task
from bench.core.errors import RequestError
from bench.core.files import home
from bench.core.nearest import unknown
from bench.core.vocabulary import COST, PRECISIONS
from bench.engine.plan import Plan, load, sample_digests
from bench.registry.decorators import METRICS, TASKS, call
from bench.storage import release
from bench.storage.beside import Beside, keep
from bench.storage.release import FAST, Release, TaskFacts
from bench.task_tools.data import Data, cache

REFERENCE = "reference"  # the word for the release file of this version
FILE = f"{REFERENCE}-{__version__}.parquet"


@dataclass(frozen=True)
class Side:
    """A release file that methods are ranked beside."""

    file: Release

    @property
    def origin(self) -> str:
        """What boards call it."""
        stem = Path(self.file.name).stem.removesuffix(f"-{self.file.version}")
        return f"{stem} of bench {self.file.version}"

    def task_names(self, precision: str) -> list[str]:
        """The tasks of the file that are registered, as they are asked for."""
        found = [name for name in map(_without_precision, self.file.tasks) if name.split("[")[0] in TASKS]
        same = [name for name in found if named_by_precision(one_task(name), precision).name in self.file.tasks]
        if not same:
            held = ", ".join(self.file.tasks)
            raise RequestError(
                f"{self.file.name} holds no registered task in {precision} (it holds {held}); give their file with plugins, "
                "or another precision"
            )
        return same

    def metric_names(self, tasks: Sequence[Task]) -> list[str]:
        """The metrics of the file on these tasks, and costs, which are measured anew."""
        facts = [self._facts(task) for task in tasks]
        names = [name for name in facts[0].metrics if all(name in one.metrics for one in facts)]
        if not names:
            raise RequestError(f"the tasks of {self.file.name} have no metric in common; name one task")
        foreign = [name for name in names if name.split("[")[0] not in METRICS]
        if foreign:
            raise RequestError(
                f"{self.file.name} was scored with metric {foreign[0]}, which is not registered; give its file with plugins, "
                "or name other metrics"
            )
        return [*names, *(name for name, metric in METRICS.items() if metric.family == COST and metric.cost != "slow")]

    def lacking(self, methods: Sequence[Entry], tasks: Sequence[Task]) -> list[Entry]:
        """The methods that the file has no scores of on some task."""
        facts = [self._facts(task) for task in tasks]
        return [one for one in methods if not all(one.id == known.methods.get(one.name) for known in facts)]

    def check_methods(self, methods: Sequence[Entry], profile: str) -> None:
        """Raises RequestError where there is nothing to compute."""
        if not methods:
            raise RequestError(
                f"{self.file.name} holds all methods of profile {profile}; name some, or give the file of your own with "
                "plugins"
            )

    def amounts(self, tasks: Sequence[Task], samples: int | None) -> dict[str, int | None]:
        """Id of a task -> how many samples are compared: those of the file, or as many as are asked for."""
        amounts: dict[str, int | None] = {}
        for task in tasks:
            held = self._facts(task).samples
            if samples is not None and at_least_one(samples, "samples") > held:
                have = f"{held} sample{'s' * (held > 1)} of {task.name}"
                raise RequestError(
                    f"{self.file.name} holds {have}, and {samples} are asked for; ask for at most {held}"
                )
            amounts[task.id] = samples or held
        return amounts

    def marks(self, plan: Plan, folder: Path) -> dict[str, Beside]:
        """What the boards of a plan's tasks take from the file. Raises RequestError where scores are not comparable."""
        if plan.seed != self.file.seed:
            raise RequestError(
                f"{self.file.name} holds scores of seed {self.file.seed}, and seed {plan.seed} is asked for; ask for seed "
                f"{self.file.seed}"
            )
        computed = {method.name for method in plan.methods}
        marks = {}
        for task in plan.tasks:
            self._check_metrics(task, plan.metrics)
            facts, samples = self._facts(task), self._same_samples(task, plan)
            if samples is not None:
                marks[task.name] = Beside(
                    file="",
                    origin=self.origin,
                    seed=plan.seed,
                    methods=[name for name in facts.methods if name not in computed],
                    metrics=[metric.id for metric in plan.metrics if metric.family != COST],
                    samples=samples,
                )
        kept = keep(self.file, folder)
        return {task: replace(mark, file=kept) for task, mark in marks.items()}

    def _facts(self, task: Task) -> TaskFacts:
        if task.name not in self.file.tasks:
            raise RequestError(unknown("task", task.name, self.file.tasks, of=self.file.name))
        return self.file.tasks[task.name]

    def _check_metrics(self, task: Task, metrics: Sequence[Metric]) -> None:
        known = self._facts(task).metrics
        for metric in metrics:
            if metric.family == COST or known.get(metric.name) == metric.id:
                continue
            if metric.name not in known:
                raise RequestError(unknown("metric", metric.name, known, of=f"{self.file.name} on {task.name}"))
            raise RequestError(
                f"{self.file.name} was scored with {known[metric.name]} on {task.name}, and {metric.id} is in use; name other "
                f"metrics, or take a file of bench {__version__}"
            )

    def _same_samples(self, task: Task, plan: Plan) -> list[str] | None:
        """The samples that are compared; None where the task cannot be loaded: the run will tell why."""
        facts, ids = self._facts(task), []
        if facts.task_id != task.id:
            raise RequestError(self._other(f"task {task.name} is {task.id}, and {facts.task_id} there", task))
        try:
            known = call(task.samples, {"data": plan.data})
            ids = list(known[: plan.samples(task)])
            problem = load(task, ids, plan)
        except RequestError:
            raise
        except Exception:  # a task is a plug-in
            return None
        if problem.fingerprint != facts.fingerprint:
            raise RequestError(
                self._other(
                    f"the weights of {task.name}, or its baseline, layers, top_k, bounds or background, differ", task
                )
            )
        held = self.file.samples(task.name)
        if set(held) != set(known[: facts.samples]):
            raise RequestError(
                self._other(f"its samples of {task.name} are not the first {facts.samples} of the task", task)
            )
        changed = [name for name, one in zip(ids, sample_digests(problem), strict=True) if held[name] != one]
        if changed:
            raise RequestError(
                self._other(
                    f"{len(changed)} of {len(ids)} inputs of {task.name} differ, for example that of '{changed[0]}'",
                    task,
                )
            )
        return ids

    def _other(self, what: str, task: Task) -> str:
        """The sentence that refuses a task."""
        return f"{self.file.name}: {what}, so its scores cannot stand beside others; name other tasks, or score all methods"


def opened(beside: str | Path, *, data: Data, out: str | Path | None) -> Side:
    """The release file that is meant: a path, a results folder, or the word for that of this version."""
    if beside == REFERENCE:  # ./reference is a path
        return Side(release.read(_reference(data).read_bytes(), FILE))
    path = Path(beside)
    if path.is_dir():
        if out is not None and Path(out).exists() and path.samefile(out):
            raise RequestError(f"{path} is the results folder itself; another folder, or a release file, is needed")
        parts, seed = parts_of(path)
        return Side(release.read(release.encoded(parts, seed, level=FAST), str(path)))
    if not path.is_file():
        raise RequestError(f"{path}: no such file; a release file, a results folder, or the word {REFERENCE} is needed")
    return Side(release.read(path.read_bytes(), str(path)))


def _reference(data: Data) -> Path:
    """The release file of this version, on this machine."""
    places = [*([data.folder] if data.folder is not None else []), cache(), home("results") / REFERENCE]
    found = next((place / FILE for place in places if (place / FILE).is_file()), None)
    if found is None:
        raise RequestError(
            f"{FILE} is not on this machine; download it from the page of release {__version__} into {cache()}, or write it: "
            f"`python -m bench run --all`, then `python -m bench pack --to {FILE}`"
        )
    return found


def _without_precision(name: str) -> str:
    """A task's name without the setting that says the precision of its model."""
    base, _, settings = name.rstrip("]").partition("[")
    kept = [one for one in settings.split(",") if one and one not in {f"precision={word}" for word in PRECISIONS}]
    return f"{base}[{','.join(kept)}]" if kept else base
