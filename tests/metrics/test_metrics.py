"""Laws that every registered metric keeps, and each metric against a hand-worked or independent value."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace

import conftest
import numpy as np
import pytest
import torch
from conftest import signal_problem, with_targets
from test_probe import sigmoid, votes
from torch import Tensor, nn

from bench.core.entries import Entry, Metric
from bench.core.problem import Problem
from bench.engine.explain import Attributions, explain_all
from bench.engine.score import Scores, score
from bench.network.cost import Cost
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS
from bench.registry.selection import with_params

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
judged = [metric for metric in METRICS.values() if metric.family != "cost"]
every_judge = pytest.mark.parametrize("metric", judged, ids=[metric.name for metric in judged])


def probe_of(problem: Problem) -> Probe:
    return Probe(problem)


def given(maps: Tensor) -> Attributions:
    """Explanations with these maps, as if a method had made them."""
    n = len(maps)
    cost = Cost(*(torch.full((n,), value, dtype=torch.float64) for value in (0.5, 3.0, 2.0, 7.0)))
    return Attributions(maps, cost, ("ok",) * n, ("",) * n)


def scored(name: str, problem: Problem, maps: Tensor, **params: object) -> np.ndarray:
    metric = METRICS[name]
    metric = replace(metric, params=tuple((dict(metric.params) | params).items()))
    return score(metric, METHODS["saliency"], probe_of(problem), given(maps), task="test", seed=0).values


def maps_for(problem: Problem) -> Tensor:
    return torch.randn(len(problem), *problem.shape, generator=torch.Generator().manual_seed(3))


def linear_problem(shape: tuple[int, ...] = (3, 6, 6), samples: int = 5) -> Problem:
    """p of the class depends on one weighted sum, small enough for the softmax to be nearly linear."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 2)).eval().requires_grad_(False)
    model[1].weight.mul_(0.1)
    inputs = torch.rand(samples, *shape)
    baseline = torch.zeros(shape[0], *(1,) * (len(shape) - 1))
    return with_targets(Problem(model, inputs, tuple(map(str, range(samples))), baseline, (), 0.3, ""), 3)


def exact(problem: Problem) -> Tensor:
    """The attribution of a linear model: weight of the class, less that of the other, times input."""
    weight = problem.model[1].weight
    gap = weight[problem.targets] - weight[1 - problem.targets]
    return (gap.view_as(problem.inputs) * problem.inputs).sum(1)


DOES_NOT_APPLY = {  # metric, spatial axes -> a part of the reason
    ("quantus_irof", 1): "needs images",
    ("quantus_road", 1): "needs images",
    ("quantus_infidelity", 1): "needs images",
    ("quantus_focus", 1): "needs 2x2 mosaics",
    ("quantus_irof", 2): "needs inputs with one channel",
    ("quantus_road", 2): "needs inputs with one channel",
    ("quantus_focus", 2): "needs 2x2 mosaics",
}


def skip_where_it_does_not_apply(metric: Metric, problem: Problem, found: Scores) -> None:
    """Ends a test of a metric that has to say that this kind of problem is none for it; no other may be skipped."""
    reason = DOES_NOT_APPLY.get((metric.name, len(problem.shape)))
    assert ("skipped" in found.status) == (reason is not None)
    if reason is not None:
        assert set(found.status) <= {"skipped", "undefined"}
        note = found.note[found.status.index("skipped")]
        assert reason in note
        pytest.skip(note)


@every_metric
def test_scores_are_finite_and_within_the_stated_limits(metric, problem):
    explained = explain_all(METHODS["saliency"], problem, task="test", seed=0)
    found = score(metric, METHODS["saliency"], probe_of(problem), explained, task="test", seed=0)
    skip_where_it_does_not_apply(metric, problem, found)
    assert set(found.status) == {"ok"}
    low, high = metric.limits
    assert (found.values >= (-np.inf if low is None else low - 1e-9)).all()
    assert (found.values <= (np.inf if high is None else high + 1e-9)).all()


