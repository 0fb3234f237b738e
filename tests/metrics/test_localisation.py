"""Localisation metrics: scores worked by hand, ties, chance, the oracle, and Quantus where it is right."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from test_metrics import given
from torch import Tensor, nn

from bench.core.problem import Problem
from bench.engine.score import Scores, score
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS

SUITE = [m.name for m in METRICS.values() if m.family == "localisation" and not m.name.startswith("quantus_")]
BY_VALUE = ("energy_pointing_game", "relevance_mass_accuracy")  # the others look at the order alone
PLAIN = {"normalise": False, "abs": False, "return_aggregate": False, "disable_warnings": True}
every_metric = pytest.mark.parametrize("name", SUITE)


def problem_with(truth: Tensor) -> Problem:
    """A problem whose model nobody asks: truth (N, *S)."""
    inputs = torch.zeros(len(truth), 1, *truth.shape[1:])
    return Problem(
        model=nn.Flatten().eval(),
        inputs=inputs,
        sample_ids=tuple(map(str, range(len(truth)))),
        baseline=torch.zeros(1, *[1] * (truth.dim() - 1)),
        layers=(),
        top_k=0.3,
        fingerprint="",
        targets=torch.zeros(len(truth), dtype=torch.long),
        truth=truth,
    )


def judged(name: str, maps: Tensor, truth: Tensor, **params: object) -> Scores:
    metric = METRICS[name]
    metric = replace(metric, params=tuple((dict(metric.params) | params).items()))
    probe = Probe(problem_with(truth))
    found = score(metric, METHODS["saliency"], probe, given(maps), task="t", seed=0)
    assert probe.tally.asked == 0
    return found


def scored(name: str, maps: Tensor, truth: Tensor, **params: object) -> np.ndarray:
    found = judged(name, maps, truth, **params)
    assert set(found.status) == {"ok"}, found.note
    return found.values


def normal(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some_truth(shape: tuple[int, ...], share: float = 0.3) -> Tensor:
    """(N, *S): so many places of each sample, drawn."""
    chance = torch.rand(shape, generator=torch.Generator().manual_seed(9)).flatten(1)
    return (chance.argsort(1).argsort(1) < round(share * chance.shape[1])).view(shape)


BY_HAND = {  # without ties, and with
    "pointing_game": (1, 1 / 3),
    "energy_pointing_game": (6 / 9, 1 / 3),
    "relevance_mass_accuracy": (6 / 9, 1 / 3),
    "relevance_rank_accuracy": (2 / 3, 1 / 3),
    "top_k_intersection": (1 / 2, 1 / 3),
    "localisation_auc": (5 / 9, 4.5 / 8),
    "localisation_average_precision": ((1 + 2 / 3 + 3 / 6) / 3, (1 / 3 + 2 / 5) / 2),
}


@every_metric
@pytest.mark.parametrize("shape", [(6,), (2, 3)], ids=["signal", "image"])
def test_worked_by_hand(name, shape):
    maps = torch.tensor([[4.0, 3.0, -1.0, 2.0, 0.0, -5.0], [1.0, 1.0, 0.0, 0.0, 1.0, -2.0]])
    truth = torch.tensor([[True, False, False, True, False, True], [True, False, True, False, False, False]])
    params = {"k": 0.34} if name == "top_k_intersection" else {}  # 2 of 6 features
    found = scored(name, maps.view(2, *shape), truth.view(2, *shape), **params)
    assert found.tolist() == pytest.approx(BY_HAND[name], abs=1e-12)


@pytest.mark.parametrize("name", ["pointing_game", "relevance_rank_accuracy", "top_k_intersection", "localisation_auc"])
def test_ties_count_as_the_mean_over_all_orders_of_them(name):
    levels = np.array([2, 1, 1, 1, 0, 0])  # of equal height, in every order that they might be told apart
    truth = np.array([False, True, False, True, True, False])
    orders = [
        levels + np.array(order) / 10 for order in itertools.permutations(range(6))
    ]  # 720, each with its ties broken otherwise
    maps = torch.tensor(np.array([levels.astype(float), *orders]))
    params = {"k": 0.34} if name == "top_k_intersection" else {}
    found = scored(name, maps, torch.tensor(truth).expand(len(maps), -1), **params)
    assert found[0] == pytest.approx(found[1:].mean(), abs=1e-12)
    if name != "pointing_game":
        assert np.ptp(found[1:]) > 0  # the orders do differ


@pytest.mark.parametrize("levels", [3, 10**6], ids=["ties", "none"])
def test_auc_and_average_precision_are_scikit_learn_s(levels):
    truth = some_truth((8, 50), 0.2)
    maps = (normal((8, 50)) * levels).round() / levels
    for name, theirs in (
        ("localisation_auc", roc_auc_score),
        ("localisation_average_precision", average_precision_score),
    ):
        expected = [theirs(t, m) for t, m in zip(truth.numpy(), maps.numpy(), strict=True)]
        np.testing.assert_allclose(scored(name, maps, truth), expected, rtol=0, atol=1e-12)


@every_metric
@pytest.mark.parametrize("share", [0.05, 0.4])
def test_the_random_control_scores_chance(name, share):
    size, samples = 60, 4000
    maps = torch.rand(samples, size, generator=torch.Generator().manual_seed(1))
    inside = round(share * size)
    found = scored(name, maps, some_truth((samples, size), share))
    ranks = np.arange(1, size + 1)
    chance = {
        "localisation_auc": 0.5,
        # one in the truth has each rank alike; of the r - 1 above it, so many lie inside on average
        "localisation_average_precision": np.mean((1 + (ranks - 1) * (inside - 1) / (size - 1)) / ranks),
    }.get(name, inside / size)
    error = found.std() / np.sqrt(samples)
    assert abs(found.mean() - chance) < 4 * error  # exceeded once in 16,000 seeds


@every_metric
@pytest.mark.parametrize("shape", [(40,), (8, 8)], ids=["signal", "image"])
def test_the_truth_scores_best(name, shape):
    truth = some_truth((200, *shape))
    oracle = scored(name, truth.float(), truth)
    assert oracle.tolist() == [1.0] * 200
    for maps in (normal(truth.shape), truth + normal(truth.shape), -truth.float()):
        assert (scored(name, maps, truth) <= oracle).all()
        assert scored(name, maps, truth).mean() < 1


@every_metric
def test_noise_costs_points_and_the_negative_is_worse_than_chance(name):
    truth = some_truth((300, 8, 8), 0.25)
    exact = truth * (0.5 + torch.rand(truth.shape, generator=torch.Generator().manual_seed(2)))
    noise = normal(truth.shape) * exact.std()
    ladder = [exact, exact + 0.3 * noise, exact + 2 * noise, normal(truth.shape, 5), -exact]
    means = [scored(name, maps, truth).mean() for maps in ladder]
    assert means[0] == 1
    assert means[1] > means[2] + 0.1
    assert means[2] > means[3] + 0.1
    assert means[3] > means[4] + 0.1


def test_k_of_more_than_the_truth_limits_what_the_truth_can_score():
    truth = some_truth((5, 40), 0.2)
    np.testing.assert_allclose(scored("top_k_intersection", truth.float(), truth, k=0.5), 0.2 / 0.5)


def test_top_k_takes_one_feature_at_least():
    truth, maps = some_truth((20, 9), 0.3), normal((20, 9))
    np.testing.assert_array_equal(scored("top_k_intersection", maps, truth), scored("pointing_game", maps, truth))


@every_metric
def test_what_scale_constants_and_absolute_values_do(name):
    truth, maps = some_truth((50, 40)), normal((50, 40)) + 0.2
    plain = scored(name, maps, truth)
    np.testing.assert_allclose(scored(name, 10 * maps, truth), plain, rtol=1e-6)
    # the step is one that float32 adds exactly enough to keep the order
    moved = scored(name, maps.double() + 3, truth)
    assert np.allclose(moved, plain) == (name not in BY_VALUE)
    assert not np.allclose(scored(name, maps.abs(), truth), plain)


@every_metric
def test_a_truth_of_nothing_or_everything_is_undefined(name):
    truth = torch.zeros(3, 6, dtype=torch.bool)
    truth[1], truth[2, 2:4] = True, True
    found = judged(name, normal((3, 6)), truth)
    assert found.status == ("undefined", "undefined", "ok")


@every_metric
def test_a_map_without_a_positive_value(name):
    truth = torch.tensor([[True, True, False, False]])
    found = scored(name, torch.tensor([[-1.0, -2.0, -3.0, -4.0]]), truth)
    assert found.tolist() == [0 if name in BY_VALUE else 1]


# --- against Quantus ----------------------------------------------------------------------------------------------------


def theirs(judge: Any, maps: Tensor, truth: Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = judge(
            model=None,
            x_batch=np.zeros((len(maps), 1, *maps.shape[1:]), dtype=np.float32),
            y_batch=np.zeros(len(maps), dtype=int),
            a_batch=maps[:, None].numpy().copy(),
            s_batch=truth[:, None].numpy(),
            channel_first=True,
        )
    return np.asarray(found, dtype=float)


TABLE: dict[str, tuple[Callable[[], Any], Callable[[Tensor], Tensor]]] = {  # Quantus's metric, and what it is given
    "pointing_game": (lambda: quantus.PointingGame(**PLAIN), lambda maps: maps),
    "energy_pointing_game": (
        lambda: quantus.AttributionLocalisation(positive_attributions=True, **PLAIN),
        lambda maps: maps,
    ),
    # Quantus sums negative relevance as well, and its shares leave 0 ... 1; the paper's pooling takes none of it
    "relevance_mass_accuracy": (lambda: quantus.RelevanceMassAccuracy(**PLAIN), lambda maps: maps.clamp_min(0)),
    "relevance_rank_accuracy": (lambda: quantus.RelevanceRankAccuracy(**PLAIN), lambda maps: maps),
    "top_k_intersection": (lambda: quantus.TopKIntersection(k=6, **PLAIN), lambda maps: maps),
    "localisation_auc": (lambda: quantus.AUC(**PLAIN), lambda maps: maps),
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("shape", [(64,), (8, 8)], ids=["signal", "image"])
def test_the_score_is_quantus_s(name, shape):
    truth, maps = some_truth((12, *shape), 0.25), normal((12, *shape))
    judge, seen = TABLE[name]
    found = scored(name, maps, truth)  # k: 10 % of 64 are 6
    assert np.ptp(found) > 0.1
    # Quantus adds 1e-9 to a sum of about 20, and sums in float32
    np.testing.assert_allclose(found, theirs(judge(), seen(maps), truth), rtol=0, atol=1e-6)


def test_quantus_s_pointing_game_hits_with_any_of_the_tied_places():
    maps, truth = torch.ones(1, 8, 8), some_truth((1, 8, 8), 1 / 64)
    maps[0, 0] = 0.0
    assert not truth[0, 0].any()
    assert theirs(quantus.PointingGame(**PLAIN), maps, truth).tolist() == [1]
    assert scored("pointing_game", maps, truth).tolist() == [1 / 56]


def test_quantus_s_mass_accuracy_leaves_the_range_of_a_share():
    maps, truth = torch.tensor([[3.0, 0.0, -2.0, 0.0]]), torch.tensor([[True, True, False, False]])
    assert theirs(quantus.RelevanceMassAccuracy(**PLAIN), maps, truth).tolist() == [3.0]
    assert scored("relevance_mass_accuracy", maps, truth).tolist() == [1.0]
