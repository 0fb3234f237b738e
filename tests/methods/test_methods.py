"""Laws that every registered method keeps (bench.validation.laws). What each computes: test_method_references.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem, with_targets
from torch import Tensor, nn

from bench.core.problem import Problem
from bench.core.vocabulary import COSTS, PROMISES
from bench.engine.explain import explain, explain_all
from bench.registry.decorators import METHODS
from bench.registry.selection import with_params
from bench.validation import laws
from bench.validation.asking import maps_of
from bench.validation.law_problems import half_seen, linear
from bench.validation.laws import LAWS

SMALLER = {  # of the slow ones, fewer questions: the laws hold for any number
    "rise": "masks=60",
    "lime": "samples=60",
    "kernel_shap": "samples=120",
    "shapley_sampling": "orders=2",
    "extremal_perturbation": "steps=4",
}
LISTED = [with_params(method, SMALLER[name]) if name in SMALLER else method for name, method in METHODS.items()]
every_method = pytest.mark.parametrize("method", LISTED, ids=list(METHODS))
SAYS_NOTHING = {"constant"}
THE_SAME_FOR_ALL = {"constant", "centre"}
NOT_ON_SIGNALS = {"cam"}  # that network ends in a dense layer over all places


def run(name: str, problem: Problem, *, seed: int = 0, draw: int = 0) -> Tensor:
    return explain(METHODS[name], problem, task="test", seed=seed, draw=draw)[0]


def served(method, problem: Problem) -> None:
    if method.name in NOT_ON_SIGNALS and len(problem.shape) == 1:
        pytest.skip("skipped on this network")


def promising(promise: str):
    chosen = [method for method in LISTED if promise in method.promises]
    assert chosen
    return pytest.mark.parametrize("method", chosen, ids=[method.name for method in chosen])


def small(model: nn.Module, shape: tuple[int, ...], **fields) -> Problem:
    torch.manual_seed(0)
    problem = Problem(
        model=model.eval().requires_grad_(False),
        inputs=torch.rand(4, *shape),
        sample_ids=tuple("abcd"),
        baseline=torch.zeros(shape[0], *[1] * (len(shape) - 1)),
        layers=fields.pop("layers", ()),
        top_k=0.3,
        fingerprint="",
        background=torch.rand(3, *shape),
        **fields,
    )
    return with_targets(problem, 4)


@every_method
@pytest.mark.parametrize("law", [law for law in LAWS if not law.promise], ids=lambda law: law.name)
def test_every_method_keeps_the_law(law, method, problem):
    served(method, problem)
    exceptions = {"finite": SAYS_NOTHING, "own": THE_SAME_FOR_ALL}
    # the tolerance: a few units in the last place of the largest value
    strict = {"tolerance": 2e-5} if law.name in ("batch", "order") else {}
    assert bool(law.broken(method, problem, **strict)) == (method.name in exceptions.get(law.name, ()))


@pytest.mark.parametrize("name", sorted(NOT_ON_SIGNALS))
def test_a_method_that_cannot_serve_a_network_is_skipped_with_the_reason(name):
    explained = explain_all(METHODS[name], signal_problem(), task="test", seed=0)
    assert set(explained.status) == {"skipped"}
    assert "global average pooling" in explained.note[0]


@every_method
def test_only_methods_that_draw_heed_the_seed(method, problem):
    served(method, problem)
    first = maps_of(method, problem)
    draws = "rng" in method.injected and method.name != "negated"  # which hands it on
    assert torch.equal(first, maps_of(method, problem, seed=1)) != draws
    assert torch.equal(first, maps_of(method, problem, draw=1)) != draws


@promising("complete")
def test_attributions_sum_to_what_the_logit_gained(method, problem):
    many = with_params(method, "steps=1000") if method.name == "integrated_gradients" else method
    assert laws.complete(many, problem, 1e-3) == ""


@promising("null")
def test_a_feature_that_the_model_ignores_gets_nothing(method):
    assert laws.null(method, half_seen()) == ""


@promising("linear")
def test_a_linear_model_gets_weight_times_distance(method):
    assert laws.weight_times_distance(method, linear()) == ""


def test_lrp_without_biases_is_gradient_times_input_and_sums_to_the_logit():
    problem = image_problem()
    for module in problem.model.modules():
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()
    relevance, expected = run("lrp_epsilon", problem), run("gradient_x_input", problem)
    # a neuron whose sum is near 0 gives z / (z + epsilon) of its relevance
    torch.testing.assert_close(relevance, expected, rtol=0, atol=1e-2 * float(expected.abs().max()))
    logits = problem.model(problem.inputs).gather(1, problem.targets[:, None])[:, 0]
    torch.testing.assert_close(relevance.flatten(1).sum(1), logits, rtol=1e-3, atol=1e-3)


@promising("class")
def test_another_class_gets_another_map(method, problem):
    served(method, problem)
    assert laws.other_class(method, problem) == ""


def test_a_promise_is_one_of_those_the_harness_knows():
    assert all(method.promises <= set(PROMISES) for method in METHODS.values())


def test_what_a_method_asks_is_what_its_cost_class_says(problem):
    for method in METHODS.values():
        if method.name in NOT_ON_SIGNALS and len(problem.shape) == 1:
            continue
        if method.cost == "slow":  # in full here, on one sample
            if len(problem.shape) == 2:
                continue
            problem = problem.take([0])
        _, meter = explain(method, problem.take([0]), task="test", seed=0)
        limits = [0, *(limit or float("inf") for limit in COSTS.values())]
        place = list(COSTS).index(method.cost)
        assert meter.forwards + meter.backwards <= limits[place + 1], method.name
        if method.cost == "slow":
            assert meter.forwards + meter.backwards > limits[place], method.name


def test_a_slow_method_uses_its_own_numbers_whatever_its_company():
    """Segments differ from sample to sample; what is drawn for one may not depend on another's."""
    problem = image_problem(samples=3)
    for name in ("lime", "kernel_shap", "shapley_sampling"):
        method = with_params(METHODS[name], SMALLER[name] + ",features=segment9")
        both = explain(method, problem, task="test", seed=0)[0]
        alone = explain(method, problem.take([1]), task="test", seed=0)[0]
        torch.testing.assert_close(both[1:2], alone, rtol=0, atol=1e-4 * float(alone.abs().max()))


