"""Where Quantus 0.6 is right, our scores are its scores: each case runs both on the same model, inputs and attributions.

Attributions are random numbers without ties, since Quantus breaks ties arbitrarily. The models answer in float32, in batches
of other sizes for us than for Quantus: differences of about 1e-7 are rounding, and 1e-5 is not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from conftest import signal_problem, with_targets
from quantus.functions.perturb_func import batch_baseline_replacement_by_indices
from test_faithfulness import exact, linear_problem
from test_metrics import given
from torch import Tensor, nn

from bench.core.problem import Problem
from bench.core.random import SampleRng, numpy_state_kept
from bench.engine.score import score
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS

PLAIN = {
    "normalise": False,
    "abs": False,
    "return_aggregate": False,
    "disable_warnings": True,
    "display_progressbar": False,
}
ZERO = {"perturb_baseline": 0.0}


class Double(nn.Module):
    """A model in float64, whatever it is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.double())


class Probabilities(nn.Module):
    """A model that answers with probabilities. Not nn.Softmax, which Quantus would take away."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).softmax(1)


def signals() -> Problem:
    return signal_problem(6)


def images() -> Problem:
    """A convolutional network with random weights, and six smooth grey images whose values run from 0 to 1.

    With this seed predictions change under ROAD, and yet none hangs on the little by which imputed values differ from
    Quantus's: the closest decision is one of 0.03 in logits, and logits differ by 0.001.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(16)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4)
        )
        inputs = nn.functional.interpolate(torch.rand(6, 1, 8, 8), size=(24, 24), mode="bicubic")
    model[-1].weight.data.mul_(60)  # else all probabilities are about 1 / 4
    inputs = inputs - inputs.amin((1, 2, 3), keepdim=True)
    problem = Problem(
        model=model.eval().requires_grad_(False),
        inputs=inputs / inputs.amax((1, 2, 3), keepdim=True),
        sample_ids=tuple(map(str, range(6))),
        baseline=torch.zeros(1, 1, 1),
        layers=(),
        top_k=0.3,
        fingerprint="",
    )
    return with_targets(problem, 4)


PROBLEMS = {"signals": signals, "images": images}


def theirs(judge: Any, problem: Problem, maps: Tensor, batch_size: int = 64) -> Any:
    """What a Quantus metric says about attributions (N, *S)."""
    with warnings.catch_warnings(), numpy_state_kept():
        warnings.simplefilter("ignore")  # it warns of perturbations that change nothing, and NumPy of its use of trapz
        np.random.seed(0)
        return judge(
            model=Probabilities(problem.model).eval(),
            x_batch=problem.inputs.numpy(),
            y_batch=problem.targets.numpy(),
            a_batch=maps.unsqueeze(1).numpy(),
            softmax=False,
            channel_first=True,
            batch_size=batch_size,
        )


def ours(name: str, probe: Probe, maps: Tensor, **params: object) -> np.ndarray:
    metric = METRICS[name]
    metric = replace(metric, params=tuple((dict(metric.params) | params).items()))
    found = score(metric, METHODS["saliency"], probe, given(maps), task="t", seed=0)
    assert set(found.status) == {"ok"}, found.note
    return found.values


def without_ties(problem: Problem) -> Tensor:
    maps = torch.randn(len(problem), *problem.shape, generator=torch.Generator().manual_seed(4))
    assert all(len(one.abs().unique()) == one.numel() for one in maps)
    return maps


def assert_same(a: np.ndarray, b: np.ndarray, record_property: Callable[[str, object], None]) -> None:
    gap = float(np.abs(np.asarray(a) - np.asarray(b)).max())
    record_property("greatest_difference", gap)
    assert np.ptp(a) > 1e-3  # else equality says little
    assert gap <= 1e-5


def height(curves: Any) -> np.ndarray:
    """Area under each curve of even steps over the share 0 ... 1."""
    curves = np.asarray(curves)
    return (curves.sum(1) - (curves[:, 0] + curves[:, -1]) / 2) / (curves.shape[1] - 1)


# --- metrics that draw nothing ------------------------------------------------------------------------------------------


def flipping(step: int) -> Any:
    return quantus.PixelFlipping(features_in_step=step, return_auc_per_sample=True, **ZERO, **PLAIN)


