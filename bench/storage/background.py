"""Writes scores in a thread of its own, while the next are computed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from bench.core.entries import Entry, Metric
from bench.core.records import Record
from bench.storage.scores import Store

WAITING = 32  # records that may wait to be written


class BackgroundWriter:
    """A store whose records are written one after the other in the background. At the end of the block all are written.

    An error is raised by the call that follows it, or at the end of the block.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._pool = store, ThreadPoolExecutor(1, "bench-writer")
        self._waiting: list[Future[None]] = []

    def __enter__(self) -> BackgroundWriter:
        return self

    def write(self, record: Record, task: Entry, method: Entry, metric: Metric) -> None:
        """Adds a record to its file, soon."""
        while len(self._waiting) >= WAITING or (self._waiting and self._waiting[0].done()):
            self._waiting.pop(0).result()
        self._waiting.append(self._pool.submit(self._store.write, record, task, method, metric))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pool.shutdown(wait=True)
        if error is None:
            for written in self._waiting:
                written.result()
