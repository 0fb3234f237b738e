"""The laws of methods notice the mistakes that authors make, each by the law that is named after it, and say the way out."""

from __future__ import annotations

import functools
import inspect
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.core.entries import Entry
from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.registry.decorators import METHODS
from bench.validation.law_problems import SIZES, half_seen, linear, usual
from bench.validation.laws import LAWS
from bench.validation.method_checks import check_method

RUNNING: dict[str, Tensor] = {}
COUNT = 0


def slopes(problem: Problem) -> Tensor:
    """The gradient of each sample's own logit (N, C, *S)."""
    x = problem.inputs.clone().requires_grad_()
    logits = problem.model(x).gather(1, problem.targets[:, None])
    return torch.autograd.grad(logits.sum(), x)[0]


def sound(problem: Problem) -> Tensor:
    return (slopes(problem) * (problem.inputs - problem.baseline)).sum(1)


def draws(problem: Problem, rng: SampleRng) -> Tensor:
    return sound(problem) + 0.1 * rng.normal(problem.shape)


def channels(problem: Problem) -> Tensor:
    return slopes(problem)


def one_number(problem: Problem) -> Tensor:
    return sound(problem).sum()


def whole_numbers(problem: Problem) -> Tensor:
    return (100 * sound(problem)).long()


def array(problem: Problem) -> np.ndarray:
    return sound(problem).numpy()


def divides(problem: Problem) -> Tensor:
    return sound(problem) / 0


def says_nothing(problem: Problem) -> Tensor:
    return torch.ones(len(problem), *problem.shape)


def never_looks(problem: Problem) -> Tensor:
    places = torch.linspace(0, 1, problem.shape.numel()).view(problem.shape)
    return places.expand(len(problem), *problem.shape)


def scales_inputs(problem: Problem) -> Tensor:
    problem.inputs.mul_(2)
    return sound(problem)


def scales_background(problem: Problem) -> Tensor:
    problem.background.mul_(2)
    return sound(problem)


def trains(problem: Problem) -> Tensor:
    problem.model.train()
    return sound(problem)


def leaves_hook(problem: Problem) -> Tensor:
    problem.model.get_submodule("relu1" if hasattr(problem.model, "relu1") else "0").register_forward_hook(print)
    return sound(problem)


def hides_errors(problem: Problem) -> Tensor:
    try:
        return sound(problem)
    except RuntimeError:
        return problem.inputs.sum(1)


def draws_from_torch(problem: Problem) -> Tensor:
    return sound(problem) + torch.randn(len(problem), *problem.shape)


def draws_from_numpy(problem: Problem) -> Tensor:
    return sound(problem) + float(np.random.rand())


def draws_from_python(problem: Problem) -> Tensor:
    return sound(problem) + random.random()


def running_mean(problem: Problem) -> Tensor:
    maps = sound(problem)
    RUNNING["mean"] = 0.9 * RUNNING.get("mean", torch.tensor(0.0)) + 0.1 * maps.mean()
    return maps - RUNNING["mean"]


def first_mean(problem: Problem) -> Tensor:
    RUNNING.setdefault("mean", problem.inputs.mean())
    return sound(problem) - RUNNING["mean"]


def counts_calls(problem: Problem) -> Tensor:
    global COUNT
    COUNT += 1
    return sound(problem) + COUNT


@functools.cache
def remembered(shape: tuple[int, ...]) -> list[Tensor]:
    return []


def keeps_in_a_cache(problem: Problem) -> Tensor:
    kept = remembered(tuple(problem.shape))
    kept.append(problem.inputs.mean())
    return sound(problem) - kept[0]


def keeps_on_itself(problem: Problem) -> Tensor:
    keeps_on_itself.seen = getattr(keeps_on_itself, "seen", problem.inputs.mean())
    return sound(problem) - keeps_on_itself.seen


def throws_away_draws(problem: Problem, rng: SampleRng) -> Tensor:
    rng.normal(problem.shape)
    return sound(problem)


def batch_scale(problem: Problem) -> Tensor:
    return sound(problem) / sound(problem).abs().max()


def by_position(problem: Problem) -> Tensor:
    rows = torch.arange(len(problem)).view(-1, *(1,) * len(problem.shape))
    return sound(problem) * (1 + rows)