@every_judge
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_and_order_do_not_change_a_score(metric, problem, batch_size):
    maps = maps_for(problem)
    expected, reverse = in_order_and_in_reverse(metric, len(problem.shape))
    found = scores_of_drawn(metric, replace(problem, batch_size=batch_size), maps)
    # float32 probabilities in another order of adding; percentages are a hundred times larger
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(reverse[::-1], expected, atol=1e-4, rtol=1e-4)


def scores_of_drawn(metric: Metric, problem: Problem, maps: Tensor) -> np.ndarray:
    """For a method that draws."""
    method = with_params(METHODS["smoothgrad"], "samples=2")
    return score(metric, method, probe_of(problem), given(maps), task="test", seed=0).values


@functools.cache  # once for all batch sizes
def in_order_and_in_reverse(metric: Metric, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the samples in their order and in the opposite one, of the `problem` with so many spatial axes."""
    problem = conftest.some_problem("signal" if axes == 1 else "image")
    maps, order = maps_for(problem), list(reversed(range(len(problem))))
    return scores_of_drawn(metric, problem, maps), scores_of_drawn(metric, problem.take(order), maps[order])


@every_judge
def test_a_sample_is_scored_the_same_alone_as_in_company(metric, problem):
    method, maps = METHODS["saliency"], maps_for(problem)
    together = score(metric, method, probe_of(problem), given(maps), task="test", seed=0).values
    alone = score(metric, method, probe_of(problem.take([2])), given(maps[[2]]), task="test", seed=0).values
    np.testing.assert_allclose(alone, together[[2]], atol=1e-4, rtol=1e-4)


# ROAD imputes what it removes, and a linear model may read the imputed values as well; the rank correlation has no sign.
# Both have tests of their own below. Quantus's own are for conformance to tell of: some do not keep this law.
unsigned = {"road", "monotonicity_correlation", *(m.name for m in judged if m.name.startswith("quantus_"))}
signed = [m for m in judged if m.family == "faithfulness" and m.name not in unsigned]
every_shape = pytest.mark.parametrize("shape", [(1, 24), (1, 6, 6), (3, 6, 6)], ids=["signal", "grey", "rgb"])


@pytest.mark.parametrize("metric", signed, ids=lambda m: m.name)
@every_shape
def test_the_exact_attribution_of_a_linear_model_beats_its_negative(metric, shape):
    problem = linear_problem(shape, samples=12)
    truth = exact(problem)
    better, worse = (scored(metric.name, problem, maps).mean() for maps in (truth, -truth))
    assert (better > worse) if metric.higher_is_better else (better < worse)


@every_judge
def test_a_constant_or_infinite_map_is_undefined_and_the_others_are_scored(metric, problem):
    maps = maps_for(problem)
    maps[0], maps[1].flatten()[3] = 0.7, torch.nan
    method = Entry("flawed", lambda problem: maps, "test", "", 1, (), ("problem",))
    explained = explain_all(method, replace(problem, batch_size=64), task="test", seed=0)
    found = score(metric, METHODS["saliency"], probe_of(problem), explained, task="test", seed=0)
    assert found.status[:2] == ("undefined", "undefined")
    assert found.note[:2] == ("the attribution is constant", "the attribution is not finite")
    assert np.isnan(found.values[:2]).all()
    skip_where_it_does_not_apply(metric, problem, found)
    assert set(found.status[2:]) == {"ok"}


def test_drop_increase_and_topk_deletion_by_hand():
    probe = votes([1.0, 2.0, -1.0, 0.0], [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    maps = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])  # top half: {0, 1} and {2, 3}
    explained, p = given(maps), sigmoid(2)
    found = {
        name: score(METRICS[name], METHODS["saliency"], probe, explained, task="t", seed=0).values.tolist()
        for name in ("drop", "increase", "topk_deletion")
    }
    assert found["drop"] == pytest.approx([0.0, 100 * (p - sigmoid(-1)) / p])
    assert found["increase"] == [100.0, 0.0]
    assert found["topk_deletion"] == pytest.approx([100 * (p - sigmoid(-1)) / p, 100 * (p - sigmoid(3)) / p])


def test_deletion_and_insertion_are_areas_and_their_curves_are_kept():
    probe = votes([1.0, 2.0], [[1.0, 1.0]])
    maps = torch.tensor([[0.0, 1.0]])
    deletion = score(METRICS["deletion"], METHODS["saliency"], probe, given(maps), task="t", seed=0)
    curve = [sigmoid(3), sigmoid(1), sigmoid(0)]
    assert deletion.curves is not None
    assert deletion.curves[0].tolist() == pytest.approx(curve)
    assert deletion.values[0] == pytest.approx((curve[0] / 2 + curve[1] + curve[2] / 2) / 2)
    insertion = score(METRICS["insertion"], METHODS["saliency"], probe, given(maps), task="t", seed=0)
    assert insertion.values[0] == pytest.approx((sigmoid(0) / 2 + sigmoid(2) + sigmoid(3) / 2) / 2)


@pytest.mark.parametrize("shape", [(1, 24), (3, 6, 6)], ids=["signal", "rgb"])
def test_quantus_faithfulness_correlation_is_one_for_the_exact_attribution(shape):
    problem = linear_problem(shape)
    found = scored("quantus_faithfulness_correlation", problem, exact(problem))
    # 1 but for the bend of the softmax
    assert found.min() > 0.999
    np.testing.assert_allclose(scored("quantus_faithfulness_correlation", problem, -exact(problem)), -found, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 24), (3, 6, 6)], ids=["signal", "rgb"])
def test_quantus_pixel_flipping_reads_our_deletion_curve(shape):
    problem = linear_problem(shape)
    maps = maps_for(problem)
    ours = probe_of(problem).deletion(maps, 12)[:, 1:]  # Quantus's curve begins after the first step
    expected = torch.trapezoid(ours, dx=1 / (ours.shape[1] - 1), dim=1).numpy()
    np.testing.assert_allclose(scored("quantus_pixel_flipping", problem, maps, steps=12), expected, atol=1e-6)


def test_quantus_max_sensitivity_is_the_largest_relative_change():
    from bench.core.random import SampleRng
    from bench.engine.explain import explain

    problem, metric, method = signal_problem(), METRICS["quantus_max_sensitivity"], METHODS["saliency"]
    maps = explain(method, problem, task="test", seed=0)[0]
    noise = SampleRng(("neighbours",), problem.sample_ids).uniform((3, 1, 40))  # that of all robustness metrics
    spread = 0.05 * (problem.inputs.amax((1, 2)) - problem.inputs.amin((1, 2))).view(-1, 1, 1)
    changes = []
    for draw in noise.unbind(1):
        changed = replace(problem, inputs=problem.inputs + spread * (2 * draw - 1))
        gap = explain(method, changed, task="test", seed=0)[0] - maps
        changes.append(gap.norm(dim=1) / maps.norm(dim=1))
    expected = torch.stack(changes).amax(0).numpy()
    np.testing.assert_allclose(scored(metric.name, problem, maps), expected, rtol=1e-3)


def test_the_random_control_is_not_stable_under_max_sensitivity():
    problem = signal_problem()
    explained = explain_all(METHODS["random"], problem, task="test", seed=0)
    metric = METRICS["quantus_max_sensitivity"]
    found = score(metric, METHODS["random"], probe_of(problem), explained, task="test", seed=0).values
    assert (found > 0.3).all()


def test_quantus_sparseness_is_the_gini_index():
    values = np.array([0.0, -1.0, 2.0, 5.0])
    ordered = np.sort(np.abs(values))
    gini = sum((2 * (i + 1) - 4 - 1) * v for i, v in enumerate(ordered)) / (4 * ordered.sum())
    problem = linear_problem((1, 4), samples=1)
    assert scored("quantus_sparseness", problem, torch.tensor(values[None]).float())[0] == pytest.approx(gini, abs=1e-6)


def test_quantus_complexity_is_the_entropy_of_shares():
    share = np.array([1.0, 2.0, 5.0]) / 8
    problem = linear_problem((1, 3), samples=1)
    found = scored("quantus_complexity", problem, torch.tensor([[1.0, -2.0, 5.0]]))[0]
    assert found == pytest.approx(-(share * np.log(share)).sum(), abs=1e-6)


def test_costs_are_passed_on_even_for_a_constant_map():
    problem = signal_problem()
    maps = torch.zeros(len(problem), 40)
    explained = replace(given(maps), status=("undefined",) * 6, note=("the attribution is constant",) * 6)
    for name, value in (("seconds", 0.5), ("forward_queries", 3), ("backward_queries", 2), ("peak_memory", 7)):
        found = score(METRICS[name], METHODS["saliency"], probe_of(problem), explained, task="t", seed=0)
        assert set(found.status) == {"ok"}
        assert found.values.tolist() == [value] * 6


def test_queries_are_counted_per_sample(problem):
    expected = {"saliency": (1, 1), "integrated_gradients": (32, 32), "smoothgrad": (32, 32), "random": (0, 0)}
    for name, (forwards, backwards) in expected.items():
        cost = explain_all(METHODS[name], problem, task="t", seed=0).cost
        assert cost.forwards.tolist() == [forwards] * len(problem)
        assert cost.backwards.tolist() == [backwards] * len(problem)


def test_peak_memory_of_a_convolution_is_what_its_tensors_hold():
    from bench.network.cost import PeakMemory

    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()).requires_grad_(False)
    x = torch.rand(1, 3, 50, 50)
    with PeakMemory() as memory, torch.no_grad():
        model(x)
    assert memory.peak == 2 * 32 * 50 * 50 * 4  # both activations at once
    assert memory.now == 0


def test_metrics_that_fail_or_misbehave_become_rows():
    def breaks_on_one(probe: Probe, attribution: Tensor) -> Tensor:
        if "2" in probe.problem.sample_ids:
            raise ValueError("no luck with 2")
        return attribution.flatten(1).sum(1)

    def wrong_shape(attribution: Tensor) -> Tensor:
        return attribution

    def is_nan(attribution: Tensor) -> Tensor:
        return torch.full((len(attribution),), torch.nan)

    problem = linear_problem((1, 2, 2))
    explained = given(maps_for(problem))

    def run(fn: object, injected: tuple[str, ...]) -> object:
        metric = Metric("odd", fn, "faithfulness", "", 1, (), injected)
        return score(metric, METHODS["saliency"], probe_of(problem), explained, task="t", seed=0)

    found = run(breaks_on_one, ("probe", "attribution"))
    assert found.status == ("ok", "ok", "failed", "ok", "ok")
    assert found.note[2].startswith("ValueError: no luck with 2 (test_metrics.py:")
    found = run(wrong_shape, ("attribution",))
    assert set(found.status) == {"failed"}
    assert "returned (1, 2, 2)" in found.note[0]
    found = run(is_nan, ("attribution",))
    assert set(found.status) == {"undefined"}


def test_a_metric_without_what_it_needs_is_skipped():
    metric = Metric(
        "pointing", lambda attribution: attribution, "localisation", "", 1, (), ("attribution",), frozenset({"truth"})
    )
    problem = replace(signal_problem(), truth=None)
    found = score(metric, METHODS["saliency"], probe_of(problem), given(maps_for(problem)), task="t", seed=0)
    assert set(found.status) == {"skipped"}
    assert found.note[0] == "pointing needs truth, which the task does not have"


def test_quantus_warnings_do_not_reach_the_user():
    problem = linear_problem((1, 6))
    problem = replace(problem, inputs=torch.zeros_like(problem.inputs))  # no perturbation changes anything
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scored("quantus_pixel_flipping", problem, maps_for(problem))
    assert np.ptp(found) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("metric", [m for m in judged if m.name.startswith("quantus_")], ids=lambda m: m.name)
def test_quantus_scores_maps_that_are_negative_everywhere(metric, problem):
    maps = maps_for(problem)
    negative = maps - maps.max() - 1
    found = score(metric, METHODS["saliency"], probe_of(problem), given(negative), task="test", seed=0)
    skip_where_it_does_not_apply(metric, problem, found)
    assert set(found.status) == {"ok"}
