"""Quantus's metrics, as the harness calls them: all are there, go in Quantus's direction, and give what their formulas say.

Laws that they keep with all other metrics are in test_metrics.py. Models answer in float32 in batches of other sizes here than
there: 1e-5 is rounding.
"""

from __future__ import annotations

import copy
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import quantus
import torch
from conftest import image_problem, signal_problem, upper_half
from scipy.spatial.distance import cdist
from scipy.stats import entropy, pearsonr, spearmanr
from skimage.metrics import structural_similarity
from test_against_quantus import images, without_ties
from test_metrics import exact, given, linear_problem, probe_of, scored
from torch import Tensor, nn

from bench.core.entries import Metric
from bench.core.problem import Problem
from bench.core.random import numpy_state_kept
from bench.engine.explain import explain
from bench.engine.score import score
from bench.metrics.quantus.adapter import among_neighbours, as_inputs, as_maps, batched, judge, own_scale, step_of
from bench.metrics.quantus.faithfulness import patch_size
from bench.metrics.quantus.localisation import mosaic
from bench.metrics.robustness import neighbours
from bench.registry.decorators import METHODS, METRICS
from bench.registry.selection import with_params

CLASSES = [kind for group in quantus.AVAILABLE_METRICS.values() for kind in group.values()]
OURS = {name: metric for name, metric in METRICS.items() if name.startswith("quantus_")}
FAMILIES = {"Axiomatic": "axiom"}
PROBLEMS = {"signal": signal_problem, "grey": images, "rgb": image_problem}


def name_of(kind: type) -> str:
    """quantus_<its name in snake case>."""
    return "quantus_" + re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.__name__).lower()


def statuses(name: str, problem: Problem) -> tuple[set[str], str]:
    found = score(OURS[name], METHODS["saliency"], probe_of(problem), given(without_ties(problem)), task="t", seed=0)
    return set(found.status), found.note[0]


def saliency(
    problem: Problem, inputs: Tensor, *, model: nn.Module | None = None, targets: Tensor | None = None
) -> Tensor:
    asked = replace(problem, inputs=inputs, model=model or problem.model)
    asked = asked if targets is None else replace(asked, targets=targets)
    return explain(METHODS["saliency"], asked, task="test", seed=0)[0]


def maps_of(problem: Problem) -> Tensor:
    return saliency(problem, problem.inputs)


def p(problem: Problem, inputs: Tensor) -> np.ndarray:
    """Of the explained class. (N,)"""
    with torch.no_grad():
        return problem.model(inputs).softmax(1).gather(1, problem.targets[:, None])[:, 0].numpy()


# --- the registry -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_metric_of_quantus_is_registered_with_its_own_direction_and_group(kind):
    metric = OURS[name_of(kind)]
    assert metric.higher_is_better == (kind.score_direction.value == "higher")
    group = kind.evaluation_category.value
    assert metric.family == FAMILIES.get(group, group.lower())


def test_nothing_else_is_called_quantus():
    assert set(OURS) == {name_of(kind) for kind in CLASSES}


CANNOT = {
    "signal": {"quantus_irof", "quantus_road", "quantus_infidelity", "quantus_focus"},
    "grey": {"quantus_focus"},
    "rgb": {"quantus_irof", "quantus_road", "quantus_focus"},
}


@pytest.mark.parametrize("which", PROBLEMS)
@pytest.mark.parametrize("name", OURS)
def test_what_quantus_cannot_take_is_skipped_with_a_reason_and_the_rest_is_scored(name, which):
    problem = PROBLEMS[which]()
    problem = replace(problem, truth=upper_half(problem.inputs))
    status, note = statuses(name, problem)
    if name in CANNOT[which]:
        assert status == {"skipped"}
        assert note.startswith("Quantus's ")
    else:
        assert status == {"ok"}, note


@pytest.mark.parametrize(
    ("kind", "which"),
    [(kind, which) for kind in ("IROF", "ROAD") for which in ("signal", "rgb")] + [("Infidelity", "signal")],
)
def test_quantus_raises_where_we_skip(kind, which):
    problem = PROBLEMS[which]()
    maps, settings = without_ties(problem)[:, None].numpy(), {"display_progressbar": False, "disable_warnings": True}
    with pytest.raises((ValueError, AssertionError, IndexError)), numpy_state_kept():
        getattr(quantus, kind)(**settings)(
            model=problem.model, x_batch=problem.inputs.numpy(), y_batch=problem.targets.numpy(), a_batch=maps
        )


