"""Settings of metrics: what they are by hand, that the default is a plain run's, and what survives a change of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import image_problem, signal_problem
from scipy.ndimage import gaussian_filter1d
from scipy.stats import kendalltau
from test_probe import Votes, sigmoid, votes
from torch import Tensor, nn

from bench import plots
from bench.analysis import sensitivity
from bench.cli import main, parser
from bench.core.entries import Entry, Task
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine import runner
from bench.engine.plan import Plan
from bench.engine.settings import FEATURES, SWEPT, Setting, Sweep, settings
from bench.engine.sweep import run
from bench.perturbation.baselines import BASELINES
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.registry.selection import with_params
from bench.storage.scores import Store
from bench.task_tools.data import Data

pytestmark = pytest.mark.usefixtures("one_thread")


class Silent:
    """A progress bar that only counts."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.done = 0.0

    def update(self, n: float | None = 1) -> None:
        self.done += n or 0

    def set_description_str(self, desc: str | None = None) -> None: ...

    def refresh(self) -> None: ...


def plan(samples: int = 5, **changes: object) -> Plan:
    asked = Plan(
        tasks=[TASKS["mnist1d"]],
        methods=[METHODS[name] for name in ("random", "saliency", "smoothgrad")],
        metrics=[],
        samples=lambda task: samples,
        data=Data(offline=True),
        device=torch.device("cpu"),
        batch_size=64,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def method(name: str, fn: Callable[..., object]) -> Entry:
    return Entry(name, fn, "test", "", 1, (), ("problem",))


def toy(weights: list[float], inputs: list[list[float]]) -> Task:
    """A task whose logit of class 0 is weights . x, and that of class 1 zero."""
    model = Votes(weights).eval()

    def problem(sample_ids: tuple[str, ...]) -> Problem:
        return Problem(
            model=model,
            inputs=torch.tensor([inputs[int(name)] for name in sample_ids])[:, None],
            sample_ids=sample_ids,
            baseline=torch.zeros(1, 1),
            layers=(),
            top_k=0.5,
            fingerprint="",
            targets=torch.zeros(len(sample_ids), dtype=torch.long),
        )

    return Task(
        name="toy",
        fn=problem,
        family="test",
        cite="",
        version=1,
        params=(),
        injected=("sample_ids",),
        samples=lambda: [str(row) for row in range(len(inputs))],
        profiles=(("quick", None),),
    )


# --- the probe: other absent values, other outputs, other cells


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


# --- baselines and settings


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


def test_settings_are_all_combinations():
    problem = signal_problem()
    found = settings(problem, baselines=tuple(BASELINES), features=FEATURES)
    # two metrics of whole curves, three with four k; five baselines, two outputs; 40 points are no more than 64 patches,
    # so of the three granularities two differ
    assert len(found) == (2 + 3 * 4) * 5 * 2 * 2
    assert {setting.features for setting in found} == {"pixel", "segment20"}
    assert len(settings(image_problem(), baselines=tuple(BASELINES), features=FEATURES)) == (2 + 3 * 4) * 5 * 3 * 2
    assert len({setting.id for setting in found}) == len(found)
    assert [(s.name, s.metric.name, s.baseline, s.output, s.features) for s in found if s.default] == [
        (name, name if name in ("deletion", "insertion") else f"{name}[k=0.3]", "zero", "softmax", "pixel")
        for name in SWEPT
    ]


def test_settings_follow_the_task():
    problem = replace(signal_problem(), baseline=torch.full((1, 1), 0.5), background=None, top_k=0.25)
    found = settings(problem, baselines=tuple(BASELINES), features=FEATURES)
    assert list(dict.fromkeys(s.baseline for s in found)) == ["task", "zero", "mean", "blur", "noise"]
    assert {s.k for s in found if s.name == "drop"} == {0.1, 0.25, 0.3, 0.5, 0.9}
    assert {(s.baseline, s.k) for s in found if s.default and s.name == "drop"} == {("task", 0.25)}
    few = settings(problem, baselines=["blur"], features=["segment20"])
    assert {s.baseline for s in few} == {"task", "blur"}
    assert {s.features for s in few} == {"pixel", "segment20"}


# --- running


def test_the_default_setting_is_a_plain_run(tmp_path):
    names = [*SWEPT, "seconds"]
    one = plan(batch_size=1, metrics=[METRICS[name] for name in names])  # alone in its batch, a query is rounded alike
    store = Store(tmp_path)
    runner.run(one, store, Silent())
    rows = store.read()
    found, _ = run(one, tmp_path / "sweep", Silent(), baselines=["mean"], features=["pixel"])
    for place, setting in enumerate(found.settings):
        if setting.default:
            own = rows[rows["metric"] == setting.name].pivot(index="sample_id", columns="method", values="score")
            own = own.loc[TASKS["mnist1d"].samples()[:5], list(found.methods)]
            assert np.array_equal(found.scores[place], own.to_numpy())
    assert sum(setting.default for setting in found.settings) == len(SWEPT)


def test_a_second_sweep_asks_nothing_and_more_settings_explain_nothing(tmp_path):
    calls: list[int] = []

    def counted(problem: Problem) -> Tensor:
        calls.append(len(problem))
        return problem.inputs.sum(1)

    one = plan(methods=[METHODS["random"], method("counted", counted)])
    first, outcome = run(one, tmp_path, Silent(), baselines=["mean"], features=["pixel"])
    explained = len(calls)
    # 3 methods' worth of curves: 2 baselines, 19 steps inside, two directions; then the ends
    assert outcome.tally.asked == 2 * 5 * 2 * 2 * 19 + 5 + 1 + 5
    assert explained == 2  # one sample to measure memory, then all
    again, outcome = run(one, tmp_path, Silent(), baselines=["mean"], features=["pixel"])
    assert (outcome.tally.asked, outcome.rows.total(), len(calls)) == (0, 0, explained)
    assert np.array_equal(first.scores, again.scores)
    _, outcome = run(one, tmp_path, Silent(), baselines=["mean", "blur"], features=["pixel"])
    assert outcome.tally.asked == 2 * 5 * 2 * 19 + 5 + 5
    assert outcome.kept == first.scores.size
    assert len(calls) == explained
    other = replace(one, samples=lambda task: 7)
    wider, outcome = run(other, tmp_path, Silent(), baselines=["mean"], features=["pixel"])
    assert outcome.kept == first.scores.size
    assert calls[explained:] == [1, 2]  # only the two new samples
    assert np.array_equal(wider.scores[:, :5], first.scores)
    assert not np.isnan(wider.scores[:, 5:]).any()
    bar = Silent()
    run(replace(one, fresh=True), tmp_path, bar, baselines=["mean"], features=["pixel"])
    assert calls[explained + 2 :] == [1, 5]
    assert bar.done == bar.total


def test_scores_do_not_depend_on_batch_or_chunk(tmp_path, monkeypatch):
    found = []
    for name, size, chunk in (("a", 1, 16), ("b", 64, 2)):
        monkeypatch.setattr(runner, "CHUNK_LIMITS", (chunk, chunk))
        one = plan(samples=4, batch_size=size, methods=[METHODS["saliency"]])
        found.append(run(one, tmp_path / name, Silent(), baselines=["noise", "background"], features=["segment20"])[0])
    # in units of p, logits or percent of up to 1e3; float32 rounds at 1e-7 of them
    np.testing.assert_allclose(found[0].scores, found[1].scores, rtol=1e-4, atol=2e-3)


def test_a_method_that_fails_is_told_and_tried_again(tmp_path):
    broken = [True]

    def moody(problem: Problem) -> Tensor:
        if broken[0]:
            raise ValueError("not today")
        return problem.inputs.sum(1)

    one = plan(samples=2, methods=[METHODS["random"], METHODS["saliency"], method("moody", moody)])
    found, outcome = run(one, tmp_path, Silent(), baselines=["mean"], features=["pixel"])
    assert outcome.rows["failed"] == 2 * len(found.settings)
    assert sum(outcome.failures.values()) == outcome.rows["failed"]
    assert sensitivity.ranking(found).methods == ("random", "saliency")
    assert any("not ranked: moody: ValueError: not today" in line for line in sensitivity.statement(found))
    broken[0] = False
    found, outcome = run(one, tmp_path, Silent(), baselines=["mean"], features=["pixel"])
    assert outcome.rows == {"ok": 2 * len(found.settings)}
    assert sensitivity.ranking(found).methods == ("random", "saliency", "moody")


def test_ranks_flip_with_the_baseline(tmp_path):
    # w . x with w = (1, 4) and x = s (3, 1). Absent 0: feature 1 gives more (4 s against 3 s). Absent the mean 2 s:
    # feature 0 gives s, feature 1 takes 4 s away.
    task = toy([1.0, 4.0], [[3.0 * s, 1.0 * s] for s in (0.1, 0.15, 0.2, 0.3)])
    first = method("first", lambda problem: torch.tensor([[1.0, 0.0]]).expand(len(problem), -1))
    second = method("second", lambda problem: torch.tensor([[0.0, 1.0]]).expand(len(problem), -1))
    one = plan(tasks=[task], methods=[first, second], samples=4)
    found, _ = run(one, tmp_path, Silent(), baselines=["mean"], features=["pixel"])
    at = {setting.id: place for place, setting in enumerate(found.settings)}
    deletion = METRICS["deletion"].id
    # s = 0.1, logit, area over two steps: 0.7, then 0.4 (first) or 0.3 (second), then 0
    by_zero = found.scores[at[f"{deletion} zero@1 logit pixel"], 0]
    assert by_zero.tolist() == pytest.approx([(0.35 + 0.4) / 2, (0.35 + 0.3) / 2])
    by_mean = found.scores[at[f"{deletion} mean@1 logit pixel"], 0]  # 0.7, 0.6 or 1.1, 1.0
    assert by_mean.tolist() == pytest.approx([(0.85 + 0.6) / 2, (0.85 + 1.1) / 2])

    ranked = (
        sensitivity.settings_table(found)
        .query("metric == 'deletion'")
        .set_index(["baseline", "output", "method"])
        .sort_index()
    )
    for output in ("softmax", "logit"):
        assert ranked.loc[("zero", output), "rank"].to_dict() == {"first": 2, "second": 1}
        assert ranked.loc[("mean", output), "rank"].to_dict() == {"first": 1, "second": 2}
    tau = sensitivity.tau_table(found).query("metric == 'deletion'").set_index(["baseline", "output"])["tau"]
    assert tau.to_dict() == {
        ("zero", "softmax"): 1,
        ("zero", "logit"): 1,
        ("mean", "softmax"): -1,
        ("mean", "logit"): -1,
    }
    pair = sensitivity.survive_table(found).query("metric == 'deletion'").iloc[0]
    assert (pair["better"], pair["worse"], pair["share"], pair["same_sign"]) == ("second", "first", 0.5, False)


# --- what survives, by hand


def by_hand(
    gains: list[list[float]], methods: tuple[str, ...] = ("a", "b", "random"), metric: str = "deletion"
) -> Sweep:
    """Settings of a metric that is better when lower; each sample shifts all methods alike, so every gap is significant."""
    kinds = [("zero", "softmax"), ("mean", "softmax"), ("mean", "logit")][: len(gains)]
    found = tuple(
        Setting(METRICS[metric], baseline, output, "pixel", place == 0)
        for place, (baseline, output) in enumerate(kinds)
    )
    shifts = np.array([0.0, 0.125, 0.25, -0.125] * 2)  # four would prove nothing (2 / 2^4)
    return Sweep("toy", found, methods, np.array(gains)[:, None, :] + shifts[None, :, None])


HAND = [[1.0, 2.0, 5.0], [3.0, 2.0, 5.0], [1.0, 2.0, 1.5]]


def test_wins_by_hand():
    table = sensitivity.wins_table(by_hand(HAND)).query("metric == 'all'").set_index("method")
    assert table["wins"].to_dict() == pytest.approx({"a": 2 / 3, "b": 1 / 3, "random": 0})
    assert table["beats_random"].to_dict() == pytest.approx({"a": 1, "b": 2 / 3, "random": 0})
    assert table["mean_rank"].to_dict() == pytest.approx({"a": 4 / 3, "b": 2, "random": 8 / 3})
    assert table["worst_rank"].to_dict() == {"a": 2, "b": 3, "random": 3}
    assert list(table.index) == ["a", "b", "random"]


def test_a_tie_is_shared_and_keeps_no_sign():
    sweep = by_hand([[1.0, 2.0, 5.0], [2.0, 2.0, 5.0]])
    assert sensitivity.wins_table(sweep).set_index("method").loc["a", "wins"].tolist() == [0.75, 0.75]  # all, deletion
    pairs = sensitivity.survive_table(sweep).query("metric == 'all'").set_index(["better", "worse"]).sort_index()
    assert pairs["same_sign"].to_dict() == {("a", "b"): False, ("a", "random"): True, ("b", "random"): True}
    assert pairs.loc[("a", "b"), ["share", "significant", "reversed"]].tolist() == [0.5, 0.5, 0]


def test_survival_and_statement_by_hand():
    pairs = (
        sensitivity.survive_table(by_hand(HAND))
        .query("metric == 'deletion'")
        .set_index(["better", "worse"])
        .sort_index()
    )
    assert pairs["significant_at_default"].all()
    assert pairs["same_sign"].to_dict() == {("a", "b"): False, ("a", "random"): True, ("b", "random"): False}
    assert pairs["share"].tolist() == pytest.approx([2 / 3, 1, 2 / 3])
    assert pairs["significant"].tolist() == pytest.approx([2 / 3, 1, 2 / 3])
    assert pairs["reversed"].tolist() == pytest.approx([1 / 3, 0, 1 / 3])
    assert sensitivity.statement(by_hand(HAND)) == [
        "all: of 3 pairs of methods, 3 differ significantly at the default (deletion, zero, softmax, pixel); 1 of these keep "
        "their sign in all 3 settings, 2 are significantly the other way round in some",
        "deletion: of 3 pairs of methods, 3 differ significantly at the default (zero, softmax, pixel); 1 of these keep "
        "their sign in all 3 settings, 2 are significantly the other way round in some",
        "better than random in all 3 settings: a",
        "best most often: a (67%), b (33%)",
    ]


def test_tau_by_hand():
    tau = sensitivity.tau_table(by_hand(HAND))
    # of three pairs: none, a-b, b-random turned
    assert tau["tau"].tolist() == pytest.approx([1, 1 / 3, 1 / 3])
    assert tau["tau_own_metric"].tolist() == pytest.approx([1, 1 / 3, 1 / 3])


def test_a_factor_is_changed_alone():
    factors = sensitivity.factors_table(by_hand(HAND)).set_index(["factor", "level"])
    # mean for zero is there with softmax only; logit for softmax is there with the mean only: a, then b first; random third,
    # then second, so two of three pairs turn
    assert factors.index.tolist() == [("baseline", "mean"), ("output", "logit")]
    assert factors["settings"].tolist() == [1, 1]
    assert factors["median"].tolist() == pytest.approx([1 / 3, -1 / 3])


def test_metrics_are_compared_with_the_first_at_the_same_baseline():
    one, other = by_hand(HAND[:2]), by_hand([[3.0, 2.0, 1.0], [5.0, 1.0, 2.0]], metric="insertion")
    both = Sweep("toy", one.settings + other.settings, one.methods, np.concatenate([one.scores, other.scores]))
    factors = sensitivity.factors_table(both).set_index(["factor", "level"])
    # with zero both say a, b, random; with the mean b, a, random against a, random, b
    assert factors.loc[("metric", "insertion"), ["settings", "low", "high"]].tolist() == pytest.approx([2, -1 / 3, 1])
    assert factors.loc[("baseline", "mean"), ["settings", "low", "high"]].tolist() == pytest.approx([2, 1 / 3, 1 / 3])


def test_tau_is_scipys_of_the_means_turned_to_one_direction():
    rng = np.random.default_rng(0)
    down = by_hand(rng.random((1, 6)).tolist(), tuple("abcdef"))
    up = by_hand(rng.random((1, 6)).tolist(), tuple("abcdef"), "insertion")
    both = Sweep("toy", down.settings + up.settings, down.methods, np.concatenate([down.scores, up.scores]))
    expected = kendalltau(-down.scores[0].mean(0), up.scores[0].mean(0)).statistic
    assert sensitivity.tau_table(both)["tau"].tolist() == pytest.approx([1, expected])
    assert sensitivity.tau_table(both)["tau_own_metric"].tolist() == pytest.approx([1, 1])


def test_methods_without_all_scores_are_not_ranked_and_settings_without_any_count_nowhere():
    sweep = by_hand([[1.0, 2.0, 5.0, 0.0], [1.0, 2.0, 5.0, 0.0], [np.nan] * 4], ("a", "b", "random", "gaps"))
    sweep.scores[0, 1, 3] = np.nan  # lacks what others have
    sweep.scores[1, 2, :] = np.nan  # a sample that no method has
    told = sensitivity.statement(replace(sweep, notes={"gaps": "no map (1 of 4 samples)"}))
    assert "of 3 pairs of methods" in told[0]
    assert "in all 2 settings" in told[0]
    assert "not ranked: gaps: no map (1 of 4 samples)" in told
    assert "1 settings have no score at all and count nowhere" in told
    table = sensitivity.settings_table(sweep)
    assert table.loc[table["method"] == "gaps", "rank"].isna().all()
    assert table.loc[table["method"] == "a", "n"].tolist() == [8, 7, 0]
    # the mean of the shifts is 1/16; the sample that is gone has 1.25
    assert table.loc[table["method"] == "a", "mean"].tolist()[:2] == pytest.approx([1.0625, (8.5 - 1.25) / 7])


def test_nothing_to_rank_is_told_not_raised():
    empty = by_hand([[np.nan, np.nan, np.nan]])
    assert sensitivity.statement(empty)[0].startswith("not ranked: a")
    assert all(isinstance(table, pd.DataFrame) for table in sensitivity.tables(empty).values())


def test_the_picture_shows_ranks_of_methods_in_order_of_their_mean():
    tables = sensitivity.tables(by_hand(HAND))
    figure = plots.sweep(tables["settings"], tables["tau"], tables["factors"], "toy")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "random"]
    assert np.asarray(axes.images[0].get_array()).tolist() == [[1, 2, 1], [2, 1, 3], [3, 3, 2]]
    assert [round(bar.get_height(), 3) for bar in figure.axes[1].patches] == [1, 0.333, 0.333]
    figure.draw_without_rendering()


