"""Checks plug-ins: the laws of methods, the conformance of metrics, what the harness needs of tasks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd

from bench.api.progress import bar
from bench.api.request import Names, Paths, data_of, load_plugins, methods_of, named
from bench.core.entries import Entry, Metric, Task
from bench.core.errors import RequestError
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.registry.selection import select
from bench.task_tools.data import Data
from bench.validation import laws, metric_checks, task_checks
from bench.validation.method_checks import Finding, check_method

ASKS = {  # kind -> law -> what it asks
    "method": {law.name: law.asks for law in laws.LAWS},
    "metric": metric_checks.STEPS,
    "task": task_checks.STEPS,
}
COLUMNS = ["kind", "name", "law", "asks", "verdict", "note"]
Check = tuple[str, Callable[[], Iterator[Finding]]]  # the name of what is checked, and its findings as they come


def check_methods(methods: Names = None, *, plugins: Paths = (), progress: bool | None = None) -> pd.DataFrame:
    """Checks the laws that every method keeps, on small problems: one row per method and law.

    Args:
        methods: names and wildcards, with settings or without; by default all.
        plugins: files or folders with methods of one's own.
        progress: False shows no progress bar.

    Returns:
        A table with the columns kind, name, law, asks (what the law asks), verdict (pass, fail or skipped), and note: what is
        wrong and the way out, or why the law was skipped.
    """
    load_plugins(plugins)
    return _table([(one.name, partial(check_method, one)) for one in methods_of(methods)], progress)


def check_plugins(
    files: Paths,
    *,
    names: Names = None,
    plugins: Paths = (),
    data: str | Path | None = None,
    offline: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Checks all methods, metrics and tasks that files register: one row for each of them and each law, as `check_methods`.

    Methods are asked the laws on small problems, metrics are run on problems with known attributions, tasks are loaded.

    Args:
        files: plug-in files, or folders of them.
        names: of those in the files, with wildcards; by default all.
        plugins: other files or folders that these need.
        data: folder that holds data sets, for tasks that need it.
        offline: never download.
        progress: False shows no progress bar.

    Raises:
        RequestError: a file cannot be loaded, or registers nothing.
    """
    load_plugins(plugins)
    paths = {path.resolve() for path in load_plugins(files)}
    found = [entry for registry in (TASKS, METHODS, METRICS) for entry in _inside(registry, paths)]
    if not found:
        shown = ", ".join(path.name for path in sorted(paths))
        raise RequestError(
            f"{shown} registers nothing; put @bench.method(...), @bench.metric(...) or @bench.task(...) before a function"
        )
    chosen = select({entry.name: entry for entry in found}, named(names), "plug-in") if names else found
    return _table([_check_of(entry, data_of(data, offline=offline)) for entry in chosen], progress)


def _check_of(entry: Entry, data: Data) -> Check:
    if isinstance(entry, Task):
        return entry.name, partial(task_checks.check_task, entry, data)
    if isinstance(entry, Metric):
        return entry.name, partial(metric_checks.check_metric, entry)
    return entry.name, partial(check_method, entry)


def _inside(registry: Mapping[str, Entry], paths: set[Path]) -> list[Entry]:
    """What these files, or files of these folders, register."""
    files = [(entry, Path(inspect.getfile(entry.fn)).resolve()) for entry in registry.values()]
    return [entry for entry, file in files if paths & {file, file.parent}]


def _table(checks: Sequence[Check], progress: bool | None) -> pd.DataFrame:
    rows = []
    with bar(progress, unit="plug-in", total=len(checks)) as shown:
        for name, findings in checks:
            for finding in findings():
                shown.set_description_str(f"{name}: {finding.law}")
                rows.append(asdict(finding) | {"asks": ASKS[finding.kind][finding.law]})
            shown.update()
    return pd.DataFrame(rows, columns=COLUMNS)
