"""What methods and metrics cost on a task, for each sample: metered on a few samples before the first is scored, then learned.

A method is metered while it explains a sample for its peak memory. A metric is metered on random maps, of a method that costs
nothing, with a probe of its own, so that no answer of the run depends on it. Where metering would take more than its SHARE of
the time, the cost that an entry states has to do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from bench.core.entries import GIVEN, Entry, Metric
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine.explain import explain_all, explain_alone, why_skipped
from bench.engine.score import score
from bench.network.cost import measured
from bench.network.timing import Pace
from bench.perturbation.probe import Probe

SHARE = 0.02  # of the expected time, that metrics may be metered for
SAMPLES = 8  # at most, that a method is timed on
MANY, SOME = (
    32,
    4,
)  # samples at most that metrics are metered on, and at least for what each of them takes; otherwise one
PATIENCE = 20.0  # seconds, after which what is not metered yet has to wait for its turn
MATTERS = 5.0  # seconds of all samples of a method, from which on its time is looked at closely
PART = 8  # one of so many samples at most: what all methods share is asked again for it
FEW = 20  # queries of a metric, above which it is looked at whether they are asked for each map
ODD = 0.02  # seconds beside the model's that may be chance, an import, or belong to no sample
CELL = 0.004  # seconds to score the samples of a method with a metric, beside what each of them takes
# What an entry asks for each sample, by the cost that it states, until it is metered; "" is a cost that nobody stated.
QUERIES_OF_METHODS = {"fast": 4, "medium": 100, "": 100, "slow": 1500}
QUERIES_OF_METRICS = {"fast": 2, "": 2, "medium": 10, "slow": 20}
EXPLANATIONS = 3


@dataclass(frozen=True)
class MethodCost:
    """Of a sample that is explained."""

    queries: int  # inputs that the model answers
    seconds: float
    peak: float = math.nan  # MiB
    works: bool = True  # False where it is skipped, or failed


@dataclass(frozen=True)
class MetricCost:
    """Of a sample that is scored, without the explanations that the metric asks the method for."""

    explanations: float
    queries: float
    seconds: float
    cell: float = CELL  # seconds, whatever the number of samples
    shared: float = 0.0  # queries, once for all methods
    shared_seconds: float = 0.0


class Ahead(NamedTuple):
    """What a method has to do: samples to explain, and for each metric samples to score."""

    method: Entry
    samples: int
    metrics: Sequence[tuple[Metric, int]]


@dataclass
class Costs:
    """Costs of a task. `samples`: how many are asked for."""

    task: str
    seed: int
    samples: int
    pace: Pace | None
    methods: dict[str, MethodCost] = field(default_factory=dict)  # by name
    metrics: dict[str, MetricCost] = field(default_factory=dict)
    _explained: dict[str, float] = field(default_factory=dict)  # seconds a sample, as it was in the run itself
    _scored: dict[str, tuple[int, float]] = field(default_factory=dict)  # samples, and seconds of each
    _explanations: dict[str, float] = field(default_factory=dict)  # of metrics that nobody metered: as long as so many

    def meter(self, ahead: Sequence[Ahead], problem: Problem, show: Callable[[str], object] = str) -> None:
        """Meters the methods, the cheap ones first, then the metrics. `show` is called with the name of each method."""
        end, order = time.perf_counter() + PATIENCE, list(QUERIES_OF_METHODS)
        for method in sorted((one.method for one in ahead), key=lambda method: order.index(method.cost)):
            if time.perf_counter() < end:
                show(method.name)
                self.of_method(method, problem)
        metrics = {metric.name: metric for one in ahead for metric, _ in one.metrics}
        cells, own = len(metrics) * CELL, sum(self._guess(metric).seconds for metric in metrics.values())
        allowed, most = SHARE * self.seconds(ahead), min(MANY, len(problem), self.samples // PART)
        samples = min(most, int((allowed - 3 * cells) / (2 * own)) if own else 0)
        if samples >= SOME or (most and allowed > cells + own):
            samples = samples if samples >= SOME else 1
            self._meter_metrics(list(metrics.values()), problem.take(range(samples)))

    def of_method(self, method: Entry, problem: Problem) -> MethodCost:
        """What the method costs; metered now, on the problem's first samples, where it is not known."""
        if method.name not in self.methods:
            self.methods[method.name] = self._metered(method, problem)
        return self.methods[method.name]

    def explaining(self, method: Entry) -> float:
        """Seconds to explain a sample."""
        return self._explained.get(method.name, self._method(method).seconds)

    def scoring(self, method: Entry, metric: Metric) -> float:
        """Seconds to score a sample of the method, with the explanations that the metric asks for."""
        if not self._method(method).works or _cannot(method, metric):
            return 0.0
        cost = self._metric(metric)
        return cost.explanations * self.explaining(method) + self._scored.get(metric.name, (0, cost.seconds))[1]

    def slowest(self, method: Entry, metrics: Sequence[Metric]) -> float:
        """Seconds a sample of what is lost when a run is interrupted: of its explanation and of the slowest metric."""
        return self.explaining(method) + max((self.scoring(method, metric) for metric in metrics), default=0.0)

    def knows(self, method: Entry, metrics: Sequence[Metric]) -> bool:
        """Whether the method did not fail when it was metered, and the metrics have been metered, or seen at work."""
        return self._method(method).works and all(
            metric.name in self.metrics or metric.name in self._scored for metric in metrics
        )

    def steps(self, ahead: Sequence[Ahead], *, shared: bool = True) -> dict[tuple[str, str], float]:
        """Seconds of each step, by the names of its method and its metric, "" where the method explains.

        What a metric asks once for all methods is part of its first step, if of any.
        """
        found: dict[tuple[str, str], float] = {}
        begun: set[str] = set()
        for method, samples, metrics in ahead:
            found[method.name, ""] = samples * self.explaining(method)
            for metric, number in metrics:
                cost = self._metric(metric)
                once = number * cost.shared_seconds if shared and metric.name not in begun else 0.0
                begun.add(metric.name)
                found[method.name, metric.name] = cost.cell + once + number * self.scoring(method, metric)
        return found

    def seconds(self, ahead: Sequence[Ahead]) -> float:
        return sum(self.steps(ahead).values())

    def queries(self, ahead: Sequence[Ahead]) -> float:
        """Inputs that the model will answer."""
        found, shared = 0.0, dict.fromkeys(self.metrics, 0.0)
        for method, samples, metrics in ahead:
            asked = self._method(method).queries
            found += samples * asked
            for metric, number in metrics:
                cost = self._metric(metric)
                if self._method(method).works and not _cannot(method, metric):
                    found += number * (cost.explanations * asked + cost.queries)
                    shared[metric.name] = max(shared.get(metric.name, 0.0), number * cost.shared)
        return found + sum(shared.values())

    def learn_explaining(self, method: Entry, samples: int, seconds: float) -> None:
        self._explained[method.name] = seconds / samples

    def learn_scoring(self, method: Entry, metric: Metric, samples: int, seconds: float) -> None:
        """What many samples took says more than what few did: less of it belongs to none of them."""
        if samples and metric.name not in self.metrics and self.explaining(method) > 0:
            known = self._explanations.get(metric.name, EXPLANATIONS)
            self._explanations[metric.name] = max(known, seconds / samples / self.explaining(method))
        if samples and samples >= self._scored.get(metric.name, (0, 0.0))[0]:
            again = self._metric(metric).explanations * self.explaining(method)
            self._scored[metric.name] = samples, max(0.0, seconds / samples - again)

    def _method(self, method: Entry) -> MethodCost:
        queries = QUERIES_OF_METHODS[method.cost]
        return self.methods.get(method.name, MethodCost(queries, queries * self._forward))

    def _metric(self, metric: Metric) -> MetricCost:
        return self.metrics.get(metric.name, self._guess(metric))

    def _guess(self, metric: Metric) -> MetricCost:
        again = self._explanations.get(metric.name, EXPLANATIONS) if "explain" in metric.injected else 0
        queries = QUERIES_OF_METRICS[metric.cost]
        return MetricCost(again, queries, queries * self._forward)

    @property
    def _forward(self) -> float:
        """Seconds that the model takes for an input; where it was not timed, those of the methods that were metered."""
        if self.pace is not None:
            return self.pace.forward
        times = [cost.seconds / cost.queries for cost in self.methods.values() if cost.queries]
        return min(times, default=0.0)

    def _metered(self, method: Entry, problem: Problem) -> MethodCost:
        """Timed anew where it matters: the first time may hold imports, and a single sample the handling of a small batch."""
        if why_skipped(method, problem):
            return MethodCost(0, 0.0, works=False)
        peak, alone = explain_alone(method, problem.take([0]), task=self.task, seed=self.seed)
        if alone is None:
            return MethodCost(0, 0.0, works=False)
        least = self.pace.floor(alone.forwards, alone.backwards) if self.pace else 0.0
        seconds = alone.seconds if self.pace is None else min(alone.seconds, 2 * least + CELL / 10)
        if alone.seconds > 3 * least and alone.seconds * self.samples > MATTERS:
            samples = max(1, min(SAMPLES, self.samples // 50, problem.batch_size, len(problem)))
            _, some = explain_alone(method, problem.take(range(samples)), task=self.task, seed=self.seed, plain=True)
            seconds = alone.seconds if some is None else _each(some.seconds, samples, least)
        return MethodCost(alone.forwards, seconds, peak)

    def _meter_metrics(self, metrics: Sequence[Metric], problem: Problem) -> None:
        """Meters metrics on these samples, and on other maps of them: what all methods share is asked the first time only.

        Once more with a single sample, which tells what a metric takes whatever their number.
        """
        samples, end = len(problem), time.perf_counter() + PATIENCE
        probe = Probe(problem, names=(self.seed, self.task))
        first, second = (StandIn(name, probe, self.task, self.seed) for name in ("first", "second"))
        alone = StandIn("second", probe.take([0]), self.task, self.seed) if samples > 1 else second
        for metric in metrics:
            if time.perf_counter() > end:
                return
            before = took = first.score(metric)
            least = took.queries * self._forward
            if samples > 1 or took.queries > FEW or took.seconds > least + ODD:
                took = second.score(metric)
                least = took.queries * self._forward
            shared = max(0.0, before.queries - took.queries)
            one = alone.score(metric).seconds if samples > 1 else 0.0
            each = _each(took.seconds * samples - one, max(1, samples - 1), least)
            cell = max(CELL, one - each)
            self.metrics[metric.name] = MetricCost(
                took.explanations, took.queries, each, cell, shared, shared * self._forward
            )


class StandIn:
    """A method that answers at once, with random maps that depend on its name, and counts what it is asked for."""

    def __init__(self, name: str, probe: Probe, task: str, seed: int) -> None:
        self._probe, self._task, self._seed, self._explained = probe, task, seed, 0

        def stand_in(problem: Problem, rng: SampleRng) -> Tensor:
            self._explained += len(problem)
            return rng.uniform(problem.shape)

        self._method = Entry(name, stand_in, "", "", 1, (), ("problem", "rng"))
        self._maps = explain_all(self._method, probe.problem, task=task, seed=seed, peak=0.0)

    def score(self, metric: Metric) -> MetricCost:
        """What the metric takes for a sample, on average."""
        self._explained, samples = 0, len(self._probe.problem)
        with measured(self._probe.problem.model) as meter:
            score(metric, self._method, self._probe, self._maps, task=self._task, seed=self._seed)
        return MetricCost(self._explained / samples, meter.forwards / samples, meter.seconds / samples)


def _each(seconds: float, samples: int, least: float) -> float:
    """Seconds for a sample: `least`, those of the model, unless these samples took clearly longer."""
    return max(least, seconds / samples) if seconds > least * samples + ODD else least


def _cannot(method: Entry, metric: Metric) -> bool:
    """Whether maps were made elsewhere, and the metric asks for more of them."""
    return method.family == GIVEN and "explain" in metric.injected
