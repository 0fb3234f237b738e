"""Complexity metrics: scores worked by hand, what random numbers score, and Quantus where it is right."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from test_localisation import problem_with
from test_metrics import given
from torch import Tensor

from bench.engine.score import score
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS

SUITE = ("sparseness", "complexity", "effective_complexity")
every_metric = pytest.mark.parametrize("name", SUITE)
every_shape = pytest.mark.parametrize("shape", [(36,), (6, 6)], ids=["signal", "image"])


def scored(name: str, maps: Tensor, **params: object) -> np.ndarray:
    metric = METRICS[name]
    metric = replace(metric, params=tuple((dict(metric.params) | params).items()))
    probe = Probe(problem_with(torch.zeros(maps.shape, dtype=torch.bool)))
    found = score(metric, METHODS["saliency"], probe, given(maps), task="t", seed=0)
    assert set(found.status) == {"ok"}, found.note
    assert probe.tally.asked == 0
    return found.values


def normal(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_worked_by_hand():
    maps = torch.tensor([[0.0, -1.0, 2.0, 5.0], [0.0, 0.0, -3.0, 0.0], [1.0, -1.0, 1.0, -1.0]])
    # 0, 1, 2, 5 weigh -3, -1, 1, 3: 16 over 4 features of 8 in all
    assert scored("sparseness", maps).tolist() == pytest.approx([16 / 32, 1 - 1 / 4, 0])
    entropy = math.log(8) - (2 * math.log(2) + 5 * math.log(5)) / 8
    assert scored("complexity", maps).tolist() == pytest.approx([entropy, 0, math.log(4)])
    # 90 % of 8 are 7.2: more than 5 + 2
    assert scored("effective_complexity", maps).tolist() == [75, 25, 100]
    assert scored("effective_complexity", maps, share=7 / 8).tolist() == [50, 25, 100]


@pytest.mark.parametrize("value", [1.0, 0.1, 1e-3, 1 / 3])
def test_nine_of_ten_equal_features_hold_90_percent_whatever_the_rounding(value):
    maps = torch.full((2, 10), value, dtype=torch.float64)
    maps[1] *= torch.tensor([-1, 1] * 5)
    assert scored("effective_complexity", maps).tolist() == [90, 90]
    assert scored("effective_complexity", maps, share=1.0).tolist() == [100, 100]


@every_shape
def test_sparseness_is_the_mean_difference_over_twice_the_mean(shape):
    maps = normal((5, *shape))
    sizes = maps.abs().flatten(1).double()
    expected = (sizes[:, :, None] - sizes[:, None]).abs().mean((1, 2)) / (2 * sizes.mean(1))
    np.testing.assert_allclose(scored("sparseness", maps), expected, rtol=1e-12)


def test_uniform_random_numbers():
    maps = torch.rand(200, 4000, generator=torch.Generator().manual_seed(0))
    # E[|u - v|] = 1/3 over twice 1/2; log of the sum F/2, less E[u log u] = -1/4 over 1/2; 1 - (1 - t)^2 = 0.9
    expected = {
        "sparseness": 1 / 3,
        "complexity": math.log(4000 / 2) + 0.5,
        "effective_complexity": 100 * (1 - math.sqrt(0.1)),
    }
    for name, value in expected.items():
        assert scored(name, maps).mean() == pytest.approx(value, rel=2e-3)  # 200 x 4000 numbers, and terms of 1/F


@every_metric
@every_shape
def test_scale_sign_and_place_change_nothing_and_a_constant_does(name, shape):
    maps = normal((6, *shape))
    plain = scored(name, maps)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(3))
    moved = maps.flatten(1)[:, order].view_as(maps)
    for same in (10 * maps, -maps, maps.abs(), moved):
        np.testing.assert_allclose(scored(name, same), plain, rtol=1e-6)
    assert (np.abs(scored(name, maps + 3) - plain) > 0.01 * np.abs(plain)).all()


@every_metric
def test_noise_makes_a_sparse_map_worse(name):
    exact = torch.zeros(100, 8, 8)
    exact[:, 2:4, 2:5] = 1 + 0.1 * normal((100, 2, 3))
    noise = normal(exact.shape) * exact.std()
    metric = METRICS[name]
    means = [scored(name, exact + level * noise).mean() for level in (0, 0.1, 1)]
    better = [a > b for a, b in itertools.pairwise(means)]
    assert better == [metric.higher_is_better] * 2


# --- against Quantus ----------------------------------------------------------------------------------------------------


def theirs(judge: Any, maps: Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = judge(
            model=None,
            x_batch=np.zeros((len(maps), 1, *maps.shape[1:]), dtype=np.float32),
            y_batch=np.zeros(len(maps), dtype=int),
            a_batch=maps[:, None].numpy().copy(),
            channel_first=True,
        )
    return np.asarray(found, dtype=float)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("name", ["sparseness", "complexity"])
@every_shape
def test_the_score_is_quantus_s(name, shape, normalise):
    judge = {"sparseness": quantus.Sparseness, "complexity": quantus.Complexity}[name]
    settings = {"abs": True, "normalise": normalise, "return_aggregate": False, "disable_warnings": True}
    maps = normal((6, *shape))
    # it adds 1e-7 to each attribution, or 1e-12 to each share, and computes in float32
    np.testing.assert_allclose(scored(name, maps), theirs(judge(**settings), maps), rtol=0, atol=1e-5)


def test_quantus_s_effective_complexity_is_all_features_of_any_dense_map():
    maps = torch.zeros(2, 100)
    maps[:, :5] = 1
    maps += torch.tensor([[0.001], [1.0]]) * normal((2, 100)).abs().clamp_min(0.05)
    judge = quantus.EffectiveComplexity(abs=True, normalise=True, return_aggregate=False, disable_warnings=True)
    assert theirs(judge, maps).tolist() == [100, 100]
    few, many = scored("effective_complexity", maps)
    assert few == 5
    assert many > 50
