"""Writes what people read, task by task, also while a run goes on.

    with Writer(out, workers=2) as writer:
        for task in ...:
            ...  # scores
            writer.task(task)  # with workers it returns at once
        tables = writer.close()

A task's leaderboards come first, then the tables of all tasks and the page, then the pictures. What was made before from
the same scores is not made again (`kept`).
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from bench import page, plots
from bench.analysis.task_tables import Tables, joined
from bench.core.errors import BenchError
from bench.core.progress import Progress
from bench.report import build, files, kept
from bench.report.build import Built, Facts
from bench.report.pool import Here, Pool, WorkerDied
from bench.storage.maps import MapStore
from bench.storage.scores import Store

TABLES, PICTURES = range(2)  # the order of jobs
FEW = 1000  # score files; tables and pictures of fewer are made faster than a process starts
GALLERY = "gallery"  # the picture that shows maps


class Writer:
    """Writes leaderboards, pictures and the page of a results folder.

    Args:
        out: the results folder.
        pictures: without them plots/ stays as it is.
        svg: write each picture as SVG too.
        workers: processes that make tables and pictures beside the run: one while it goes on, all of them at its end.
            They are spawned, so the program needs the guard `if __name__ == "__main__":`. With 0, and for tasks of few
            scores, all is made in this process, and `task` returns when it is written.
        made: called with what is made of a task when its leaderboard is written, from any thread.
    """

    def __init__(
        self,
        out: Path,
        *,
        pictures: bool = True,
        svg: bool = False,
        workers: int = 0,
        made: Callable[[Built], object] = lambda built: None,
    ) -> None:
        self.out, self._pictures, self._svg, self._workers, self._tell = out, pictures, svg, workers, made
        self.failures: list[str] = []  # what could not be made since a process died, one line each
        self._here, self._pool = Here(), Pool(min(1, workers))
        self._lock = threading.RLock()  # done-functions of several jobs can come at once
        self._built: dict[str, tuple[str, Built | None]] = {}  # task -> key, what was made under it
        self._pending: dict[str, str] = {}  # task -> key of the tables that are being made
        self._drawn = kept.drawn(out)
        self._closing = False
        self._progress: Progress | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.stop()

    def task(self, name: str) -> None:
        """Writes leaderboards and pictures of a task, and the tables and the page of all that are there so far."""
        self._ask(name, build.facts(self.out))
        self._here.wait()

    def close(self, progress: Progress | None = None) -> Tables | None:
        """Writes what is missing of all tasks of the folder; returns the tables, None where nothing is scored.

        Raises the first exception that any of it ended with, except the deaths of workers (`check`).
        """
        self._closing, self._progress = True, progress
        known, names = build.facts(self.out), Store(self.out).tasks()
        if progress is not None:
            progress.total = len(names)
        for name in names:
            self._ask(name, known)
        self._pool.grow(self._workers)
        self._here.wait()
        self._pool.wait()
        found = self._found()
        if not found:
            return None
        tables = joined([built.tables for built in found])
        self._write_all(found, tables)
        return tables

    def check(self) -> None:
        """Raises BenchError where a worker died, with what it was at."""
        if self.failures:
            raise BenchError("; ".join(self.failures))

    def _ask(self, name: str, known: Facts) -> None:
        """Submits what of a task is not as its scores are."""
        key = kept.key(self.out, name, known)
        with self._lock:
            if self._pending.get(name) == key or self._built.get(name, ("", None))[0] == key:
                return
            before = kept.read(self.out, name, key)
            if before is not None:
                self._take(before, key)
            else:
                self._pending[name] = key
                self._submit(
                    name, TABLES, make, self.out, name, known, key, done=lambda result: self._made(name, key, result)
                )

    def _submit(self, task: str, order: int, function: Any, *arguments: Any, done: Any) -> None:
        """Submits a job of a task: to the workers, where it is no small one."""
        if self._progress is not None:
            self._progress.total = (self._progress.total or 0) + 1

        def finished(result: Any) -> None:
            done(result)
            if self._progress is not None:
                self._progress.update()

        few = not self._workers or sum(1 for _ in kept.score_files(self.out, task)) < FEW
        (self._here if few else self._pool).submit(order, function, *arguments, done=finished)

    def _made(self, name: str, key: str, result: Any) -> None:
        """The tables of a task are there, or have to be made here since a worker died."""
        if isinstance(result, WorkerDied):
            self.failures.append(
                f"the process that made the tables of {name} died ({result}); they were made without it"
            )
            result = make(self.out, name, build.facts(self.out), key)
        if isinstance(result, Exception):
            raise result
        with self._lock:
            if self._pending.get(name) == key:  # else newer ones are being made
                del self._pending[name]
            if result is None:
                self._built[name] = (key, None)
            else:
                self._take(result, key)

    def _take(self, built: Built, key: str) -> None:
        """Submits the pictures of a task; writes the tables of all tasks, if no others are being made."""
        self._built[built.task] = (key, built)
        if not all(path.is_file() for path in files.of_task(self.out, built.task)):
            files.write_task(self.out, built.task, built.tables)
        self._tell(built)
        for name in built.pictures if self._pictures else ():
            if not self._is_drawn(f"{built.task}_{name}", key):
                work = (self.out, built.task, built.fingerprint, built.tables, name, self._svg)
                done = partial(self._have, f"{built.task}_{name}", key)
                self._submit(built.task, PICTURES, draw, *work, done=done)
        if not self._pending and not self._closing:  # else they are written last
            found = self._found()
            self._write_all(found, joined([one.tables for one in found]))

    def _is_drawn(self, file: str, key: str) -> bool:
        about = self._drawn.get(file, {})
        endings = ("png", "svg") if self._svg else ("png",)
        present = all((self.out / "plots" / f"{file}.{ending}").is_file() for ending in endings)
        return about.get("key") == key and bool(about.get("svg")) >= self._svg and present

    def _have(self, file: str, key: str, result: Any) -> None:
        """A picture is there."""
        if isinstance(result, WorkerDied):
            self.failures.append(f"{file}.png was not drawn: the process that drew it died ({result})")
        elif isinstance(result, Exception):
            raise result
        else:
            with self._lock:
                self._drawn[file] = {"key": key, "svg": self._svg}
                kept.write_drawn(self.out, dict(sorted(self._drawn.items())))

    def _found(self) -> list[Built]:
        """What is made of each task, by name."""
        return [built for _, (_, built) in sorted(self._built.items()) if built is not None]

    def _write_all(self, found: list[Built], tables: Tables) -> None:
        if self._progress is not None:
            self._progress.set_description_str(page.NAME)
        files.write_all(self.out, tables)
        files.write_page(self.out, self.out / page.NAME, tables, {built.task: built.samples for built in found})
        if self._progress is not None:
            self._progress.update()


def make(out: Path, task: str, known: Facts, key: str) -> Built | None:
    """Makes, keeps and writes the tables of a task."""
    built = build.task(out, task, known)
    if built is not None:
        files.write_task(out, task, built.tables)
        kept.write(out, built, key)
    gc.collect()
    return built


def draw(out: Path, task: str, fingerprint: str, tables: Tables, name: str, svg: bool) -> None:
    """Draws one picture of a task."""
    maps = MapStore(out).read_current(task, fingerprint) if name == GALLERY else {}
    figure = plots.of_task(task, tables, maps=maps)[name]()
    plots.save(figure, out / "plots" / f"{task}_{name}", svg=svg)
    del figure
    gc.collect()  # figures are full of cycles
