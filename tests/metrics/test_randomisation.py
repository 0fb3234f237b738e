"""Randomisation metrics against formulas worked here, and the models whose weights are random."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import signal_problem
from scipy.stats import spearmanr
from test_metrics import given, linear_problem
from torch import Tensor, nn

from bench.core.entries import Entry
from bench.core.hashing import model_digest
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine.explain import Attributions, explain, explain_all
from bench.engine.score import Scores, score
from bench.metrics.randomisation import randomised, spearman, spread, weighted_layers
from bench.network.cost import measured
from bench.network.gradients import gradient
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS

NAMES = ["random_logit", "mprt_cascading", "mprt_independent"]
MPRT = NAMES[1:]


def method(fn: object, *injected: str) -> Entry:
    return Entry("made_here", fn, "test", "", 1, (), injected or ("problem",))


def scored(name: str, entry: Entry, problem: Problem, explained: Attributions | None = None) -> Scores:
    explained = explained or given(explain(entry, problem, task="test", seed=0)[0])
    return score(METRICS[name], entry, Probe(problem), explained, task="test", seed=0)


def weights_times_input(problem: Problem) -> Tensor:
    return (gradient(problem) * problem.inputs).sum(1)


def deep_problem() -> Problem:
    """Four layers with weights, a batch norm among them."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(1, 8, 3, padding=1),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Conv1d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 20, 16),
        nn.ReLU(),
        nn.Linear(16, 4),
    ).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    inputs = torch.randn(5, 1, 20)
    return Probe(Problem(model, inputs, tuple("abcde"), torch.zeros(1, 1), (), 0.3, "")).problem


DEEP = ["8", "6", "3", "0"]  # last to first, without the batch norm


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["input_magnitude", "edges", "random"])
def test_a_map_that_ignores_the_model_stays_what_it_is(name, control):
    found = scored(name, METHODS[control], deep_problem())
    # also the random control: it is given the same random numbers
    np.testing.assert_allclose(found.values, 1.0, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_more_of_the_input_in_a_map_the_worse(name):
    problem = linear_problem((1, 6, 6), samples=12)

    def mixed(share: float) -> Entry:
        def explainer(problem: Problem) -> Tensor:
            own, other = (
                maps / maps.std((1, 2), keepdim=True) for maps in (gradient(problem)[:, 0], problem.inputs[:, 0])
            )
            return (1 - share) * own + share * other

        return method(explainer)

    means = [scored(name, mixed(share), problem).values.mean() for share in (0.0, 0.5, 1.0)]
    assert means[0] < means[1] - 0.1
    assert means[1] < means[2] - 0.1
    assert means[2] == pytest.approx(1)


def test_classes_that_are_opposites_have_opposite_explanations():
    problem = linear_problem((1, 24))
    problem.model[1].weight.data[1] = -problem.model[1].weight[0]
    assert scored("random_logit", method(weights_times_input), problem).values.tolist() == pytest.approx([-1.0] * 5)


def test_random_logit_is_the_rank_correlation_with_the_map_of_another_class():
    problem = linear_problem((3, 6, 6))  # of two classes, so there is but one other
    weight = problem.model[1].weight
    maps = [(weight[k].view(3, 6, 6) * problem.inputs).sum(1).flatten(1).numpy() for k in (0, 1)]
    expected = [spearmanr(maps[0][row], maps[1][row]).statistic for row in range(5)]
    np.testing.assert_allclose(scored("random_logit", method(weights_times_input), problem).values, expected, atol=1e-9)


def test_the_other_class_is_never_the_explained_one_and_may_be_any_other():
    problem, seen = linear_problem((1, 24), samples=60), []
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 4)).eval().requires_grad_(False)
    problem = Probe(replace(problem, model=model, targets=None, batch_size=60)).problem

    def spy(problem: Problem) -> Tensor:
        seen.append(problem.targets)
        return weights_times_input(problem)

    scored("random_logit", method(spy), problem)
    own, other = seen
    assert set(((other - own) % 4).tolist()) == {1, 2, 3}


