"""What a task will cost: counted on a few samples, by hand, and held against what a run asks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import signal_problem
from test_runner import Silent, method, plan
from torch import Tensor

from bench.core.entries import GIVEN, Entry, Metric
from bench.core.problem import Problem
from bench.core.vocabulary import METRIC_COSTS
from bench.engine import costs as metering
from bench.engine.costs import CELL, Ahead, Costs, MethodCost, MetricCost, StandIn
from bench.engine.estimate import Estimate, estimate
from bench.engine.runner import run
from bench.network.timing import Pace
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS
from bench.storage.scores import Store

ONCE = 150  # queries of a sample that a metric may ask once for all methods
PACE = Pace(8, 0.001, 0.002)


def entry(name: str, **more: object) -> Entry:
    return Entry(name, print, "gradient", "", 1, (), (), **more)  # type: ignore[arg-type]


def metric(name: str, *injected: str, **more: object) -> Metric:
    return Metric(name, print, "faithfulness", "", 1, (), injected, **more)  # type: ignore[arg-type]


@pytest.fixture
def known() -> Costs:
    """A cheap and a dear method; a metric that explains twice, and one that asks 5 queries and 3 for all methods."""
    made = Costs("toy@1", 0, 100, PACE)
    made.methods = {"cheap": MethodCost(2, 0.01), "dear": MethodCost(100, 1.0)}
    made.metrics = {"again": MetricCost(2, 0, 0.001), "curve": MetricCost(0, 5, 0.02, 0.5, 3, 0.04)}
    return made


CHEAP, DEAR, AGAIN, CURVE = entry("cheap"), entry("dear"), metric("again", "explain"), metric("curve", "probe")


def test_steps_and_queries_by_hand(known):
    ahead = [Ahead(CHEAP, 10, [(AGAIN, 10), (CURVE, 10)]), Ahead(DEAR, 4, [(AGAIN, 0), (CURVE, 4)])]
    assert known.steps(ahead) == pytest.approx(
        {
            ("cheap", ""): 10 * 0.01,
            ("cheap", "again"): CELL + 10 * (2 * 0.01 + 0.001),
            ("cheap", "curve"): 0.5 + 10 * (0.02 + 0.04),  # what is shared is asked with the first method
            ("dear", ""): 4 * 1.0,
            ("dear", "again"): CELL,
            ("dear", "curve"): 0.5 + 4 * 0.02,
        }
    )
    assert known.queries(ahead) == 10 * (2 + 2 * 2 + 5) + 4 * (100 + 5) + 10 * 3


def test_what_is_lost_is_an_explanation_and_the_slowest_metric(known):
    assert known.slowest(DEAR, [AGAIN, CURVE]) == pytest.approx(1.0 + 2 * 1.0 + 0.001)
    assert known.slowest(CHEAP, [CURVE]) == pytest.approx(0.01 + 0.02)
    assert known.slowest(CHEAP, []) == 0.01


def test_given_maps_are_not_explained_again(known):
    known.methods["cheap"] = MethodCost(0, 0.0)
    maps = replace(CHEAP, family=GIVEN)
    assert known.scoring(maps, AGAIN) == 0.0
    assert known.queries([Ahead(maps, 10, [(AGAIN, 10)])]) == 0


def test_a_method_that_is_skipped_costs_its_metrics_nothing(known):
    known.methods["dear"] = MethodCost(0, 0.0, works=False)
    assert known.scoring(DEAR, CURVE) == 0.0
    assert not known.knows(DEAR, [CURVE])


def test_what_a_run_takes_is_learned(known):
    known.learn_explaining(DEAR, 4, 2.0)
    assert known.explaining(DEAR) == 0.5
    known.learn_scoring(DEAR, AGAIN, 4, 4.8)  # of 1.2 s a sample 1.0 are explanations
    assert known.scoring(DEAR, AGAIN) == pytest.approx(1.2)
    assert known.scoring(CHEAP, AGAIN) == pytest.approx(2 * 0.01 + 0.2)
    known.learn_scoring(DEAR, AGAIN, 1, 10.0)  # fewer samples say less
    known.learn_scoring(DEAR, AGAIN, 0, 10.0)  # none was scored
    assert known.scoring(DEAR, AGAIN) == pytest.approx(1.2)


def test_a_metric_that_nobody_metered_may_explain_more_often_than_was_guessed(known):
    many = metric("many", "explain", cost="slow")
    known.learn_explaining(CHEAP, 10, 0.1)
    known.learn_scoring(CHEAP, many, 10, 10 * 28 * 0.01)
    assert known.scoring(DEAR, many) == pytest.approx(28 * 1.0)
    known.learn_scoring(CHEAP, CURVE, 10, 10 * 28 * 0.01)  # metered, and explains nothing
    assert known.scoring(DEAR, CURVE) == pytest.approx(28 * 0.01)


def metered(names: list[str], metrics: list[str], samples: int = 50) -> Costs:
    problem = signal_problem(samples=6, batch_size=64)
    made = Costs("mnist1d@1", 0, samples, PACE)
    ahead = [Ahead(METHODS[name], samples, [(METRICS[one], samples) for one in metrics]) for name in names]
    made.meter(ahead, problem)
    return made


def test_methods_and_metrics_are_counted(monkeypatch):
    monkeypatch.setattr(metering, "SHARE", 100.0)
    made = metered(
        ["random", "saliency", "integrated_gradients", "oracle"],
        ["deletion", "max_sensitivity", "mprt_cascading", "quantus_faithfulness_correlation", "seconds"],
    )
    assert {name: cost.queries for name, cost in made.methods.items()} == {
        "random": 0,
        "saliency": 1,
        "integrated_gradients": 32,
        "oracle": 0,
    }
    assert {name: (cost.explanations, cost.queries, cost.shared) for name, cost in made.metrics.items()} == {
        "deletion": (0, 19, pytest.approx(1 + 1 / 6)),  # the input, and the baseline that is the same for all of them
        "max_sensitivity": (3, 0, 4),
        "mprt_cascading": (4, 0, 0),  # three convolutions and a dense layer
        "quantus_faithfulness_correlation": (0, 0, 33),  # subsets, and the input
        "seconds": (0, 0, 0),
    }


@pytest.mark.usefixtures("one_thread")
def test_what_a_metric_asks_is_what_its_cost_class_says(problem):
    """Counted on maps of a method that costs nothing; the first map also bears what is asked once for all methods."""
    probe = Probe(problem.take([0, 1]), names=(0, "test"))
    chosen = [one for one in METRICS.values() if METRIC_COSTS[one.cost] is not None]
    assert len(chosen) > 40
    first, second = (StandIn(name, probe, "test", 0) for name in ("first", "second"))
    for one in chosen:
        once = first.score(one)
        found = second.score(one)
        assert found.explanations == 0, one.name
        assert found.queries <= METRIC_COSTS[one.cost], one.name
        assert once.queries <= ONCE, one.name


def test_a_short_run_does_not_meter_metrics():
    assert metered(["random"], ["deletion", "drop"], samples=3).metrics == {}


def test_a_method_that_fails_is_not_metered_twice():
    calls = []

    def raises(problem: Problem) -> Tensor:
        calls.append(len(problem))
        raise ValueError("no")

    odd, made = method("odd", raises), Costs("toy@1", 0, 1000, PACE)
    for _ in range(2):
        assert not made.of_method(odd, signal_problem(samples=2)).works
    assert calls == [1]


@pytest.mark.usefixtures("one_thread")
def test_the_queries_that_are_foretold_are_those_that_are_asked(tmp_path, monkeypatch):
    """Of a run that is long enough to meter its metrics; skipped methods and metrics included."""
    monkeypatch.setattr(metering, "SHARE", 100.0)
    names = ("random", "saliency", "occlusion", "integrated_gradients", "cam", "sise")
    chosen = ["drop", "deletion", "quantus_faithfulness_correlation", "max_sensitivity", "mprt_cascading", "road"]
    told: list[Estimate] = []
    outcome = run(
        plan(
            24,
            methods=[METHODS[name] for name in names],
            metrics=[METRICS[name] for name in chosen],
            batch_size=64,
        ),
        Store(tmp_path),
        Silent(),
        told=told.append,
    )
    (expected,) = told
    assert expected == outcome.estimates["mnist1d"]
    assert expected.samples == 24
    metering_itself = 32 * 3 * 6  # about: curves, subsets and neighbours of six samples
    assert expected.queries == pytest.approx(outcome.queries - metering_itself, rel=0.1)
    assert set(expected.methods) == set(names)
    assert set(expected.metrics) == set(chosen)


def test_what_is_stored_is_not_foretold(tmp_path):
    told: list[Estimate] = []
    run(plan(4), Store(tmp_path), Silent(), told=told.append)
    run(plan(4), Store(tmp_path), Silent(), told=told.append)
    assert len(told) == 1
    run(plan(6), Store(tmp_path), Silent(), told=told.append)
    assert [one.samples for one in told] == [4, 2]


def test_names_are_those_that_would_save_most(known):
    found = estimate("toy", known, [Ahead(CHEAP, 10, [(AGAIN, 10), (CURVE, 10)]), Ahead(DEAR, 10, [(AGAIN, 10)])])
    assert found.methods["dear"] == pytest.approx(10 * 1.0 + CELL + 10 * 2.001)
    assert found.metrics["again"] == pytest.approx(2 * CELL + 10 * (2.001 + 0.021))
    shared = 10 * 0.04  # belongs to no method
    assert found.metrics["curve"] == pytest.approx(0.5 + 10 * 0.02 + shared)
    assert found.seconds == pytest.approx(found.methods["dear"] + found.methods["cheap"] + shared)
    assert found.queries == 10 * (2 + 4 + 5 + 3 + 100 + 200)
    assert found.text(["--samples 2 (6 s)"]) == (
        "toy: about 31 s (3,100 queries of the model at 1 ms); most expensive: metrics again 20 s; methods dear 30 s; "
        "shorter with --samples 2 (6 s)"
    )


LONG_TASK = Estimate("tiles", 40, 1200.0, 123_456, 0.0123, {"b": 300, "a": 700, "c": 119}, {"x": 60}, round=8)


@pytest.mark.parametrize(
    ("estimate", "shorter", "text"),
    [
        (LONG_TASK, [],
         "tiles: about 20 min (120,000 queries of the model at 12 ms); most expensive: methods a 12 min, b 5 min"),
        (replace(LONG_TASK, forward=0.0, methods={}, in_all=7200.0), ["one", "two", "three"],
         "tiles: about 20 min (120,000 queries), all tasks about 2.0 h; shorter with one, two or three"),
    ],
)  # fmt: skip
def test_the_line_in_words(estimate, shorter, text):
    assert estimate.text(shorter) == text


@pytest.mark.parametrize(
    ("seconds", "few", "budget"),
    [
        (1200.0, 2, "10m"),  # a round takes 4 minutes
        (3600.0, 1, "30m"),
        (900.0, 2, ""),  # 2.7 samples
        (120.0, 20, "1m"),
        (100.0, 24, ""),  # no usual budget is half of it
    ],
)
def test_ways_to_make_it_shorter(seconds, few, budget):
    task = replace(LONG_TASK, seconds=seconds)
    assert (task.few, task.budget) == (few, budget)
    assert task.of(10) == seconds / 4