def regions(order: str) -> Any:
    return quantus.RegionPerturbation(patch_size=4, order=order, **ZERO, **PLAIN)


def lost_with_none(drops: Any, _full: np.ndarray) -> np.ndarray:
    """Quantus gives p(x) - p_k for k = 1 ... L; the paper's mean has k = 0 too, at which nothing is lost."""
    return np.sum(drops, axis=1) / (np.shape(drops)[1] + 1)


# problem, our metric and its hyper-parameters, Quantus's metric, and how its answer and p(x) make our number
TABLE: dict[str, tuple[str, str, dict[str, object], Callable[[], Any], Callable[[Any, np.ndarray], np.ndarray]]] = {
    # 20 steps of 2 of 40 places, 16 of 36 of 576; Quantus's area has unit steps and begins after the first
    "pixel_flipping-1d": ("signals", "pixel_flipping", {}, lambda: flipping(2), lambda area, _: np.array(area) / 19),
    "pixel_flipping-2d": (
        "images",
        "pixel_flipping",
        {"steps": 16},
        lambda: flipping(36),
        lambda area, _: np.array(area) / 15,
    ),
    # 10 windows of 4 places, or 36 patches of 4 x 4
    **{
        f"{name}-{dimensions}": (
            problem,
            name,
            {"steps": patches, "features": f"patch{patches}"},
            lambda order=order: regions(order),
            lost_with_none,
        )
        for problem, dimensions, patches in (("signals", "1d", 10), ("images", "2d", 36))
        for name, order in (("region_perturbation", "morf"), ("aopc_morf", "morf"), ("aopc_lerf", "lerf"))
    },
    # Quantus gives p after each patch; the area has p(x) in front
    **{
        f"selectivity-{dimensions}": (
            problem,
            "selectivity",
            {"steps": patches, "features": f"patch{patches}"},
            lambda: quantus.Selectivity(patch_size=4, **ZERO, **PLAIN),
            lambda curves, full: height(np.concatenate([full[:, None], curves], axis=1)),
        )
        for problem, dimensions, patches in (("signals", "1d", 10), ("images", "2d", 36))
    },
    # The numbers themselves
    **{
        f"faithfulness_estimate-{dimensions}": (
            problem,
            "faithfulness_estimate",
            {"features": "pixel"},
            lambda: quantus.FaithfulnessEstimate(features_in_step=1, **ZERO, **PLAIN),
            lambda correlations, _: np.array(correlations),
        )
        for problem, dimensions in (("signals", "1d"), ("images", "2d"))
    },
}


@pytest.mark.parametrize("case", TABLE)
def test_the_score_is_quantus_s(case, record_property):
    which, name, params, judge, relation = TABLE[case]
    problem = PROBLEMS[which]()
    maps, probe = without_ties(problem), Probe(problem)
    expected = relation(theirs(judge(), problem, maps), probe.full.numpy())
    assert_same(ours(name, probe, maps, **params), expected, record_property)


def test_irof_is_quantus_s_with_the_first_step_and_over_the_number_of_segments(record_property, monkeypatch):
    problem = images()
    maps, probe = without_ties(problem), Probe(problem)
    cells = probe.partition("segment20")
    queue = iter(cells.labels.numpy())
    monkeypatch.setattr(quantus.helpers.utils, "get_superpixel_segments", lambda img, segmentation_method: next(queue))
    # One sample at a time: beside others with more segments, Quantus adds a step down to zero.
    found = theirs(quantus.IROF(**ZERO, **PLAIN), problem, maps, batch_size=1)
    # It is S less the trapezoids between r_1 ... r_S, r_k = p_k / p(x). The paper's area begins at r_0 = 1, that is
    # (1 + r_1) / 2 more under the curve, and its width is 1 instead of S.
    first = torch.ones(len(problem), 1, dtype=torch.int64)
    r_1 = (probe.p_without_top(maps, first, features="segment20")[:, 0] / probe.full).numpy()
    expected = (np.array(found) - (1 + r_1) / 2) / cells.counts.numpy()
    assert_same(ours("irof", probe, maps), expected, record_property)


