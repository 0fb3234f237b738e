"""The faithfulness metrics on models small enough to work out every score by hand, and how often they ask the model."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import signal_problem
from test_metrics import given
from torch import Tensor, nn

from bench.core.entries import Metric
from bench.core.problem import Problem
from bench.engine.score import score
from bench.metrics.correlation import pearson, ranked
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS

SUITE = [m for m in METRICS.values() if m.family == "faithfulness" and not m.name.startswith("quantus_")]
NO_ATTRIBUTION = (  # their questions depend on no attribution
    "faithfulness_correlation",
    "sensitivity_n",
    "infidelity",
    "faithfulness_estimate",
    "monotonicity_correlation",
)
SHAPES = {"signal": (1, 24), "grey": (1, 6, 6), "rgb": (3, 6, 6)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
every_feature = pytest.mark.parametrize("features", ["pixel", "patch9", "segment6"])


class Linear(nn.Module):
    """Two classes; p of the first is exactly 0.5 + w . x, so what a set of features is worth is known."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        p = 0.5 + (x * self.weights).flatten(1).sum(1)
        return torch.stack([p, 1 - p], dim=1).log()


def problem_of(model: nn.Module, inputs: Tensor) -> Problem:
    """Of class 0, with 0 for absent features."""
    return Problem(
        model=model.eval(),
        inputs=inputs,
        sample_ids=tuple(map(str, range(len(inputs)))),
        baseline=torch.zeros(inputs.shape[1], *[1] * (inputs.dim() - 2)).to(inputs),
        layers=(),
        top_k=0.3,
        fingerprint="",
        targets=torch.zeros(len(inputs), dtype=torch.long),
        batch_size=7,
    )


