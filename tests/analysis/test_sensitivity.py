"""What survives a change of settings: tables and sentences, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from bench import plots
from bench.analysis import sensitivity
from bench.analysis.sensitivity import Sweep
from bench.engine.settings import Setting
from bench.registry.decorators import METRICS
from bench.registry.selection import with_params


def by_hand(
    gains: list[list[float]], methods: tuple[str, ...] = ("a", "b", "random"), metric: str = "deletion"
) -> Sweep:
    """Settings of a metric that is better when lower; each sample shifts all methods alike, so every gap is significant."""
    kinds = [("zero", "softmax"), ("mean", "softmax"), ("mean", "logit")][: len(gains)]
    variants = [
        METRICS[metric],
        *(with_params(METRICS[metric], f"baseline=mean,output={output}") for _, output in kinds[1:]),
    ]
    found = tuple(
        Setting(variant, np.nan, baseline, output, "pixel", variant is METRICS[metric])
        for variant, (baseline, output) in zip(variants, kinds, strict=True)
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