# --- the command


def test_the_command_line_names_what_there_is():
    assert tuple(BASELINES) == parser.BASELINES
    assert parser.FEATURES == FEATURES


def test_a_wrong_task_is_told_with_the_nearest(tmp_path, capsys):
    assert main.main(["sweep", "mnist2d", "--out", str(tmp_path / "out")]) == 2
    assert "unknown task 'mnist2d'; did you mean 'mnist1d'?" in capsys.readouterr().err
    assert main.main(["sweep", "mnist1d", "--method", "smothgrad", "--out", str(tmp_path / "out")]) == 2
    assert "did you mean 'smoothgrad'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_writes_tables_picture_and_statement_and_again_asks_nothing(tmp_path, capsys):
    words = ["sweep", "mnist1d", "--samples", "6", "--baseline", "mean", "--features", "pixel", "--device", "cpu"]
    words += ["--method", "random", "saliency", "gradient_x_input", "constant", "--out", str(tmp_path)]
    assert main.main(words) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "sweep" / "mnist1d"
    names = {
        "settings.csv",
        "wins.csv",
        "tau.csv",
        "factors.csv",
        "survive.csv",
        "statement.txt",
        "sweep.png",
        "sweep.svg",
    }
    assert names <= {path.name for path in folder.iterdir()}
    assert (folder / "statement.txt").read_text(encoding="utf-8") in said
    assert "not ranked: constant: the attribution is constant (6 of 6 samples)" in said
    table = pd.read_csv(folder / "settings.csv")
    assert len(table) == 14 * 2 * 2 * 4
    assert set(table["n"]) == {0, 6}
    before = {name: (folder / name).read_bytes() for name in names}
    assert main.main(words) == 0
    assert "model queries of the settings: 0" in capsys.readouterr().out
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_the_profile_says_which_methods_join(tmp_path, monkeypatch):
    from bench.engine import sweep

    asked: list[set[str]] = []

    def noted(plan: Plan, *_rest: object, **_named: object) -> None:
        asked.append({method.cost for method in plan.methods})
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run", noted)
    for profile in ("quick", "standard", "full"):
        assert main.main(["sweep", "mnist1d", "--profile", profile, "--out", str(tmp_path)]) == 130
    assert asked == [{"fast"}, {"fast", "medium"}, {"fast", "medium", "slow"}]


def test_a_model_is_not_needed_twice_for_what_is_stored(tmp_path, monkeypatch):
    one = plan(samples=2)
    run(one, tmp_path, Silent(), baselines=["mean"], features=["pixel"])

    def refuse(_model: nn.Module, _inputs: Tensor) -> Tensor:
        raise AssertionError("the model was asked")

    monkeypatch.setattr(nn.Sequential, "forward", refuse)
    _, outcome = run(one, tmp_path, Silent(), baselines=["mean"], features=["pixel"])
    assert outcome.rows.total() == 0