def linear_problem(shape: tuple[int, ...], samples: int = 4) -> Problem:
    """Inputs in [0, 1] and weights whose sizes add up to 0.4, so p stays within 0.1 ... 0.9. Float64, for exactness."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(shape, generator=generator, dtype=torch.float64)
    inputs = torch.rand(samples, *shape, generator=generator, dtype=torch.float64)
    return problem_of(Linear(0.4 * weights / weights.abs().sum()), inputs)


def exact(problem: Problem) -> Tensor:
    """Weight times input, added up over the channels: what each place adds to p. (N, *S)"""
    return (problem.model.weights * problem.inputs).sum(1)


def by_hand(weights: list[float]) -> Probe:
    """One signal of ones: p is 0.5 plus the weights that are present."""
    weights = torch.tensor([weights], dtype=torch.float64)
    return Probe(problem_of(Linear(weights), torch.ones(1, *weights.shape, dtype=torch.float64)))


def first_to_last(length: int) -> Tensor:
    """An attribution (1, L) that puts the places in the order in which they stand."""
    return torch.arange(length, 0, -1.0)[None]


def random(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scored(metric: Metric, probe: Probe, maps: Tensor, **params: object) -> np.ndarray:
    metric = replace(metric, params=tuple((dict(metric.params) | params).items()))
    found = score(metric, METHODS["saliency"], probe, given(maps), task="t", seed=0)
    assert set(found.status) == {"ok"}, found.note
    return found.values


# --- the exact attribution of a linear model ----------------------------------------------------------------------------


@every_shape
@every_feature
@pytest.mark.parametrize("name", ["faithfulness_correlation", "sensitivity_n", "faithfulness_estimate"])
def test_correlations_are_one_for_the_exact_attribution_and_minus_one_for_its_negative(name, shape, features):
    problem = linear_problem(shape)
    probe, truth = Probe(problem), exact(problem)
    for maps, expected in ((truth, 1), (-truth, -1), (10 * truth, 1)):
        np.testing.assert_allclose(scored(METRICS[name], probe, maps, features=features), expected, rtol=0, atol=1e-10)


@every_shape
@every_feature
def test_infidelity_is_zero_for_the_exact_attribution_and_all_of_p_lost_for_its_negative(shape, features):
    problem = linear_problem(shape)
    probe, truth = Probe(problem), exact(problem)
    sums = probe.partition(features).sums(truth)
    masks = torch.cat([probe.subsets(features, share, 32)[0] for share in (0.2, 0.4, 0.6, 0.8)], dim=1)
    lost = (masks * sums[:, None]).sum(2)  # exactly what p loses, since the model is linear
    for maps, expected in ((truth, 0 * lost[:, 0]), (10 * truth, 0 * lost[:, 0]), (-truth, lost.square().mean(1))):
        found = scored(METRICS["infidelity"], probe, maps, features=features)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@every_shape
def test_the_scale_of_an_attribution_changes_no_score(shape):
    problem = linear_problem(shape)
    probe, maps = Probe(problem), exact(problem) + 0.01 * random((4, *shape[1:]))
    for metric in SUITE:
        # to the rounding of float64: the order and with it every question stays the same
        np.testing.assert_allclose(scored(metric, probe, 16 * maps), scored(metric, probe, maps), rtol=1e-9)


def test_infidelity_takes_the_best_scale_by_hand():
    # subsets of int(1/2 * 3) = 1 cell: p loses 0.1, 0.2 or 0.1 where the attribution says 2, 1 or 3
    probe = by_hand([0.1, 0.2, 0.1])
    told, worth = torch.tensor([[2.0, 1.0, 3.0]]), torch.tensor([0.1, 0.2, 0.1])
    chosen = probe.subsets("pixel", 1 / 2, 8)[0][0].float().argmax(1)
    assert set(chosen.tolist()) == {0, 1, 2}
    removed, lost = told[0, chosen], worth[chosen]
    scale = np.linalg.lstsq(removed[:, None].numpy(), lost.numpy(), rcond=None)[0]
    expected = float((scale[0] * removed - lost).square().mean())
    assert scored(METRICS["infidelity"], probe, told, sizes=1, subsets=8) == pytest.approx([expected])


def test_sensitivity_n_is_the_mean_of_the_correlations_at_each_size():
    problem = linear_problem((1, 24))
    probe, maps = Probe(problem), random((4, 24))
    correlation = METRICS["faithfulness_correlation"]
    found = [scored(correlation, probe, maps, share=share, features="pixel") for share in (0.25, 0.5, 0.75)]
    np.testing.assert_allclose(
        scored(METRICS["sensitivity_n"], probe, maps, sizes=3, features="pixel"), np.mean(found, axis=0)
    )


@every_shape
@every_feature
def test_monotonicity_correlation_prefers_the_exact_attribution_and_has_no_sign(shape, features):
    problem = linear_problem(shape, samples=12)
    probe, metric = Probe(problem), METRICS["monotonicity_correlation"]
    noise = random((12, *shape[1:]))
    found = scored(metric, probe, exact(problem), features=features, draws=8)
    np.testing.assert_array_equal(scored(metric, probe, -exact(problem), features=features, draws=8), found)
    # the mean of twelve samples, since the redrawn values are random
    assert found.mean() > scored(metric, probe, noise, features=features, draws=8).mean() + 0.1


def test_monotonicity_correlation_by_hand():
    probe = by_hand([0.1, 0.3, 0.05])
    probe.resampled_one = lambda features, draws: (
        probe.full[:, None, None] - torch.tensor([[[0.2, 0.0], [0.1, 0.1], [0.3, 0.3]]])
    )
    # mean squared changes 0.02, 0.01, 0.09 have ranks 2, 1, 3; sizes 5, 1, 5 of the attribution 2.5, 1, 2.5
    maps = torch.tensor([[-5.0, 1.0, 5.0]])
    # deviations (0, -1, 1) and (0.5, -1, 0.5): 1.5 / sqrt(2 * 1.5)
    assert scored(METRICS["monotonicity_correlation"], probe, maps) == pytest.approx([1.5 / 3**0.5])


# --- curves -------------------------------------------------------------------------------------------------------------

# Without the first k of [0.2, 0.1, -0.1, 0.05], p is 0.75, 0.55, 0.45, 0.55, 0.5; with only them 0.5, 0.7, 0.8, 0.7, 0.75.
WEIGHTS = [0.2, 0.1, -0.1, 0.05]
BY_HAND = {
    "deletion": (0.75 / 2 + 0.55 + 0.45 + 0.55 + 0.5 / 2) / 4,
    "insertion": (0.5 / 2 + 0.7 + 0.8 + 0.7 + 0.75 / 2) / 4,
    "pixel_flipping": (0.55 / 2 + 0.45 + 0.55 + 0.5 / 2) / 3,
    "aopc_morf": (0 + 0.2 + 0.3 + 0.2 + 0.25) / 5,
    "aopc_lerf": (0.25 + 0.05 - 0.05 + 0.05 + 0) / 5,
    "abpc": (0.2 + 0.3 + 0.2) / 5 - (0.05 - 0.05 + 0.05) / 5,
    "region_perturbation": (0 + 0.2 + 0.3 + 0.2 + 0.25) / 5,
    "selectivity": (0.75 / 2 + 0.55 + 0.45 + 0.55 + 0.5 / 2) / 4,
    "irof": (0 / 2 + 0.2 + 0.3 + 0.2 + 0.25 / 2) / 4 / 0.75,
    # of 4 features, 1, 5, 10 and 20 % are none and 50 % are two; the share 0 counts too
    "comprehensiveness": (0 + 0 + 0 + 0 + 0 + 0.3) / 6,
    "sufficiency": (0.25 + 0.25 + 0.25 + 0.25 - 0.05 + 0) / 6,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_curves_of_four_features_by_hand(name):
    found = scored(METRICS[name], by_hand(WEIGHTS), first_to_last(4), features="pixel")
    assert found == pytest.approx([BY_HAND[name]], abs=1e-12)


@pytest.mark.parametrize("name", BY_HAND)
def test_curves_of_four_patches_are_those_of_four_features(name):
    # two places each but for the last patch, which has one; patches are ranked by their mean, so 2.5 comes second
    probe = by_hand([0.15, 0.05, -0.1, 0.2, 0.0, -0.1, 0.05])
    maps = torch.tensor([[3.0, 3.0, 2.0, 3.0, 0.0, 2.0, 0.5]])
    found = scored(METRICS[name], probe, maps, features="patch4")
    assert found == pytest.approx([BY_HAND[name]], abs=1e-12)


def test_curves_of_two_steps_read_every_second_feature():
    probe, maps = by_hand(WEIGHTS), first_to_last(4)
    assert scored(METRICS["aopc_morf"], probe, maps, steps=2) == pytest.approx([(0 + 0.3 + 0.25) / 3])
    assert scored(METRICS["aopc_lerf"], probe, maps, steps=2) == pytest.approx([(0.25 - 0.05 + 0) / 3])
    assert scored(METRICS["pixel_flipping"], probe, maps, steps=2) == pytest.approx([(0.45 + 0.5) / 2])


def test_comprehensiveness_and_sufficiency_of_twenty_features():
    # 1, 5, 10, 20 and 50 % of 20 are 0, 1, 2, 4 and 10 features, each of which is worth 0.02
    probe, maps = by_hand([0.02] * 20), first_to_last(20)
    assert scored(METRICS["comprehensiveness"], probe, maps) == pytest.approx([0.02 * (0 + 1 + 2 + 4 + 10) / 6])
    assert scored(METRICS["sufficiency"], probe, maps) == pytest.approx([0.02 * (20 + 19 + 18 + 16 + 10) / 6])


def test_faithfulness_estimate_by_hand():
    # losses 0.2, 0.1, 0.0 against 1, 2, 0: deviations (0.1, 0, -0.1) and (0, 1, -1)
    found = scored(METRICS["faithfulness_estimate"], by_hand([0.2, 0.1, 0.0]), torch.tensor([[1.0, 2.0, 0.0]]))
    assert found == pytest.approx([0.1 / (0.02 * 2) ** 0.5])


def test_a_map_that_ranks_the_features_rightly_wins_every_curve():
    problem = linear_problem((1, 24))
    probe = Probe(problem)
    for metric in SUITE:
        if metric.name in BY_HAND or metric.name in ("drop", "topk_deletion"):
            gain = scored(metric, probe, exact(problem)) - scored(metric, probe, -exact(problem))
            assert (gain > 0).all() if metric.higher_is_better else (gain < 0).all()


@pytest.mark.parametrize("shape", [(1, 14, 14), (3, 14, 14)], ids=["grey", "rgb"])
def test_pixels_patches_and_segments_of_one_attribution_are_not_mixed_up(shape):
    problem = linear_problem(shape)
    probe, maps = Probe(problem), random((4, 14, 14))
    for features in ("patch9", "pixel", "segment12", "patch9"):
        fresh = Probe(problem)
        for curve, expected in ((probe.deletion, fresh.deletion), (probe.insertion, fresh.insertion)):
            assert torch.equal(curve(maps, 7, features=features), expected(maps, 7, features=features))


@every_shape
def test_insertion_backwards_removes_the_least_relevant_first(shape):
    problem = linear_problem(shape, samples=1)
    maps = random((1, *shape[1:]))
    image, expected = problem.inputs.clone(), []
    for place in [None, *maps.flatten().argsort().tolist()]:
        if place is not None:
            image.flatten(2)[..., place] = 0
        expected.append(problem.model(image).softmax(1)[0, 0].item())
    assert len(expected) == maps.numel() + 1
    assert Probe(problem).insertion(maps, maps.numel()).flip(1)[0].tolist() == pytest.approx(expected, abs=1e-12)


# --- ROAD ---------------------------------------------------------------------------------------------------------------


class Bump(nn.Module):
    """Class 0 while anything brighter than a half is left."""

    def forward(self, x: Tensor) -> Tensor:
        brightest = x.flatten(1).amax(1)
        return torch.stack([brightest, 1 - brightest], dim=1)


def planted(shape: tuple[int, ...]) -> tuple[Probe, Tensor]:
    """A bright bump of just over a tenth of the places on a dark ground, and an attribution that ranks it first."""
    axes, places = shape[1:], int(np.prod(shape[1:]))
    inside = torch.zeros(axes, dtype=torch.bool)
    inside[tuple(slice(2, 2 + math.ceil((0.105 * places) ** (1 / len(axes)))) for _ in axes)] = True
    assert 0.1 < inside.double().mean() < 0.13
    maps = inside + 0.1 * torch.rand(axes, generator=torch.Generator().manual_seed(0))
    return Probe(problem_of(Bump(), inside.float().expand(2, *shape).contiguous())), maps.expand(2, *axes).contiguous()


@pytest.mark.parametrize("shape", [(1, 40), (1, 15, 15), (3, 15, 15)], ids=["signal", "grey", "rgb"])
def test_road_by_hand_on_a_planted_bump(shape):
    probe, maps = planted(shape)
    # At 10 % a last bit of the bump is left; at 30, 50, 70 and 90 % it is gone, and what is imputed is as dark as the ground.
    assert scored(METRICS["road"], probe, maps).tolist() == [1 / 5, 1 / 5]
    assert scored(METRICS["road"], probe, maps, levels=1).tolist() == [0, 0]  # at 50 %
    # Lowest first, a part of the bump is left even at 90 %.
    assert scored(METRICS["road"], probe, -maps).tolist() == [1, 1]


@pytest.mark.parametrize("shape", [(1, 40), (1, 15, 15), (3, 15, 15)], ids=["signal", "grey", "rgb"])
def test_road_asks_about_the_given_counts_and_adds_noise_to_imputed_places_alone(shape):
    probe, maps = planted(shape)
    seen: list[Tensor] = []
    probe.problem.model.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    counts = probe.counts([0.25, 0.5])
    probe.top1_after_imputation(maps, counts, noise=0.0)
    probe.top1_after_imputation(maps, counts, noise=0.1)
    plain, noisy = torch.cat(seen).split(4)
    changed = (plain != noisy).all(1).flatten(1)  # in every channel
    assert torch.equal(changed, (plain != noisy).any(1).flatten(1))
    assert changed.sum(1).tolist() == counts.flatten().tolist()
    spread = (noisy - plain).flatten(1).std(1) / changed.double().mean(1).sqrt()
    # a tenth of the range of values, which is 1; a sample of at least ten numbers from it
    assert ((spread > 0.05) & (spread < 0.2)).all()


# --- what the suite asks the model --------------------------------------------------------------------------------------


def test_each_further_method_costs_its_own_curves_and_nothing_else():
    problem, features = replace(signal_problem(), batch_size=512), 40
    samples = len(problem)
    steps, patches = (
        {features * k // number for k in range(1, number)}
        for number in (dict(METRICS[name].params)["steps"] for name in ("deletion", "selectivity"))
    )
    assert len(steps) == 19
    segments = Probe(problem).partition("segment20").counts - 1
    # Removed (patch64 on 40 points is pixels, so counts on both grids are asked once), kept, 5 levels of ROAD, and all
    # segments but the last one by one. The other metrics read these, and the full and the empty input.
    own = samples * (len(steps | patches) + len(steps) + 5) + int(segments.sum())
    # The full input of each sample and one empty input; 4 sizes of 32 subsets, 40 single features, each redrawn twice.
    common = samples + 1 + samples * (4 * 32 + features + 2 * features)
    for methods in (1, 5, 20):
        probe = Probe(replace(problem, targets=None), names=(0, "t"))
        for draw in range(methods):
            maps = random((samples, features), seed=draw)
            for metric in SUITE:
                scored(metric, probe, maps)
        assert probe.tally.asked == common + methods * own


@pytest.mark.parametrize("name", NO_ATTRIBUTION)
@pytest.mark.parametrize("features", ["pixel", "patch9", "segment6"])
def test_questions_without_an_attribution_are_asked_once_for_all(name, features):
    problem = linear_problem((1, 6, 6))
    probe = Probe(problem)
    for draw in range(3):
        maps = random((4, 6, 6), seed=draw)
        scored(METRICS[name], probe, maps, features=features)
        if draw == 0:
            asked = probe.tally.asked
    assert probe.tally.asked == asked > 0


# --- memory -------------------------------------------------------------------------------------------------------------


class Small(nn.Module):
    """A model for which the memory suffices for so many inputs at once."""

    def __init__(
        self, model: nn.Module, limit: int, message: str = "DefaultCPUAllocator: can't allocate memory"
    ) -> None:
        super().__init__()
        self.model, self.limit, self.message, self.batches = model, limit, message, []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        if len(x) > self.limit:
            raise RuntimeError(self.message)
        return self.model(x)


def test_batches_that_do_not_fit_the_memory_are_halved_and_change_no_score():
    problem = replace(linear_problem((3, 6, 6)), batch_size=24)
    small = Small(problem.model, limit=3)
    probe, maps = Probe(replace(problem, model=small.eval())), random((4, 6, 6))
    expected = Probe(problem)
    for metric in SUITE:
        # float64 sums in batches of another size
        np.testing.assert_allclose(scored(metric, probe, maps), scored(metric, expected, maps), rtol=0, atol=1e-9)
    assert max(small.batches[-100:]) == 2  # the first batch, of 4, is halved, and so are all after it
    assert sum(size > 3 for size in small.batches) == 1
    assert probe.tally == expected.tally  # what did not fit is not counted


def test_a_single_input_that_does_not_fit_and_other_errors_are_passed_on():
    problem = linear_problem((1, 24))
    for model, message in (
        (Small(problem.model, limit=0), "can't allocate memory"),
        (Small(problem.model, limit=3, message="sizes do not match"), "sizes do not match"),
    ):
        with pytest.raises(RuntimeError, match=message):
            Probe(replace(problem, model=model.eval())).deletion(random((4, 24)), 10)
    assert model.batches == [4]  # tried once


# --- company ------------------------------------------------------------------------------------------------------------


def ragged_problem() -> tuple[Problem, Tensor]:
    """Samples that differ in their number of segments, and an attribution."""
    problem = linear_problem((1, 14, 14), samples=6)
    assert len(Probe(problem).partition("segment12").counts.unique()) > 2
    return problem, random((6, 14, 14), seed=3)


@pytest.mark.parametrize("metric", SUITE, ids=[metric.name for metric in SUITE])
def test_samples_with_other_numbers_of_segments_do_not_change_a_score(metric):
    problem, maps = ragged_problem()
    params = {"features": "segment12"} if "features" in dict(metric.params) else {}
    together = scored(metric, Probe(problem), maps, **params)
    for row in range(6):
        alone = scored(metric, Probe(problem.take([row])), maps[[row]], **params)
        np.testing.assert_allclose(alone, together[[row]], rtol=0, atol=1e-9)  # the rounding of float64


@pytest.mark.parametrize("name", NO_ATTRIBUTION)
def test_a_part_with_few_segments_may_ask_before_the_whole(name):
    problem, maps = ragged_problem()
    probe, metric = Probe(problem), METRICS[name]
    fewest = int(probe.partition("segment12").counts.argmin())
    first = scored(metric, probe.take([fewest]), maps[[fewest]], features="segment12")
    together = scored(metric, probe, maps, features="segment12")
    np.testing.assert_allclose(together[[fewest]], first, rtol=0, atol=1e-9)
    np.testing.assert_allclose(together, scored(metric, Probe(problem), maps, features="segment12"), rtol=0, atol=1e-9)


# --- arithmetic ---------------------------------------------------------------------------------------------------------


def test_correlation_leaves_out_pairs_that_are_not_there():
    nan = torch.nan
    a = torch.tensor([[1.0, 2.0, 3.0, nan, 100.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    b = torch.tensor([[2.0, 4.0, 6.0, 5.0, nan], [1.0, 2.0, 3.0, 4.0, 5.0]])
    found = pearson(a, b)
    assert found[0] == pytest.approx(1.0)
    assert found[1].isnan()


def test_ranks_average_ties_and_leave_out_what_is_not_there():
    values, like = torch.tensor([[3.0, 1.0, 3.0, 0.0, 2.0]]), torch.tensor([[0.0, 0.0, 0.0, torch.nan, 0.0]])
    found = ranked(values, like)
    assert found[0, [0, 1, 2, 4]].tolist() == [3.5, 1, 3.5, 2]
    assert found[0, 3].isnan()


def test_keeping_every_feature_raises_nothing():
    assert scored(METRICS["increase"], by_hand(WEIGHTS), first_to_last(4), k=1.0).tolist() == [0]


def test_of_a_hundred_features_the_smallest_share_is_one_feature():
    """Each is worth 0.004; 1, 5, 10, 20 and 50 of them are removed or kept, and none or all."""
    probe, maps = by_hand([0.004] * 100), first_to_last(100)
    found = scored(METRICS["comprehensiveness"], probe, maps)
    assert found == pytest.approx([0.004 * (1 + 5 + 10 + 20 + 50) / 6])
    found = scored(METRICS["sufficiency"], probe, maps)
    assert found == pytest.approx([0.004 * (99 + 95 + 90 + 80 + 50) / 6])


def test_where_p_rises_nothing_is_dropped():
    """p is 0.6 with both, 0.7 with the first alone and 0.4 with the second alone."""
    probe, maps = by_hand([0.2, -0.1]), first_to_last(2)
    found = {name: scored(METRICS[name], probe, maps, k=0.5) for name in ("drop", "increase", "topk_deletion")}
    assert found == {"drop": [0], "increase": [100], "topk_deletion": pytest.approx([100 * 0.2 / 0.6])}
    assert scored(METRICS["drop"], probe, -maps, k=0.5) == pytest.approx([100 * 0.2 / 0.6])


def test_sensitivity_n_leaves_out_sizes_at_which_p_never_changes():
    probe, one = by_hand([0.1, 0.1, 0.2]), torch.eye(3, dtype=torch.bool)[None]
    lost = {1 / 3: torch.tensor([[0.5, 0.5, 0.5]]), 2 / 3: torch.tensor([[0.9, 0.8, 0.7]])}
    probe.subsets = lambda features, share, draws: (one if share < 0.5 else one.flip(1), lost[share].double())
    assert scored(METRICS["sensitivity_n"], probe, torch.tensor([[3.0, 2.0, 1.0]]), sizes=2) == pytest.approx([1])
