"""Axioms: scores worked by hand, methods that are known to keep or to break them, and Quantus where it is right."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from conftest import image_problem, signal_problem
from quantus.helpers.model.pytorch_model import PyTorchModel
from test_metrics import given
from test_probe import Votes, votes
from torch import Tensor, nn

from bench.core.entries import Entry
from bench.core.problem import Problem
from bench.engine.explain import explain_all
from bench.engine.score import Scores, score
from bench.metrics.axioms import absorbing
from bench.network.gradients import gradient
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS

PLAIN = {"normalise": False, "return_aggregate": False, "disable_warnings": True}


def judged(name: str, probe: Probe, maps: Tensor, **params: object) -> Scores:
    metric = METRICS[name]
    metric = replace(metric, params=tuple((dict(metric.params) | params).items()))
    return score(metric, METHODS["saliency"], probe, given(maps), task="t", seed=0)


def scored(name: str, probe: Probe, maps: Tensor, **params: object) -> list[float]:
    found = judged(name, probe, maps, **params)
    assert set(found.status) == {"ok"}, found.note
    return found.values.tolist()


def of_method(name: str, method: Entry, problem: Problem, **params: object) -> np.ndarray:
    """Scores of what the method itself says."""
    metric = METRICS[name]
    metric = replace(metric, params=tuple((dict(metric.params) | params).items()))
    explained = explain_all(method, problem, task="t", seed=0)
    found = score(metric, method, Probe(problem), explained, task="t", seed=0)
    assert set(found.status) == {"ok"}, found.note
    return found.values


def theirs(judge: Any, problem: Problem, maps: Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = judge(
            model=problem.model,
            x_batch=problem.inputs.numpy(),
            y_batch=problem.targets.numpy(),
            a_batch=maps[:, None].numpy().copy(),
            softmax=False,
            channel_first=True,
        )
    return np.asarray(found, dtype=float)


# --- completeness -------------------------------------------------------------------------------------------------------


MAPS = torch.tensor(
    [
        [1.0, 2.0, -1.0],  # complete: the logit is 2 above that of the baseline
        [1.0, 2.0, 1.0],  # 4 of 2
        [0.5, 1.0, -0.5],  # 1 of 2
        [10.0, 20.0, -10.0],  # 20 of 2
        [1.0, -1.0, 0.0],  # 0 of 2
        [-1.0, -2.0, 1.0],  # -2 of 2
        [-0.5, 0.0, 0.0],  # -1/2 of 2
    ]
)


def test_completeness_by_hand():
    probe = votes([1.0, 2.0, -1.0], [[1.0, 1.0, 1.0]] * 7)
    assert scored("completeness", probe, MAPS) == pytest.approx([0, 1 / 2, 1 / 2, 9 / 10, 1, 2, 5 / 4])


def test_an_attribution_that_sums_to_nothing_is_complete_where_there_is_nothing_to_explain():
    probe = votes([1.0, -1.0], [[1.0, 1.0]] * 2)
    assert scored("completeness", probe, torch.tensor([[1.0, -1.0], [1.0, 0.0]])) == [0, 1]


def test_completeness_asks_the_ends_alone_and_they_are_asked_once():
    probe = votes([1.0, 2.0, -1.0], [[1.0, 1.0, 1.0]] * 7)
    scored("completeness", probe, MAPS)
    assert probe.tally.asked == 7 + 1
    assert len(probe.full) == len(probe.empty) == 7
    scored("completeness", probe.take([4, 2]), MAPS[[4, 2]])
    assert probe.tally.asked == 7 + 1
    predicting = Probe(replace(probe.problem, targets=None))
    scored("completeness", predicting, MAPS)
    assert predicting.tally.asked == 7 + 1


@pytest.mark.parametrize("make", [signal_problem, image_problem], ids=["signal", "image"])
def test_methods_that_promise_completeness_are_complete_and_others_are_not(make):
    problem = make()
    assert of_method("completeness", METHODS["deep_lift"], problem).max() < 1e-4  # but for float32
    assert of_method("completeness", METHODS["integrated_gradients"], problem).max() < 0.05  # an integral in 32 points
    for name in ("saliency", "random", "smoothgrad"):
        assert of_method("completeness", METHODS[name], problem).mean() > 0.3, name


def test_noise_costs_completeness_and_the_negative_has_all_of_it():
    weights = torch.randn(30, generator=torch.Generator().manual_seed(0)) + 0.3
    inputs = torch.rand(200, 30, generator=torch.Generator().manual_seed(1))
    probe = votes(weights.tolist(), inputs.tolist())
    exact = inputs * weights
    normal = torch.randn(exact.shape, generator=torch.Generator().manual_seed(2))
    ladder = [exact, exact + 0.1 * exact.std() * normal, exact + exact.std() * normal, normal, -exact]
    means = [np.mean(scored("completeness", probe, maps)) for maps in ladder]
    # float32 sums of 30 numbers
    assert means[0] < 1e-5
    assert means == sorted(means)
    assert means[4] == pytest.approx(2, abs=1e-5)


def test_completeness_is_quantus_s_where_floats_are_exact():
    # It demands that two floats be equal; with small whole numbers they are.
    problem = votes([1.0, 2.0, -1.0], [[1.0, 1.0, 1.0]] * 7).problem
    judge = quantus.Completeness(abs=False, perturb_baseline=0.0, **PLAIN)
    kept = theirs(judge, problem, MAPS)
    assert kept.tolist() == [1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(np.array(scored("completeness", Probe(problem), MAPS)) == 0, kept == 1)


# --- non-sensitivity ----------------------------------------------------------------------------------------------------


def test_non_sensitivity_by_hand():
    probe = votes([1.0, 0.0, 2.0, 0.0], [[1.0, 1.0, 1.0, 1.0]] * 4)
    maps = torch.tensor(
        [
            [1.0, 0.0, -2.0, 0.0],  # as the model has it
            [1.0, 0.0, 0.0, 0.5],  # the third matters and is not named; the fourth is named and does not matter
            [0.0, 3.0, 0.0, 3.0],  # all wrong
            [1.0, 1e-7, 2.0, -1e-7],  # less than the tolerance
        ]
    )
    assert scored("non_sensitivity", probe, maps) == [0, 50, 100, 0]
    assert scored("non_sensitivity", probe, 1000 * maps) == [0, 50, 100, 0]
    assert scored("non_sensitivity", probe, maps, tolerance=1e-9)[3] == 50


def test_non_sensitivity_of_patches_looks_at_all_of_a_patch():
    # two patches of two; p heeds the first, by one of its places
    probe = votes([1.0, 0.0, 0.0, 0.0], [[1.0, 1.0, 1.0, 1.0]] * 2)
    maps = torch.tensor([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, -1.0]])
    assert scored("non_sensitivity", probe, maps, features="patch2") == [0, 50]


def test_non_sensitivity_is_undefined_where_p_ignores_everything():
    probe = votes([0.0, 0.0, 0.0], [[1.0, 1.0, 1.0]])
    assert judged("non_sensitivity", probe, torch.tensor([[1.0, 0.0, 0.0]])).status == ("undefined",)


def test_non_sensitivity_costs_no_query_beside_faithfulness_estimate():
    problem = signal_problem()
    probe, maps = Probe(problem), torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    scored("faithfulness_estimate", probe, maps)
    before = probe.tally.asked
    scored("non_sensitivity", probe, maps)
    assert probe.tally.asked == before


def test_non_sensitivity_is_quantus_s():
    generator = torch.Generator().manual_seed(0)
    weights, maps = (torch.randn(shape, generator=generator) for shape in ((20,), (8, 20)))
    weights[::3], maps[:, ::2] = 0, 0
    maps[1::2, 5] = 0
    problem = votes(weights.tolist(), torch.rand(8, 20, generator=generator).add(0.1).tolist()).problem
    # Quantus reads logits here, which change where p does, by more than the tolerance
    judge = quantus.NonSensitivity(abs=True, perturb_baseline=0.0, **PLAIN)
    found = scored("non_sensitivity", Probe(problem), maps)
    assert len(set(found)) > 1
    np.testing.assert_allclose(found, 100 * theirs(judge, problem, maps) / 20)


# --- input invariance ---------------------------------------------------------------------------------------------------


NETWORKS = {
    "dense": (nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)), (3, 8, 8)),
    "dense without bias": (nn.Sequential(nn.Flatten(), nn.Linear(40, 4, bias=False)), (1, 40)),
    "a single layer": (nn.Linear(12, 3), (1, 12)),
    "padded": (nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(320, 4)), (3, 8, 8)),
    "padded alike": (nn.Sequential(nn.Conv1d(1, 5, 4, padding="same"), nn.Flatten(), nn.Linear(200, 4)), (1, 40)),
    "strides, groups, dilation": (
        nn.Sequential(
            nn.Conv2d(4, 6, 3, stride=2, padding=(2, 1), dilation=2, groups=2), nn.Flatten(), nn.Linear(6 * 5 * 4, 3)
        ),
        (4, 9, 9),
    ),
    "mirrored": (nn.Sequential(nn.Conv1d(2, 5, 3, padding=1, padding_mode="reflect"), nn.Flatten()), (2, 10)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shift", [-1.0, 3.0])
def test_the_shifted_model_answers_shifted_inputs_as_the_model_answers_inputs(name, shift):
    model, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        x = torch.rand(5, *shape)
        before = model.eval()(x).clone()
        shifted = absorbing(model, x[:1], shift)
        assert shifted is not None
        torch.testing.assert_close(shifted(x + shift), before, rtol=1e-4, atol=1e-4)
        assert (shifted(x) - before).abs().max() > 0.01
        assert torch.equal(model(x), before)
    hooks = [module._forward_pre_hooks for module in (*model.modules(), *shifted.modules())]
    assert not any(hooks)


class Twice(nn.Module):
    """A dense layer reads the input, and something else reads it too."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x.flatten(1)) + x.flatten(1).sum(1, keepdim=True)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(2 * x.flatten(1))


