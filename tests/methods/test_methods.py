"""Laws that every registered method keeps. What each computes is compared in test_method_references.py."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem, with_targets
from torch import Tensor, nn

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.core.vocabulary import COSTS, PROMISES
from bench.engine.explain import explain, explain_all
from bench.engine.sandbox import HOOKS
from bench.registry.decorators import METHODS
from bench.registry.selection import with_params

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


def linear_problem(bias: bool = False) -> Problem:
    torch.manual_seed(0)
    return small(nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 5, 4, bias=bias)), (3, 5, 5))


class Blinkered(nn.Module):
    """A network that never sees the right half of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.pool, self.flatten, self.dense = nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.flatten(self.pool(self.relu(self.conv(x[..., :4])))))


@every_method
def test_every_sample_gets_a_map_of_its_own_that_says_something(method, problem):
    explained = explain_all(method, problem, task="test", seed=0)
    assert explained.attribution.shape == (len(problem), *problem.shape)
    if method.name in NOT_ON_SIGNALS and len(problem.shape) == 1:
        assert set(explained.status) == {"skipped"}
        assert "global average pooling" in explained.note[0]
        return
    assert set(explained.status) == {"undefined" if method.name in SAYS_NOTHING else "ok"}
    assert torch.equal(explained.attribution[0], explained.attribution[1]) == (method.name in THE_SAME_FOR_ALL)


@every_method
def test_batch_size_and_order_do_not_change_a_map(method, problem):
    served(method, problem)
    whole = explain_all(method, replace(problem, batch_size=64), task="test", seed=0).attribution
    order = list(reversed(range(len(problem))))
    for changed in (replace(problem, batch_size=1), replace(problem, batch_size=4).take(order)):
        back = order if changed.sample_ids != problem.sample_ids else list(range(len(problem)))
        maps = explain_all(method, changed, task="test", seed=0).attribution[back]
        # float32 sums in another order: a few units in the last place of the largest value
        torch.testing.assert_close(maps, whole, rtol=0, atol=2e-5 * float(whole.abs().max()))


@every_method
def test_same_seed_same_map_and_only_methods_that_draw_heed_the_seed(method, problem):
    served(method, problem)

    def maps(**which: int) -> Tensor:
        return explain(method, problem, task="test", **({"seed": 0} | which))[0]

    first = maps()
    assert torch.equal(first, maps())
    draws = "rng" in method.injected and method.name != "negated"  # which hands it on
    assert torch.equal(first, maps(seed=1)) != draws
    assert torch.equal(first, maps(draw=1)) != draws


@every_method
def test_inputs_weights_modes_and_hooks_stay_as_they_were(method, problem):
    served(method, problem)
    inputs, state = problem.inputs.clone(), {k: v.clone() for k, v in problem.model.state_dict().items()}
    asked(method, problem)
    assert torch.equal(problem.inputs, inputs)
    assert not problem.inputs.requires_grad
    assert all(torch.equal(problem.model.state_dict()[name], value) for name, value in state.items())
    assert not any(module.training for module in problem.model.modules())
    assert hooks_of(problem.model) == 0


@every_method
def test_no_hook_is_left_when_the_model_raises(method, problem):
    if method.family == "control" and method.name != "negated":
        pytest.skip("asks the model nothing")

    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(7919)  # not while it is traced, but when it runs

    children = OrderedDict(problem.model.named_children())
    model = nn.Sequential(OrderedDict([*children.items(), ("broken", Breaks())])).eval()
    broken = replace(problem, model=model)
    with pytest.raises(RuntimeError, match="7919"):
        asked(method, broken)
    assert hooks_of(model) == 0


@promising("complete")
def test_attributions_sum_to_what_the_logit_gained(method, problem):
    maps = asked(
        with_params(METHODS["integrated_gradients"], "steps=1000") if method.name == "integrated_gradients" else method,
        problem,
    )
    ends = problem.model(torch.cat([problem.inputs, problem.baseline.expand_as(problem.inputs[:1])]))
    gained = ends[:-1].gather(1, problem.targets[:, None])[:, 0] - ends[-1, problem.targets]
    torch.testing.assert_close(maps.double().flatten(1).sum(1), gained.double(), rtol=1e-3, atol=1e-3)


@promising("null")
def test_a_feature_that_the_model_ignores_gets_nothing(method):
    torch.manual_seed(0)
    problem = small(Blinkered(), (3, 8, 8), layers=("relu",))
    maps = asked(method, problem)
    assert maps[..., :4].abs().max() > 0
    # least squares and sums over orders leave rounding; the others leave nothing
    assert maps[..., 4:].abs().max() <= 1e-5 * maps.abs().max()


@promising("linear")
def test_a_linear_model_gets_weight_times_distance(method):
    problem = replace(linear_problem(bias=True), baseline=torch.tensor([0.25, 0.5, 0.75]).view(3, 1, 1))
    weight = problem.model[1].weight[problem.targets].view_as(problem.inputs)
    exact = (weight * (problem.inputs - problem.baseline)).sum(1)
    torch.testing.assert_close(asked(method, problem).double(), exact.double(), rtol=1e-3, atol=1e-5)


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
    classes = problem.model(problem.inputs).shape[1]
    other = replace(problem, targets=(problem.targets + 1) % classes)
    one, two = (asked(method, each).double().flatten(1) for each in (problem, other))
    scale = [values / values.abs().amax(1, keepdim=True).clamp_min(1e-12) for values in (one, two)]
    assert ((scale[0] - scale[1]).abs().amax(1) > 1e-3).all()


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


def asked(method, problem: Problem) -> Tensor:
    """The map by the method itself, without the harness around it."""
    offered = {"problem": problem, "rng": SampleRng((0,), problem.sample_ids)}
    return method.fn(
        **{name: value for name, value in offered.items() if name in method.injected}, **dict(method.params)
    )


def hooks_of(model: nn.Module) -> int:
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in HOOKS)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "layers" in method.needs])
def test_a_method_that_reads_layers_is_skipped_where_a_task_names_none(name):
    explained = explain_all(METHODS[name], replace(signal_problem(samples=2), layers=()), task="test", seed=0)
    assert set(explained.status) == {"skipped"}
    assert explained.note[0] == f"{name} needs layers, which the task does not have"


@pytest.mark.parametrize("settings", ["alpha=0.5,beta=-0.5", "alpha=2.0,beta=0.5"])
def test_alpha_and_beta_differ_by_one_and_beta_is_not_negative(settings):
    method = with_params(METHODS["lrp_alpha_beta"], settings)
    explained = explain_all(method, signal_problem(samples=1), task="test", seed=0)
    assert explained.status == ("failed",)
    assert "alpha - beta must be 1 and beta at least 0" in explained.note[0]
