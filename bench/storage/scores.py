"""Records on disk: one parquet file per cell, one row per sample. The only module that writes scores.

A file is written beside its place and then renamed, so that a run that is killed leaves whole files only. Rows carry all
that leaderboards need (direction, family, label), so they can be rebuilt without the plug-ins that made them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.core.entries import Entry, Metric
from bench.core.errors import BenchError
from bench.core.files import atomic
from bench.core.records import Record, ScoreKey

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("method", pa.string()),
        ("metric", pa.string()),
        ("task_id", pa.string()),
        ("method_id", pa.string()),
        ("metric_id", pa.string()),
        ("method_family", pa.string()),
        ("metric_family", pa.string()),
        ("higher_is_better", pa.bool_()),
        ("label", pa.string()),
        ("fingerprint", pa.string()),
        ("seed", pa.int64()),
        ("sample_id", pa.string()),
        ("sample_digest", pa.string()),
        ("features", pa.int64()),
        ("score", pa.float64()),
        ("status", pa.string()),
        ("note", pa.string()),
        ("seconds", pa.float64()),
        ("environment", pa.string()),
        ("written", pa.string()),
        ("curve", pa.list_(pa.float32())),
    ]
)
NAMES = (  # texts that repeat: categories in memory, a tenth of the room and of the time
    *("task", "method", "metric", "method_id", "metric_id", "method_family", "metric_family", "label", "fingerprint"),
    *("sample_id", "sample_digest", "status", "note", "written"),
)
READ = [*NAMES, "higher_is_better", "seed", "features", "score", "curve"]  # what reports are made of
SORTED = ["task", "method_id", "metric_id", "seed", "sample_id"]


@dataclass(frozen=True)
class Store:
    """The folder that a run writes to and that leaderboards are made from."""

    folder: Path

    def path(self, cell: ScoreKey, task: Entry, method: Entry) -> Path:
        return self.folder / "scores" / f"task={task.name}" / f"method={method.name}" / f"{cell.key}.parquet"

    def done(self, path: Path) -> dict[str, str]:
        """Sample id -> digest of its input, for the samples of a cell that need not be computed again.

        Failures are not among them: they are tried again.
        """
        if not path.is_file():
            return {}
        rows = _read(path, ["sample_id", "sample_digest", "status"]).to_pydict()
        return {
            sample: digest
            for sample, digest, status in zip(rows["sample_id"], rows["sample_digest"], rows["status"], strict=True)
            if status != "failed"
        }

    def write(self, record: Record, task: Entry, method: Entry, metric: Metric) -> None:
        """Adds a record to its cell's file; rows of the same samples are replaced."""
        path = self.path(record.cell, task, method)
        table = _table(record, task, method, metric)
        if path.is_file():
            old = _read(path, None)
            fresh = set(record.sample_ids)
            keep = [sample not in fresh for sample in old["sample_id"].to_pylist()]
            table = pa.concat_tables([old.filter(pa.array(keep)), table])
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            pq.write_table(table, part, compression="zstd")

    def mark_current(self, task: Entry, fingerprint: str, left_out: Mapping[str, Sequence[str]] | None = None) -> None:
        """Notes which weights and settings of a task were asked for last: those are the ones reports are about.

        `left_out`: kind (methods, metrics) -> those that are too slow for the profile.
        """
        path = self.folder / "scores" / f"task={task.name}" / "current.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            mark = {"task_id": task.id, "fingerprint": fingerprint, "left_out": dict(left_out or {})}
            part.write_text(json.dumps(mark) + "\n", encoding="utf-8")

    def tasks(self) -> list[str]:
        """The tasks that have been run, by name."""
        return [mark.parent.name.removeprefix("task=") for mark in self._marks()]

    def read(self, *tasks: str) -> pd.DataFrame:
        """Every row about the current weights of these tasks (default: all), sorted: no order of writing shows."""
        tables = [_with_categories(SCHEMA.empty_table().select(READ))]
        for mark in self._marks():
            if tasks and mark.parent.name.removeprefix("task=") not in tasks:
                continue
            current = json.loads(mark.read_text(encoding="utf-8"))
            current.pop("left_out", None)
            columns = [*READ, *set(current) - set(READ)]
            paths = sorted(mark.parent.glob("method=*/*.parquet"))
            with ThreadPoolExecutor() as pool:  # thousands of small files
                for table in pool.map(partial(_read, columns=columns, categories=NAMES), paths):
                    if all(len(table) and table[name][0].as_py() == value for name, value in current.items()):
                        tables.append(table.select(READ))
        table = pa.concat_tables(tables).unify_dictionaries()
        names = {name: table[name].combine_chunks() for name in NAMES}
        numbers = table.drop_columns(list(NAMES)).to_pandas(split_blocks=True)
        frame = numbers.assign(**{name: _category(column) for name, column in names.items()})[READ]
        order = np.lexsort([frame[name] if name == "seed" else frame[name].cat.codes for name in SORTED[::-1]])
        return frame.take(order).reset_index(drop=True)

    def left_out(self, kind: str) -> dict[str, list[str]]:
        """Task -> the methods (or metrics) that the profile of its last run left out as too slow."""
        return {
            mark.parent.name.removeprefix("task="): json.loads(mark.read_text(encoding="utf-8"))
            .get("left_out", {})
            .get(kind, [])
            for mark in self._marks()
        }

    def _marks(self) -> list[Path]:
        return sorted((self.folder / "scores").glob("task=*/current.json"))

    def write_maps(self, task: str, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Keeps arrays that pictures are made from: `inputs` of a task, or the attributions of one method."""
        path = self.folder / "maps" / f"task={task}" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    def read_maps(self, task: str) -> dict[str, dict[str, np.ndarray]]:
        """Name -> arrays, for all that `write_maps` has kept of a task."""
        found = {}
        for path in sorted((self.folder / "maps" / f"task={task}").glob("*.npz")):
            with np.load(path, allow_pickle=False) as arrays:
                found[path.stem] = dict(arrays)
        return found


def _table(record: Record, task: Entry, method: Entry, metric: Metric) -> pa.Table:
    n = len(record.sample_ids)
    constant = {
        "task": task.name,
        "method": method.name,
        "metric": metric.name,
        "task_id": task.id,
        "method_id": method.id,
        "metric_id": metric.id,
        "method_family": method.family,
        "metric_family": metric.family,
        "higher_is_better": metric.higher_is_better,
        "label": metric.label,
        "fingerprint": record.cell.fingerprint,
        "seed": record.cell.seed,
        "features": record.features,
        "seconds": record.seconds / n,
        "environment": record.environment,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    curves = [None] * n if record.curves is None else [None if np.isnan(row).any() else row for row in record.curves]
    columns = {name: [value] * n for name, value in constant.items()} | {
        "sample_id": list(record.sample_ids),
        "sample_digest": list(record.sample_digests),
        "score": record.scores,
        "status": list(record.status),
        "note": list(record.note),
        "curve": curves,
    }
    return pa.table({name: pa.array(columns[name], type=SCHEMA.field(name).type) for name in SCHEMA.names})


def _with_categories(table: pa.Table) -> pa.Table:
    """The names of a table as dictionaries, as `_read` gives them."""
    for place, name in enumerate(table.column_names):
        if name in NAMES:
            table = table.set_column(place, name, table[name].dictionary_encode())
    return table


def _category(column: pa.Array) -> pd.Categorical:
    """Texts as categories in alphabetical order."""
    names = np.array(column.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return pd.Categorical.from_codes(place[column.indices.to_numpy()], categories=pd.Index(names[order], dtype=object))


def _read(path: Path, columns: list[str] | None, categories: Sequence[str] = ()) -> pa.Table:
    try:
        return pq.ParquetFile(path, read_dictionary=list(categories)).read(columns=columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise BenchError(f"{path}: not a score file of this harness ({error}); delete it and run again") from error