@pytest.mark.parametrize(
    "model", [Twice(), Scaled(), Votes([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])], ids=lambda m: type(m).__name__
)
def test_input_invariance_is_undefined_where_no_bias_can_take_the_shift_out(model):
    problem = Problem(
        model=model.eval().requires_grad_(False),
        inputs=torch.rand(3, 1, 6, generator=torch.Generator().manual_seed(0)),
        sample_ids=("0", "1", "2"),
        baseline=torch.zeros(1, 1),
        layers=(),
        top_k=0.5,
        fingerprint="",
        targets=torch.zeros(3, dtype=torch.long),
    )
    maps = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    assert set(judged("input_invariance", Probe(problem), maps).status) == {"undefined"}


KEEP = (
    "saliency",
    "smoothgrad",
    "gradient_x_input",
    "integrated_gradients",
    "grad_cam",
    "deep_lift",
    "random",
    "occlusion",
)


@pytest.mark.parametrize("make", [signal_problem, image_problem], ids=["signal", "image"])
@pytest.mark.parametrize("name", KEEP)
def test_methods_that_look_at_slopes_or_differences_from_the_baseline_are_invariant(make, name):
    # x - 1 is rounded where x is small: 1e-6 of the map, and up to 3e-4 where that puts a ReLU on its other side
    assert of_method("input_invariance", METHODS[name], make()).max() < 1e-3


