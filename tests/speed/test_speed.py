"""Our time against the floor (distinct queries x the bare model's best time) and against peers, in one process.

The table is printed at the end and kept in results/reference/speed.csv: single metrics on three methods, the suite on ten.
Quantus shares nothing between methods, so its time for M methods is M times its median for one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import pandas as pd
import peers
import pytest
import torch
from conftest import image_problem, signal_problem
from torch import Tensor

from bench.core.entries import Metric
from bench.core.problem import Problem
from bench.engine.explain import explain_all
from bench.network.device import keep_freed_memory
from bench.network.timing import Pace, pace
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS
from bench.registry.selection import select, with_params

keep_freed_memory()
TEN = "saliency smoothgrad integrated_gradients grad_cam lrp_composite sise random input_magnitude"
METHOD_NAMES = [*TEN.split(), "smoothgrad[samples=8]", "integrated_gradients[steps=8]"]
Setting = tuple[str, Problem, list[Tensor], Pace]
SUITE = [m for m in METRICS.values() if m.family == "faithfulness" and not m.name.startswith("quantus_")]
FLOOR_LIMIT = {"mnist1d": 2.0, "hmt": 1.15}  # suite / floor
PEER_LIMIT = {"mnist1d": 30, "hmt": 8}  # Quantus / ours, over the metrics that both have
SPEED_TABLE = Path(__file__).parents[2] / "results" / "reference" / "speed.csv"
ROUNDS = 5
FEW = 3  # methods for the rows of single metrics


def seconds(ask: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median of several runs after one that warms up."""
    ask()
    return median(timed(ask) for _ in range(rounds))


