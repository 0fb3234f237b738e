"""Ranking, masks and the shared queries, worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.core.errors import BenchError
from bench.core.problem import Problem
from bench.perturbation.masking import area, blend, count, even_counts, ranks, scaled, upsample
from bench.perturbation.probe import Probe


class Votes(nn.Module):
    """Logits of two classes: the weighted sum of the features, and zero. p of class 0 is sigmoid(w . x)."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights), requires_grad=False)
        self.asked: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.asked.extend(x.detach().clone())
        vote = (x.sum(1) * self.weights).flatten(1).sum(1)
        return torch.stack([vote, torch.zeros_like(vote)], dim=1)


def votes(weights: list[float], inputs: list[list[float]]) -> Probe:
    problem = Problem(
        model=Votes(weights).eval(),
        inputs=torch.tensor(inputs)[:, None],
        sample_ids=tuple(map(str, range(len(inputs)))),
        baseline=torch.zeros(1, 1),
        layers=(),
        top_k=0.5,
        fingerprint="",
        targets=torch.zeros(len(inputs), dtype=torch.long),
        batch_size=3,
    )
    return Probe(problem)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_ranks_break_ties_by_index():
    assert ranks(torch.tensor([[1.0, 3.0, 1.0, 2.0, 3.0]])).tolist() == [[3, 0, 4, 2, 1]]


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, -2.5]), min_size=6, max_size=6), min_size=1, max_size=4))
def test_every_rank_is_taken_once(rows):
    found = ranks(torch.tensor(rows))
    assert (found.sort(1).values == torch.arange(6)).all()


@given(st.integers(0, 100), st.integers(0, 500))
@example(29, 100)  # 0.29 * 100 is 28.999...
@example(35, 180)
@example(57, 100)
@example(0, 100)
def test_count_is_the_whole_part_of_the_exact_product(percent, features):
    assert count(percent / 100, features) == percent * features // 100


def test_even_counts_run_from_none_to_all():
    assert even_counts(4, 10).tolist() == [0, 2, 5, 7, 10]
    assert even_counts(32, 3).tolist() == [0, 1, 2, 3]


def test_blend_takes_all_channels_of_a_pixel_from_the_baseline():
    inputs = torch.arange(12.0).view(1, 3, 2, 2)
    baseline = torch.tensor([-1.0, -2.0, -3.0]).view(3, 1, 1)
    present = torch.tensor([[[True, False], [False, True]]])
    assert blend(inputs, baseline, present).flatten(2).tolist() == [[[0, -1, -1, 3], [4, -2, -2, 7], [8, -3, -3, 11]]]


def test_area_is_the_trapezoid_over_zero_to_one():
    assert area(torch.tensor([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]]), 10).tolist() == [0.5, 1.0]
    # 3 steps over 10 features perturb 0, 3, 6 and all 10: the last step is wider
    assert area(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), 10).item() == pytest.approx(0.3 + 0.3 / 2)


def test_a_straight_curve_has_half_the_area_whatever_the_steps():
    for steps in (3, 7, 32):
        shares = even_counts(steps, 40) / 40
        assert area(1 - shares[None], 40).item() == pytest.approx(0.5)


def test_a_share_outside_zero_to_one_is_an_error():
    with pytest.raises(BenchError, match="between 0 and 1, not at 2"):
        count(2, 10)


def test_a_metric_cannot_spoil_what_the_probe_knows():
    probe = votes([1.0, 2.0], [[1.0, 0.0]])
    maps = torch.tensor([[1.0, 0.0]])
    for ask in (
        lambda: probe.full,
        lambda: probe.empty,
        lambda: probe.p_with_top(maps, probe.counts([0.5])),
        lambda: probe.deletion(maps, 2),
    ):
        before = ask().clone()
        ask().mul_(0)
        assert torch.equal(ask(), before)


def test_scaled_divides_by_the_maximum_plus_epsilon():
    maps = torch.tensor([[2.0, 3.0, 6.0], [5.0, 5.0, 5.0]])
    assert scaled(maps).tolist() == [[0, 0.25, 1], [0, 0, 0]]
    assert scaled(torch.tensor([[0.0, 1.0]]), 1.0).tolist() == [[0, 0.5]]