# --- metrics that draw --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", PROBLEMS)
def test_faithfulness_correlation_is_quantus_s_on_the_subsets_that_it_drew(which, record_property, monkeypatch):
    problem = PROBLEMS[which]()
    maps, probe = without_ties(problem), Probe(problem)
    drawn: list[Tensor] = []

    def recorded(arr: np.ndarray, indices: np.ndarray, **how: Any) -> np.ndarray:
        removed = torch.zeros(arr.shape, dtype=torch.bool)
        drawn.append(removed.scatter_(1, torch.from_numpy(indices), True))
        return batch_baseline_replacement_by_indices(arr, indices, **how)

    size = int(0.2 * probe.features)
    judge = quantus.FaithfulnessCorrelation(nr_runs=32, subset_size=size, perturb_func=recorded, **ZERO, **PLAIN)
    expected = theirs(judge, problem, maps)
    monkeypatch.setattr(probe, "_subset_masks", lambda cells, share, draws: torch.stack(drawn, dim=1))
    assert_same(ours("faithfulness_correlation", probe, maps, features="pixel"), expected, record_property)


@pytest.mark.parametrize("which", PROBLEMS)
def test_monotonicity_correlation_is_quantus_s_on_the_values_that_we_drew(which, record_property):
    problem, draws = PROBLEMS[which](), 2
    # a correlation of ranks must not hang on the rounding of a probability
    problem = replace(problem, model=Double(problem.model).eval())
    maps, probe = without_ties(problem), Probe(problem)
    low, high = (pick(problem.inputs.flatten(1), 1, keepdim=True) for pick in (torch.amin, torch.amax))
    noise = SampleRng(("disturbed",), problem.sample_ids).uniform((draws, *problem.inputs.shape[1:])).flatten(2)
    calls = iter(range(10**6))

    def redrawn(arr: np.ndarray, indices: np.ndarray, **_: Any) -> np.ndarray:
        other = (low + (high - low) * noise[:, next(calls) % draws]).numpy()
        arr, rows = arr.copy(), np.arange(len(arr))[:, None]
        arr[rows, indices] = other[rows, indices]
        return arr

    judge = quantus.MonotonicityCorrelation(nr_samples=draws, perturb_func=redrawn, **PLAIN | {"abs": True})
    expected = theirs(judge, problem, maps)
    found = ours("monotonicity_correlation", probe, maps, draws=draws, features="pixel")
    assert_same(found, np.array(expected), record_property)


def test_road_has_quantus_s_accuracy_at_every_level(record_property):
    problem = images()
    maps, probe = without_ties(problem), Probe(problem)
    levels = [10, 30, 50, 70, 90]
    expected = theirs(quantus.ROAD(percentages=levels, noise=0.0, **PLAIN), problem, maps)
    kept = probe.top1_after_imputation(maps, probe.counts([level / 100 for level in levels]), noise=0.0)
    gaps = [float(kept[:, column].mean()) - expected[level] for column, level in enumerate(levels)]
    record_property("greatest_difference", float(max(map(abs, gaps))))
    assert gaps == [0] * 5
    assert len(set(expected.values())) > 2  # not all kept or all lost
    assert ours("road", probe, maps, noise=0.0).mean() == pytest.approx(np.mean(list(expected.values())))


# --- where Quantus is not right -----------------------------------------------------------------------------------------


def test_quantus_s_sensitivity_n_does_not_know_the_exact_attribution():
    # It compares the attribution of the last feature removed with p lost by all so far, over samples and not subsets.
    problem = linear_problem((1, 24), samples=12)
    found = theirs(quantus.SensitivityN(**ZERO, **PLAIN), problem, exact(problem))
    assert np.mean(found) < 0.9
    np.testing.assert_allclose(ours("sensitivity_n", Probe(problem), exact(problem)), 1)


def test_quantus_s_irof_of_a_sample_depends_on_its_batch(monkeypatch):
    problem = images()
    maps, cells = without_ties(problem), Probe(problem).partition("segment20")
    scores = []
    for batch_size in (1, 6):
        queue = iter(cells.labels.numpy())
        monkeypatch.setattr(quantus.helpers.utils, "get_superpixel_segments", lambda queue=queue, **_: next(queue))
        scores.append(np.array(theirs(quantus.IROF(**ZERO, **PLAIN), problem, maps, batch_size)))
    fewer = (cells.counts < cells.most).numpy()
    assert fewer.any()
    assert (scores[0] - scores[1])[fewer].min() > 1e-3