def test_a_model_of_one_class_has_no_other_to_explain():
    problem = linear_problem((1, 24))
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 1)).eval().requires_grad_(False)
    problem = replace(problem, model=model, targets=torch.zeros(5, dtype=torch.long))
    found = scored("random_logit", method(weights_times_input), problem)
    assert set(found.status) == {"skipped"}
    assert found.note[0] == "random_logit needs a model with at least two classes, and this one has a single output"


def test_mprt_of_a_linear_model_by_hand():
    problem = linear_problem((3, 6, 6))
    weight = problem.model[1].weight
    normal = SampleRng((), ["random weights of 1"]).normal(weight.shape)[0]
    other = normal * weight.square().mean().sqrt()
    maps = [
        (w[problem.targets].view_as(problem.inputs) * problem.inputs).sum(1).flatten(1).numpy() for w in (weight, other)
    ]
    expected = [spearmanr(maps[0][row], maps[1][row]).statistic for row in range(5)]
    for name in MPRT:  # one layer: both are the same test
        np.testing.assert_allclose(scored(name, method(weights_times_input), problem).values, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "stages"),
    [("mprt_cascading", [DEEP[:1], DEEP[:2], DEEP[:3], DEEP]), ("mprt_independent", [[layer] for layer in DEEP])],
)
def test_mprt_is_the_mean_rank_correlation_over_models(name, stages):
    problem, entry = deep_problem(), METHODS["gradient_x_input"]
    before = explain(entry, problem, task="test", seed=0)[0].flatten(1).numpy()
    found = []
    for layers in stages:
        model = copy.deepcopy(problem.model)
        for layer in layers:
            stream = SampleRng((), [f"random weights of {layer}"])
            for values in (model[int(layer)].weight, model[int(layer)].bias):
                values.copy_(stream.normal(values.shape)[0] * values.square().mean().sqrt())
        after = explain(entry, replace(problem, model=model), task="test", seed=0)[0].flatten(1).numpy()
        found.append([spearmanr(one, two).statistic for one, two in zip(before, after, strict=True)])
    np.testing.assert_allclose(scored(name, entry, problem).values, np.mean(found, axis=0), atol=1e-6)


def test_random_weights_keep_their_size_and_leave_normalisation_alone():
    problem = deep_problem()
    before = model_digest(problem.model)
    model = randomised(Probe(problem), DEEP)
    assert weighted_layers(problem.model) == DEEP
    assert model_digest(problem.model) == before
    for name, values in problem.model.named_parameters():
        other = dict(model.named_parameters())[name]
        if name.startswith("1."):
            assert torch.equal(values, other)
        elif values.numel() > 1000:  # the root mean square of so many normal draws is known within a few percent
            assert not torch.allclose(values, other)
            assert float(other.square().mean().sqrt() / values.square().mean().sqrt()) == pytest.approx(1, abs=0.05)
            assert abs(float(other.mean() / other.std())) < 0.1
    assert [name for name, values in problem.model.named_parameters() if values.numel() > 1000] == ["6.weight"]


def test_random_weights_depend_on_the_run_and_the_layer_alone():
    problem = deep_problem()
    all_of_them = randomised(Probe(problem, names=(0, "task")), DEEP)
    others = randomised(Probe(problem.take([2]), names=(0, "task")), DEEP[::-1])
    assert model_digest(all_of_them) == model_digest(others)
    last = randomised(Probe(problem, names=(0, "task")), DEEP[:1])
    assert torch.equal(last[8].weight, all_of_them[8].weight)
    assert torch.equal(last[6].weight, problem.model[6].weight)
    assert not torch.equal(randomised(Probe(problem, names=(1, "task")), DEEP)[8].weight, last[8].weight)
    assert not torch.allclose(all_of_them[0].weight.flatten()[:8], all_of_them[3].weight.flatten()[:8])


def test_layers_are_spread_evenly_over_deep_models():
    assert spread(3, 5) == [0, 1, 2]
    assert spread(9, 5) == [0, 2, 4, 6, 8]
    assert spread(50, 5) == [0, 12, 24, 37, 49]
    assert spread(1, 5) == [0]
    assert spread(4, 1) == [0]


