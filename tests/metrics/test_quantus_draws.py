"""Random numbers for Quantus: each sample's own stream, whatever is kept of earlier draws."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from bench.metrics.quantus import draws
from bench.metrics.quantus.localisation import roc_curve, trapezoid

SEEDS = [3, 5]


def drawn(calls):
    """What calls of NumPy's functions give under `draws_per_sample`."""
    with draws.draws_per_sample(SEEDS):
        return [getattr(np.random, name)(*args, **kwargs) for name, args, kwargs in calls]


def choices(*sizes):
    return [("choice", (30, size), {"replace": False}) for size in sizes]


@pytest.fixture(autouse=True)
def nothing_kept():
    draws._kept_choices.cache_clear()


def expected(*sizes):
    """Call n is for sample n modulo N, from a stream of its own."""
    streams = [np.random.RandomState(seed) for seed in SEEDS]
    return [streams[turn % 2].choice(30, size, replace=False).tolist() for turn, size in enumerate(sizes)]


def test_choices_come_from_each_sample_s_own_stream():
    assert [values.tolist() for values in drawn(choices(4, 4, 7, 7))] == expected(4, 4, 7, 7)


@pytest.mark.parametrize("before", [(4, 4), (4, 4, 7, 7), (4, 4, 7, 7, 9, 9), (4, 5), (9, 9, 9, 9), ()])
def test_choices_are_the_same_whatever_was_drawn_before(before):
    drawn(choices(*before))
    for _ in range(2):
        assert [values.tolist() for values in drawn(choices(4, 4, 7, 7))] == expected(4, 4, 7, 7)


@pytest.mark.parametrize("before", [(), (4, 4), (4, 4, 7)])
def test_other_draws_go_on_where_the_choices_ended(before):
    mixed = [*choices(4, 4), ("uniform", (), {"size": (2, 3)}), *choices(7)]
    fresh = drawn(mixed)
    draws._kept_choices.cache_clear()
    drawn(choices(*before))
    for one, other in zip(fresh, drawn(mixed), strict=True):
        np.testing.assert_array_equal(one, other)
    streams = [np.random.RandomState(seed) for seed in SEEDS]
    for stream in streams:
        stream.choice(30, 4, replace=False)
    np.testing.assert_array_equal(fresh[2], [stream.uniform(size=3) for stream in streams])


def test_what_is_handed_out_and_kept_cannot_be_changed_in_place():
    for values in (*drawn(choices(4, 4)), *drawn(choices(4, 4))):
        with pytest.raises(ValueError, match="read-only"):
            values[:] = -1


def test_choices_among_values_are_not_kept():
    among = [("choice", (np.array([7, 8, 9]), 2), {"replace": False})]
    streams = [np.random.RandomState(SEEDS[0]) for _ in range(2)]
    found = [drawn([*among, *choices(4)]) for _ in range(2)]
    for one, stream in zip(found, streams, strict=True):
        assert one[0].tolist() == stream.choice([7, 8, 9], 2, replace=False).tolist()
        assert one[1].tolist() == np.random.RandomState(SEEDS[1]).choice(30, 4, replace=False).tolist()


def test_few_choices_are_kept(monkeypatch):
    monkeypatch.setattr(draws, "VALUES_KEPT", 10)
    for _ in range(2):
        assert [values.tolist() for values in drawn(choices(*[4] * 10))] == expected(*[4] * 10)
    assert len(draws._kept_choices(tuple(SEEDS))) == 3  # 0, 4 and 8 values were kept before each


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_roc_curve_is_scikit_learn_s(levels):
    rng = np.random.default_rng(levels)
    for _ in range(20):
        truth, score = rng.random(40) < 0.3, rng.integers(levels, size=40).astype(float)
        ours = roc_curve(truth, score)
        theirs = metrics.roc_curve(truth, score)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
        assert trapezoid(*ours[:2]) == metrics.auc(*theirs[:2])  # to the last bit: 1 has to stay 1


def test_roc_curve_without_a_feature_inside_is_undefined():
    fpr, tpr, _ = roc_curve(np.zeros(4, bool), np.arange(4.0))
    assert fpr[-1] == 1
    assert np.isnan(tpr[-1])