def test_quantus_keeps_no_model():
    from quantus.helpers.model.pytorch_model import PyTorchModel

    scored("quantus_faithfulness_correlation", linear_problem((1, 24)), exact(linear_problem((1, 24))))
    assert PyTorchModel._get_last_softmax_layer_index.cache_info().currsize == 0


@pytest.mark.parametrize("name", ["quantus_efficient_mprt", "quantus_smooth_mprt", "quantus_random_logit"])
def test_the_global_random_state_is_left_as_it_was(name):
    problem = signal_problem(2)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    assert statuses(name, problem)[0] == {"ok"}
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(map(np.array_equal, np.random.get_state(), numpy_state))


# --- faithfulness -------------------------------------------------------------------------------------------------------


def test_steps_are_the_nearest_number_that_divides_the_features():
    assert [step_of(*of) for of in [(40, 20), (36, 20), (50176, 20), (7, 3)]] == [
        2,
        2,
        3136,
        1,
    ]  # 20, 18, 16 and 7 steps


def test_patches_are_the_smallest_of_which_so_many_cover_the_input():
    assert [patch_size(shape, 64) for shape in [(224, 224), (150, 150), (36, 36), (40,), (100,)]] == [28, 19, 5, 1, 2]


def test_faithfulness_estimate_is_ours_for_single_features():
    problem = signal_problem()
    maps = without_ties(problem)
    ours = scored("faithfulness_estimate", problem, maps, features="pixel")
    np.testing.assert_allclose(scored("quantus_faithfulness_estimate", problem, maps, steps=40), ours, atol=1e-5)


def test_monotonicity_correlation_by_its_formula():
    problem = signal_problem()
    maps, draws = without_ties(problem), 3
    metric = OURS["quantus_monotonicity_correlation"]
    found = scored(metric.name, problem, maps, steps=40, draws=draws)
    metric = replace(metric, params=tuple((dict(metric.params) | {"steps": 40, "draws": draws}).items()))
    from bench.core.random import SampleRng

    seeds = SampleRng((0, "test", metric.id), problem.sample_ids).seeds
    order = maps.abs().argsort(1)  # Quantus's features, and so its draws, come lowest first
    expected = []
    for row, seed in enumerate(seeds):
        shares = np.random.RandomState(seed % 2**32).uniform(size=(40, draws)).astype(np.float32)
        x = problem.inputs[[row]].expand(40, draws, -1, -1).clone()
        for step, place in enumerate(order[row]):
            x[step, :, 0, place] *= torch.from_numpy(shares[step])
        one = problem.take([row])
        change = [
            np.mean((p(one, x[step][draw][None]) - p(one, one.inputs)) ** 2)
            for step in range(40)
            for draw in range(draws)
        ]
        expected.append(spearmanr(maps[row].abs()[order[row]], np.reshape(change, (40, draws)).mean(1))[0])
    np.testing.assert_allclose(found, expected, atol=1e-2)  # squares near 1e-12 may swap ranks by rounding


def test_sensitivity_n_pairs_all_p_lost_with_the_last_attribution():
    problem = signal_problem()
    maps = without_ties(problem)
    lost = probe_of(problem).full[:, None] - probe_of(problem).deletion(maps, 40)[:, 1:]
    ordered = maps.sort(1, descending=True).values
    expected = [pearsonr(lost[row, :32], ordered[row, :32])[0] for row in range(len(maps))]
    np.testing.assert_allclose(scored("quantus_sensitivity_n", problem, maps, steps=40), expected, atol=1e-5)


def test_monotonicity_is_one_whatever_the_attribution():
    problem = signal_problem()
    maps = without_ties(problem)
    for some in (maps, -maps, maps.abs()):
        assert scored("quantus_monotonicity", problem, some).tolist() == [1.0] * len(maps)


@pytest.mark.parametrize(("which", "patches"), [("signal", 10), ("rgb", 36)])
def test_region_perturbation_and_selectivity_are_means_over_patches_removed(which, patches):
    problem = PROBLEMS[which]()
    maps, probe = without_ties(problem), probe_of(problem)
    curve = probe.deletion(maps, patches, features=f"patch{patches}").numpy()
    assert curve.shape[1] == patches + 1
    lost = scored("quantus_region_perturbation", problem, maps, patches=patches)
    left = scored("quantus_selectivity", problem, maps, patches=patches)
    np.testing.assert_allclose(left, curve[:, 1:].mean(1), atol=1e-5)
    np.testing.assert_allclose(lost, curve[:, 0] - left, atol=1e-5)


