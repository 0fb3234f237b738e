"""What the boards of a results folder take from a release file: scores of other methods, beside those computed in the folder.

The file is kept as `beside/DIGEST.parquet`; its scores are never written among the folder's own. What a task's board takes
stands in its `current.json`: a run notes it, and the next run of the task notes it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.core.errors import BenchError
from bench.core.files import atomic
from bench.core.hashing import digest
from bench.core.vocabulary import COST, Column
from bench.storage import release
from bench.storage.release import Release

FOLDER = "beside"


@dataclass(frozen=True)
class Beside:
    """What the board of a task takes from a file, and what of the folder's own scores it shows."""

    file: str  # inside the results folder
    origin: str  # what boards call it
    seed: int
    methods: Sequence[str]  # names of those whose scores are the file's
    metrics: Sequence[str]  # ids
    samples: Sequence[str]  # ids

    def as_mark(self) -> dict[str, Any]:
        return asdict(self)


def keep(content: Release, folder: Path) -> str:
    """Keeps a release file in a results folder; returns its path there."""
    name = f"{FOLDER}/{digest(content.content)[:16]}.parquet"
    path = folder / name
    if not path.is_file() or path.read_bytes() != content.content:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            part.write_bytes(content.content)
    return name


def joined(own: Sequence[pa.Table], task: str, mark: Mapping[str, Any], folder: Path) -> list[pa.Table]:
    """The folder's own scores of a task that can stand beside those of the file, and these."""
    taken, path = Beside(**mark), folder / mark["file"]
    if not path.is_file():
        raise BenchError(f"{path} is missing; run again with --beside, which puts it there, or without")
    rows = release.read(path.read_bytes(), str(path)).rows(
        task, methods=taken.methods, metrics=taken.metrics, samples=taken.samples
    )
    return [*(_comparable(table, taken) for table in own), rows]


def _comparable(table: pa.Table, taken: Beside) -> pa.Table:
    """The rows of a score file that are of the same seed, samples and metrics, and of other methods; costs too."""
    if table["method"][0].as_py() in set(taken.methods) or table["seed"][0].as_py() != taken.seed:
        return table.slice(0, 0)
    family = table["metric_family"].combine_chunks()
    costs = np.array([name == COST for name in family.dictionary.to_pylist()])[family.indices.to_numpy()]
    ids = table["metric_id"].combine_chunks().dictionary.to_pylist()
    of_costs = {ids[code] for code in np.unique(table["metric_id"].combine_chunks().indices.to_numpy()[costs])}
    return release.chosen(table, metric_id={*taken.metrics, *of_costs}, sample_id=taken.samples)


def with_origin(rows: pd.DataFrame, marks: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The rows with a column that names the file that they are from, empty for the folder's own. `marks`: by task."""
    if not marks:
        return rows
    tasks, methods = rows["task"].cat.categories, rows["method"].cat.categories
    texts = [[_origin_of(marks.get(task), method) for method in methods] for task in tasks]
    table = np.array(texts, dtype=object).reshape(len(tasks), len(methods))
    return rows.assign(**{Column.ORIGIN: pd.Categorical(table[rows["task"].cat.codes, rows["method"].cat.codes])})


def _origin_of(mark: Mapping[str, Any] | None, method: str) -> str:
    return "" if mark is None or method not in mark["methods"] else str(mark["origin"])