def test_a_map_that_changes_in_place_is_another_map():
    problem = signal_problem(samples=3)
    probe, maps = Probe(problem), torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    probe.deletion(maps, 5)
    maps.neg_()
    torch.testing.assert_close(probe.deletion(maps, 5), Probe(problem).deletion(maps.clone(), 5), rtol=0, atol=1e-6)


def test_one_map_for_other_samples_is_another_question():
    problem = signal_problem(samples=4)
    probe, maps = Probe(problem), torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    probe.take([0, 1]).deletion(maps, 5)
    expected = Probe(problem.take([2, 3])).deletion(maps.clone(), 5)
    torch.testing.assert_close(probe.take([2, 3]).deletion(maps, 5), expected, rtol=0, atol=1e-6)


def test_upsample_has_half_pixel_centres():
    assert upsample(torch.tensor([[[0.0, 1.0]]]), torch.Size([4])).tolist() == [[[0.0, 0.25, 0.75, 1.0]]]


def test_curves_worked_by_hand():
    probe = votes([1.0, 2.0, -1.0], [[1.0, 1.0, 1.0]])
    best_first = torch.tensor([[0.5, 0.9, -0.3]])  # order: feature 1, 0, 2
    deletion = [sigmoid(2), sigmoid(0), sigmoid(-1), sigmoid(0)]
    insertion = [sigmoid(0), sigmoid(2), sigmoid(3), sigmoid(2)]
    assert probe.deletion(best_first, 3)[0].tolist() == pytest.approx(deletion)
    assert probe.insertion(best_first, 3)[0].tolist() == pytest.approx(insertion)
    assert probe.p_with_top(best_first, probe.counts([0.34]))[:, 0].tolist() == pytest.approx([sigmoid(2)])
    assert probe.p_without_top(best_first, probe.counts([0.67]))[:, 0].tolist() == pytest.approx([sigmoid(-1)])


def test_the_same_question_is_asked_once():
    probe = votes([1.0, 2.0, -1.0, 0.5], [[1.0, 2.0, 3.0, 4.0], [0.5, 0.1, 0.2, 0.3]])
    maps = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    probe.deletion(maps, 4)
    asked = probe.tally.asked
    assert asked == 2 * 3 + 2 + 1  # three steps inside, two full inputs, one empty input for both
    probe.deletion(maps, 4)
    probe.deletion(maps.clone(), 4)
    assert probe.tally.asked == asked
    probe.insertion(maps, 4)
    assert probe.tally.asked == asked + 2 * 3


def test_a_mask_met_before_is_answered_from_memory_and_in_order():
    probe = votes([1.0, 1.0], [[1.0, 0.0], [0.0, 3.0]])
    rows = torch.tensor([0, 1, 0, 1])
    present = torch.tensor([[True, False], [True, True], [True, False], [True, False]])
    expected = [sigmoid(1), sigmoid(3), sigmoid(1), sigmoid(0)]
    assert probe.masked(present, rows).tolist() == pytest.approx(expected)
    assert (probe.tally.asked, probe.tally.shared) == (3, 1)
    part = probe.take([1])  # the same mask of another sample is another question
    assert part.masked(present[1:2], torch.tensor([0])).tolist() == pytest.approx([sigmoid(3)])
    assert probe.masked(present, rows).tolist() == pytest.approx(expected)
    assert (probe.tally.asked, probe.tally.shared) == (3, 6)


