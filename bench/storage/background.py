"""Writes scores in a thread of its own, while the next are computed."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from bench.core.entries import Entry, Metric
from bench.core.records import Record
from bench.storage.scores import Store

HELD = 5.0  # seconds: records of a method are written together, but none waits longer for the next
WAITING = 2  # writings that may wait for their turn


class BackgroundWriter:
    """A store whose records are written in the background, a method's together. At the end of the block all are written.

    An error is raised by one of the calls that follow it, or at the end of the block.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._pool = store, ThreadPoolExecutor(1, "bench-writer")
        self._waiting: list[Future[None]] = []
        self._held: list[tuple[Record, Metric]] = []
        self._of: tuple[Entry, Entry] | None = None  # task and method of what is held
        self._since = 0.0

    def __enter__(self) -> BackgroundWriter:
        return self

    def write(self, record: Record, task: Entry, method: Entry, metric: Metric) -> None:
        """Adds a record, soon."""
        if self._held and self._held[0][0].key.stem != record.key.stem:
            self._flush()
        if not self._held:
            self._of, self._since = (task, method), time.monotonic()
        self._held.append((record, metric))
        if time.monotonic() - self._since >= HELD:
            self._flush()

    def _flush(self) -> None:
        """Hands over what is held, when there is room."""
        if not self._held or self._of is None:
            return
        while len(self._waiting) >= WAITING or (self._waiting and self._waiting[0].done()):
            self._waiting.pop(0).result()
        self._waiting.append(self._pool.submit(self._store.write_all, self._held, *self._of))
        self._held = []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._flush()
        finally:
            self._pool.shutdown(wait=True)
        if error is None:
            for written in self._waiting:
                written.result()
