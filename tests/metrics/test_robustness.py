"""Robustness metrics against formulas worked here and against Quantus, and the maps that they share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import image_problem, signal_problem
from test_metrics import given, linear_problem
from test_probe import votes
from torch import Tensor

from bench.core.entries import Entry
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine import score
from bench.engine.explain import Attributions, explain, explain_all
from bench.metrics.robustness import neighbours, relative_norm
from bench.network.cost import measured
from bench.network.gradients import gradient
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS
from bench.registry.selection import with_params

NAMES = [metric.name for metric in METRICS.values() if metric.family == "robustness" and "quantus" not in metric.name]
NOISY = [name for name in NAMES if name != "explanation_continuity"]
RELATIVE = [name for name in NAMES if name.startswith("relative")]


def method(fn: object, *injected: str) -> Entry:
    return Entry("made_here", fn, "test", "", 1, (), injected or ("problem",))


def scores(
    name: str, entry: Entry, problem: Problem, *, settings: str = "", explained: Attributions | None = None
) -> np.ndarray:
    metric = with_params(METRICS[name], settings) if settings else METRICS[name]
    explained = explained or given(explain(entry, problem, task="test", seed=0)[0])
    return score.score(metric, entry, Probe(problem), explained, task="test", seed=0).values


def noisy(problem: Problem, samples: int, radius: float = 0.05) -> Tensor:
    """The inputs that all metrics read, by the formula of the module: (samples, N, C, *S)."""
    x = problem.inputs
    values = x.flatten(1)
    spread = (radius * (values.amax(1) - values.amin(1))).view(-1, *(1,) * (x.dim() - 1))
    noise = SampleRng(("neighbours",), problem.sample_ids).uniform((samples, *x.shape[1:]))
    return torch.stack([x + spread * (2 * noise[:, draw] - 1) for draw in range(samples)])


def gap(problem: Problem) -> Tensor:
    """The weights of each sample's class: (N, C, *S)."""
    return problem.model[1].weight[problem.targets].view_as(problem.inputs)


def plain_gradient(problem: Problem) -> Tensor:
    return gradient(problem).sum(1)


def weights_times_input(problem: Problem) -> Tensor:
    return (gradient(problem) * problem.inputs).sum(1)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_gradient_is_perfectly_robust(name):
    problem = replace(linear_problem((3, 6, 6)), layers=("0",))
    found = scores(name, method(plain_gradient), problem)
    assert found.tolist() == [0.0] * len(problem)


@pytest.mark.parametrize("shape", [(1, 24), (3, 6, 6)], ids=["signal", "rgb"])
def test_gradient_times_input_of_a_linear_model_by_hand(shape):
    problem = replace(linear_problem(shape), layers=("0",))  # a layer that only flattens: its output is the input
    x, w, entry = problem.inputs, gap(problem), method(weights_times_input)
    found = {name: scores(name, entry, problem) for name in NOISY}
    e = (w * x).sum(1).flatten(1).double()
    values: dict[str, list[Tensor]] = {name: [] for name in NOISY}
    for other in noisy(problem, 3):
        moved = (other - x).flatten(1).double()
        change = (w * (other - x)).sum(1).flatten(1).double()
        size = change.norm(dim=1) / e.norm(dim=1)
        shares = (change / torch.maximum(e.abs(), 0.1 * e.abs().amax(1, keepdim=True))).norm(dim=1)
        pixels = x.flatten(1).double().abs()
        inputs = (moved / torch.maximum(pixels, 0.1 * pixels.amax(1, keepdim=True))).norm(dim=1)
        logits = (moved @ problem.model[1].weight.double().T).norm(dim=1).clamp_min(0.01)
        values["max_sensitivity"].append(size)
        values["avg_sensitivity"].append(size)
        values["local_lipschitz"].append(size / moved.norm(dim=1))
        values["relative_input_stability"].append(shares / inputs)
        values["relative_output_stability"].append(shares / logits)
        values["relative_representation_stability"].append(shares / inputs)
    for name, draws in values.items():
        table = torch.stack(draws)
        expected = table.mean(0) if name == "avg_sensitivity" else table.amax(0)
        # differences of float32 maps, 100 times smaller than the maps themselves
        np.testing.assert_allclose(found[name], expected.numpy(), rtol=2e-4, err_msg=name)


