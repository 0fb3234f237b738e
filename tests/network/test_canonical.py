"""Models whose forward calls functions, calls a module twice, or adds branches: what is hooked must be what is computed."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import image_problem, with_targets
from torch import Tensor, nn
from torch.nn import functional

from bench.core.errors import BenchError, NotApplicable
from bench.core.problem import Problem
from bench.engine.explain import explain, explain_all
from bench.network.batch_norm import Scaling
from bench.network.canonical import Mean, Sum, canonised, check
from bench.network.gradients import features
from bench.network.graph import after
from bench.registry.decorators import METHODS

HOOKING = (
    "guided_backprop",
    "deconvnet",
    "guided_grad_cam",
    "deep_lift",
    "lrp_epsilon",
    "lrp_gamma",
    "lrp_alpha_beta",
    "lrp_composite",
    "deep_taylor",
    "excitation_backprop",
)


class Reused(nn.Module):
    """The HMT network with one ReLU and one pool for all layers."""

    def __init__(self, own: nn.Sequential) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.conv4, self.dense = (
            own.conv1,
            own.conv2,
            own.conv3,
            own.conv4,
            own.dense,
        )
        self.pool1, self.pool2 = nn.MaxPool2d(2), nn.MaxPool2d(2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.relu(self.conv2(self.relu(self.conv1(x)))))
        x = self.pool2(self.relu(self.conv4(self.relu(self.conv3(x)))))
        return self.dense(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Functional(Reused):
    """The same without modules for what has no weights."""

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        x = self.pool1(x)
        x = torch.relu(self.conv4(self.conv3(x).relu()))
        return self.dense(functional.dropout(self.pool2(x).mean((2, 3)), training=self.training))


class Residual(nn.Module):
    """Two branches, batch norm before and after convolutions, a mean over space."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv, self.conv_norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.early = nn.BatchNorm2d(3)
        self.dense = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.stem(self.early(x))))
        x = functional.relu(x + self.conv_norm(self.conv(x)))
        x = functional.max_pool2d(functional.leaky_relu(x, 0.1), 3, 2, 1)
        return self.dense(x.mean((2, 3)))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x.mean((2, 3))) if x.sum() > 0 else self.dense(x.amax((2, 3)))


def residual_problem() -> Problem:
    torch.manual_seed(0)
    model = Residual().eval().requires_grad_(False)
    for norm in (model.norm, model.conv_norm, model.early):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_(0, 0.1)
    problem = image_problem()
    return with_targets(
        replace(problem, model=model, layers=("conv_norm",), targets=None, background=problem.inputs[:2]), 4
    )


@pytest.mark.parametrize("style", [Reused, Functional])
@pytest.mark.parametrize("name", METHODS)
def test_how_a_model_is_written_does_not_change_a_map(name, style):
    problem = image_problem(samples=2)
    if METHODS[name].cost == "slow":
        pytest.skip("asks only for outputs")
    expected = explain_all(METHODS[name], problem, task="test", seed=0)
    found = explain_all(METHODS[name], replace(problem, model=style(problem.model).eval()), task="test", seed=0)
    assert found.status == expected.status, found.note
    largest = float(expected.attribution.abs().max())
    torch.testing.assert_close(found.attribution, expected.attribution, rtol=0, atol=1e-4 * largest)


def test_feature_maps_are_the_layers_own_even_where_the_next_works_in_place():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    problem = with_targets(replace(image_problem(), model=model.eval(), layers=("0",), targets=None), 4)
    maps, _ = features(problem)
    assert maps.min() < 0
    torch.testing.assert_close(maps, model[0](problem.inputs))


def test_a_rewritten_model_gives_the_same_answers_and_holds_modules_only():
    problem = residual_problem()
    graph = canonised(problem.model, problem.inputs[:1])
    torch.testing.assert_close(graph(problem.inputs), problem.model(problem.inputs), rtol=1e-4, atol=1e-5)
    kinds = [type(graph.get_submodule(node.target)) for node in graph.graph.nodes if node.op == "call_module"]
    assert kinds == [
        Scaling,
        nn.Conv2d,
        nn.ReLU,
        nn.Conv2d,
        Sum,
        nn.ReLU,
        nn.LeakyReLU,
        nn.MaxPool2d,
        Mean,
        nn.Linear,
    ]
    check(graph, set(kinds), "this test")


