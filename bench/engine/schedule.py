"""In which order a run takes tasks and samples, when it stops, and how long it will take."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.core.entries import Task
from bench.core.errors import RequestError
from bench.core.progress import Progress

VALUES_PER_CHUNK = 2**23  # of input; bounds the memory of a run, whatever its number of samples
CHUNK_LIMITS = (16, 1024)  # samples
VALUES_PER_ROUND = 2**18  # of a run with a budget
ROUND_LIMITS = (8, 64)
SLICE = 12.0  # seconds, that a slow method or metric may take for samples that are not stored yet
GROWTH = 4
MARGIN = 1.1  # a round may take so much longer than the longest before it
# A guess of what a step takes, until a task's own steps tell it.
SECONDS_PER_STEP = 0.002
SECONDS_PER_VALUE = 1e-7  # of the inputs that are explained
TELLING = 0.1  # share of a task after which its own steps tell how fast it is


@dataclass(frozen=True)
class Job:
    """A task of a run, and the samples that were asked for."""

    task: Task
    sample_ids: Sequence[str]
    values: int  # of an input
    steps: int  # for a chunk: each method explains, then each metric scores

    def seconds(self, samples: int) -> float:
        """What scoring so many samples, as one chunk, will take, by a rough guess that does not ask the model."""
        return self.steps * (samples * self.values * SECONDS_PER_VALUE + SECONDS_PER_STEP)

    def chunks(self) -> list[Sequence[str]]:
        """The samples in parts that fit the memory."""
        return _parts(self.sample_ids, VALUES_PER_CHUNK // self.values, CHUNK_LIMITS)

    def rounds(self) -> list[Sequence[str]]:
        """The samples in the smaller parts of a run with a budget."""
        return _parts(self.sample_ids, VALUES_PER_ROUND // self.values, ROUND_LIMITS)


Leg = list[tuple[Job, Sequence[str]]]


def cheap_first(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in the order of the time that they are likely to take, so that the first board is there soon."""
    return sorted(jobs, key=lambda job: job.seconds(len(job.sample_ids)))


def legs(jobs: Sequence[Job], *, in_rounds: bool) -> list[Leg]:
    """What is computed one after the other: each job as a whole, or rounds in which all jobs take their turn.

    A run can stop after any round: every method and metric has scores of the same samples then.
    """
    if not in_rounds:
        return [[(job, chunk) for chunk in job.chunks()] for job in jobs]
    rounds = [(job, job.rounds()) for job in jobs]
    most = max((len(parts) for _, parts in rounds), default=0)
    return [[(job, parts[turn]) for job, parts in rounds if turn < len(parts)] for turn in range(most)]


def _parts(ids: Sequence[str], size: int, limits: tuple[int, int]) -> list[Sequence[str]]:
    low, high = limits
    size = max(low, min(high, size))
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def next_slice(rows: Sequence[int], seconds: float) -> list[int]:
    """The first of these rows, as many as are explained and scored before they are stored. `seconds`: what each takes.

    All of them where that is quick. Otherwise their number is a power of GROWTH, and the same rows come together for all
    methods of about the same speed, so that what these share is not made again.
    """
    fitting, size = SLICE / seconds if seconds else math.inf, 1
    if len(rows) <= max(1, fitting):
        return list(rows)
    while size * GROWTH <= fitting and rows[0] % (size * GROWTH) == 0:
        size *= GROWTH
    return [row for row in rows if row < rows[0] + size]


@dataclass
class Budget:
    """The time that a run may take. It depends on the clock and on no score, so intervals hold as they are."""

    seconds: float
    start: float = field(default_factory=lambda: time.perf_counter())
    longest: float = 0.0  # round so far, of those in which anything was computed

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.start)

    @property
    def allows_a_round(self) -> bool:
        """Whether another round is likely to fit. The first one always may begin."""
        return not self.longest or MARGIN * self.longest <= self.left

    def check(self, forecast: Forecast) -> None:
        """Raises RequestError where the time is up before any round has ended: no board could be made."""
        if self.longest or self.left > 0:
            return
        before = self.seconds - self.left - forecast.elapsed
        needed = before + forecast.seconds_of_leg()
        parts = " and ".join(f"{len(ids)} of {job.task.name}" for job, ids in forecast.leg)
        raise RequestError(
            f"budget of {duration(self.seconds)} is less than one round of samples takes, about {duration(needed)} ({parts}); "
            "finished scores are stored, and the same command goes on from there"
        )


