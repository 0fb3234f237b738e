"""Our time for a question against the floor (queries x raw forward time) and against a peer, in one process."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import numpy as np
import pytest
import quantus
import torch
from conftest import image_problem, signal_problem
from torch import nn

from bench.core import Problem
from bench.device import keep_freed_memory
from bench.probe import Probe

keep_freed_memory()
STEPS = 30


def seconds(ask: Callable[[], object], rounds: int = 5) -> float:
    """Median of several runs after one that warms up."""
    ask()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return median(times)


@pytest.fixture(params=["signal", "image"])
def problem(request: pytest.FixtureRequest) -> Problem:
    """256 signals as MNIST-1D has them, or 8 images of HMT's size."""
    return signal_problem(256, 256) if request.param == "signal" else image_problem(8, 8, size=150)


def maps(problem: Problem) -> torch.Tensor:
    return torch.randn(len(problem), *problem.shape, generator=torch.Generator().manual_seed(0))


def forward_time(problem: Problem) -> float:
    """Seconds per input of the bare model, at the best of a few batch sizes."""
    batches = [problem.inputs.repeat(k, *(1,) * (problem.inputs.dim() - 1)) for k in (1, 2, 4)]
    with torch.inference_mode():
        return min(seconds(partial(problem.model, batch)) / len(batch) for batch in batches)


def test_deletion_curve_against_the_floor_and_quantus(benchmark, problem):
    attribution = maps(problem)

    def ours() -> int:
        probe = Probe(problem)
        probe.deletion(attribution, STEPS)
        return probe.tally.asked

    class Softmax(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return problem.model(x).softmax(1)

    features = problem.inputs[0, 0].numel()
    step = features // min(STEPS, features) if features % STEPS == 0 else 1
    judge = quantus.PixelFlipping(features_in_step=step * problem.inputs.shape[1], disable_warnings=True)
    x = problem.inputs.contiguous().numpy()
    a = np.ascontiguousarray(np.broadcast_to(attribution[:, None].numpy(), x.shape))

    def theirs() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            judge(model=Softmax().eval(), x_batch=x, y_batch=problem.targets.numpy(), a_batch=a, softmax=False)

    queries = benchmark.pedantic(ours, rounds=5, warmup_rounds=1)
    own, peer = seconds(ours) / queries, seconds(theirs) / (len(problem) * -(-x[0].size // judge.features_in_step))
    floor = forward_time(problem)
    print(f"\n{tuple(problem.shape)}: {own / floor:.2f} x the floor per query; Quantus {peer / floor:.2f} x")
    assert own < peer


def test_sise_against_one_mask_at_a_time(benchmark, problem):
    sise = sys.modules["bench.methods.sise"]
    some = problem.take(range(8))

    def one_by_one() -> None:
        for row in range(len(some)):
            sise.sise(replace(some.take([row]), batch_size=1))

    benchmark.pedantic(lambda: sise.sise(some), rounds=5, warmup_rounds=1)
    ratio = seconds(one_by_one) / seconds(lambda: sise.sise(some))
    print(f"\n{problem.shape}: batched SISE is {ratio:.1f} x as fast as one mask at a time")
    assert ratio > 0.9
