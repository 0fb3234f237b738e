"""Writes scores in a thread of its own, while the next are computed."""

from __future__ import annotations

import time
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import NamedTuple

from bench.core.entries import Entry, Metric
from bench.core.records import Record
from bench.storage.scores import Store

HELD = 5.0  # seconds: a method's records are written together, but none waits longer for the next
WAITING = 128  # records that may wait to be written


class _Scored(NamedTuple):
    record: Record
    task: Entry
    method: Entry
    metric: Metric


class BackgroundWriter:
    """A store whose records are written in the background, a method's together. At the end of the block all are written.

    An error is raised by one of the calls that follow it, or at the end of the block.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: Queue[_Scored | None] = Queue(WAITING)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="bench-writer")

    def __enter__(self) -> BackgroundWriter:
        self._thread.start()
        return self

    def write(self, record: Record, task: Entry, method: Entry, metric: Metric) -> None:
        """Adds a record, soon."""
        if self._error is not None:
            raise self._error
        self._queue.put(_Scored(record, task, method, metric))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def _work(self) -> None:
        """Writes what is handed over until None comes."""
        held: list[_Scored] = []
        until = 0.0  # the records that are held have to be written then
        while True:
            try:
                new = self._queue.get(timeout=max(0.0, until - time.monotonic()) if held else None)
            except Empty:
                self._write(held)
                held = []
                continue
            if held and (new is None or new.record.key.stem != held[0].record.key.stem):
                self._write(held)
                held = []
            if new is None:
                return
            if not held:
                until = time.monotonic() + HELD
            held.append(new)

    def _write(self, held: list[_Scored]) -> None:
        """Writes records of one method, unless a writing has failed: then nothing more is written."""
        if self._error is not None:
            return
        try:
            first = held[0]
            self._store.write_all([(one.record, one.metric) for one in held], first.task, first.method)
        except BaseException as error:  # raised where the records come from
            self._error = error