def ignores_class(problem: Problem) -> Tensor:
    return problem.inputs.sum(1)


def only_the_gradient(problem: Problem) -> Tensor:
    return slopes(problem).sum(1)


def spread_out(problem: Problem) -> Tensor:
    return sound(problem) + 1e-3


def raises(problem: Problem) -> Tensor:
    raise ValueError("no map today")


def only_colour(problem: Problem) -> Tensor:
    red, green, blue = problem.inputs.unbind(1)
    return red + green - blue


def not_for_this(problem: Problem) -> Tensor:
    raise NotApplicable("the network has no attention")


def entry(fn, *, promises=(), family="gradient") -> Entry:
    injected = tuple(inspect.signature(fn).parameters)
    return Entry(fn.__name__, fn, family, "", 1, (), injected, promises=frozenset(promises))


def failing(fn, **fields) -> dict[str, str]:
    """Law -> what the author is told."""
    return {one.law: one.note for one in check_method(entry(fn, **fields)) if one.verdict == "fail"}


MISTAKES = [  # the method, what it promises, the law that it breaks, and words of the message
    (channels, (), "shape", "it returned shape (4, 1, 24), (4, 24) is needed; sum over the channels"),
    (one_number, (), "shape", "it returned shape (), (4, 24) is needed; give one number for each place of each sample"),
    (whole_numbers, (), "shape", "it returned torch.int64, a floating type is needed"),
    (array, (), "shape", "it returned ndarray, a tensor of shape (4, 24) is needed"),
    (raises, (), "shape", "it raised ValueError: no map today (test_laws.py:"),
    (
        only_colour,
        (),
        "shape",
        "where it cannot serve such inputs or models, raise bench.NotApplicable with the reason (signal",
    ),
    (divides, (), "finite", "of sample 'a' the attribution is not finite; such a map cannot be scored"),
    (says_nothing, (), "finite", "the attribution is constant"),
    (never_looks, (), "own", "samples 'a' and 'b' get the same map, though their inputs differ"),
    (scales_inputs, (), "unchanged", "it changed its inputs; put back what is changed, or work on a copy"),
    (scales_background, (), "unchanged", "it changed its background"),
    (trains, (), "unchanged", "it changed the mode of"),
    (leaves_hook, (), "unchanged", "it left a hook on relu1"),
    (leaves_hook, (), "hooks", "when the model raises, 1 hooks stay on it"),
    (hides_errors, (), "hooks", "the model raised an error and the method hid it"),
    (draws_from_torch, (), "unchanged", "drew from the global random state of torch; draw from `rng` instead"),
    (draws_from_torch, (), "repeat", "draw random numbers from `rng` only"),
    (draws_from_numpy, (), "repeat", "two equal calls give different maps: sample '"),
    (draws_from_python, (), "repeat", "largest difference"),
    (running_mean, (), "state", "keep nothing between calls (it changed RUNNING)"),
    (first_mean, (), "state", "keep nothing between calls (it changed RUNNING)"),
    (counts_calls, (), "state", "keep nothing between calls (it changed COUNT)"),
    (keeps_in_a_cache, (), "state", "keep nothing between calls (it changed remembered)"),
    (keeps_on_itself, (), "state", "keep nothing between calls (it changed keeps_on_itself.seen)"),
    (throws_away_draws, (), "seed", "two seeds give the same map; use what is drawn"),
    (batch_scale, (), "batch", "compute each sample on its own"),
    (
        ignores_class,
        ("class",),
        "class",
        "is the same for another class; explain `problem.targets`, or take the promise",
    ),
    (only_the_gradient, ("complete",), "complete", "where the logit less that of the baseline is"),
    (spread_out, ("null",), "null", "features that the model ignores get up to 0.001"),
    (only_the_gradient, ("linear",), "linear", "the exact map is weight times (input - baseline)"),
]


@pytest.fixture(autouse=True)
def nothing_kept():
    RUNNING.clear()
    remembered.cache_clear()
    vars(keeps_on_itself).clear()