def test_relevance_is_kept_where_branches_meet():
    """Without biases the relevances of LRP-0 sum to the logit; a sum counted twice would give more."""
    problem = residual_problem()
    for module in problem.model.modules():
        if hasattr(module, "bias") and module.bias is not None:
            module.bias.data.zero_()
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.zero_()
    relevance, _ = explain(METHODS["lrp_epsilon"], problem, task="test", seed=0)
    logits = problem.model(problem.inputs).gather(1, problem.targets[:, None])[:, 0]
    torch.testing.assert_close(relevance.flatten(1).sum(1), logits, rtol=1e-3, atol=1e-4)


def test_deep_lift_is_complete_where_branches_meet():
    problem = residual_problem()
    maps, _ = explain(METHODS["deep_lift"], problem, task="test", seed=0)
    ends = [
        problem.model(x).gather(1, problem.targets[:, None])[:, 0]
        for x in (problem.inputs, torch.zeros_like(problem.inputs))
    ]
    torch.testing.assert_close(maps.flatten(1).sum(1), ends[0] - ends[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", HOOKING)
def test_a_model_that_cannot_be_traced_fails_with_the_reason(name):
    problem = replace(image_problem(), model=Branching().eval(), layers=("dense",), targets=None)
    explained = explain_all(METHODS[name], with_targets(problem, 4), task="test", seed=0)
    assert set(explained.status) <= {"failed"}
    assert "cannot trace" in explained.note[0]


@pytest.mark.parametrize(
    ("activation", "skipped"),
    [
        (nn.GELU(), {"guided_backprop", "deconvnet", "guided_grad_cam", "deep_taylor", "excitation_backprop"}),
        (nn.Softsign(), {"guided_backprop", "deconvnet", "guided_grad_cam", "deep_taylor", "excitation_backprop"}),
        (nn.ReLU(), set()),
        (nn.Softmax(1), set(HOOKING)),
    ],
    ids=["gelu", "softsign", "relu", "softmax"],
)
def test_what_has_no_rule_is_skipped_and_named(activation, skipped):
    torch.manual_seed(0)
    conv, dense = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 4)
    model = nn.Sequential(conv, activation, nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense).eval()
    problem = with_targets(replace(image_problem(), model=model, layers=("1",), targets=None), 4)
    for name in HOOKING:
        explained = explain_all(METHODS[name], problem, task="test", seed=0)
        assert explained.status[0] == ("skipped" if name in skipped else explained.status[0]), (name, explained.note[0])
        if name in skipped:
            assert type(activation).__name__ in explained.note[0] or "ReLU" in explained.note[0]
        else:
            assert explained.status[0] in ("ok", "undefined"), explained.note[0]


def test_the_part_behind_a_layer_continues_what_the_layer_gave():
    problem = image_problem()
    maps = problem.model[:5](problem.inputs)
    torch.testing.assert_close(after(problem, "pool1")(maps), problem.model(problem.inputs))
    reused = replace(problem, model=Functional(problem.model).eval())
    torch.testing.assert_close(after(reused, "pool1")(maps), problem.model(problem.inputs))


def test_a_layer_that_something_leads_around_cannot_be_cut_at():
    problem = residual_problem()
    with pytest.raises(NotApplicable, match="bypasses layer 'conv_norm'"):
        after(problem, "conv_norm")
    with pytest.raises(BenchError, match="cannot trace"):
        after(replace(problem, model=Branching()), "dense")


def test_questions_to_the_rewritten_model_are_counted():
    problem = image_problem(samples=3)
    _, meter = explain(METHODS["lrp_composite"], problem, task="test", seed=0)
    assert (meter.forwards, meter.backwards) == (3, 3)


class InPlace(nn.Module):
    """Adds to what was changed in place meanwhile, which a trace does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.dense = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return self.dense((h + self.relu(h)).mean((2, 3)))


class Gated(nn.Module):
    """Additions that are more than a sum of two: a factor, a parameter, another shape."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.conv, self.dense = kind, nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)
        self.relu, self.bias = nn.ReLU(), nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.conv(x))
        if self.kind == "alpha":
            h = torch.add(h, h, alpha=0.5)
        if self.kind == "parameter":
            h = h + self.bias.view(1, -1, 1, 1)
        if self.kind == "broadcast":
            h = h + functional.adaptive_avg_pool2d(h, 1)
        return self.dense(h.mean((2, 3)))


