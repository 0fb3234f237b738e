"""What changed between two results folders, and whether metrics can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from bench.analysis import comparison, score_matrix
from bench.api.progress import bar
from bench.api.request import Names, Paths, load_plugins, metrics_of, named
from bench.api.results import Results
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.report.markup import comparison_markdown
from bench.storage.scores import Store
from bench.validation import verdicts


@dataclass(frozen=True, eq=False)
class Comparison:
    """What changed between two results folders."""

    before: str
    after: str
    table: pd.DataFrame  # one row per task, method and metric
    notes: tuple[str, ...]  # what could not be compared, and what else differs

    @property
    def regressed(self) -> bool:
        """Did a method become significantly worse by any metric but costs, lose scores, or disappear?"""
        return comparison.regressed(self.table)

    def markdown(self, *, everything: bool = False) -> str:
        """What changed, as Markdown; with `everything` also what stayed the same, and costs."""
        return comparison_markdown(self.table, before=self.before, after=self.after, everything=everything)


def compare(
    before: str | Path | Results,
    after: str | Path | Results,
    *,
    task: Names = None,
    methods: Names = None,
    metrics: Names = None,
    progress: bool | None = None,
) -> Comparison:
    """Compares the scores of two results folders on the samples that both hold, with intervals and paired tests.

    Args:
        before: a results folder, or what `evaluate` returned.
        after: another.
        task: names of tasks, with wildcards; by default all.
        methods: names of methods, likewise.
        metrics: names of metrics, likewise.
        progress: False shows no progress bar.

    Raises:
        RequestError: a folder holds no scores, or the two have nothing in common.
    """
    folders = [one.folder if isinstance(one, Results) else Results(Path(one)).folder for one in (before, after)]
    stores = [Store(folder) for folder in folders]
    tasks = _tasks_to_compare(stores, named(task))
    parts, notes = [], []
    with bar(progress, unit="task", total=len(tasks)) as shown:
        for name in tasks:
            shown.set_description_str(name)
            old = score_matrix.current(stores[0].read(name))
            new = score_matrix.current(stores[1].read(name)) if name in stores[1].tasks() else old.iloc[:0]
            notes += _notes(name, old, new)
            parts.append(comparison.of_task(old, new, methods=named(methods), metrics=named(metrics)))
            shown.update()
    table = comparison.judged(parts)
    if table.empty:
        raise RequestError(
            f"{folders[0]} and {folders[1]} hold no scores of the same inputs by methods {', '.join(named(methods))} "
            f"and metrics {', '.join(named(metrics))}; score the same samples in both, or choose other names"
        )
    return Comparison(str(folders[0]), str(folders[1]), table, tuple(notes))


def _tasks_to_compare(stores: Sequence[Store], patterns: Sequence[str]) -> list[str]:
    """The tasks of the first folder with these names. Raises RequestError unless the second folder holds one of them."""
    before, after = (store.tasks() for store in stores)
    both = sorted(set(before) & set(after))
    if not both:
        held = (f"{store.folder} holds {', '.join(store.tasks()) or 'none'}" for store in stores)
        raise RequestError(f"the folders have no task in common, so nothing can be compared: {'; '.join(held)}")
    tasks = [name for name in before if any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)]
    if not set(tasks) & set(both):
        where = " and ".join(str(store.folder) for store in stores)
        raise RequestError(unknown("task", ", ".join(patterns), both, of=f"both {where}"))
    return tasks


def _notes(task: str, before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    changed = comparison.others(before, after)
    notes = [f"{task}: not compared, the version differs: {', '.join(changed)}"] if changed else []
    if len(after) and set(before["fingerprint"]) != set(after["fingerprint"]):
        notes.append(f"{task}: the model's weights or the task's settings differ")
    return notes


def check(
    metrics: Names = None,
    *,
    out: str | Path | None = None,
    use_cached: bool = False,
    plugins: Paths = (),
    progress: bool | None = None,
) -> pd.DataFrame:
    """Checks metrics on problems whose exact attribution is known: one row per metric, with verdict and reasons.

    Args:
        metrics: names and wildcards; by default all.
        out: results folder; the verdicts are written to its conformance.csv, and runs with this folder use them.
        use_cached: take verdicts that are known and still valid, check the other metrics.
        plugins: files or folders with metrics of one's own.
        progress: False shows no progress bar.
    """
    files: Sequence[Path] = load_plugins(plugins)
    chosen = metrics_of(metrics)
    with TemporaryDirectory(prefix="bench-") as folder, bar(progress, unit="metric") as shown:
        where = Path(folder) if out is None else Path(out)
        return verdicts.up_to_date(chosen, where, shown, plugins=files, fresh=not use_cached)
