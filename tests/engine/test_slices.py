"""Samples of slow methods and metrics are stored as they come; no score depends on it, and nothing is asked twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_runner import Silent, method, plan, scores
from torch import Tensor

from bench.core.entries import Metric
from bench.core.problem import Problem
from bench.engine import schedule
from bench.engine.runner import run
from bench.engine.schedule import next_slice
from bench.registry.decorators import METHODS, METRICS
from bench.storage.maps import MapStore
from bench.storage.scores import Store

ROWS = list(range(100))


@pytest.mark.parametrize(
    ("rows", "seconds", "expected"),
    [
        (ROWS, 0.0, ROWS),
        (ROWS, 0.12, ROWS),  # 12 s in all
        (ROWS, 0.13, ROWS[:64]),  # 92 would fit: the largest power of 4
        (ROWS[64:], 0.13, ROWS[64:]),  # the rest fits
        (ROWS, 1.0, ROWS[:4]),
        (ROWS[4:], 0.5, ROWS[4:8]),  # 24 would fit, but 4 to 20 are not what another method takes
        (ROWS[16:], 0.5, ROWS[16:32]),
        (ROWS[3:], 1.0, [3]),
        (ROWS, 100.0, [0]),
        (ROWS, float("inf"), [0]),
        ([2, 5, 17, 18], 4.0, [2]),
        ([16, 18, 40, 41], 4.0, [16]),  # 3 would fit
        ([16, 18, 40, 41], 3.0, [16, 18, 40, 41]),
        ([16, 18, 40, 41, 42], 2.5, [16, 18]),  # what is left of the rows 16 to 19
    ],
)
def test_a_slice_takes_what_fits_in_the_time_and_all_methods_take_the_same(rows, seconds, expected):
    assert next_slice(rows, seconds) == expected


@pytest.fixture
def single(monkeypatch):
    """Every slice is a single sample."""
    monkeypatch.setattr(schedule, "SLICE", 0.0)


def test_slices_do_not_change_a_score_nor_a_map(tmp_path, monkeypatch):
    asked = plan(12, methods=[METHODS[name] for name in ("random", "smoothgrad", "occlusion")])
    run(asked, Store(tmp_path / "whole"), Silent())
    monkeypatch.setattr(schedule, "SLICE", 0.0)
    run(asked, Store(tmp_path / "single"), Silent())
    # percentages of float32 probabilities
    whole, single = (scores(Store(tmp_path / name)) for name in ("whole", "single"))
    pd.testing.assert_series_equal(single, whole, atol=1e-4, rtol=0)
    maps = [MapStore(tmp_path / name).read("mnist1d") for name in ("whole", "single")]
    assert maps[0].keys() == maps[1].keys()
    assert len(maps[0]) == 4
    for name, arrays in maps[0].items():
        for part, values in arrays.items():
            close = np.testing.assert_allclose if values.dtype.kind == "f" else np.testing.assert_array_equal
            close(maps[1][name][part], values, **({"atol": 1e-5} if values.dtype.kind == "f" else {}))


def test_what_methods_share_is_asked_once_also_in_slices(tmp_path, monkeypatch):
    """Random subsets, neighbours of the inputs, the ends of curves; and a sample's peak memory is measured once."""
    asked = plan(
        12,
        methods=[METHODS[name] for name in ("random", "input_magnitude", "saliency")],
        metrics=[METRICS[name] for name in ("quantus_faithfulness_correlation", "max_sensitivity", "deletion")],
    )
    whole = run(asked, Store(tmp_path / "whole"), Silent())
    monkeypatch.setattr(schedule, "SLICE", 0.0)
    single = run(asked, Store(tmp_path / "single"), Silent())
    assert single.queries == whole.queries > 1000
    assert single.rows == whole.rows == {"ok": 3 * 3 * 12}


def test_the_bar_ends_full_also_in_slices(tmp_path, single):
    amounts: list[float] = []

    class Listening(Silent):
        def update(self, n: float | None = 1) -> None:
            amounts.append(n or 0.0)

    bar = Listening()
    run(plan(9), Store(tmp_path), bar)
    *steps, last = amounts  # what is left at the end
    assert len(steps) == 9 * 3 * (1 + 4)
    assert min(steps) > 0
    assert sum(steps) == pytest.approx(bar.total)
    assert last == pytest.approx(0.0, abs=1e-9)


def test_samples_that_a_metric_has_already_are_not_scored_again_in_slices(tmp_path, single):
    run(plan(5, metrics=[METRICS["drop"]]), Store(tmp_path), Silent())
    outcome = run(plan(12, metrics=[METRICS["drop"], METRICS["deletion"]]), Store(tmp_path), Silent())
    assert outcome.rows == {"ok": 3 * (12 + 7)}
    assert len(scores(Store(tmp_path))) == 3 * 2 * 12


