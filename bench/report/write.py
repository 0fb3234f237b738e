"""Writes what people read: leaderboards as CSV, plots, the page, the table on the terminal. Everything comes from the store."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import page, plots
from bench.analysis import score_matrix
from bench.analysis.task_tables import Tables, joined, of_task
from bench.core.files import atomic, write_csv
from bench.core.progress import Progress
from bench.registry.decorators import METHODS, METRICS
from bench.report.markup import latex, markdown
from bench.storage.scores import Store
from bench.validation.verdicts import VERDICTS_FILE, read_verdicts, verdict_by_id


def write_sweep(tables: Mapping[str, pd.DataFrame], told: Sequence[str], folder: Path) -> None:
    """`<name>.csv` for each table, and `statement.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        with atomic(folder / f"{name}.csv") as part:
            table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    with atomic(folder / "statement.txt") as part:
        part.write_text("\n".join(told) + "\n", encoding="utf-8")


Maps = dict[str, dict[str, np.ndarray]]
Samples = dict[str, list[dict[str, Any]]]
PICTURES = 10  # of a task, at most


def write(out: Path, progress: Progress, *, pictures: bool = True) -> None:
    """Rebuilds leaderboards/, leaderboard.csv, failures.csv, agreement.csv, plots/ and report.html in a results folder.

    Without `pictures` plots/ stays as it is.
    """
    found: list[Tables] = []
    samples: Samples = {}
    for task, rows, tables, maps in _tasks(out, progress):
        _write_tables(out, task, tables)
        waiting = PICTURES
        for name, figure in plots.all_of_task(task, rows, tables, maps=maps) if pictures else ():
            progress.set_description_str(f"{task} · {name}")
            plots.save(figure, out / "plots" / f"{task}_{name}")
            progress.update()
            waiting -= 1
        samples[task] = page.samples(maps, tables.wide, rows)
        found.append(tables)
        progress.update(waiting)
    if not found:
        return
    everything = joined(found)
    write_csv(everything.wide, out / "leaderboard.csv")
    write_csv(everything.failures, out / "failures.csv")
    write_csv(everything.beliefs.alphas, out / "agreement.csv")
    _write_page(out, out / page.NAME, everything, samples, progress)


def write_page(out: Path, path: Path, progress: Progress) -> None:
    """Only the page of a results folder, to that path: nothing in the folder changes, so that a run can go on in it."""
    found: list[Tables] = []
    samples: Samples = {}
    for task, rows, tables, maps in _tasks(out, progress):
        samples[task] = page.samples(maps, tables.wide, rows)
        found.append(tables)
        progress.update(PICTURES)
    if found:
        _write_page(out, path, joined(found), samples, progress)


def _tasks(out: Path, progress: Progress) -> Iterator[tuple[str, pd.DataFrame, Tables, Maps]]:
    """Each task with its rows, tables and kept maps, one at a time, so that the scores of one are in memory."""
    store, verdicts = Store(out), verdict_by_id(out)
    tasks, left_out, versions = store.tasks(), store.left_out("methods"), _versions()
    progress.total = PICTURES * len(tasks) + 1
    for task in tasks:
        progress.set_description_str(f"{task} · tables")
        rows = score_matrix.current(store.read(task))
        if len(rows):
            yield (
                task,
                rows,
                of_task(rows, verdicts=verdicts, left_out=left_out, versions=versions),
                _current_maps(store, task, rows),
            )
        gc.collect()  # figures are full of cycles


def _versions() -> dict[str, dict[str, int]]:
    """The versions of the methods and metrics that are registered now: kind -> name -> version."""
    return {
        kind: {name: entry.version for name, entry in entries.items()}
        for kind, entries in (("method", METHODS), ("metric", METRICS))
    }


def _write_page(out: Path, path: Path, tables: Tables, samples: Samples, progress: Progress) -> None:
    progress.set_description_str(page.NAME)
    page.write(out, path, tables, samples, read_verdicts(out / VERDICTS_FILE))
    progress.update()


def _write_tables(out: Path, task: str, tables: Tables) -> None:
    """leaderboards/ of one task."""
    folder = out / "leaderboards"
    write_csv(tables.wide, folder / f"{task}.csv")
    for ending, form in (("md", markdown), ("tex", latex)):
        _text(form(tables.wide, tables.long), folder / f"{task}.{ending}")
    others = {
        "long": tables.long,
        "metrics": tables.metrics,
        "wins": tables.wins,
        "trust": tables.beliefs.trust,
        "agreement": tables.beliefs.agreement,
    }
    for name, table in others.items():
        write_csv(table, folder / f"{task}_{name}.csv")


def _current_maps(store: Store, task: str, rows: pd.DataFrame) -> Maps:
    """The kept maps that belong together: of the current weights, and of the samples that the kept inputs are of."""
    maps = store.read_maps(task)
    if "inputs" not in maps:
        return {}
    about = [[str(rows.loc[rows["task"] == task, "fingerprint"].iloc[0])], maps["inputs"]["sample_ids"].tolist()]
    return {
        name: arrays
        for name, arrays in maps.items()
        if [[str(arrays["fingerprint"])], arrays["sample_ids"].tolist()] == about
    }


def _text(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