def test_infidelity_by_its_formula():
    problem = images()
    maps, probe = without_ties(problem), probe_of(problem)
    removed, lost = [], []
    gone = torch.zeros(problem.shape, dtype=torch.bool)
    for top in range(0, 24, 3):  # 8 x 8 patches of 3 x 3, in reading order, each on top of those before
        for left in range(0, 24, 3):
            gone[top : top + 3, left : left + 3] = True
            removed.append((maps * gone).sum((1, 2)))
            lost.append(probe.full - torch.from_numpy(p(problem, problem.inputs * ~gone)))
    expected = (torch.stack(removed) - torch.stack(lost)).square().mean(0)
    np.testing.assert_allclose(scored("quantus_infidelity", problem, maps), expected, rtol=1e-4)


def test_irof_by_its_formula():
    from skimage.segmentation import slic

    problem = images()
    maps, expected = without_ties(problem), []
    for row in range(len(problem)):
        one = problem.take([row])
        labels = slic(one.inputs[0].double().numpy().transpose(1, 2, 0), start_label=0)
        number = labels.max() + 1
        means = [maps[row][labels == label].mean() for label in range(number)]
        left, gone = [], torch.zeros(problem.shape, dtype=torch.bool)
        for label in np.argsort(-np.array(means)):
            gone |= torch.from_numpy(labels == label)
            left.append(p(one, one.inputs * ~gone)[0] / p(one, one.inputs)[0])
        expected.append(number - np.sum((np.array(left[1:]) + np.array(left[:-1])) / 2))
    np.testing.assert_allclose(scored("quantus_irof", problem, maps), expected, atol=1e-4)


def test_road_without_noise_is_ours():
    problem = images()
    maps = without_ties(problem)
    found = scored("quantus_road", problem, maps, noise=0.0)
    assert np.ptp(found) > 0
    np.testing.assert_allclose(found, scored("road", problem, maps, noise=0.0), atol=1e-9)


def test_sufficiency_and_consistency_compare_a_sample_with_its_noisy_versions():
    problem = signal_problem()
    maps = maps_of(problem)
    near = neighbours(probe_of(problem), 8, 0.25).inputs
    inputs = torch.stack([problem.inputs, *near])
    others = torch.stack([maps, *(saliency(problem, some) for some in near)])
    chosen = torch.stack([problem.model(some).argmax(1) for some in inputs]).numpy()
    sufficient, consistent = [], []
    for row in range(len(problem)):
        crowd, same = others[:, row].numpy(), chosen[1:, row] == chosen[0, row]
        distances = cdist(crowd, crowd, "seuclidean")
        alike = distances[0, 1:] <= 0.8 * distances.max()
        sufficient.append(same[alike].mean() if alike.any() else 0.0)
        signs = np.sign(others[:, row, :5].numpy())
        alike = (signs[1:] == signs[0]).all(1)
        consistent.append(same[alike].mean() if alike.any() else 0.0)
    assert np.ptp(sufficient) > 0
    np.testing.assert_allclose(scored("quantus_sufficiency", problem, maps), sufficient, atol=1e-6)
    np.testing.assert_allclose(scored("quantus_consistency", problem, maps), consistent, atol=1e-6)


# --- robustness ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["signal", "rgb"])
def test_sensitivities_are_ours_on_the_same_noisy_inputs(which):
    problem = PROBLEMS[which]()
    maps = maps_of(problem)
    for name in ("max_sensitivity", "avg_sensitivity"):
        np.testing.assert_allclose(scored(f"quantus_{name}", problem, maps), scored(name, problem, maps), rtol=1e-3)


