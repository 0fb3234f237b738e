"""Laws that every registered method keeps, and each method against an independent formula."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem, with_targets
from torch import Tensor, nn

from bench.core import Problem
from bench.explaining import explain, explain_all
from bench.guard import HOOKS
from bench.registry import METHODS

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


def run(name: str, problem: Problem, *, seed: int = 0, draw: int = 0) -> Tensor:
    return explain(METHODS[name], problem, task="test", seed=seed, draw=draw)[0]


def gradient(problem: Problem, inputs: Tensor) -> Tensor:
    """d logit of the explained class / d inputs, by autograd alone."""
    inputs = inputs.detach().clone().requires_grad_()
    chosen = problem.model(inputs).gather(1, problem.targets[:, None]).sum()
    return torch.autograd.grad(chosen, inputs)[0]


def linear_problem() -> Problem:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 5, 4)).eval().requires_grad_(False)
    problem = Problem(
        model=model,
        inputs=torch.rand(4, 3, 5, 5),
        sample_ids=tuple("abcd"),
        baseline=torch.zeros(3, 1, 1),
        layers=(),
        top_k=0.3,
        fingerprint="",
    )
    return with_targets(problem, 4)


@every_method
def test_every_sample_gets_a_map_of_its_own_that_says_something(method, problem):
    explained = explain_all(method, problem, task="test", seed=0)
    assert explained.attribution.shape == (len(problem), *problem.shape)
    assert set(explained.status) == {"ok"}
    assert not torch.equal(explained.attribution[0], explained.attribution[1])


@every_method
def test_batch_size_and_order_do_not_change_a_map(method, problem):
    whole = explain_all(method, replace(problem, batch_size=64), task="test", seed=0).attribution
    order = list(reversed(range(len(problem))))
    for changed in (replace(problem, batch_size=1), replace(problem, batch_size=4).take(order)):
        back = order if changed.sample_ids != problem.sample_ids else list(range(len(problem)))
        maps = explain_all(method, changed, task="test", seed=0).attribution[back]
        # float32 sums in another order: a few units in the last place of the largest value
        torch.testing.assert_close(maps, whole, rtol=0, atol=2e-5 * float(whole.abs().max()))


@every_method
def test_same_seed_same_map_and_only_methods_that_draw_heed_the_seed(method, problem):
    first, again = run(method.name, problem), run(method.name, problem)
    assert torch.equal(first, again)
    draws = "rng" in method.injected
    assert torch.equal(first, run(method.name, problem, seed=1)) != draws
    assert torch.equal(first, run(method.name, problem, draw=1)) != draws


@every_method
def test_inputs_weights_modes_and_hooks_stay_as_they_were(method, problem):
    inputs, state = problem.inputs.clone(), {k: v.clone() for k, v in problem.model.state_dict().items()}
    method.fn(**{name: value for name, value in offered(problem).items() if name in method.injected})
    assert torch.equal(problem.inputs, inputs)
    assert not problem.inputs.requires_grad
    assert all(torch.equal(problem.model.state_dict()[name], value) for name, value in state.items())
    assert not any(module.training for module in problem.model.modules())
    assert hooks_of(problem.model) == 0


@every_method
def test_no_hook_is_left_when_the_model_raises(method, problem):
    if method.family == "control":
        pytest.skip("controls do not ask the model")

    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ZeroDivisionError

    model = nn.Sequential(OrderedDict(problem.model.named_children()) | {"dense": Breaks()}).eval()
    broken = replace(problem, model=model)
    with pytest.raises(ZeroDivisionError):
        method.fn(**{name: value for name, value in offered(broken).items() if name in method.injected})
    assert hooks_of(model) == 0


def test_saliency_is_the_absolute_gradient(problem):
    expected = gradient(problem, problem.inputs).abs().amax(1)
    torch.testing.assert_close(run("saliency", problem), expected)


def test_integrated_gradients_equals_a_midpoint_sum_and_is_complete(problem):
    # 400 midpoints against 32 Gauss-Legendre nodes: both are within a few per mille of the integral of a ReLU network
    steps = (torch.arange(400) + 0.5) / 400
    total = sum(gradient(problem, problem.baseline + t * (problem.inputs - problem.baseline)) for t in steps)
    expected = ((problem.inputs - problem.baseline) * total / 400).sum(1)
    maps = METHODS["integrated_gradients"].fn(problem, steps=300)
    scale = float(expected.abs().max())
    torch.testing.assert_close(maps, expected.to(maps.dtype), rtol=0, atol=0.01 * scale)

    logits = problem.model(torch.cat([problem.inputs, problem.baseline.expand_as(problem.inputs[:1])]))
    gained = logits[:-1].gather(1, problem.targets[:, None])[:, 0] - logits[-1, problem.targets]
    torch.testing.assert_close(maps.flatten(1).sum(1).to(gained), gained, rtol=0.01, atol=0.01)


def test_smoothgrad_averages_gradients_of_inputs_with_the_samples_own_noise(problem):
    from bench.seeding import SampleRng

    rng = SampleRng((0, "test", METHODS["smoothgrad"].id, 0), problem.sample_ids)
    axes = tuple(range(1, problem.inputs.dim()))
    spread = 0.15 * (problem.inputs.amax(axes, keepdim=True) - problem.inputs.amin(axes, keepdim=True))
    noisy = [problem.inputs + spread * rng.normal(problem.inputs.shape[1:]) for _ in range(32)]
    expected = (sum(gradient(problem, x) for x in noisy) / 32).abs().amax(1)
    torch.testing.assert_close(run("smoothgrad", problem), expected, rtol=1e-4, atol=1e-6)


def test_grad_cam_weighs_feature_maps_by_their_mean_gradient(problem):
    head, tail = split_after(problem.model, problem.layers[-1])
    features = head(problem.inputs).requires_grad_()
    chosen = tail(features).gather(1, problem.targets[:, None]).sum()
    slope = torch.autograd.grad(chosen, features)[0].flatten(2).mean(2)
    cam = torch.einsum("nk,nk...->n...", slope, features).clamp_min(0)
    mode = "linear" if len(problem.shape) == 1 else "bilinear"
    expected = nn.functional.interpolate(cam[:, None], size=tuple(problem.shape), mode=mode)[:, 0].detach()
    torch.testing.assert_close(run("grad_cam", problem), expected, rtol=1e-4, atol=1e-6)


def test_lrp_hands_the_logit_down_by_epsilon_and_z_plus():
    problem = signal_problem()
    layers = dict(problem.model.named_children())
    a0 = problem.inputs
    a1 = layers["conv1"](a0).clamp_min(0)
    a2 = layers["conv2"](a1).clamp_min(0)
    a3 = layers["conv3"](a2).clamp_min(0)
    logits = layers["dense"](a3.flatten(1))
    relevance = logits * nn.functional.one_hot(problem.targets, 10)

    def epsilon(dense: nn.Linear, a: Tensor, r: Tensor) -> Tensor:
        z = dense(a)
        return a * ((r / (z + 1e-6 * z.sign())) @ dense.weight)

    def z_plus(conv: nn.Conv1d, a: Tensor, r: Tensor) -> Tensor:
        up, down = conv.weight.clamp_min(0), conv.weight.clamp_max(0)
        pad = conv.padding[0]

        def forward(x: Tensor, w: Tensor) -> Tensor:
            return nn.functional.conv1d(x, w, padding=pad)

        plus, minus = a.clamp_min(0), a.clamp_max(0)
        z = forward(plus, up) + forward(minus, down) + conv.bias.clamp_min(0)[:, None]
        s = torch.where(z == 0, 0, r / (z + 1e-6))
        back = nn.functional.conv_transpose1d
        return plus * back(s, up, padding=pad) + minus * back(s, down, padding=pad)

    r3 = epsilon(layers["dense"], a3.flatten(1), relevance).view_as(a3)
    r0 = z_plus(layers["conv1"], a0, z_plus(layers["conv2"], a1, z_plus(layers["conv3"], a2, r3)))
    torch.testing.assert_close(run("lrp", problem), r0.sum(1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["integrated_gradients", "lrp"])
def test_a_linear_model_gets_its_exact_answer(name):
    problem = linear_problem()
    weight = problem.model[1].weight[problem.targets].view_as(problem.inputs)
    exact = (weight * problem.inputs).sum(1)
    maps = run(name, problem)
    if name == "lrp":  # the bias takes part in the denominator: relevance is exact up to one factor per sample
        maps = maps * (exact.flatten(1).sum(1) / maps.flatten(1).sum(1)).view(-1, 1, 1)
    torch.testing.assert_close(maps, exact.to(maps.dtype), rtol=1e-4, atol=1e-5)


def test_input_magnitude_is_the_distance_from_the_baseline():
    problem = image_problem(samples=2, size=12)
    problem = replace(problem, baseline=torch.tensor([0.5, 0.0, 0.25]).view(3, 1, 1))
    red, green, blue = problem.inputs[1, :, 3, 7].tolist()
    assert run("input_magnitude", problem)[1, 3, 7].item() == pytest.approx(abs(red - 0.5) + green + abs(blue - 0.25))


def test_random_is_uniform_and_the_same_whatever_the_input():
    problem = signal_problem(samples=40)
    maps = run("random", problem)
    assert maps.min() >= 0
    assert maps.max() < 1
    # 1600 uniform numbers: the mean is within four standard errors (0.289 / 40) of one half
    assert abs(maps.mean().item() - 0.5) < 4 * 0.289 / 40
    assert torch.equal(maps, run("random", replace(problem, inputs=torch.rand_like(problem.inputs))))


def offered(problem: Problem) -> dict[str, object]:
    from bench.seeding import SampleRng

    return {"problem": problem, "rng": SampleRng((0,), problem.sample_ids)}


def hooks_of(model: nn.Module) -> int:
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in HOOKS)


def split_after(model: nn.Module, layer: str) -> tuple[nn.Sequential, nn.Sequential]:
    names = [name for name, _ in model.named_children()]
    at = names.index(layer) + 1
    return model[:at], model[at:]
