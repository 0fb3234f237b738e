"""Scores on disk: one row per task, method, metric, seed and sample, in parquet files (`storage.parts`).

This is the only module that writes scores. Rows carry all that leaderboards need (direction, family, label), so that these
can be made without the plug-ins.

`scores/task=NAME/current.json` marks what reports show: the weights and settings of the task that were asked for last
(`task_id`, `fingerprint`), without the scores that only sweeps have asked for (`sweep_only`). A run that asks for such
scores takes them off that list. `left_out` holds the methods and metrics that the last run left out as too slow. `given` holds
the ids of maps that were made elsewhere, by name: those that were given last are shown. `samples` holds id and digest of the
samples of a problem of one's own: boards show these, and none of other data under the same name. `beside` says what is taken
from a release file (`storage.beside`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.core.entries import Entry, Metric
from bench.core.errors import BenchError
from bench.core.files import atomic
from bench.core.records import Record, ScoreKey
from bench.storage import beside, parts
from bench.storage.beside import Beside

MARK = "current.json"


@dataclass(frozen=True)
class Store:
    """The scores of a results folder. `beside`: what the boards of a run's tasks take from a release file, by task."""

    folder: Path
    beside: Mapping[str, Beside] = field(default_factory=dict)

    def done(self, task: Entry, method: Entry, key: ScoreKey) -> dict[str, dict[str, str]]:
        """Metric id -> sample id -> digest of its input, for the method's scores that need not be computed again.

        Failures are not among them: they are tried again. `key`: of any metric.
        """
        columns = ["metric_id", "sample_id", "sample_digest", "status"]
        found: dict[str, dict[str, str]] = {}
        for path in parts.of_method(self._folder(task, method), key.stem):
            rows = parts.read(path, columns, columns).to_pydict()
            for metric, sample, digest, status in zip(*(rows[name] for name in columns), strict=True):
                of_metric = found.setdefault(metric, {})
                if status == "failed":
                    of_metric.pop(sample, None)
                else:
                    of_metric[sample] = digest
        return found

    def write(self, record: Record, task: Entry, method: Entry, metric: Metric) -> None:
        """Adds a record; its rows take the place of earlier ones of the same samples."""
        self.write_all([(record, metric)], task, method)

    def write_all(self, scored: Sequence[tuple[Record, Metric]], task: Entry, method: Entry) -> None:
        """Adds records of one method, all with the same weights and seed, in one go."""
        parts.append(self._folder(task, method), scored[0][0].key.stem, scored, task, method)

    def mark_run(
        self,
        task: Entry,
        fingerprint: str,
        keys: Iterable[ScoreKey],
        left_out: Mapping[str, Sequence[str]] | None = None,
        given: Mapping[str, str] | None = None,
        samples: Mapping[str, str] | None = None,
    ) -> None:
        """Notes what a run asks for, before it starts: its scores are shown in reports.

        `left_out`: kind (methods, metrics) -> those that are too slow for the profile. `given`: name -> id of maps made
        elsewhere; scores of other maps under that name are no longer shown. `samples`: id -> digest of the only samples that
        are shown; None: all that have been scored.
        """
        keys = list(keys)
        asked, methods = {key.hash for key in keys}, {key.method.split("@")[0] for key in keys}
        mark = self._mark(task)
        sweep_only = [name for name in mark.get("sweep_only", []) if name not in asked]
        maps = {name: one for name, one in mark.get("given", {}).items() if name not in methods} | dict(given or {})
        fields: dict[str, object] = {"left_out": dict(left_out or {}), "sweep_only": sweep_only, "given": maps}
        if samples is not None:
            fields["samples"] = dict(samples)
        taken = self.beside.get(task.name)
        self._write_mark(task, fingerprint, **fields, **({"beside": taken.as_mark()} if taken else {}))

    def mark_sweep(self, task: Entry, fingerprint: str, keys: Iterable[ScoreKey]) -> None:
        """Notes what a sweep asks for, before it starts: what no run has asked for is not shown in reports."""
        mark = self._mark(task)
        before = mark.get("sweep_only", [])
        tables = (parts.read(path, parts.KEY, parts.KEY_NAMES) for path in parts.of_task(self._task_folder(task)))
        stored = {key.hash for table in tables if len(table) for key in parts.keys_of(table)[0]}
        new = {key.hash for key in keys} - stored - set(before)
        kept = {name: mark[name] for name in ("left_out", "given", "samples", "beside") if name in mark}
        self._write_mark(task, fingerprint, **kept, sweep_only=[*before, *sorted(new)])

    def tasks(self) -> list[str]:
        """The tasks that have been run, by name."""
        return [_task_name(path) for path in self._mark_paths()]

    def fingerprints(self) -> dict[str, str]:
        """Task -> the fingerprint of the weights and settings that reports show."""
        return {_task_name(path): _read_mark(path)["fingerprint"] for path in self._mark_paths()}

    def stopped(self, scored: Mapping[str, int]) -> None:
        """Boards compare with a release file on the samples that a run has scored before it stopped: the first of each task."""
        for path in self._mark_paths():
            mark, number = _read_mark(path), scored.get(_task_name(path))
            if "beside" in mark and number is not None:
                mark["beside"]["samples"] = mark["beside"]["samples"][:number]
                _write_json(path, mark)

    def tidy(self) -> None:
        """Removes the release files that no board takes anything from any more."""
        marks = map(_read_mark, self._mark_paths())
        used = {self.folder / mark["beside"]["file"] for mark in marks if "beside" in mark}
        for path in (self.folder / beside.FOLDER).glob("*.parquet"):
            if path not in used:
                path.unlink()

    def task_id(self, task: str) -> str:
        """The id of a task that has been run last under this name."""
        return str(_read_mark(self.folder / "scores" / f"task={task}" / MARK)["task_id"])

    def sample_order(self, task: str) -> list[str]:
        """The samples of a task in the order in which they were scored, which is that of the task."""
        paths = parts.of_task(self.folder / "scores" / f"task={task}")
        tables = (parts.read(path, ["sample_id"], ["sample_id"]) for path in paths)
        return list(dict.fromkeys(name for table in tables for name in parts.in_order(table, "sample_id")))

    def read(self, *tasks: str, own: bool = False) -> pd.DataFrame:
        """Every row that runs asked for about the current weights of these tasks (default: all).

        Sorted, so that the order of writing does not matter. Where the last run of a task took rows from a release file
        they are among them, and a column says which; `own`: without these, and with all that was computed in this folder.
        """
        tables, marks = [], {}
        for path in self._mark_paths():
            name = _task_name(path)
            if not tasks or name in tasks:
                mark = _read_mark(path)
                about = {name: mark[name] for name in ("task_id", "fingerprint")}
                read = parts.read_all(parts.of_task(path.parent), about, mark.get("samples"))
                read = _of_given(read, mark.get("given", {}))
                read = _shown(read, set(mark.get("sweep_only", [])))
                if "beside" in mark and not own:
                    marks[name] = mark["beside"]
                    read = beside.joined(read, name, marks[name], self.folder)
                tables += read
        return beside.with_origin(parts.frame(tables), marks)

    def read_asked(
        self, task: Entry, methods: Sequence[Entry], metrics: Sequence[Metric], *, seed: int, fingerprint: str
    ) -> pd.DataFrame:
        """Every row of these methods and metrics, whoever asked for it; sorted as `read` does."""
        asked = {metric.id for metric in metrics}
        tables = []
        for method in methods:
            stem = ScoreKey(task.id, method.id, "", seed, fingerprint).stem
            for table in parts.read_all(parts.of_method(self._folder(task, method), stem), {"task_id": task.id}):
                tables.append(_only(table, lambda key: key.metric in asked))
        return parts.frame(tables)

    def left_out(self, kind: str) -> dict[str, list[str]]:
        """Task -> the methods (or metrics) that the profile of its last run left out as too slow."""
        return {_task_name(path): _read_mark(path).get("left_out", {}).get(kind, []) for path in self._mark_paths()}

    def _task_folder(self, task: Entry) -> Path:
        return self.folder / "scores" / f"task={task.name}"

    def _folder(self, task: Entry, method: Entry) -> Path:
        return self._task_folder(task) / f"method={method.name}"

    def _mark_paths(self) -> list[Path]:
        return sorted((self.folder / "scores").glob(f"task=*/{MARK}"))

    def _mark(self, task: Entry) -> dict[str, Any]:
        path = self._task_folder(task) / MARK
        return _read_mark(path) if path.is_file() else {}

    def _write_mark(self, task: Entry, fingerprint: str, **fields: object) -> None:
        path = self._task_folder(task) / MARK
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_json(path, {"task_id": task.id, "fingerprint": fingerprint} | fields)