def raw_input(problem: Problem) -> Tensor:
    """Gradient times the input itself, not its distance from the baseline."""
    return (gradient(problem) * problem.inputs).sum(1)


def test_gradient_times_raw_input_is_not_invariant_and_changes_by_the_gradient_times_the_shift():
    problem = signal_problem()
    method = Entry("raw_input", raw_input, "test", "", 1, (), ("problem",))
    slope = gradient(problem)[:, 0]
    for shift in (-1.0, 2.0):
        expected = (shift * slope).norm(dim=1) / (slope * problem.inputs[:, 0]).norm(dim=1)
        np.testing.assert_allclose(of_method("input_invariance", method, problem, shift=shift), expected, rtol=1e-3)


def test_lrp_is_not_invariant():
    # its relevance of a first-layer input is in proportion to the input itself [kindermans2019unreliability, section 4]
    assert of_method("input_invariance", METHODS["lrp_epsilon"], signal_problem()).min() > 0.1


def test_the_shift_is_quantus_s_without_padding_and_with_padding_quantus_s_model_answers_otherwise():
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        x = torch.rand(4, 1, 8, 8)
        for padding, right in ((0, True), (1, False)):
            side = 6 + 2 * padding
            model = nn.Sequential(nn.Conv2d(1, 5, 3, padding=padding), nn.Flatten(), nn.Linear(5 * side**2, 4)).eval()
            other = PyTorchModel(model, channel_first=True).add_mean_shift_to_first_layer(-1, (1, 1, 8, 8))
            own = absorbing(model, x[:1], -1.0)
            torch.testing.assert_close(own(x - 1), model(x), rtol=1e-4, atol=1e-5)
            assert torch.allclose(other(x - 1), model(x), rtol=1e-4, atol=1e-5) == right


class Bypass(nn.Module):
    """A dense layer reads the input; beside it the input's mean enters, which no bias of that layer can take out."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.dense = share, nn.Linear(40, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.dense(x.flatten(1))
        return logits + self.share * (1 + logits.detach().abs().amax(1, keepdim=True)) * x.mean((1, 2))[:, None]


@pytest.mark.parametrize(("share", "status"), [(0.0, "ok"), (1e-5, "ok"), (0.02, "undefined"), (0.2, "undefined")])
def test_input_invariance_is_undefined_where_the_shifted_model_answers_otherwise(share, status):
    """A shift by 1 changes the logits by `share` of the largest."""
    torch.manual_seed(0)
    problem = replace(signal_problem(), model=Bypass(share).eval(), targets=None, layers=("dense",))
    probe, method = Probe(problem), METHODS["gradient_x_input"]
    explained = explain_all(method, probe.problem, task="t", seed=0)
    assert set(score(METRICS["input_invariance"], method, probe, explained, task="t", seed=0).status) == {status}


def test_a_shift_is_absorbed_only_where_the_first_layer_reads_the_input_itself():
    dense, example = nn.Linear(4, 2), torch.rand(1, 1, 4)
    assert absorbing(nn.Sequential(nn.Flatten(), dense), example, -1.0) is not None
    assert absorbing(nn.Sequential(nn.Sigmoid(), nn.Flatten(), dense), example, -1.0) is None
    assert absorbing(nn.Sequential(nn.Flatten(), nn.Softmax(1)), example, -1.0) is None