def test_memory_does_not_grow_with_the_slices(tmp_path, single):
    """A copy of the model that belonged to each slice would be kept until the end of the chunk."""
    from bench.network.cost import PeakMemory

    weights = sum(value.numel() * value.element_size() for value in _model().state_dict().values())
    peaks = []
    for samples in (10, 40):
        with PeakMemory() as memory:
            run(plan(samples), Store(tmp_path / str(samples)), Silent())
        peaks.append(memory.peak)
    assert peaks[1] - peaks[0] < 10 * weights


def _model() -> torch.nn.Module:
    return plan().tasks[0].fn(tuple(plan().tasks[0].samples()[:1])).model


def test_a_metric_that_turns_out_slow_gets_few_samples_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "SLICE", 0.4)
    sizes: list[int] = []

    def slow(attribution: Tensor) -> Tensor:
        sizes.append(len(attribution))
        time.sleep(0.04 * len(attribution))
        return attribution.sum(1)

    metric = Metric("slow", slow, "faithfulness", "", 1, (), ("attribution",))
    run(plan(17, methods=[METHODS["saliency"], METHODS["random"]], metrics=[metric]), Store(tmp_path), Silent())
    assert sum(sizes) == 2 * 17
    assert max(sizes) <= 10  # 0.4 s / 0.04 s
    assert 4 in sizes
    assert len(sizes) <= 17  # the first method begins with single samples, the second does not


def test_a_method_that_is_slow_gets_few_samples_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "SLICE", 0.2)
    sizes: list[int] = []

    def slow(problem: Problem) -> Tensor:
        sizes.append(len(problem))
        time.sleep(0.04 * len(problem))
        return problem.inputs[:, 0].clone()

    run(plan(7, methods=[method("slow", slow)], metrics=[METRICS["drop"]]), Store(tmp_path), Silent())
    assert sum(sizes) == 1 + 7  # one is explained for its peak memory
    assert max(sizes) <= 4


def test_a_fast_chunk_is_one_slice(tmp_path):
    sizes: list[int] = []

    def fast(problem: Problem) -> Tensor:
        sizes.append(len(problem))
        return problem.inputs[:, 0].clone()

    both = [method(name, fast) for name in ("one", "two")]
    run(plan(200, methods=both, metrics=[METRICS["drop"]], batch_size=512), Store(tmp_path), Silent())
    assert sizes[-1] == 200


SLOW_RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_runner import Silent, method, plan
from bench.engine import schedule
from bench.engine.runner import run
from bench.registry.decorators import METHODS, METRICS
from bench.storage import background
from bench.storage.scores import Store

schedule.SLICE, background.HELD = 0.6, 0.1

def slow(problem):
    for sample in problem.sample_ids:
        time.sleep(0.1)
        with open({log!r}, "a") as log:
            print(sample, file=log)
    return problem.inputs[:, 0].clone()

run(plan(200, methods=[method("slow", slow)], metrics=[METRICS["drop"]]), Store(Path({out!r})), Silent())
"""


def test_a_killed_run_has_lost_little_of_a_long_step(tmp_path):
    """Twenty seconds of a method's work are one chunk. After about three of them the process is killed."""
    out, log = tmp_path / "out", tmp_path / "log"
    out.mkdir()
    code = SLOW_RUN.format(tests=str(Path(__file__).parent), log=str(log), out=str(out))
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    running = subprocess.Popen([sys.executable, "-c", code], env=where)
    try:
        for _ in range(600):
            if running.poll() is not None or (log.is_file() and len(log.read_text().splitlines()) > 30):
                break
            time.sleep(0.1)
        running.send_signal(signal.SIGKILL)
    finally:
        running.kill()
        running.wait()
    explained = log.read_text().splitlines()[5:]  # one was explained for its peak memory, four to time the method
    assert 25 <= len(explained) < 100
    kept = set(Store(out).read()["sample_id"])
    assert set(explained[: len(kept)]) == kept
    # a slice of at most 0.6 s, what is being written, and what the next slice had begun: 2 s of work
    assert len(explained) - len(kept) <= 20


def test_progress_says_which_sample_a_long_step_has_reached(tmp_path, single):
    heard: list[str] = []

    class Listening(Silent):
        def set_description_str(self, desc: str | None = None) -> None:
            heard.append((desc or "").partition(" · ")[2])

    run(plan(3, methods=[METHODS["saliency"]], metrics=[METRICS["drop"]]), Store(tmp_path), Listening())
    assert heard == [
        "timing the model",
        "saliency · metering",
        *(f"saliency · {step} · {row} of 3 signals" for row in range(3) for step in ("explaining", "drop")),
    ]
