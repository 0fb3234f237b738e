"""Scores on disk: one parquet file per task, method, metric and seed, one row per sample.

This is the only module that writes scores. A file is written under another name and then renamed, so that a run that is
killed leaves whole files only. Rows carry all that leaderboards need (direction, family, label), so that these can be made
without the plug-ins.

`scores/task=NAME/current.json` marks what reports show: the weights and settings of the task that were asked for last
(`task_id`, `fingerprint`), without the score files that only sweeps have asked for (`sweep_only`). A run that asks for such
scores takes them off that list. `left_out` holds the methods and metrics that the last run left out as too slow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

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
BATCH, THREADS = 64, 2  # files that a thread reads at a time: thousands of small ones, each a millisecond of decoding
SORTED = ["task", "method_id", "metric_id", "seed", "sample_id"]


@dataclass(frozen=True)
class Store:
    """The scores of a results folder."""

    folder: Path

    def path(self, key: ScoreKey, task: Entry, method: Entry) -> Path:
        return self._task_folder(task) / f"method={method.name}" / f"{key.hash}.parquet"

    def done(self, path: Path) -> dict[str, str]:
        """Sample id -> digest of its input, for the samples of a file that need not be computed again.

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
        """Adds a record to its file; rows of the same samples are replaced."""
        path = self.path(record.key, task, method)
        table = _table(record, task, method, metric)
        if path.is_file():
            old = _read(path, None)
            fresh = set(record.sample_ids)
            keep = [sample not in fresh for sample in old["sample_id"].to_pylist()]
            table = pa.concat_tables([old.filter(pa.array(keep)), table])
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            pq.write_table(table, part, compression="zstd")

    def mark_run(
        self,
        task: Entry,
        fingerprint: str,
        keys: Iterable[ScoreKey],
        left_out: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Notes what a run asks for, before it starts: its scores are shown in reports.

        `left_out`: kind (methods, metrics) -> those that are too slow for the profile.
        """
        asked = {key.hash for key in keys}
        sweep_only = [name for name in self._mark(task).get("sweep_only", []) if name not in asked]
        self._write_mark(task, fingerprint, left_out=dict(left_out or {}), sweep_only=sweep_only)

    def mark_sweep(self, task: Entry, fingerprint: str, keys: Iterable[ScoreKey]) -> None:
        """Notes what a sweep asks for, before it starts: what no run has asked for is not shown in reports."""
        mark = self._mark(task)
        before = mark.get("sweep_only", [])
        stored = {path.stem for path in self._task_folder(task).glob("method=*/*.parquet")}
        new = {key.hash for key in keys} - stored - set(before)
        self._write_mark(task, fingerprint, left_out=mark.get("left_out", {}), sweep_only=[*before, *sorted(new)])

    def tasks(self) -> list[str]:
        """The tasks that have been run, by name."""
        return [_task_name(path) for path in self._mark_paths()]

    def read(self, *tasks: str) -> pd.DataFrame:
        """Every row that runs asked for about the current weights of these tasks (default: all).

        Sorted, so that the order of writing does not matter.
        """
        tables = []
        for path in self._mark_paths():
            if not tasks or _task_name(path) in tasks:
                mark = _read_mark(path)
                hidden = set(mark.get("sweep_only", []))
                files = [file for file in sorted(path.parent.glob("method=*/*.parquet")) if file.stem not in hidden]
                tables += _current(files, {name: mark[name] for name in ("task_id", "fingerprint")})
        return _frame(tables)

    def read_asked(
        self, task: Entry, methods: Sequence[Entry], metrics: Sequence[Metric], *, seed: int, fingerprint: str
    ) -> pd.DataFrame:
        """Every row of these methods and metrics, whoever asked for it; sorted as `read` does."""
        paths = [
            self.path(ScoreKey(task.id, method.id, metric.id, seed, fingerprint), task, method)
            for method in methods
            for metric in metrics
        ]
        return _frame(_current([path for path in paths if path.is_file()], {}))

    def left_out(self, kind: str) -> dict[str, list[str]]:
        """Task -> the methods (or metrics) that the profile of its last run left out as too slow."""
        return {_task_name(path): _read_mark(path).get("left_out", {}).get(kind, []) for path in self._mark_paths()}

    def _task_folder(self, task: Entry) -> Path:
        return self.folder / "scores" / f"task={task.name}"

    def _mark_paths(self) -> list[Path]:
        return sorted((self.folder / "scores").glob("task=*/current.json"))

    def _mark(self, task: Entry) -> dict[str, Any]:
        path = self._task_folder(task) / "current.json"
        return _read_mark(path) if path.is_file() else {}

    def _write_mark(self, task: Entry, fingerprint: str, **fields: object) -> None:
        path = self._task_folder(task) / "current.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            mark = {"task_id": task.id, "fingerprint": fingerprint} | fields
            part.write_text(json.dumps(mark) + "\n", encoding="utf-8")


def _task_name(mark: Path) -> str:
    return mark.parent.name.removeprefix("task=")


def _read_mark(path: Path) -> dict[str, Any]:
    try:
        mark: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return mark
    except ValueError as error:
        raise BenchError(f"{path}: not JSON ({error}); move it away and run again") from error


def _current(paths: Sequence[Path], mark: Mapping[str, str]) -> list[pa.Table]:
    """The tables of score files whose columns have the values of the mark."""
    columns = [*READ, *set(mark) - set(READ)]
    parts = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(THREADS) as pool:
        tables = [table for part in pool.map(partial(_read_all, columns=columns), parts) for table in part]
    return [
        table.select(READ)
        for table in tables
        if all(len(table) and table[name][0].as_py() == value for name, value in mark.items())
    ]


def _read_all(paths: Sequence[Path], columns: list[str]) -> list[pa.Table]:
    return [_read(path, columns, NAMES) for path in paths]


def _frame(tables: Sequence[pa.Table]) -> pd.DataFrame:
    """The rows of score files as one sorted table, its names as categories."""
    table = pa.concat_tables([_with_categories(SCHEMA.empty_table().select(READ)), *tables]).unify_dictionaries()
    names = {name: table[name].combine_chunks() for name in NAMES}
    numbers = table.drop_columns(list(NAMES)).to_pandas(split_blocks=True)
    frame = numbers.assign(**{name: _category(column) for name, column in names.items()})[READ]
    order = np.lexsort([frame[name] if name == "seed" else frame[name].cat.codes for name in SORTED[::-1]])
    return frame.take(order).reset_index(drop=True)


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
        "fingerprint": record.key.fingerprint,
        "seed": record.key.seed,
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
    for index, name in enumerate(table.column_names):
        if name in NAMES:
            table = table.set_column(index, name, table[name].dictionary_encode())
    return table


def _category(column: pa.Array) -> pd.Categorical:
    """Texts as categories in alphabetical order."""
    names = np.array(column.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names, kind="stable")
    code = np.empty(len(order), dtype=np.int64)
    code[order] = np.arange(len(order))
    return pd.Categorical.from_codes(code[column.indices.to_numpy()], categories=pd.Index(names[order], dtype=object))


def _read(path: Path, columns: list[str] | None, categories: Sequence[str] = ()) -> pa.Table:
    try:
        return pq.ParquetFile(path, read_dictionary=list(categories)).read(columns=columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise BenchError(f"{path}: not a score file of this harness ({error}); move it away and run again") from error