def test_part_of_a_probe_knows_what_the_whole_knows():
    probe = votes([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    whole = probe.full
    asked = probe.tally.asked
    part = probe.take([2, 0])
    assert part.full.tolist() == whole[[2, 0]].tolist()
    assert probe.tally.asked == asked
    assert part.problem.sample_ids == ("2", "0")
    assert probe.take([2, 0]) is part
    assert probe.take([0, 1, 2]) is probe


def test_the_explained_class_is_the_prediction_unless_the_task_says_otherwise():
    problem = signal_problem()
    predicted = problem.model(problem.inputs).argmax(1)
    assert torch.equal(problem.targets, predicted)
    other = Probe(problem.take([0, 1]))
    assert torch.equal(other.targets, predicted[:2])


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_curves_do_not_depend_on_the_batch(problem, batch_size):
    maps = torch.randn(len(problem), *problem.shape, generator=torch.Generator().manual_seed(0))
    curves = Probe(replace(problem, batch_size=batch_size)).deletion(maps, 8)
    torch.testing.assert_close(curves, Probe(problem).deletion(maps, 8), rtol=0, atol=1e-6)


def test_a_mask_hides_a_pixel_of_an_image_in_all_channels():
    problem = image_problem(samples=1, size=12)
    watched: list[Tensor] = []
    handle = problem.model.register_forward_pre_hook(lambda _module, inputs: watched.append(inputs[0]))
    maps = torch.arange(144.0).view(1, 12, 12)
    Probe(problem).p_without_top(maps, torch.tensor([[36]]))
    handle.remove()
    hidden = (watched[-1] == 0).all(1).flatten()
    assert hidden.nonzero()[:, 0].tolist() == list(range(108, 144))


def test_memory_does_not_grow_with_the_steps_of_a_curve():
    from bench.network.cost import PeakMemory

    problem = image_problem(samples=2, batch_size=2, size=60)
    maps = torch.randn(2, 60, 60, generator=torch.Generator().manual_seed(0))
    peaks = []
    for steps in (4, 64):
        with PeakMemory() as memory:
            Probe(problem).deletion(maps, steps)
        peaks.append(memory.peak)
    # 16 times the perturbed inputs; what grows is one number for each of them, beside 1.5 MB of activations
    assert peaks[1] < 1.02 * peaks[0]


NO_MEMORY = {
    "torch": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    "python": MemoryError(),
    "cuda": torch.cuda.OutOfMemoryError("out of memory"),
}


@pytest.mark.parametrize("error", NO_MEMORY.values(), ids=list(NO_MEMORY))
def test_a_batch_that_the_memory_cannot_hold_is_halved_and_the_next_ones_start_small(error):
    problem = signal_problem(samples=8)
    sizes: list[int] = []

    def refuse(_model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if sizes[-1] > 5:
            raise error

    maps = torch.randn(8, 40, generator=torch.Generator().manual_seed(0))
    expected = Probe(problem).deletion(maps, 10)
    handle = problem.model.register_forward_pre_hook(refuse)
    probe = Probe(replace(problem, batch_size=32))
    found = probe.deletion(maps, 10)
    handle.remove()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    refused = sum(size > 5 for size in sizes)
    assert 1 <= refused < len(sizes)
    assert max(sizes[refused:]) <= 5  # what did not fit is not tried again
    assert probe.tally.asked == 8 * 9 + 8 + 1


def test_a_batch_is_halved_down_to_a_single_input():
    problem = signal_problem(samples=4)

    def refuse(_model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) > 1:
            raise MemoryError

    expected = Probe(problem).full
    handle = problem.model.register_forward_pre_hook(refuse)
    found = Probe(replace(problem, batch_size=4)).full
    handle.remove()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_another_error_of_the_model_is_passed_on():
    problem = signal_problem(samples=3)

    def refuse(_model: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        raise RuntimeError("no such luck")

    handle = problem.model.register_forward_pre_hook(refuse)
    with pytest.raises(RuntimeError, match="no such luck"):
        Probe(problem).full  # noqa: B018
    handle.remove()


def test_the_pace_tries_no_batch_that_would_fill_the_memory(monkeypatch):
    from bench.network import timing

    problem = image_problem(samples=2, size=36)
    sizes: list[int] = []
    handle = problem.model.register_forward_pre_hook(lambda _model, inputs: sizes.append(len(inputs[0])))
    one = timing._bytes_of_one(problem)
    monkeypatch.setattr(timing, "BATCH_MEMORY", 2 * one * 5)  # outputs and gradients of five inputs
    own = timing.pace(problem)
    handle.remove()
    assert set(sizes) == {1, 2, 4}
    assert own.batch_size in sizes
    assert 0 < own.forward < 1
    assert own.floor(10, 4) == pytest.approx(10 * own.forward + 4 * own.backward)


def test_the_memory_of_an_input_is_that_of_all_layers_outputs():
    from bench.network import timing

    problem = signal_problem(samples=2)
    # three convolutions and their ReLUs of 25 x 40, a flatten of 1000, a dense of 10; four bytes each
    assert timing._bytes_of_one(problem) == 4 * (6 * 25 * 40 + 1000 + 10)