@pytest.mark.parametrize(
    ("fn", "promises", "law", "words"), MISTAKES, ids=[f"{row[0].__name__}-{row[2]}" for row in MISTAKES]
)
def test_a_mistake_breaks_its_law_and_the_author_is_told_the_way_out(fn, promises, law, words):
    assert words in failing(fn, promises=promises)[law]


def test_every_law_but_the_order_is_broken_by_some_mistake():
    """A map that depends on the order is another alone, too: `order` is asked only where `batch` holds."""
    assert {law for _, _, law, _ in MISTAKES} == {law.name for law in LAWS} - {"order"}
    order = next(law for law in LAWS if law.name == "order")
    words = order.broken(entry(by_position), usual("signal"))
    assert "the map changes with the order of the samples: sample 'd', largest" in words


@pytest.mark.parametrize("fn", [sound, draws])
def test_a_sound_method_keeps_all_laws_and_what_it_promises(fn):
    promises = ("class", "null", "linear") if fn is sound else ("class",)
    found = list(check_method(entry(fn, promises=promises)))
    assert [one.law for one in found] == [law.name for law in LAWS]
    skipped = {one.law for one in found if one.verdict == "skipped"}
    assert skipped == {law.promise for law in LAWS if law.promise} - set(promises)
    assert {one.law for one in found if one.verdict == "pass"} == {law.name for law in LAWS} - skipped


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.cost == "fast"])
def test_the_project_s_own_methods_raise_no_false_alarm(name):
    assert [one for one in check_method(METHODS[name]) if one.verdict == "fail"] == []


def test_what_follows_from_a_broken_law_is_not_asked():
    found = {one.law: one for one in check_method(entry(draws_from_torch))}
    assert {law for law, one in found.items() if one.verdict == "fail"} == {"unchanged", "repeat"}
    for law in ("state", "seed", "batch", "order"):
        assert found[law].note == "not asked, since `repeat` fails (signal, grey image, colour image)"
    found = {one.law: one for one in check_method(entry(channels, promises=("class",)))}
    assert {law for law, one in found.items() if one.verdict != "skipped"} == {"shape"}


def test_a_law_that_fails_on_some_inputs_names_them_alone():
    found = {one.law: one for one in check_method(entry(only_colour))}
    assert found["shape"].note.endswith("with the reason (signal, grey image)")
    assert found["batch"].verdict == "pass"
    assert found["batch"].note == "not asked, since `shape` fails (signal, grey image)"


def test_a_method_that_cannot_serve_the_networks_is_skipped_with_its_reason():
    found = list(check_method(entry(not_for_this)))
    assert {one.verdict for one in found} == {"skipped"}
    assert found[0].note == "the network has no attention (signal, grey image, colour image)"


def test_a_method_for_regressions_alone_is_asked_about_a_regression():
    asked = set()

    def of_values(problem: Problem) -> Tensor:
        asked.add(problem.output)
        return sound(problem)

    found = list(check_method(replace(entry(of_values, promises=("linear",)), outputs=("identity",))))
    assert {one.verdict for one in found} == {"pass", "skipped"}
    assert asked == {"identity"}


def test_a_control_may_say_nothing():
    found = {one.law: one.verdict for one in check_method(entry(says_nothing, family="control"))}
    assert found["finite"] == found["own"] == "skipped"
    assert found["shape"] == found["batch"] == "pass"


def test_what_a_mistake_changes_is_put_back():
    state, numbers, python = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    for fn in (draws_from_torch, draws_from_numpy, draws_from_python, scales_inputs, counts_calls, first_mean):
        list(check_method(entry(fn)))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numbers)
    assert random.getstate() == python
    assert COUNT == 0
    assert RUNNING == {}
    assert float(usual("signal").inputs.max()) <= 1


def test_the_problems_have_all_that_a_problem_can_have_and_no_square_shape():
    for kind, shape in SIZES.items():
        problem = usual(kind)
        assert problem.inputs.shape == (4, *shape)
        assert len(set(problem.shape)) == len(problem.shape)
        assert len(set(problem.targets.tolist())) > 1
        for field in ("truth", "background", "bounds", "labels"):
            assert getattr(problem, field) is not None
    assert half_seen().inputs.shape[-1] == 8
    assert float(linear().baseline.min()) > 0