@pytest.mark.parametrize("which", ["signal", "rgb"])
def test_local_lipschitz_and_relative_stability_by_their_formulas(which):
    problem = PROBLEMS[which]()
    maps, x = maps_of(problem).double(), problem.inputs.double()
    found: dict[str, list[Tensor]] = {"local_lipschitz_estimate": [], "relative_input_stability": []}
    found |= {"relative_output_stability": [], "relative_representation_stability": []}
    seen: list[Tensor] = []
    hooks = [
        problem.model.get_submodule(name).register_forward_hook(
            lambda _m, _i, out: seen.append(out.flatten(1).double())
        )
        for name in problem.layers
    ]
    logits, before = problem.model(problem.inputs).double(), torch.cat(seen, 1)
    for near in neighbours(probe_of(problem), 3, 0.05).inputs:
        other = saliency(problem, near).double()
        seen.clear()
        moved = (problem.model(near) - logits).norm(dim=1)
        hidden = torch.cat(seen, 1) - before
        units = [torch.from_numpy(own_scale(some.numpy())) for some in (maps, other)]
        far = (near - x).flatten(1).norm(dim=1)
        found["local_lipschitz_estimate"].append((units[0] - units[1]).flatten(1).norm(dim=1) / far)
        change = ((maps - other) / (maps + 1e-6 * (maps == 0))).flatten(1).norm(dim=1)
        size = ((x - near) / (x + 1e-6 * (x == 0))).flatten(1).norm(dim=1)
        found["relative_input_stability"].append(change / size)
        found["relative_output_stability"].append(change / moved)
        size = (hidden / (before + 1e-6 * (before == 0))).norm(dim=1)
        found["relative_representation_stability"].append(change / size)
    for hook in hooks:
        hook.remove()
    for name, values in found.items():
        expected = torch.stack(values).amax(0)
        np.testing.assert_allclose(scored(f"quantus_{name}", problem, maps.float()), expected, rtol=2e-3)


def test_relative_representation_stability_is_skipped_for_layers_that_quantus_does_not_see():
    problem = signal_problem(2)
    model = nn.Sequential(nn.Sequential(*problem.model[:2]), *problem.model[2:]).eval()
    status, note = statuses("quantus_relative_representation_stability", replace(problem, model=model, layers=("0",)))
    assert status == {"skipped"}
    assert "nn.Sequential (0)" in note


@pytest.mark.parametrize("which", ["signal", "rgb"])
def test_continuity_by_its_formula(which):
    problem = PROBLEMS[which]()
    maps, x = maps_of(problem), problem.inputs
    width = x.shape[-1]
    steps = {40: 7, 36: 7}[width]  # 8 steps of 10, or of 9, would come past a move of none
    size = (2 * width + 1) // steps
    low = x.flatten(1).amin(1).view(-1, *(1,) * (x.dim() - 1)).expand_as(x)
    found, before = [], np.abs(own_scale(maps.numpy()))
    for move in range(-width + size, -width + steps * size + 1, size):
        moved = (
            torch.cat([low[..., :move], x[..., :-move]], -1)
            if move > 0
            else torch.cat([x[..., -move:], low[..., :-move]], -1)
        )
        after = np.abs(own_scale(saliency(problem, moved).numpy()))
        change = np.abs(after - before).reshape(len(x), -1).sum(1)
        found.append(change / (moved - x).flatten(1).norm(dim=1).numpy())
    np.testing.assert_allclose(scored("quantus_continuity", problem, maps), np.max(found, axis=0), rtol=1e-3)


# --- randomisation ------------------------------------------------------------------------------------------------------


def randomised(problem: Problem, names: list[str]) -> nn.Module:
    """The model with the named layers as Quantus makes them, of its seed."""
    model = copy.deepcopy(problem.model)
    with torch.random.fork_rng(devices=[]):
        for name in names:
            torch.manual_seed(43)
            model.get_submodule(name).reset_parameters()
    return model


def correlations(one: Tensor, other: Tensor) -> np.ndarray:
    return np.array([spearmanr(a, b)[0] for a, b in zip(one.flatten(1), other.flatten(1), strict=True)])


@pytest.mark.parametrize("which", ["signal", "rgb"])
def test_mprt_by_its_formula(which):
    problem = PROBLEMS[which]()
    maps = maps_of(problem)
    layers = [name for name, layer in problem.model.named_modules() if hasattr(layer, "reset_parameters")][::-1]
    models = [randomised(problem, layers[: number + 1]) for number in range(len(layers))]
    found = [
        np.ones(len(maps)),
        *(correlations(maps, saliency(problem, problem.inputs, model=model)) for model in models),
    ]
    np.testing.assert_allclose(scored("quantus_mprt", problem, maps), np.mean(found, axis=0), atol=1e-4)
    entropies = []
    for some in (maps, saliency(problem, problem.inputs, model=randomised(problem, layers))):
        entropies.append(np.array([entropy(np.histogram(one.numpy(), bins=100)[0]) for one in some]))
    rise = (entropies[1] - entropies[0]) / entropies[0]
    np.testing.assert_allclose(
        scored("quantus_efficient_mprt", problem, maps), rise, atol=0.02
    )  # a value may change bins


