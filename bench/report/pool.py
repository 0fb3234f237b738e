"""Processes that do jobs beside the run. A process that dies costs its job and nothing else.

The processes are spawned, so they import the program that started them: a program that uses them needs the usual guard,
`if __name__ == "__main__":`. They never see Ctrl-C, which belongs to the process that started them.
"""

from __future__ import annotations

import contextlib
import heapq
import multiprocessing
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from bench.core.errors import BenchError
from bench.core.processes import processors

MOST = 4  # processes; more only wait for each other
CONTEXT = multiprocessing.get_context("spawn")
PATIENCE = 0.5  # seconds that a process gets to end


def usable() -> int:
    """How many processes this machine has processors for, at most MOST."""
    return min(MOST, processors())


class WorkerDied(Exception):
    """A process ended in the middle of its job."""


@dataclass(order=True)
class Job:
    """`function(*arguments)` in a process, then `done(result or exception)` here. Jobs of low `turn` come first."""

    turn: tuple[int, int]
    function: Callable[..., Any] = field(compare=False)
    arguments: tuple[Any, ...] = field(compare=False)
    done: Callable[[Any], None] = field(compare=False)


class Here:
    """Does jobs in this process, when they are waited for."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._numbers = count()

    def submit(self, order: int, function: Callable[..., Any], *arguments: Any, done: Callable[[Any], None]) -> None:
        heapq.heappush(self._jobs, Job((order, next(self._numbers)), function, arguments, done))

    def wait(self) -> None:
        while self._jobs:
            job = heapq.heappop(self._jobs)
            job.done(job.function(*job.arguments))

    def grow(self, size: int) -> None:
        """There is one process."""

    def stop(self) -> None:
        self._jobs.clear()


class Pool:
    """Does jobs in processes of their own, each started for the first job that finds the others busy."""

    def __init__(self, size: int) -> None:
        self._jobs: list[Job] = []
        self._numbers, self._size = count(), size
        self._threads: list[threading.Thread] = []
        self._processes: list[Any] = []
        self._errors: list[Exception] = []
        self._open, self._busy, self._stopped = 0, 0, False  # jobs that are not done, threads that do one
        self._changed = threading.Condition()  # guards all of these

    def submit(self, order: int, function: Callable[..., Any], *arguments: Any, done: Callable[[Any], None]) -> None:
        """Adds a job; `order` says which come first."""
        with self._changed:
            self._open += 1
            heapq.heappush(self._jobs, Job((order, next(self._numbers)), function, arguments, done))
            self._fill()

    def grow(self, size: int) -> None:
        """Lets so many processes run."""
        with self._changed:
            self._size = max(self._size, size)
            self._fill()

    def wait(self) -> None:
        """Returns when all jobs are done, also those that jobs submit; raises the first exception of a `done`."""
        with self._changed:
            while self._open and not self._stopped:
                self._changed.wait()
            if self._errors:
                raise self._errors[0]

    def stop(self) -> None:
        """Ends all processes, whatever they do."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            processes = list(self._processes)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _fill(self) -> None:
        """Starts a thread for each job that none is free for."""
        for _ in range(min(self._size, self._busy + len(self._jobs)) - len(self._threads)):
            self._threads.append(threading.Thread(target=self._work, name="report", daemon=True))
            self._threads[-1].start()
        self._changed.notify_all()

    def _work(self) -> None:
        """A thread's life: gives one job after the other to a process of its own."""
        process, connection = None, None
        while True:
            with self._changed:
                while not self._jobs and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                job = heapq.heappop(self._jobs)
                self._busy += 1
                if process is None or not process.is_alive():
                    process, connection = _started()
                    self._processes.append(process)
            result = _answer(process, connection, job)
            try:
                if not self._stopped:
                    job.done(result)
            except Exception as error:
                self._errors.append(error)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._open -= 1
                    self._changed.notify_all()


def _started() -> tuple[Any, Connection]:
    """A process that waits for jobs, and the connection to it."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=serve, args=(theirs,), name="bench report", daemon=True)
    with _no_interrupts():
        process.start()
    theirs.close()
    return process, ours


def _answer(process: Any, connection: Any, job: Job) -> Any:
    """The job's result, or the exception that it ended with."""
    try:
        connection.send((job.function, job.arguments))
        return connection.recv()
    except (EOFError, OSError):
        process.join(PATIENCE)
        code = process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return WorkerDied(how)


def serve(connection: Connection) -> None:
    """A process's life: does the jobs that come in, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, arguments = connection.recv()
            try:
                result = function(*arguments)
            except BenchError as error:
                result = error
            except Exception:
                result = RuntimeError(traceback.format_exc())
            connection.send(result)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """A process started in the block inherits that Ctrl-C does not reach it, from its first moment on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # the first start of a process would start it, and let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