def _task_name(mark: Path) -> str:
    return mark.parent.name.removeprefix("task=")


def _write_json(path: Path, mark: Mapping[str, object]) -> None:
    with atomic(path) as part:
        part.write_text(json.dumps(mark) + "\n", encoding="utf-8")


def _read_mark(path: Path) -> dict[str, Any]:
    try:
        mark: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return mark
    except ValueError as error:
        raise BenchError(f"{path}: not JSON ({error}); move it away and run again") from error


def _of_given(tables: Sequence[pa.Table], given: Mapping[str, str]) -> list[pa.Table]:
    """The tables without those of other maps than the ones that were given last under a name."""
    ids = [(table["method"][0].as_py(), table["method_id"][0].as_py()) for table in tables]
    return [table for table, (name, one) in zip(tables, ids, strict=True) if given.get(name, one) == one]


def _shown(tables: Sequence[pa.Table], hidden: set[str]) -> list[pa.Table]:
    return [_only(table, lambda key: key.hash not in hidden) for table in tables] if hidden else list(tables)


def _only(table: pa.Table, wanted: Callable[[ScoreKey], bool]) -> pa.Table:
    """The rows of a file whose key is wanted."""
    keys, of_row = parts.keys_of(table)
    takes = np.array([wanted(key) for key in keys])
    return table if takes.all() else table.filter(pa.array(takes[of_row]))