def test_a_deep_model_is_randomised_in_no_more_than_five_stages():
    torch.manual_seed(0)
    blocks = [nn.Linear(10, 10) for _ in range(9)]
    model = nn.Sequential(nn.Flatten(), *blocks).eval().requires_grad_(False)
    problem = Probe(Problem(model, torch.randn(2, 1, 10), ("a", "b"), torch.zeros(1, 1), (), 0.3, "")).problem
    changed = {}
    for name in MPRT:
        seen: list[list[int]] = []

        def spy(problem: Problem, seen: list[list[int]] = seen) -> Tensor:
            own = problem.model
            seen.append([i for i in range(1, 10) if not torch.equal(own[i].weight, model[i].weight)])
            return weights_times_input(problem)

        entry = method(spy)
        scored(name, entry, problem, given(weights_times_input(problem)))
        changed[name] = seen
    assert changed["mprt_cascading"] == [list(range(first, 10)) for first in (9, 7, 5, 3, 1)]
    assert changed["mprt_independent"] == [[9], [7], [5], [3], [1]]


def test_both_tests_share_the_model_whose_last_layer_is_random(problem):
    explained, probe = explain_all(METHODS["saliency"], problem, task="test", seed=0), Probe(problem)
    layers, n = len(weighted_layers(problem.model)), len(problem)

    def asked(name: str) -> tuple[int, int]:
        with measured(problem.model) as meter:
            found = score(METRICS[name], METHODS["saliency"], probe, explained, task="test", seed=0)
        assert set(found.status) == {"ok"}
        return meter.forwards, meter.backwards

    assert asked("mprt_cascading") == (layers * n, layers * n)
    assert asked("mprt_independent") == ((layers - 1) * n, (layers - 1) * n)
    assert asked("random_logit") == (n + 1, n)  # and one to count the classes
    assert [asked(name) for name in NAMES] == [(0, 0)] * 3


def test_a_layer_without_which_the_map_is_constant_does_not_count():
    problem = deep_problem()
    first = problem.model[0].weight.clone()

    def gone_without_first(problem: Problem) -> Tensor:
        maps = weights_times_input(problem)
        return maps if torch.equal(problem.model[0].weight, first) else torch.zeros_like(maps)

    partly = scored("mprt_independent", method(gone_without_first), problem)
    inputs = problem.inputs[:, 0].numpy()
    slopes = [gradient(problem)] + [
        gradient(replace(problem, model=randomised(Probe(problem), [name]))) for name in DEEP[:3]
    ]
    maps = [slope[:, 0].numpy() * inputs for slope in slopes]
    expected = np.mean([[spearmanr(*both).statistic for both in zip(maps[0], one, strict=True)] for one in maps[1:]], 0)
    np.testing.assert_allclose(partly.values, expected, atol=1e-6)

    def never(problem: Problem) -> Tensor:
        maps = weights_times_input(problem)
        return maps if torch.equal(problem.model[8].weight, last) else torch.zeros_like(maps)

    last = problem.model[8].weight.clone()
    found = scored("mprt_cascading", method(never), problem)
    assert set(found.status) == {"undefined"}


def test_a_model_without_weights_cannot_be_randomised():
    problem = linear_problem((1, 2))
    problem = replace(problem, model=nn.Sequential(nn.Flatten()))
    found = scored("mprt_cascading", method(weights_times_input), problem)
    assert set(found.status) == {"skipped"}
    assert found.note[0] == "the model has no layer with weights to randomise (normalisation layers do not count)"


def test_spearman_against_scipy_with_ties_and_without_a_number():
    one = torch.tensor([[1.0, 2.0, 2.0, 5.0], [1.0, 1.0, 1.0, 1.0], [3.0, torch.nan, 1.0, 0.0], [1.0, 2.0, 3.0, 4.0]])
    other = torch.tensor([[4.0, 4.0, 1.0, 0.5], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, -3.0, -9.0]])
    found = spearman(one, other)
    assert found[0] == pytest.approx(spearmanr(one[0], other[0]).statistic)
    assert found[1:3].isnan().all()
    assert found[3] == pytest.approx(-1)


def test_trained_methods_follow_the_model_and_controls_do_not():
    problem = signal_problem()
    for name in NAMES:
        follows = scored(name, METHODS["gradient_x_input"], problem).values
        ignores = scored(name, METHODS["input_magnitude"], problem).values
        assert follows.max() < ignores.min()
