"""The model's work in a run, and what the bare model would need for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.core.problem import Problem
from bench.network.cost import Meter, measured
from bench.network.device import synchronise
from bench.network.timing import Pace, timed

SHARE = 0.02  # of a run's time, that may go into timing the bare model again


@dataclass
class Work:
    """The model's work for a task, and how long it took."""

    batch_size: int
    pace: Pace | None  # of the bare model, timed last; None where the batch size was given
    seconds: float = 0.0
    forwards: int = 0
    backwards: int = 0
    floor: float = 0.0  # seconds that the model alone would need for these queries; NaN where it was not timed

    @contextmanager
    def watched(self, problem: Problem) -> Iterator[Laps]:
        """Adds the model's work in the block, also when it raises."""
        with measured(problem.model) as meter:
            laps = Laps(self, problem, meter)
            try:
                yield laps
            finally:
                laps.count()
            laps.end()


class Laps:
    """A block of work in parts, between which the bare model is timed: the speed of a machine changes while it works."""

    def __init__(self, work: Work, problem: Problem, meter: Meter) -> None:
        self._work, self._problem, self._meter = work, problem, meter
        self._start = time.perf_counter()
        self._untimed = Meter()  # since the model was timed last
        self._timing = 0.0  # seconds that this took

    def lap(self) -> None:
        """Ends a part. The model is timed again, unless that would take more than its SHARE of the time."""
        self.count()
        if self._untimed.seconds * SHARE >= self._timing:
            self.end()

    def count(self) -> None:
        """Adds what was done since the last count."""
        synchronise()
        done = Meter(time.perf_counter() - self._start, self._meter.forwards, self._meter.backwards)
        for total in (self._work, self._untimed):
            total.seconds += done.seconds
            total.forwards += done.forwards
            total.backwards += done.backwards
        self._begin()

    def end(self) -> None:
        """Times the model; what was counted since the last time would take it the mean of both times."""
        work, untimed, start = self._work, self._untimed, time.perf_counter()
        before, work.pace = work.pace, work.pace and timed(self._problem)
        paces = [pace.floor(untimed.forwards, untimed.backwards) for pace in (before, work.pace) if pace]
        work.floor += sum(paces) / len(paces) if paces else math.nan
        self._untimed, self._timing = Meter(), time.perf_counter() - start
        self._begin()

    def _begin(self) -> None:
        self._meter.forwards = self._meter.backwards = 0
        self._start = time.perf_counter()
