"""What boards say of samples is true of the population: simulated scores whose truth is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from test_board import rows

from bench.analysis import inference
from bench.analysis.board import wide_table
from bench.analysis.skill import _skill

REPETITIONS = 1000
DRAWS = {
    "normal": (lambda rng, shape: rng.normal(3.0, 2.0, shape), 3.0),
    "uniform": (lambda rng, shape: rng.uniform(size=shape), 0.5),
    "hits": (lambda rng, shape: (rng.uniform(size=shape) < 0.5).astype(float), 0.5),  # as of the pointing game
    "shares": (lambda rng, shape: rng.beta(2.0, 1.0, shape), 2 / 3),  # as of p lost: mostly high
}


def covered(scores: np.ndarray, truth: np.ndarray | float) -> float:
    """Share of the columns (n, M) whose interval holds the truth."""
    low, high = inference.interval(inference.bootstrap_means(scores), len(scores))
    return float(((low <= truth) & (truth <= high)).mean())


# Of very few samples, of the smallest boards of profile standard, and of a large one. The mean of 16 hits has 17 values; what
# an interval of such means holds jumps from one to the next, and is more than is said (0.971).
@pytest.mark.parametrize(
    ("name", "n"), [*product(("normal", "uniform", "shares"), (8, 16, 24, 200)), ("normal", 4), ("hits", 200)]
)
def test_intervals_hold_the_mean_in_95_of_100_cases(name, n):
    draw, mean = DRAWS[name]
    found = covered(draw(np.random.default_rng(0), (n, REPETITIONS)), mean)
    assert 0.93 <= found <= 0.97  # a share of 1000 has a standard error of 0.007


@pytest.mark.parametrize("n", [16, 24, 200])
def test_intervals_hold_the_mean_rank_in_95_of_100_cases(n):
    """Normal scores about m: another method is better on a sample with probability Phi((m_other - m) / sqrt(2))."""
    rng = np.random.default_rng(1)
    means = np.array([0.0, 0.2, 0.3, 1.0])
    beaten = scipy_stats.norm.cdf((means[None, :] - means[:, None]) / np.sqrt(2))
    truth = 1 + beaten.sum(1) - 0.5  # itself is no other
    scores = rng.normal(means, 1.0, (REPETITIONS, n, 4))
    found = [covered(inference.ranks(one, higher_is_better=True), truth) for one in scores]
    assert 0.93 <= np.mean(found) <= 0.97


@pytest.mark.parametrize(("methods", "step"), [(5, 0.05), (39, 0.01), (39, 0.2)])  # near ties, and clear gaps
@pytest.mark.parametrize("n", [24, 200])
def test_intervals_hold_the_ranks_of_all_methods_together_in_95_of_100_cases(n, methods, step):
    """At least: where all are nearly equal they hold them nearly always."""
    rng, repetitions = np.random.default_rng(6), 100
    means, truth = step * np.arange(methods), np.arange(methods, 0, -1)
    held = 0
    for _ in range(repetitions):
        places = scipy_stats.rankdata(-rng.normal(means, 1.0, (n, methods)), axis=1)
        low, high = inference.rank_interval(places.mean(0), inference.different(places))
        held += ((low <= truth) & (truth <= high)).all()
    assert held >= scipy_stats.binom.ppf(0.001, repetitions, 0.95)  # 87 where 95 are expected


@pytest.mark.parametrize("n", [8, 16, 24, 200])
@pytest.mark.parametrize("methods", [3, 10, 39])
def test_on_noise_the_tests_find_a_difference_in_at_most_one_case_of_twenty(methods, n):
    """Three metrics that correlate on each sample, as those of a board do."""
    rng, repetitions = np.random.default_rng(2), 400
    wrong = 0
    for _ in range(repetitions):
        scores = rng.normal(size=(n, methods, 1)) + rng.normal(size=(n, methods, 3))
        wrong += inference.different(scipy_stats.rankdata(scores, axis=1).mean(2)).any()
    assert wrong <= scipy_stats.binom.ppf(0.999, repetitions, 0.05)  # 34 where 5 % are 20


def test_on_noise_boards_declare_a_winner_in_at_most_one_case_of_twenty():
    rng, repetitions, winners = np.random.default_rng(3), 100, 0
    for _ in range(repetitions):
        table = {name: {"up": list(rng.normal(size=24)), "down": list(rng.normal(size=24))} for name in "abcde"}
        board = wide_table(rows(table))
        winners += board["group"].iloc[0] != "a" or (board["group"].str.contains("a").sum() < len(board))
    assert winners <= scipy_stats.binom.ppf(0.999, repetitions, 0.05)


@pytest.mark.parametrize("methods", [1, 5])
def test_maps_of_noise_are_above_the_random_control_on_at_most_one_board_of_twenty(methods):
    """Of many metrics some will find half of the methods better, and those would vote: ten that correlate on each sample."""
    rng, repetitions, n, above = np.random.default_rng(7), 60, 24, 0
    names = ["random", *"abcde"[:methods]]
    frame = rows({name: {f"m{k}": [0.0] * n for k in range(10)} for name in names})
    for _ in range(repetitions):
        scores = rng.normal(size=(len(names), 1, n)) + rng.normal(size=(len(names), 10, n))
        board = wide_table(frame.assign(score=scores.ravel()))
        above += bool(board.set_index("method").loc["random", "rank_low"] > 1)  # NaN where no metric has a vote
    assert above <= scipy_stats.binom.ppf(0.999, repetitions, 0.05)  # 9 where 3 are expected


@pytest.mark.parametrize("skill", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("n", [16, 24, 200])
def test_intervals_hold_the_skill_in_95_of_100_cases(n, skill):
    """Cohen's d of normal scores. On few samples a little more, or less: its unit is not normal (0.93 to 0.98)."""
    rng, repetitions, held = np.random.default_rng(8), 400, 0
    values = rng.normal([skill, 0.0], 1.0, (repetitions, n, 2))
    for one in values:
        _, low, high = _skill(pd.DataFrame(one, columns=["a", "random"]), None)
        held += low[0] <= skill <= high[0]
    assert 0.92 <= held / repetitions <= 0.985


def test_two_copies_of_a_method_are_always_in_one_group_with_one_rank():
    rng = np.random.default_rng(4)
    for methods in (3, 8, 15):
        own = {
            f"m{i:02}": {"up": list(rng.normal(i / 4, 1, 40)), "down": list(rng.normal(-i / 3, 1, 40))}
            for i in range(methods)
        }
        board = wide_table(rows(own | {f"copy of {name}": scores for name, scores in own.items()}))
        board = board.set_index("method")
        assert board["group"].str.len().max() < methods  # there are differences to be found
        for name in own:
            copy = board.loc[f"copy of {name}"]
            assert copy[["rank", "rank_low", "rank_high", "group", "mean_rank"]].equals(
                board.loc[name, ["rank", "rank_low", "rank_high", "group", "mean_rank"]]
            )


def test_what_differs_is_found():
    """A gap of one standard deviation on 100 samples."""
    rng = np.random.default_rng(5)
    table = {
        name: {"up": list(rng.normal(mean, 1, 100))} for name, mean in (("a", 2.0), ("b", 1.0), ("c", 1.0), ("d", 0.0))
    }
    board = wide_table(rows(table)).set_index("method")
    assert board.loc[["a", "b", "c", "d"], "group"].tolist() == ["a", "b", "b", "c"]