def timed(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


@pytest.fixture(scope="module", params=["mnist1d", "hmt"])
def setting(request: pytest.FixtureRequest, all_cores: None) -> Setting:
    """256 signals as MNIST-1D has them, or 8 images of HMT's size; ten methods' attributions; the bare model's pace."""
    problem = signal_problem(256) if request.param == "mnist1d" else image_problem(8, size=150)
    own = pace(problem)
    problem = replace(problem, batch_size=own.batch_size)
    methods = select(METHODS, METHOD_NAMES, "method")
    maps = [explain_all(method, problem, task=request.param, seed=0).attribution for method in methods]
    assert len(maps) == 10
    return request.param, problem, maps, own


@pytest.fixture(scope="module")
def table() -> Iterator[list[dict[str, object]]]:
    """Collects rows, prints them, and keeps them: those that are not measured this time stay as they were."""
    rows: list[dict[str, object]] = []
    yield rows
    found = peers.told(rows)
    if SPEED_TABLE.is_file():
        old = pd.read_csv(SPEED_TABLE)
        fresh = set(zip(found["task"], found["metric"], strict=True))
        kept = [pair not in fresh for pair in zip(old["task"], old["metric"], strict=True)]
        found = pd.concat([old[kept], found])
    order = {name: place for place, name in enumerate(METRICS)}
    place = found["metric"].str.split("[").str[0].map(order).fillna(len(order))
    found = found.assign(place=place).sort_values(["task", "place"], kind="stable").drop(columns="place")
    if not os.environ.get("BENCH_SPEED_ONLY"):
        found.to_csv(SPEED_TABLE, index=False, float_format="%.6g")


def scored(problem: Problem, maps: list[Tensor], metrics: list[Metric]) -> int:
    """Scores every map with every metric on a fresh probe; the distinct queries it took."""
    probe = Probe(problem, names=(0, "speed"))
    for attribution in maps:
        for metric in metrics:
            metric.fn(probe, attribution, **dict(metric.params))
    return probe.tally.asked


def row(
    setting: Setting,
    what: str,
    benchmark: Callable[..., object],
    metrics: list[Metric],
    theirs: float | None,
    note: str = "",
) -> dict[str, object]:
    """Times ours and the bare model in turn, so that both meet the same machine; medians, and the median of the ratios."""
    name, problem, maps, own = setting
    batch = torch.cat([problem.inputs] * -(-own.batch_size // len(problem)))[: own.batch_size]
    floors: list[float] = []

    @torch.inference_mode()
    def bare() -> None:
        """The floor, from as many batches as take about a fifth of our own time."""
        batches = max(3, asked // own.batch_size // 5)
        floors.append(timed(lambda: [problem.model(batch) for _ in range(batches)]) / batches / len(batch) * asked)

    asked = scored(problem, maps, metrics)
    times: list[float] = []
    benchmark.pedantic(lambda: times.append(timed(lambda: scored(problem, maps, metrics))), setup=bare, rounds=ROUNDS)
    ours = median(times)
    return {
        "task": name,
        "metric": what,
        "methods": len(maps),
        "queries": asked,
        "ours_s": ours,
        "floor_s": median(floors),
        "ours/floor": median(one / floor for one, floor in zip(times, floors, strict=True)),
        "quantus_s": theirs,
        "quantus/ours": None if theirs is None else theirs / ours,
        "note": note,
    }


@pytest.mark.parametrize("metric", SUITE, ids=lambda metric: metric.name)
def test_no_metric_is_slower_than_quantus(benchmark, table, setting, metric):
    name, problem, maps, own = setting
    metric = equal(metric, problem)
    asks = [peers.asked(problem, attribution, metric.name.split("[")[0]) for attribution in maps[:ROUNDS]]
    note = {**peers.NONE, **peers.SAME}.get(metric.name, "" if asks[0] else "Quantus raises on signals")
    theirs = None
    if asks[0] is not None:
        asks[0]()
        theirs = FEW * median(map(timed, asks))
    found = row((name, problem, maps[:FEW], own), metric.name, benchmark, [metric], theirs, note)
    table.append(found)
    assert theirs is None or found["ours_s"] < theirs


def equal(metric: Metric, problem: Problem) -> Metric:
    """The metric with as few questions as Quantus can ask on signals."""
    fewer = peers.FEWER.get(metric.name)
    return with_params(metric, fewer) if fewer and problem.inputs.dim() == 3 else metric


def test_the_suite_of_metrics_that_both_have(benchmark, table, setting):
    name, problem, maps, _ = setting
    both = [equal(metric, problem) for metric in SUITE]
    rows = {r["metric"]: r for r in table if r["task"] == name and r["quantus_s"] is not None}
    both = [metric for metric in both if metric.name in rows]
    found = row(setting, "metrics both have", benchmark, both, None)
    # Quantus was timed minutes ago: its time counts in queries of the bare model, which was timed with it, and with ours now.
    queries = sum(r["quantus_s"] * r["queries"] / r["floor_s"] for r in rows.values()) / FEW * len(maps)
    found["quantus_s"] = queries * found["floor_s"] / found["queries"]
    found["quantus/ours"] = found["quantus_s"] / found["ours_s"]
    table.append(found)
    assert found["quantus/ours"] >= PEER_LIMIT[name]


def test_the_whole_suite_against_the_floor(benchmark, table, setting):
    name = setting[0]
    theirs = [r["quantus_s"] for r in table if r["task"] == name and r["metric"] == "metrics both have"]
    found = row(setting, "whole suite", benchmark, SUITE, *theirs or [None], "Quantus: the metrics it has")
    table.append(found)
    assert found["ours/floor"] <= FLOOR_LIMIT[name]


def test_sise_against_one_mask_at_a_time(benchmark):
    sise = sys.modules["bench.methods.sise"]
    some = image_problem(8, 8, size=150)

    def one_by_one() -> None:
        for number in range(len(some)):
            sise.sise(replace(some.take([number]), batch_size=1))

    benchmark.pedantic(lambda: sise.sise(some), rounds=5, warmup_rounds=1)
    ratio = seconds(one_by_one) / seconds(lambda: sise.sise(some))
    print(f"\n{some.shape}: batched SISE is {ratio:.1f} x as fast as one mask at a time")
    assert ratio > 0.9