def test_smooth_mprt_is_of_explanations_averaged_over_noise():
    problem, samples = signal_problem(3), 3
    maps, metric = maps_of(problem), OURS["quantus_smooth_mprt"]
    from bench.core.random import SampleRng

    streams = [np.random.RandomState(s % 2**32) for s in SampleRng((0, "test", metric.id), problem.sample_ids).seeds]
    x = problem.inputs
    spread = 0.1 * (x.amax((1, 2), keepdim=True) - x.amin((1, 2), keepdim=True))

    def smooth(model: nn.Module) -> Tensor:
        noise = [
            torch.from_numpy(np.stack([stream.normal(size=(1, 40)) for stream in streams])) for _ in range(samples - 1)
        ]
        noisy = [x, *((x + spread * one).float() for one in noise)]
        return torch.stack([saliency(problem, one, model=model) for one in noisy]).mean(0)

    reference = smooth(problem.model)
    layers = [name for name, layer in problem.model.named_modules() if hasattr(layer, "reset_parameters")]
    found = [correlations(reference, smooth(problem.model))]  # once more, with other noise
    found += [correlations(reference, smooth(randomised(problem, layers[: n + 1]))) for n in range(len(layers))]
    np.testing.assert_allclose(scored(metric.name, problem, maps, samples=samples), np.mean(found, axis=0), atol=1e-3)


def test_random_logit_compares_with_the_other_class():
    problem = images()
    model = nn.Sequential(problem.model, nn.Linear(4, 2)).eval().requires_grad_(False)  # two: no choice of the other
    problem = replace(problem, model=model, targets=torch.tensor([0, 1] * 3))
    maps = maps_of(problem)
    other = saliency(problem, problem.inputs, targets=1 - problem.targets)
    pairs = zip(maps.flatten(1).numpy(), other.flatten(1).numpy(), strict=True)
    expected = [structural_similarity(a, b, data_range=max(a.max(), b.max()) - min(a.min(), b.min())) for a, b in pairs]
    np.testing.assert_allclose(scored("quantus_random_logit", problem, maps), expected, atol=1e-4)


def test_a_model_without_layers_has_nothing_to_randomise():
    class Sums(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.flatten(1).sum(1), -x.flatten(1).sum(1)], dim=1)

    problem = replace(linear_problem((1, 24)), model=Sums().eval())
    for name in ("quantus_mprt", "quantus_smooth_mprt", "quantus_efficient_mprt"):
        status, note = statuses(name, problem)
        assert status == {"skipped"}
        assert "needs a layer with `reset_parameters`" in note


# --- localisation and complexity ------------------------------------------------------------------------------------------


def located(name: str, maps: list[list[float]], truth: list[list[int]], **params: object) -> list[float]:
    problem = replace(linear_problem((1, len(maps[0])), samples=len(maps)), truth=torch.tensor(truth).bool())
    return scored(name, problem, torch.tensor(maps), **params).tolist()


def test_localisation_by_hand():
    maps = [[4.0, 1, -2, 3, 0], [-1.0, 0, 2, 1, 5], [1.0, 2, 3, 4, 5]]
    truth = [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]  # the last has none: undefined
    expected = {
        "quantus_pointing_game": [1, 0],
        "quantus_relevance_mass_accuracy": [5 / 6, 1 / 7],
        "quantus_attribution_localisation": [5 / 10, 3 / 9],
        "quantus_relevance_rank_accuracy": [1 / 2, 1 / 2],
        # pairs of a place inside and one outside that are in the right order
        "quantus_auc": [5 / 6, 2 / 6],
    }
    for name, values in expected.items():
        assert located(name, maps, truth) == pytest.approx([*values, math.nan], nan_ok=True), name
    assert located("quantus_top_k_intersection", maps, truth, k=0.6) == pytest.approx(
        [2 / 3, 1 / 3, math.nan], nan_ok=True
    )


