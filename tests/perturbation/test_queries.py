"""All views and parts of a probe share one engine: what one of them has asked is free for the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem
from test_probe import sigmoid, votes

from bench.core.errors import BenchError, NotApplicable
from bench.core.problem import PREDICTED, Problem
from bench.core.random import SampleRng
from bench.perturbation import queries
from bench.perturbation.baselines import BASELINES
from bench.perturbation.masking import count
from bench.perturbation.probe import Probe
from bench.perturbation.queries import Table

QUESTIONS = {
    "full": lambda probe, maps: probe.full,
    "empty": lambda probe, maps: probe.empty,
    "deletion": lambda probe, maps: probe.deletion(maps, 7),
    "insertion": lambda probe, maps: probe.insertion(maps, 7),
    "segments": lambda probe, maps: probe.deletion(maps, 20, features="segment6"),
    "leave one out": lambda probe, maps: probe.leave_one_out("segment6"),
    "resampled": lambda probe, maps: probe.resampled_one("segment6", 2).flatten(1),
    "subsets": lambda probe, maps: probe.subsets("segment6", 0.4, 5)[1],
    "masked": lambda probe, maps: probe.masked(maps > 0, torch.arange(len(maps)))[:, None],
}
of_each_question = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=list(QUESTIONS))


def ragged() -> tuple[Problem, torch.Tensor]:
    """Images whose samples differ in their number of segments, and a map of each."""
    problem = image_problem(samples=5, batch_size=4, size=24)
    assert len(Probe(problem).partition("segment6").counts.unique()) > 1
    return problem, torch.randn(5, 24, 24, generator=torch.Generator().manual_seed(0))


@of_each_question
def test_a_part_asks_nothing_that_the_whole_has_asked(ask):
    problem, maps = ragged()
    probe = Probe(problem, names=(0, "t"))
    whole, asked = ask(probe, maps), probe.tally.asked
    part = ask(probe.take([3, 1]), maps[[3, 1]])
    assert probe.tally.asked == asked > 0
    width = part.shape[1] if part.dim() > 1 else None  # a part whose samples have few segments is narrower
    expected = whole[[3, 1]] if width is None else whole[[3, 1], :width]
    torch.testing.assert_close(part, expected, rtol=0, atol=0, equal_nan=True)


@of_each_question
def test_the_whole_asks_only_what_its_parts_have_not_asked(ask):
    problem, maps = ragged()
    alone = Probe(problem, names=(0, "t"))
    expected = ask(alone, maps)
    probe = Probe(problem, names=(0, "t"))
    ask(probe.take([4]), maps[[4]])
    ask(probe.take([0, 2]).take([1]), maps[[2]])
    torch.testing.assert_close(ask(probe, maps), expected, rtol=0, atol=1e-6, equal_nan=True)
    assert probe.tally.asked == alone.tally.asked


@of_each_question
def test_the_other_output_is_free(ask):
    problem, maps = ragged()
    probe = Probe(problem, names=(0, "t"))
    p, asked = ask(probe, maps), probe.tally.asked
    logit = ask(probe.view(output="logit"), maps)
    assert probe.tally.asked == asked
    assert not torch.equal(p, logit)
    fresh = ask(Probe(problem, names=(0, "t")).view(output="logit"), maps)
    torch.testing.assert_close(logit, fresh, rtol=0, atol=0, equal_nan=True)


def test_a_view_of_a_part_is_a_part_of_the_view():
    probe = votes([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    view = probe.view(output="logit", baseline="mean")
    assert view.take([2, 0]) is probe.take([2, 0]).view(output="logit", baseline="mean")
    assert view.take([2, 0]).full.tolist() == [3.0, 1.0]
    assert view.view() is probe
    assert view.tally is probe.tally


def test_two_maps_of_a_sample_are_two_questions_and_so_is_one_map_of_two_samples():
    probe = votes([1.0, 2.0, 4.0], [[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    up, down = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0])
    logits = probe.view(output="logit")
    one = torch.tensor([[1], [1]])
    assert logits.p_without_top(torch.stack([up, up]), one).tolist() == [[3.0], [9.0]]
    assert logits.p_without_top(torch.stack([down, up]), one).tolist() == [[6.0], [9.0]]
    asked = probe.tally.asked
    assert logits.p_without_top(torch.stack([up, up]), one).tolist() == [[3.0], [9.0]]
    assert logits.take([1]).p_without_top(up[None], one[:1]).tolist() == [[9.0]]
    assert probe.tally.asked == asked


@pytest.mark.parametrize("inference", [False, True])
def test_a_map_that_changes_in_place_is_another_question(inference):
    problem = signal_problem()
    with torch.inference_mode(inference):
        maps = torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
        other = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))
        probe, part = Probe(problem), Probe(problem).take([1, 4])
        before = probe.deletion(maps, 10)
        some = maps[[1, 4]]
        part.deletion(some, 10)
        maps.copy_(other)
        some.copy_(other[[1, 4]])
        expected = Probe(problem).deletion(other, 10)
        assert torch.equal(probe.deletion(maps, 10), expected)
        torch.testing.assert_close(part.deletion(some, 10), expected[[1, 4]], rtol=0, atol=1e-6)
    assert not torch.equal(before, expected)


# --- baselines


def test_baselines_by_hand():
    probe = votes([1.0, 2.0, 4.0], [[3.0, 0.0, 6.0], [1.0, 1.0, 1.0]])
    probe = Probe(replace(probe.problem, baseline=torch.tensor([[1.0]])))  # so that zero is another baseline
    maps = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])  # feature 0 is removed
    one = torch.tensor([[1], [1]])
    for baseline, removed, empty in (
        ("task", [1 + 24, 7], [7, 7]),
        ("zero", [24, 6], [0, 0]),
        ("mean", [3 + 24, 7], [21, 7]),  # the means of the samples are 3 and 1
    ):
        view = probe.view(output="logit", baseline=baseline)
        assert view.p_without_top(maps, one)[:, 0].tolist() == removed
        assert view.leave_one_out("pixel")[:, 0].tolist() == removed
        assert view.empty.tolist() == empty
        present = torch.tensor([[False, True, True]])
        assert view.masked(present, torch.tensor([0])).tolist() == removed[:1]
        assert view.take([1]).empty.tolist() == empty[1:]
        assert probe.view(baseline=baseline).empty.tolist() == pytest.approx([sigmoid(value) for value in empty])


def test_zero_is_the_tasks_own_baseline_where_that_is_zero():
    probe = votes([1.0, 2.0], [[3.0, 1.0], [1.0, 1.0]])
    assert probe.view(baseline="zero") is probe
    assert probe.take([1]).view(baseline="zero", output="logit") is probe.view(output="logit").take([1])


@pytest.mark.parametrize("name", BASELINES)
def test_the_values_of_a_baseline_belong_to_the_run_and_the_sample(name):
    problem = replace(image_problem(), baseline=torch.full((3, 1, 1), 0.5))
    probe = Probe(problem, names=(7, "task"))
    rng = SampleRng((7, "task", "baseline", name), problem.sample_ids)
    expected = BASELINES[name](problem, rng).expand_as(problem.inputs)
    with torch.inference_mode():
        p = problem.model(expected).softmax(1).gather(1, problem.targets[:, None])[:, 0].double()
    torch.testing.assert_close(probe.view(baseline=name).empty, p, rtol=0, atol=1e-6)
    torch.testing.assert_close(probe.take([2, 0]).view(baseline=name).empty, p[[2, 0]], rtol=0, atol=1e-6)


def test_each_baseline_has_answers_of_its_own():
    problem, maps = ragged()
    probe = Probe(problem, names=(0, "t"))
    for ask in (QUESTIONS["deletion"], QUESTIONS["subsets"], QUESTIONS["masked"]):
        found = {name: ask(probe.view(baseline=name), maps) for name in ("task", "mean", "blur", "noise")}
        assert len({tuple(answers.flatten().tolist()) for answers in found.values()}) == 4
        for name, answers in found.items():
            fresh = ask(Probe(problem, names=(0, "t")).view(baseline=name), maps)
            torch.testing.assert_close(answers, fresh, rtol=0, atol=0)


def test_what_no_baseline_changes_is_asked_once():
    problem, _ = ragged()
    probe = Probe(problem)
    full, redrawn = probe.full, probe.resampled_one("segment6", 2)
    asked = probe.tally.asked
    view = probe.view(baseline="mean")
    assert torch.equal(view.full, full)
    torch.testing.assert_close(view.resampled_one("segment6", 2), redrawn, rtol=0, atol=0, equal_nan=True)
    assert probe.tally.asked == asked


def test_settings_that_cannot_be_served_are_errors():
    probe = votes([1.0], [[1.0]])
    with pytest.raises(NotApplicable, match="'background' needs background inputs, which the task does not have"):
        probe.view(baseline="background")
    with pytest.raises(BenchError, match=r"unknown baseline 'men'; did you mean 'mean'\?"):
        probe.view(baseline="men")
    with pytest.raises(BenchError, match=r"unknown output 'logits'; did you mean 'logit'\?"):
        probe.view(output="logits")
    with pytest.raises(BenchError, match="unknown features 'patches'"):
        probe.view(features="patches").partition("pixel")


def test_subsets_of_a_view_with_other_pixels_have_the_size_of_their_own_partition():
    problem = signal_problem()  # 40 time steps, so that each patch of patch64 is one of them
    masks, _ = Probe(problem).view(features="patch4").subsets("patch64", 0.25, 3)
    assert (masks.sum(2) == 10).all()


# --- parts of the engine


def test_a_table_grows_and_keeps_its_answers():
    table = Table(torch.device("cpu"))
    at = torch.tensor
    table.write(at([0, 1]), at([2, 0]), at([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64))
    assert table.has(at([[0, 0], [1, 5]]), at([[2, 1], [0, 7]])).tolist() == [[True, False], [True, False]]
    assert table.values[at([0, 1]), at([2, 0])].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert table.values[5, 7].isnan().all()


@pytest.mark.parametrize(("share", "features", "number"), [(0.29, 100, 29), (0.35, 180, 63), (0.57, 100, 57)])
def test_binary_fractions_do_not_lose_a_feature(share, features, number):
    assert int(share * features) == number - 1  # what the product of floats is
    assert count(share, features) == number


def test_a_problem_without_targets_explains_what_the_model_predicts():
    problem = signal_problem()
    for free in (replace(problem, targets=None), replace(problem, targets=PREDICTED), problem.take([])):
        assert free.targets.shape == (0,)
        assert free.targets.dtype == torch.int64
    free = replace(problem, targets=None)
    assert len(free.take([1, 2]).targets) == 0
    assert torch.equal(Probe(free).problem.targets, problem.model(problem.inputs).argmax(1))
    probe = Probe(free)
    assert probe.tally.asked == 6
    assert torch.equal(probe.full, Probe(problem).full)
    assert probe.tally.asked == 6


def test_subsets_of_another_size_are_other_questions():
    problem = signal_problem(samples=3)
    probe = Probe(problem, names=(0, "t"))
    for share in (0.2, 0.5):
        masks, p = probe.subsets("pixel", share, 4)
        assert (masks.sum(2) == int(share * 40)).all()
        assert torch.equal(p, Probe(problem, names=(0, "t")).subsets("pixel", share, 4)[1])
    assert (probe.subsets("pixel", 0.001, 4)[0].sum(2) == 1).all()  # at least one cell


def test_a_mask_under_another_baseline_is_another_question():
    problem = image_problem(samples=2, size=24)
    probe, rows = Probe(problem), torch.arange(2)
    present = torch.zeros(2, 24, 24, dtype=torch.bool)
    present[:, :12] = True
    found = {name: probe.view(baseline=name).masked(present, rows) for name in ("task", "mean", "blur")}
    for name, p in found.items():
        torch.testing.assert_close(p, Probe(problem).view(baseline=name).masked(present, rows), rtol=0, atol=1e-6)
    assert not torch.equal(found["task"], found["mean"])


@of_each_question
def test_what_is_answered_from_memory_is_counted(ask):
    problem, maps = ragged()
    probe = Probe(problem, names=(0, "t"))
    ask(probe, maps)
    asked, shared = probe.tally.asked, probe.tally.shared
    assert shared == 0 or asked > shared
    ask(probe, maps)
    assert probe.tally.asked == asked
    if ask not in (QUESTIONS["full"], QUESTIONS["empty"]):  # those are no table
        assert probe.tally.shared - shared >= len(problem)


def test_masks_met_for_the_first_time_are_not_shared():
    probe = Probe(image_problem(samples=2, size=24))
    present = torch.zeros(3, 24, 24, dtype=torch.bool)
    present[1:, :12] = True  # the second and the third are one mask
    probe.masked(present, torch.tensor([0, 1, 1]))
    assert (probe.tally.asked - 0, probe.tally.shared) == (2, 1)


def test_zero_is_another_baseline_where_the_tasks_own_is_not_zero():
    problem = replace(image_problem(samples=2, size=24), baseline=torch.ones(3, 1, 1))
    probe, targets = Probe(problem), Probe(problem).targets
    with torch.inference_mode():
        black, white = (problem.model(torch.full_like(problem.inputs, value)).softmax(1) for value in (0.0, 1.0))
    for name, p in (("zero", black), ("task", white)):
        expected = p.gather(1, targets[:, None])[:, 0].double()
        torch.testing.assert_close(probe.view(baseline=name).empty, expected, rtol=0, atol=1e-6)


def test_imputed_values_get_noise_of_a_share_of_the_inputs_range():
    problem = image_problem(samples=3, size=24)
    maps = torch.randn(3, 24, 24, generator=torch.Generator().manual_seed(0))
    counts = torch.tensor([[100, 400]]).expand(3, -1)
    seen: list[torch.Tensor] = []
    handle = problem.model.register_forward_pre_hook(lambda _model, inputs: seen.append(inputs[0].clone()))
    probe = Probe(replace(problem, batch_size=6))
    plain, noisy = (probe.top1_after_imputation(maps, counts, noise) for noise in (0.0, 0.1))
    handle.remove()
    assert plain.shape == noisy.shape == (3, 2)
    clean, other = seen[-2:]
    added = (other - clean)[clean != problem.inputs.repeat_interleave(2, 0)]
    span = float((problem.inputs.amax((1, 2, 3)) - problem.inputs.amin((1, 2, 3))).mean())
    # thousands of normal numbers, whose spread is a tenth of the range
    assert float(added.std()) == pytest.approx(0.1 * span, rel=0.1)


def test_masks_that_are_asked_together_again_are_answered_together(monkeypatch):
    monkeypatch.setattr(queries, "BATCHES_KEPT", 2)
    problem = image_problem(samples=3, size=24)
    probe, rows = Probe(problem), torch.tensor([0, 2])
    some = [torch.rand(2, 24, 24, generator=torch.Generator().manual_seed(seed)) > 0.5 for seed in range(3)]
    first = [probe.masked(present, rows) for present in some]
    asked = probe.tally.asked
    for present, p in zip(some, first, strict=True):  # the first batch has been forgotten as a batch, not its masks
        shared = probe.tally.shared
        assert torch.equal(probe.masked(present, rows), p)
        assert probe.tally.shared == shared + 2
    logits = probe.view(output="logit").masked(some[0], rows)
    assert not torch.equal(logits, first[0])
    assert probe.tally.asked == asked == 6
    assert torch.equal(probe.masked(some[0], rows.flip(0)).flip(0), Probe(problem).masked(some[0].flip(0), rows))


def test_few_masks_are_kept(monkeypatch):
    monkeypatch.setattr(queries, "BATCHES_KEPT", 0)
    monkeypatch.setattr(queries, "MASKS_KEPT", 3)
    problem = image_problem(samples=2, size=24)
    probe, rows = Probe(problem), torch.tensor([0, 1])
    some = [torch.rand(2, 24, 24, generator=torch.Generator().manual_seed(seed)) > 0.5 for seed in range(3)]
    first = [probe.masked(present, rows) for present in some]
    assert probe.tally.asked == 6
    assert torch.equal(probe.masked(some[2], rows), first[2])
    assert probe.tally.asked == 6  # the latest are kept
    assert torch.equal(probe.masked(some[0], rows), first[0])
    assert probe.tally.asked == 8