class Forecast:
    """Tells a progress bar how much of a run is done, and the reader how long a task and the whole run will still take."""

    def __init__(self, progress: Progress, legs: Sequence[Leg]) -> None:
        self.leg: Leg = []
        self._progress = progress
        self._tasks: dict[str, _Amount] = {}
        for job, ids in (part for leg in legs for part in leg):
            self._tasks.setdefault(job.task.name, _Amount()).asked += job.seconds(len(ids))
        self._all = _Amount(sum(amount.asked for amount in self._tasks.values()))
        self._of_leg, self._last = _Amount(), time.perf_counter()
        progress.total = self._all.asked
        progress.refresh()

    def begin(self, leg: Leg) -> Iterator[tuple[Job, Sequence[str]]]:
        """The parts of the next leg."""
        self.leg, self._of_leg = leg, _Amount(sum(job.seconds(len(ids)) for job, ids in leg))
        self._last = time.perf_counter()
        yield from leg

    def expect(self, job: Job, seconds: float) -> float:
        """Tells what the rest of a task is likely to take. Returns that of all tasks; 0 where this is the last."""
        part = self._tasks[job.task.name]
        part.expected = seconds / max(part.asked - part.done, 1e-9 * part.asked)
        self._all.expected = self._all.pace or part.expected
        rest = sum(amount.left(self._all.usual) for amount in self._tasks.values() if amount is not part)
        return seconds + rest if rest else 0.0

    def step(self, job: Job, *words: str) -> None:
        """Shows what is being done, and the time left."""
        name, usual = job.task.name, self._all.usual
        left, in_all = self._tasks[name].left(usual), sum(amount.left(usual) for amount in self._tasks.values())
        more = f", {duration(in_all)} in all" if duration(in_all) != duration(left) else ""
        words = (f"{name} ({duration(left)} left{more})" if left > 1 else name, *words)
        self._progress.set_description_str(" · ".join(words))

    def update(self, job: Job, samples: int, steps: float = 1) -> None:
        """So many steps of a chunk of so many samples are done."""
        amount, now = steps / job.steps * job.seconds(samples), time.perf_counter()
        amount = min(amount, self._all.asked - self._all.done)  # sums of shares may exceed the whole by rounding
        for part in (self._tasks[job.task.name], self._all, self._of_leg):
            part.done += amount
            part.elapsed += now - self._last
        self._last = now
        self._progress.update(amount)

    @property
    def elapsed(self) -> float:
        """Seconds since the present leg began."""
        return self._of_leg.elapsed + time.perf_counter() - self._last

    def seconds_of_leg(self) -> float:
        """What the present leg will take in all, by the part of it that is done."""
        return self.elapsed * self._of_leg.asked / max(self._of_leg.done, 1e-3 * self._of_leg.asked)

    def end(self) -> None:
        """Nothing is left: what failed is not computed, and shares may sum to less than the whole by rounding."""
        self._progress.update(max(0.0, self._all.asked - self._all.done))


@dataclass
class _Amount:
    """Work in seconds by the first guess, and the time that what is done of it took."""

    asked: float = 0.0
    done: float = 0.0
    elapsed: float = 0.0
    expected: float = 0.0  # seconds for each that was guessed, by what its steps cost; 0 where that is not known

    @property
    def pace(self) -> float:
        """Seconds for each that was guessed; 0 where nothing is done."""
        return self.elapsed / self.done if self.done else 0.0

    @property
    def usual(self) -> float:
        """Seconds for each that was guessed, of what is not known better."""
        return self.pace if self.done > TELLING * self.asked else self.expected or self.pace

    def left(self, usual: float) -> float:
        """Seconds that the rest will take; by what was expected, or the usual pace, until enough of it is done."""
        return (self.asked - self.done) * (self.pace if self.done > TELLING * self.asked else self.expected or usual)


def duration(seconds: float) -> str:
    """`50 s`, `3 min`, `1.5 h`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