def test_focus_is_the_positive_share_in_the_quadrants():
    problem = linear_problem((3, 4, 4), samples=2)
    truth = torch.zeros(2, 4, 4, dtype=torch.bool)
    truth[0, :2, 2:] = truth[0, 2:, :2] = True  # upper right and lower left
    truth[1, 0, 0] = True  # no quadrant
    maps = torch.ones(2, 4, 4)
    maps[0, :2, 2:], maps[0, 2:, 2:] = 3.0, -7.0
    found = scored("quantus_focus", replace(problem, truth=truth), maps)
    assert found[0] == pytest.approx((12 + 4) / (4 + 12 + 4))
    assert np.isnan(found[1])
    assert mosaic(truth)[0].tolist() == [0, 1, 1, 0]


def test_effective_complexity_counts_features_above_a_share_of_the_largest():
    maps = torch.tensor([[4.0, -1.0, 0.3, 0.0]])
    for scale in (1, 1e-6):
        assert scored("quantus_effective_complexity", linear_problem((1, 4), samples=1), scale * maps).tolist() == [2.0]


# --- axioms -------------------------------------------------------------------------------------------------------------


def test_completeness_is_exact_equality():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False)).eval().requires_grad_(False)
    model[1].weight.copy_(torch.tensor([[0.5, 1.0], [0.0, 0.0]]))
    problem = replace(linear_problem((1, 2), samples=2), model=model, targets=torch.tensor([0, 0]))
    problem = replace(problem, inputs=torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]]))
    maps = torch.tensor([[0.5, 2.0], [0.5, 2.0 + 2**-20]])  # 2.5 is to be explained
    assert scored("quantus_completeness", problem, maps).tolist() == [1.0, 0.0]


def test_non_sensitivity_counts_features_that_only_one_ignores():
    problem = linear_problem((1, 4), samples=1)
    problem.model[1].weight.copy_(torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    found = scored("quantus_non_sensitivity", problem, torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    assert found.tolist() == [2.0]  # the second has attribution and no effect, the third an effect and no attribution


def test_input_invariance_of_a_gradient_and_not_of_gradient_times_input():
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 22, 2)).eval().requires_grad_(False)
    problem = replace(linear_problem((1, 24)), model=model)
    probe = probe_of(replace(problem, targets=None))
    found = {}
    for name in ("saliency", "gradient_x_input"):
        maps = explain(METHODS[name], probe.problem, task="test", seed=0)[0]
        metric: Metric = OURS["quantus_input_invariance"]
        found[name] = score(metric, METHODS[name], probe, given(maps), task="test", seed=0).values.tolist()
    assert found == {"saliency": [1.0] * len(problem), "gradient_x_input": [0.0] * len(problem)}


def test_input_invariance_is_skipped_without_a_first_convolution():
    status, note = statuses("quantus_input_invariance", linear_problem((1, 24)))
    assert status == {"skipped"}
    assert "first module is a 1-D or 2-D convolution" in note


def test_this_is_the_release_that_works_on_batches():
    assert batched()


def test_a_map_is_scaled_by_its_largest_absolute_value():
    np.testing.assert_array_equal(
        own_scale(np.array([[-4.0, 2.0], [0.0, 0.0], [1.0, 2.0]])), [[-1, 0.5], [0, 0], [0.5, 1]]
    )


def test_maps_and_inputs_are_copies_since_quantus_works_in_place():
    problem, maps = linear_problem((1, 4)), torch.zeros(5, 4)
    before = problem.inputs.clone()
    as_maps(maps)[:] = 9
    as_inputs(problem)[:] = 9
    assert not maps.any()
    assert torch.equal(problem.inputs, before)


def test_noisy_versions_are_explained_with_new_random_numbers():
    problem, draws = linear_problem((1, 8)), []

    def explained_again(inputs: Tensor, draw: int, **_: object) -> Tensor:
        draws.append(draw)
        return inputs[:, 0]

    among_neighbours(judge("Consistency"), probe_of(problem), problem.inputs[:, 0], explained_again, 3, 0.1)
    assert draws == [1, 2, 3]


def test_a_curve_that_is_known_is_not_asked_again():
    problem = signal_problem(samples=3)
    probe, maps = probe_of(problem), torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    metric = with_params(METRICS["quantus_pixel_flipping"], "steps=10")
    probe.full, probe.empty, probe.deletion(maps, 10)
    asked = probe.tally.asked
    found = score(metric, METHODS["saliency"], probe, given(maps), task="test", seed=0)
    assert set(found.status) == {"ok"}
    assert probe.tally.asked == asked
