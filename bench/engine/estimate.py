"""What a task will cost, before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.engine.costs import Ahead, Costs
from bench.engine.schedule import duration

WORTH_SAYING = 30.0  # seconds of a task
NAMES = 3  # at most, of methods and of metrics
NOTABLE = 0.1  # share of the time, from which on a name is among the most expensive
MINUTE = 60.0
BUDGETS = {"1m": 60.0, "2m": 120.0, "5m": 300.0, "10m": 600.0, "30m": 1800.0, "1h": 3600.0, "3h": 10800.0}


@dataclass(frozen=True)
class Estimate:
    """Time and queries that a task will take. `methods`, `metrics`: name -> seconds that it would take less without."""

    task: str
    samples: int
    seconds: float
    queries: float
    forward: float  # seconds that the model takes for an input; 0 where it was not timed
    methods: Mapping[str, float]
    metrics: Mapping[str, float]
    round: int = 0  # samples that a run with a budget scores at least
    in_all: float = 0.0  # seconds of this and the following tasks; 0 where none follows

    def text(self, shorter: Sequence[str] = ()) -> str:
        """One line. `shorter`: ways to make it shorter, in the words of whoever asked."""
        model = f" of the model at {1000 * self.forward:.2g} ms" if self.forward else ""
        parts = [f"{self.task}: about {duration(self.seconds)} ({_rounded(self.queries)} queries{model})"]
        if self.in_all > (1 + NOTABLE) * self.seconds:
            parts[0] += f", all tasks about {duration(self.in_all)}"
        dear = [
            f"{kind} {', '.join(f'{name} {duration(seconds)}' for name, seconds in named)}"
            for kind, found in (("metrics", self.metrics), ("methods", self.methods))
            if (named := self._most_expensive(found))
        ]
        if dear:
            parts.append(f"most expensive: {'; '.join(dear)}")
        if shorter:
            *others, last = shorter
            parts.append(f"shorter with {', '.join(others)}{' or ' if others else ''}{last}")
        return "; ".join(parts)

    def of(self, samples: int) -> float:
        """Seconds that so many of the samples take."""
        return self.seconds * samples / self.samples

    @property
    def few(self) -> int:
        """How many samples take about a minute; at least one."""
        return max(1, int(MINUTE / self.of(1)))

    @property
    def budget(self) -> str:
        """The shortest usual budget in which a few rounds fit; "" where none is much shorter than the task."""
        fitting = (text for text, seconds in BUDGETS.items() if 2 * self.of(self.round) <= seconds <= self.seconds / 2)
        return next(fitting, "")

    def _most_expensive(self, found: Mapping[str, float]) -> list[tuple[str, float]]:
        ordered = sorted(found.items(), key=lambda one: -one[1])
        return [one for one in ordered[:NAMES] if one[1] >= NOTABLE * self.seconds]


def estimate(task: str, costs: Costs, ahead: Sequence[Ahead]) -> Estimate:
    """What this work will cost."""
    steps = costs.steps(ahead)
    methods: dict[str, float] = {}
    metrics: dict[str, float] = {}
    for (_, metric), seconds in steps.items():
        if metric:
            metrics[metric] = metrics.get(metric, 0.0) + seconds
    for (method, _), seconds in costs.steps(ahead, shared=False).items():  # without it another would ask what is shared
        methods[method] = methods.get(method, 0.0) + seconds
    samples = max((one.samples for one in ahead), default=0)
    forward = costs.pace.forward if costs.pace else 0.0
    return Estimate(task, samples, sum(steps.values()), costs.queries(ahead), forward, methods, metrics)


def _rounded(number: float) -> str:
    """Two digits: 120,000."""
    digits = max(0, len(str(round(number))) - 2)
    return f"{round(number, -digits):,.0f}"
