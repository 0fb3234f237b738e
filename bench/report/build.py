"""From a results folder to its tables, one task at a time. Everything a report shows is made from the store, here."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bench.analysis import score_matrix
from bench.analysis.task_tables import Tables, joined, of_task
from bench.core.progress import Progress
from bench.registry.decorators import METHODS, METRICS
from bench.storage.maps import Arrays, MapStore
from bench.storage.scores import Store
from bench.validation.verdicts import verdict_by_id

STEPS = 10  # of progress for each task: its pictures, at most
Maps = dict[str, Arrays]


class Built(NamedTuple):
    """One task of a results folder."""

    task: str
    rows: pd.DataFrame  # one per method, metric, seed and sample
    tables: Tables
    maps: Maps  # name of a file -> its arrays; empty where no maps are kept


def tasks(out: Path, progress: Progress) -> Iterator[Built]:
    """Each task that has scores. One at a time, so that the scores of one are in memory."""
    store, verdicts, versions = Store(out), verdict_by_id(out), registered_versions()
    names, left_out = store.tasks(), store.left_out("methods")
    progress.total = STEPS * len(names) + 1
    for task in names:
        progress.set_description_str(f"{task} · tables")
        rows = score_matrix.current(store.read(task))
        if len(rows):
            tables = of_task(rows, verdicts=verdicts, left_out=left_out, versions=versions)
            maps = MapStore(out).read_current(task, str(rows["fingerprint"].iloc[0]))
            yield Built(task, rows, tables, maps)
        gc.collect()  # figures are full of cycles


def tables(out: Path, progress: Progress) -> Tables | None:
    """The tables of all tasks of a results folder; None where nothing has been scored."""
    found = [built.tables for built in tasks(out, progress)]
    return joined(found) if found else None


def registered_versions() -> dict[str, dict[str, int]]:
    """The versions of the methods and metrics that are registered now: kind -> name -> version."""
    return {
        kind: {name: entry.version for name, entry in entries.items()}
        for kind, entries in (("method", METHODS), ("metric", METRICS))
    }