def drawn(model: nn.Module, layer: str = "conv") -> Problem:
    """The tiles, and the model with random weights."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_()
    model = model.eval().requires_grad_(False)
    return with_targets(replace(image_problem(), model=model, layers=(layer,), targets=None), 4)


@pytest.mark.parametrize("name", ["lrp_epsilon", "deep_lift", "guided_backprop"])
def test_a_trace_that_answers_otherwise_than_the_model_fails(name):
    explained = explain_all(METHODS[name], drawn(InPlace()), task="test", seed=0)
    assert set(explained.status) == {"failed"}
    assert "does not reproduce the model's outputs" in explained.note[0]


@pytest.mark.parametrize("kind", ["alpha", "parameter", "broadcast"])
def test_additions_are_served_rightly_or_refused(kind):
    problem = drawn(Gated(kind))
    explained = explain_all(METHODS["deep_lift"], problem, task="test", seed=0)
    if kind != "broadcast":
        assert set(explained.status) == {"skipped"}
        assert "no rule for the operation add" in explained.note[0]
        return
    ends = [problem.model(x).gather(1, problem.targets[:, None])[:, 0] for x in (problem.inputs, 0 * problem.inputs)]
    torch.testing.assert_close(explained.attribution.flatten(1).sum(1), ends[0] - ends[1], rtol=1e-3, atol=1e-3)
    guided = explain_all(METHODS["guided_backprop"], problem, task="test", seed=0)
    assert set(guided.status) == {"ok"}


def test_a_weight_that_is_computed_has_no_rule():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    nn.utils.parametrizations.weight_norm(model[0])
    problem = with_targets(replace(image_problem(), model=model.eval(), layers=("1",), targets=None), 4)
    explained = explain_all(METHODS["lrp_composite"], problem, task="test", seed=0)
    assert set(explained.status) == {"skipped"}
    assert "weight is computed" in explained.note[0]


class Skip(nn.Module):
    """A branch whose values may be negative, added to one without: no batch norm stands alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.dense = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.stem(x))
        return self.dense(functional.relu(h + self.conv(h)).mean((2, 3)))


def test_positive_relevance_stays_positive_where_branches_meet():
    problem = drawn(Skip(), layer="stem")
    maps = {}
    for name in ("deep_taylor", "excitation_backprop"):
        explained = explain_all(METHODS[name], problem, task="test", seed=0)
        assert set(explained.status) == {"ok"}, explained.note[0]
        assert explained.attribution.min() >= 0
        maps[name] = explained.attribution
    # the walk of excitation backpropagation ends at some input
    torch.testing.assert_close(
        maps["excitation_backprop"].flatten(1).sum(1), torch.ones(len(problem)), rtol=1e-3, atol=0
    )


class Opposed(nn.Module):
    """Adds a convolution of only positive weights and one of only negative weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.against, self.dense = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(functional.relu(self.conv(x) + self.against(x)).mean((2, 3)))


def test_a_sum_gives_no_relevance_to_its_negative_terms():
    """All of excitation's 1 goes through the positive convolution; a share below 0 for the other would make it more."""
    model = Opposed()
    problem = drawn(model)
    for convolution, sign in ((model.conv, 1), (model.against, -0.3)):
        convolution.weight.copy_(sign * convolution.weight.abs())
        convolution.bias.zero_()
    model.dense.weight.copy_(model.dense.weight.abs())
    maps, _ = explain(METHODS["excitation_backprop"], problem, task="test", seed=0)
    torch.testing.assert_close(maps.flatten(1).sum(1), torch.ones(len(problem)), rtol=1e-3, atol=0)