def test_explanation_continuity_by_hand():
    copy = method(lambda problem: problem.inputs.sum(1))
    signal = votes([1.0, 1.0, 1.0], [[0.0, 1.0, 3.0]]).problem  # moves to 0, 0, 1
    assert scores("explanation_continuity", copy, signal)[0] == pytest.approx(3 / 4 / 5**0.5)
    image = linear_problem((1, 2, 2), samples=1)
    image = replace(image, inputs=torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]]))  # down: 1 2 / 1 2; right: 1 1 / 3 3
    expected = max(5 / 13**0.5, 3 / 5**0.5) / 11
    assert scores("explanation_continuity", copy, image)[0] == pytest.approx(expected)


def test_relative_norm_measures_small_elements_against_a_share_of_the_largest():
    change, size = torch.tensor([[1.0, 1.0, 2.0]]), torch.tensor([[10.0, 0.0, -4.0]])
    assert relative_norm(change, size, 0.1).tolist() == pytest.approx([(0.01 + 1 + 0.25) ** 0.5])
    assert relative_norm(change, torch.zeros(1, 3), 0.1).isnan().all()


def on_the_boundary() -> Problem:
    """A linear problem whose inputs lie near the boundary, so that noise changes about half of the predictions."""
    problem = linear_problem((1, 24), samples=12)
    weight = problem.model[1].weight
    normal, offset = weight[0] - weight[1], problem.model[1].bias[0] - problem.model[1].bias[1]
    x = problem.inputs.flatten(1)
    x = x - ((x @ normal + offset) / normal.square().sum())[:, None] * normal + 1e-3 * normal / normal.norm()
    return Probe(replace(problem, inputs=x.view_as(problem.inputs), targets=None)).problem


