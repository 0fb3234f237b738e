"""Views of a probe: other baselines, other outputs, other granularities; and the baselines by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem
from scipy.ndimage import gaussian_filter1d
from test_probe import sigmoid, votes
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.core.vocabulary import FEATURES
from bench.perturbation.baselines import BASELINES
from bench.perturbation.probe import Probe
from bench.registry.decorators import METRICS
from bench.registry.selection import with_params

pytestmark = pytest.mark.usefixtures("one_thread")


def test_curves_with_absent_values_of_each_sample_by_hand():
    plain = votes([1.0, 2.0], [[3.0, 1.0], [2.0, -4.0]])  # their means are 2 and -1
    maps = torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # feature 0 goes first
    # sample 0: full 3 + 2, without feature 0 it is 2 + 2, empty 2 + 4; sample 1: 2 - 8, -1 - 8, -1 - 2
    removed = [[5.0, 4.0, 6.0], [-6.0, -9.0, -3.0]]
    kept = [[6.0, 7.0, 5.0], [-3.0, 0.0, -6.0]]  # sample 0 with feature 0 alone: 3 + 4; sample 1: 2 - 2
    for output, read in (("logit", float), ("softmax", sigmoid)):
        view = plain.view(output=output, baseline="mean")
        assert view.deletion(maps, 2).tolist() == [pytest.approx([read(v) for v in row]) for row in removed]
        assert view.insertion(maps, 2).tolist() == [pytest.approx([read(v) for v in row]) for row in kept]
        assert view.full.tolist() == pytest.approx([read(5.0), read(-6.0)])
        assert view.empty.tolist() == pytest.approx([read(6.0), read(-3.0)])
        assert view.leave_one_out("pixel")[0].tolist() == pytest.approx([read(4.0), read(7.0)])
        assert view.take([1]).p_without_top(maps[1:], torch.tensor([[1]])).item() == pytest.approx(read(-9.0))
        assert view.take([1]).empty.tolist() == pytest.approx([read(-3.0)])
    assert plain.deletion(maps, 2)[0].tolist() == pytest.approx([sigmoid(5), sigmoid(2), sigmoid(0)])


def test_both_outputs_come_from_the_same_queries():
    probe = votes([1.0, 2.0, -1.0], [[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])
    maps = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    curve = probe.deletion(maps, 3)
    asked = probe.tally.asked
    logit = probe.view(output="logit").deletion(maps, 3)
    assert probe.tally.asked == asked == 2 * 2 + 2 + 1  # two steps inside, two full inputs, one empty input
    torch.testing.assert_close(logit.sigmoid(), curve, rtol=0, atol=1e-6)
    assert logit[0].tolist() == pytest.approx([2.0, 1.0, -1.0, 0.0])
    assert probe.view(output="logit").view() is probe


def test_the_full_input_is_asked_once_whatever_the_baseline():
    probe = votes([1.0, 2.0], [[3.0, 1.0], [1.0, 1.0]])
    assert probe.full.tolist() == probe.view(baseline="mean").full.tolist()
    assert probe.tally.asked == 2


@pytest.mark.parametrize("features", ["patch64", "segment20"])
def test_a_view_with_other_cells_is_the_metric_with_that_granularity(features):
    problem = image_problem(samples=3)
    maps = torch.randn(3, *problem.shape, generator=torch.Generator().manual_seed(0))
    for name in ("deletion", "insertion"):
        metric = with_params(METRICS[name], f"features={features}")
        own = metric.fn(Probe(problem), maps, **dict(metric.params))
        view = METRICS[name].fn(Probe(problem).view(features=features), maps)
        torch.testing.assert_close(view, own, rtol=0, atol=0)
    # k of the cells: with 36 patches of 6 x 6, or however many segments each sample has
    view, cells = Probe(problem).view(features=features), Probe(problem).partition(features)
    counts = [int(0.3 * number) for number in cells.counts.expand(3).tolist()]
    kept = cells.order(maps) < torch.tensor(counts).view(3, 1, 1)
    with torch.inference_mode():
        p = problem.model(problem.inputs * kept[:, None]).softmax(1).gather(1, problem.targets[:, None])[:, 0]
    expected = 100 * (1 - p.double() / view.full).clamp_min(0)
    torch.testing.assert_close(METRICS["drop"].fn(view, maps, k=0.3), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("features", FEATURES)
def test_shares_are_read_off_the_curves(features):
    problem = image_problem(samples=3)
    probe = Probe(problem).view(features=features)
    maps = torch.randn(3, *problem.shape, generator=torch.Generator().manual_seed(0))
    probe.deletion(maps, 20), probe.insertion(maps, 20)
    asked = probe.tally.asked
    for k in (0.1, 0.3, 0.5, 0.9):
        METRICS["drop"].fn(probe, maps, k=k)
        METRICS["topk_deletion"].fn(probe, maps, k=k)
    assert probe.tally.asked == asked


def test_a_logit_that_is_not_positive_has_no_percentage():
    probe = votes([1.0, 1.0], [[1.0, 1.0], [-1.0, -1.0]]).view(output="logit")
    maps = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert METRICS["drop"].fn(probe, maps)[0].item() == 50  # 1 of 2 is lost
    assert METRICS["topk_deletion"].fn(probe, maps)[0].item() == 50
    assert METRICS["drop"].fn(probe, maps)[1].isnan()
    assert METRICS["topk_deletion"].fn(probe, maps)[1].isnan()
    assert METRICS["increase"].fn(probe, maps).tolist() == [0, 100]  # -1 is more than -2


# --- baselines


def absent(name: str, problem: Problem) -> Tensor:
    rng = SampleRng((0, "task", "baseline", name), problem.sample_ids)
    return BASELINES[name](problem, rng).expand_as(problem.inputs)


def test_baselines_by_hand(problem):
    inputs, axes = problem.inputs, tuple(range(2, problem.inputs.dim()))
    assert (absent("zero", problem) == 0).all()
    torch.testing.assert_close(absent("mean", problem), inputs.mean(axes, keepdim=True).expand_as(inputs))
    blurred = inputs.double().numpy()
    for axis in axes:
        blurred = gaussian_filter1d(blurred, 10 / 224 * max(problem.shape), axis=axis, mode="reflect", truncate=8)
    torch.testing.assert_close(absent("blur", problem).double(), torch.from_numpy(blurred), rtol=0, atol=1e-4)
    found = absent("background", problem)
    assert all((problem.background == one).flatten(1).all(1).sum() == 1 for one in found)
    assert len({one.numpy().tobytes() for one in found}) > 1


def test_every_background_input_is_drawn_as_often():
    """300 draws of three: each count is within five standard errors, 5 (300 / 3 * 2 / 3)^0.5 = 41, of 100."""
    background = torch.arange(3.0).view(3, 1, 1).expand(3, 1, 40)
    problem = replace(signal_problem(samples=1), background=background)
    drawn = BASELINES["background"](problem, SampleRng((0,), [str(row) for row in range(300)]))
    counts = torch.bincount(drawn[:, 0, 0].long(), minlength=3)
    assert (counts - 100).abs().max() <= 41


def test_noise_fills_the_range_of_each_channel():
    problem = image_problem(samples=2, size=60)
    noise = absent("noise", problem).flatten(2)
    low, high = problem.inputs.flatten(2).amin(2), problem.inputs.flatten(2).amax(2)
    assert (noise.amin(2) >= low).all()
    assert (noise.amax(2) <= high).all()
    # 3600 uniform draws: the mean lies within 5 standard errors of the middle, (high - low) / sqrt(12 * 3600) each
    assert ((noise.mean(2) - (low + high) / 2).abs() < 5 * (high - low) / (12 * 3600) ** 0.5).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_a_samples_own(problem, name):
    rows = list(reversed(range(len(problem))))
    torch.testing.assert_close(absent(name, problem.take(rows)), absent(name, problem)[rows], rtol=0, atol=1e-6)
    torch.testing.assert_close(absent(name, problem.take([1])), absent(name, problem)[1:2], rtol=0, atol=1e-6)