def test_extremal_perturbation_finds_the_only_part_that_matters():
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen = x[..., :8, :8].mean((1, 2, 3))
            return torch.stack([10 * seen, -10 * seen], dim=1)

    problem = small(Corner(), (1, 24, 24))
    maps = run("extremal_perturbation", problem)
    inside = maps[:, 1:7, 1:7].mean((1, 2))
    outside = maps[:, 10:, 10:].mean((1, 2))
    assert (inside > 3 * outside).all()


def test_random_is_uniform_and_the_same_whatever_the_input():
    problem = signal_problem(samples=40)
    maps = run("random", problem)
    assert maps.min() >= 0
    assert maps.max() < 1
    # 1600 uniform numbers: the mean is within four standard errors (0.289 / 40) of one half
    assert abs(maps.mean().item() - 0.5) < 4 * 0.289 / 40
    assert torch.equal(maps, run("random", replace(problem, inputs=torch.rand_like(problem.inputs))))


def test_any_method_can_be_negated_but_not_an_unknown_one():
    problem = signal_problem()
    found = explain(with_params(METHODS["negated"], "of=saliency"), problem, task="test", seed=0)[0]
    assert torch.equal(found, -run("saliency", problem))
    explained = explain_all(with_params(METHODS["negated"], "of=saliensy"), problem, task="test", seed=0)
    assert "did you mean 'saliency'" in explained.note[0]


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "layers" in method.needs])
def test_a_method_that_reads_layers_is_skipped_where_a_task_names_none(name):
    explained = explain_all(METHODS[name], replace(signal_problem(samples=2), layers=()), task="test", seed=0)
    assert set(explained.status) == {"skipped"}
    assert explained.note[0] == (
        f"{name} needs layers with feature maps, and none were found in this model; name them with layers="
    )


@pytest.mark.parametrize("settings", ["alpha=0.5,beta=-0.5", "alpha=2.0,beta=0.5"])
def test_alpha_and_beta_differ_by_one_and_beta_is_not_negative(settings):
    method = with_params(METHODS["lrp_alpha_beta"], settings)
    explained = explain_all(method, signal_problem(samples=1), task="test", seed=0)
    assert explained.status == ("failed",)
    assert "alpha - beta must be 1 and beta at least 0" in explained.note[0]