class NormAndSkip(nn.Module):
    """A convolution that is read by a batch norm and by a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return self.dense(functional.relu(h + self.norm(h)).mean((2, 3)))


def test_a_convolution_that_others_read_too_does_not_absorb_a_batch_norm():
    model = NormAndSkip()
    problem = drawn(model)
    model.norm.running_mean.normal_(0, 0.1)
    graph = canonised(model, problem.inputs[:1])
    torch.testing.assert_close(graph(problem.inputs), model(problem.inputs), rtol=1e-4, atol=1e-5)
    assert [type(module) for module in graph.children()] == [nn.Conv2d, Scaling, Sum, nn.ReLU, Mean, nn.Linear]


class WithIndices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.dense = nn.Conv2d(3, 6, 3), nn.MaxPool2d(2, return_indices=True), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.pool(functional.relu(self.conv(x)))[0].mean((2, 3)))


@pytest.mark.parametrize("name", ["lrp_epsilon", "deep_lift", "deep_taylor"])
def test_a_pool_that_returns_indices_has_no_rule(name):
    explained = explain_all(METHODS[name], drawn(WithIndices()), task="test", seed=0)
    assert set(explained.status) == {"skipped"}
    assert explained.note[0] == f"{name} has no rule for MaxPool2d (layer pool)"


class Unruly(nn.Module):
    """A sine, two layer norms, three exponentials, two changes of sign, a cosine and a floor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norms, self.dense = (
            nn.Conv2d(3, 6, 3),
            nn.Sequential(nn.LayerNorm(6), nn.LayerNorm(6)),
            nn.Linear(6, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        values = self.norms(self.conv(x).sin().mean((2, 3)))
        return self.dense(torch.floor(torch.cos(torch.exp(-torch.exp(-torch.exp(values))))))


def test_all_operations_without_a_rule_are_counted_and_the_first_is_named():
    explained = explain_all(METHODS["lrp_epsilon"], drawn(Unruly()), task="test", seed=0)
    assert explained.note[0] == (
        "lrp_epsilon has no rule for the operation sin (node sin), nor for 9 others: exp 3, LayerNorm 2, neg 2, ..."
    )


class Mixing(nn.Module):
    """Adds the mean over the samples of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return self.dense((h + h.mean(0, keepdim=True)).mean((2, 3)))


def test_deep_lift_refuses_a_model_that_mixes_the_samples_of_a_batch():
    explained = explain_all(METHODS["deep_lift"], drawn(Mixing()), task="test", seed=0)
    assert set(explained.status) == {"skipped"}
    assert "mixes the samples of a batch" in explained.note[0]


class Padded(nn.Module):
    """The HMT network with the border around its convolutions made beforehand, by a module or by a function."""

    def __init__(self, own: nn.Sequential, pad: nn.Module | dict[str, Any]) -> None:
        super().__init__()
        self.pad, self.own = pad, copy.deepcopy(own)
        for module in self.own.modules():
            if isinstance(module, nn.Conv2d):
                module.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        for module in self.own:
            if isinstance(module, nn.Conv2d):
                x = self.pad(x) if isinstance(self.pad, nn.Module) else functional.pad(x, (1, 1, 1, 1), **self.pad)
            x = module(x)
        return x


@pytest.mark.parametrize("pad", [nn.ZeroPad2d(1), {}], ids=["module", "function"])
@pytest.mark.parametrize("name", HOOKING)
def test_zeros_around_a_layer_are_its_own_padding(name, pad):
    """Where a first layer's rule shares out to zeros too, what the border's zeros get is lost: two pixels of rim differ."""
    problem = image_problem(samples=2)
    padded = replace(problem, model=Padded(problem.model, pad).eval(), layers=("own.pool1", "own.pool2"))
    expected, found = (explain(METHODS[name], each, task="test", seed=0)[0] for each in (problem, padded))
    if name in ("lrp_composite", "deep_taylor"):
        expected, found = expected[:, 2:-2, 2:-2], found[:, 2:-2, 2:-2]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "pad",
    [nn.ConstantPad2d(1, 0.7), {"value": 0.7}, nn.ReflectionPad2d(1), nn.ReplicationPad2d(1), {"mode": "reflect"}],
    ids=["constant", "constant function", "reflection", "replication", "reflection function"],
)
def test_any_border_passes_relevance_as_it_passes_a_gradient(pad):
    problem = image_problem(samples=2)
    padded = replace(problem, model=Padded(problem.model, pad).eval(), layers=("own.pool1", "own.pool2"))
    maps = {
        name: explain(METHODS[name], padded, task="test", seed=0)[0]
        for name in ("lrp_epsilon", "gradient_x_input", "deep_lift")
    }
    # LRP-0 is gradient x input in a ReLU network, biases and constants or not; a sum near 0 gives z / (z + epsilon) of it
    largest = float(maps["gradient_x_input"].abs().max())
    torch.testing.assert_close(maps["lrp_epsilon"], maps["gradient_x_input"], rtol=0, atol=1e-2 * largest)
    ends = [padded.model(x).gather(1, padded.targets[:, None])[:, 0] for x in (problem.inputs, 0 * problem.inputs)]
    torch.testing.assert_close(maps["deep_lift"].flatten(1).sum(1), ends[0] - ends[1], rtol=1e-3, atol=1e-3)