@pytest.mark.parametrize("name", RELATIVE)
def test_relative_stability_compares_only_inputs_of_the_same_prediction(name):
    problem = replace(on_the_boundary(), layers=("0",))
    same = torch.stack(
        [problem.model(x).argmax(1) == problem.model(problem.inputs).argmax(1) for x in noisy(problem, 3)]
    )
    entry = method(weights_times_input)
    one = scores(name, entry, problem, settings="samples=1")
    assert 0 < same[0].sum() < len(problem)  # some draws of either kind, or there is nothing to see
    assert (np.isfinite(one) == same[0].numpy()).all()
    three = scores(name, entry, problem)
    assert (np.isfinite(three) == same.any(0).numpy()).all()
    rows = (same[0] & ~same[1] & ~same[2]).numpy()
    np.testing.assert_array_equal(three[rows], one[rows])
    # sensitivity has no such condition
    assert np.isfinite(scores("max_sensitivity", entry, problem)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_more_chance_in_a_map_the_worse(name):
    problem = replace(linear_problem((1, 6, 6), samples=12), layers=("0",))

    def shaky(amount: float) -> Entry:
        def explainer(problem: Problem, rng: SampleRng) -> Tensor:
            exact = weights_times_input(problem)
            return exact + amount * exact.flatten(1).std(1)[:, None, None] * rng.normal(problem.shape)

        return method(explainer, "problem", "rng")

    chance = method(lambda problem, rng: rng.normal(problem.shape), "problem", "rng")
    means = [np.nanmean(scores(name, entry, problem)) for entry in (*map(shaky, (0.0, 0.1, 1.0)), chance)]
    assert means == sorted(means)
    assert len(set(means)) == 4


@pytest.mark.parametrize("name", NAMES)
def test_the_unit_of_an_attribution_does_not_matter(name):
    problem = replace(linear_problem((1, 24)), layers=("0",))
    larger = method(lambda problem: 10 * weights_times_input(problem))
    np.testing.assert_allclose(
        scores(name, larger, problem), scores(name, method(weights_times_input), problem), rtol=1e-4
    )


def test_all_noisy_metrics_together_ask_for_one_set_of_explanations(problem):
    explained = explain_all(METHODS["saliency"], problem, task="test", seed=0)
    probe = Probe(problem)

    def cost(name: str) -> tuple[int, int]:
        with measured(problem.model) as meter:
            found = score.score(METRICS[name], METHODS["saliency"], probe, explained, task="test", seed=0)
        assert set(found.status) == {"ok"}
        return meter.forwards, meter.backwards

    n, axes = len(problem), len(problem.shape)
    asked = {name: cost(name) for name in NAMES}
    assert asked["max_sensitivity"] == (3 * n + 4 * n, 3 * n)  # maps, and answers to x and the three x'
    assert [asked[name] for name in NOISY[1:]] == [(0, 0)] * 5
    assert asked["explanation_continuity"] == (axes * n, axes * n)
    # another method's maps are its own, but the model's answers are known
    explained = explain_all(METHODS["gradient_x_input"], problem, task="test", seed=0)
    with measured(problem.model) as meter:
        score.score(
            METRICS["relative_output_stability"], METHODS["gradient_x_input"], probe, explained, task="test", seed=0
        )
    assert (meter.forwards, meter.backwards) == (3 * n, 3 * n)


def test_some_of_the_samples_are_explained_again_only_for_those():
    problem = signal_problem()
    explained, probe = explain_all(METHODS["saliency"], problem, task="test", seed=0), Probe(problem)

    def backwards(rows: list[int]) -> int:
        with measured(problem.model) as meter:
            score.score(
                METRICS["max_sensitivity"],
                METHODS["saliency"],
                probe.take(rows),
                explained.take(rows),
                task="test",
                seed=0,
            )
        return meter.backwards

    assert backwards([0, 3]) == 6
    assert backwards([5, 3]) == 3
    assert backwards([0, 3, 5]) == 0


def asker(problem: Problem, entry: Entry, known: dict[str, Tensor]):  # type: ignore[no-untyped-def]
    return score._explainer(entry, Probe(problem), known, task="test", seed=0)


def test_a_question_is_told_from_others_by_inputs_draw_class_and_model():
    problem, entry, known = signal_problem(), METHODS["smoothgrad"], {}
    ask = asker(problem, entry, known)
    other = signal_problem().model
    other.conv1.weight.data.mul_(-1)
    questions = (
        {},
        {"inputs": problem.inputs + 0.1},
        {"draw": 1},
        {"targets": (problem.targets + 1) % 10},
        {"model": other},
    )
    maps = []
    for count, question in enumerate(questions, start=1):
        asked = {"inputs": problem.inputs, "draw": 0} | question
        maps.append(ask(**asked))
        assert len(known) == count * len(problem)
        torch.testing.assert_close(ask(**asked), maps[-1], rtol=0, atol=0)
        assert len(known) == count * len(problem)
    for place, one in enumerate(maps):
        assert all(not torch.allclose(one, two) for two in maps[:place])
    torch.testing.assert_close(maps[0], explain(entry, problem, task="test", seed=0)[0])
    shifted = replace(problem, targets=(problem.targets + 1) % 10)
    torch.testing.assert_close(maps[3], explain(entry, shifted, task="test", seed=0)[0])
    torch.testing.assert_close(maps[4], explain(entry, replace(problem, model=other), task="test", seed=0)[0])


def test_a_method_without_randomness_is_not_asked_for_another_draw():
    problem, known = signal_problem(), {}
    ask = asker(problem, METHODS["saliency"], known)
    ask(problem.inputs, 0)
    ask(problem.inputs, 7)
    assert len(known) == len(problem)


def test_what_is_kept_is_bounded_and_the_oldest_go(monkeypatch):
    problem, known = signal_problem(), {}
    monkeypatch.setattr(score, "VALUES_KEPT", 8 * 40)
    ask = asker(problem, METHODS["saliency"], known)
    first = ask(problem.inputs, 0)
    names = list(known)
    second = ask(problem.inputs + 0.1, 0)
    assert len(known) == 8
    assert list(known)[:2] == names[-2:]
    monkeypatch.setattr(score, "VALUES_KEPT", 40)  # less than one question
    ask = asker(problem, METHODS["saliency"], known)
    torch.testing.assert_close(ask(problem.inputs, 0), first)
    torch.testing.assert_close(ask(problem.inputs + 0.1, 0), second)
    assert len(known) == 1


def test_a_metric_cannot_change_what_another_is_answered():
    problem = signal_problem()
    ask = asker(problem, METHODS["saliency"], {})
    first = ask(problem.inputs, 0)
    expected = first.clone()
    first.zero_()
    assert torch.equal(ask(problem.inputs, 0), expected)


@pytest.mark.parametrize("name", ["max_sensitivity", "avg_sensitivity"])
@pytest.mark.parametrize("make", [signal_problem, image_problem], ids=["signal", "image"])
def test_sensitivity_equals_quantus_on_the_same_inputs(name, make):
    import quantus

    problem, entry = make(), METHODS["saliency"]
    draws = iter(noisy(problem, 3))
    maps = explain(entry, problem, task="test", seed=0)[0]

    def explained(inputs: np.ndarray, **_: object) -> np.ndarray:
        changed = replace(problem, inputs=torch.from_numpy(inputs))
        return explain(entry, changed, task="test", seed=0)[0].numpy()[:, None]

    judge = {"max_sensitivity": quantus.MaxSensitivity, "avg_sensitivity": quantus.AvgSensitivity}[name](
        nr_samples=3,
        perturb_func=lambda arr, **_: next(draws).flatten(1).numpy(),
        normalise=False,
        abs=False,
        disable_warnings=True,
        return_aggregate=False,
    )
    x = problem.inputs.contiguous().numpy()
    theirs = judge(
        model=problem.model,
        x_batch=x,
        y_batch=np.zeros(len(x), dtype=int),
        a_batch=maps.numpy()[:, None],
        explain_func=explained,
        channel_first=True,
        batch_size=len(x),
    )
    np.testing.assert_allclose(scores(name, entry, problem), theirs, rtol=1e-4)


def test_relative_input_stability_without_a_floor_equals_quantus():
    import quantus

    problem = linear_problem((1, 6, 6))
    problem = replace(problem, inputs=problem.inputs + 0.2)  # no feature near zero
    entry = method(weights_times_input)
    judge = quantus.RelativeInputStability(normalise=False, disable_warnings=True)
    maps = explain(entry, problem, task="test", seed=0)[0].numpy()[:, None].astype(np.float64)
    ratios = []
    for x in noisy(problem, 3):
        other = explain(entry, replace(problem, inputs=x), task="test", seed=0)[0].numpy()[:, None].astype(np.float64)
        ratios.append(
            judge.relative_input_stability_objective(problem.inputs.numpy().astype(float), x.numpy(), maps, other)
        )
    found = scores("relative_input_stability", entry, problem, settings="floor=1e-12")
    np.testing.assert_allclose(found, np.max(ratios, axis=0), rtol=1e-3)


def test_noise_depends_on_the_run_and_the_sample_alone():
    problem = signal_problem()
    one = neighbours(Probe(problem, names=(0, "task")), 3, 0.05).inputs
    again = neighbours(Probe(problem.take([4, 1]), names=(0, "task")), 3, 0.05).inputs
    other = neighbours(Probe(problem, names=(1, "task")), 3, 0.05).inputs
    assert torch.equal(one[:, [4, 1]], again)
    assert not torch.allclose(one, other)
    fewer = neighbours(Probe(problem, names=(0, "task")), 2, 0.05).inputs
    assert torch.equal(one[:2], fewer)
    ranges = problem.inputs.flatten(1).amax(1) - problem.inputs.flatten(1).amin(1)
    reach = (one - problem.inputs).flatten(2).abs().amax(2) / ranges
    # 40 uniform draws on [-0.05, 0.05] reach 90 % of it all but surely
    assert ((reach > 0.04) & (reach <= 0.05 + 1e-6)).all()


@pytest.mark.parametrize("name", ["max_sensitivity", "avg_sensitivity"])
def test_a_single_noisy_input_is_explained_with_new_random_numbers(name):
    """The draw of the map itself would give a random map that is perfectly robust."""
    assert (scores(name, METHODS["random"], signal_problem(), settings="samples=1") > 0.3).all()
