"""Intervals, ranks and groups against hand-worked values, scipy, and simulation."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

from bench.analysis import concordance, inference
from bench.analysis.groups import letters, share_a_letter


def test_ranks_share_ties_and_heed_the_direction():
    assert inference.ranks(np.array([3.0, 1.0, 3.0, 2.0]), higher_is_better=True).tolist() == [1.5, 4, 1.5, 3]
    assert inference.ranks(np.array([[3.0, 1.0], [1.0, 1.0]]), higher_is_better=False).tolist() == [[2, 1], [1.5, 1.5]]


def test_holm_by_hand():
    # sorted: 0.01 * 3, 0.03 * 2, then 0.04 * 1 raised to the step before it
    assert inference.holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])


def test_holm_is_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).uniform(size=50) ** 3
    np.testing.assert_allclose(inference.holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
    assert np.isnan(inference.holm(np.array([np.nan, 0.01]))).tolist() == [True, False]


def test_tests_against_one_column_are_scipys_and_leave_out_what_is_missing():
    rng = np.random.default_rng(0)
    scores = rng.normal([0.0, 0.8, 0.1], size=(20, 3))
    scores[3, 2] = np.nan
    scores = np.column_stack([scores, scores[:, 0], scores[:, 0] + 2, np.full(20, np.nan)])
    raw = [scipy_stats.ttest_rel(scores[:, m], scores[:, 0], nan_policy="omit").pvalue for m in (1, 2)]
    raw += [1.0, 2.0**-19]  # a copy, and a gap that never varies: as sure as 20 equal signs can be
    found = inference.p_vs_reference(scores, 0)
    assert found[1:5].tolist() == pytest.approx(inference.holm(np.array(raw)).tolist())
    assert np.isnan(found[[0, 5]]).all()  # itself, and what has no score


def test_pairwise_tests_are_scipys_with_statsmodels_correction():
    from statsmodels.stats.multitest import multipletests

    scores = np.random.default_rng(0).normal([0.0, 0.5, 1.0, 1.1], size=(20, 4))
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    raw = [scipy_stats.ttest_rel(scores[:, i], scores[:, j]).pvalue for i, j in pairs]
    found = inference.pairwise(scores)
    np.testing.assert_allclose([found[i, j] for i, j in pairs], multipletests(raw, method="holm")[1], rtol=1e-9)
    np.testing.assert_array_equal(found, found.T)
    assert np.diag(found).tolist() == [1, 1, 1, 1]


def test_one_sided_tests_are_scipys():
    gaps = np.random.default_rng(0).normal([0.4, -0.4], size=(20, 2))
    gaps[3, 1] = np.nan
    expected = scipy_stats.ttest_1samp(gaps, 0, alternative="greater", nan_policy="omit").pvalue
    np.testing.assert_allclose(inference.p_greater(gaps), expected)


@pytest.mark.parametrize("n", [2, 5, 8, 12])
def test_tests_on_few_samples_are_scipys_exact_exchanges_of_signs(n):
    rng = np.random.default_rng(n)
    gaps = np.column_stack([rng.normal(0.7, 1, n), rng.integers(-1, 3, n) / 10, rng.exponential(1, n) - 1])
    expected = [
        scipy_stats.permutation_test(
            (own,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided", vectorized=True
        ).pvalue
        for own in gaps.T
    ]
    np.testing.assert_allclose(inference.paired_p(gaps), expected, rtol=1e-12)
    with_gaps = np.full((40, 3), np.nan)
    with_gaps[rng.permutation(40)[:n]] = gaps  # wherever the samples are that are known
    np.testing.assert_allclose(inference.paired_p(with_gaps), expected, rtol=1e-12)


def test_three_samples_by_hand():
    """Of 1, 2 and 4 the signs make sums of 7, 5, 3 and 1: one in four is as far from 0 as 7, three are as 3."""
    gaps = np.array([[1.0, -1], [2, 2], [4, -4]])
    assert inference.paired_p(gaps).tolist() == [0.25, 0.75]
    assert inference.p_greater(gaps)[0] == 0.125


def test_scores_that_differ_by_rounding_are_ties():
    scores = np.array([[1.0, 1.0 + 3e-7, 2.0, np.nan], [3.0, 2.0, 3.0 - 2e-7, 2.0 + 1e-3], [np.nan] * 4])
    found = inference.snap_rounding_ties(scores)
    assert found[0, :3].tolist() == [1.0, 1.0, 2.0]
    assert found[1].tolist() == [3.0 - 2e-7, 2.0, 3.0 - 2e-7, 2.0 + 1e-3]
    assert np.isnan(found).tolist() == np.isnan(scores).tolist()


def test_letters_after_z_are_one_letter_each():
    assert share_a_letter("yz(27)", "(27)(28)")
    assert not share_a_letter("z(27)", "(28)(127)")
    assert not share_a_letter("", "")


def test_superiority_counts_ties_half():
    gaps = np.array([[1.0, 0, np.nan], [2, -1, np.nan], [-1, 0, np.nan], [0, 0, np.nan]])
    np.testing.assert_array_equal(inference.superiority(gaps), [2.5 / 4, 1.5 / 4, np.nan])


def test_friedman_is_scipys():
    scores = np.random.default_rng(0).normal([0.0, 0.5, 1.0], size=(12, 3))
    expected = scipy_stats.friedmanchisquare(*scores.T).pvalue
    assert inference.friedman(scores) == pytest.approx(expected)
    assert inference.friedman(np.vstack([scores, [np.nan, 1, 2]])) == pytest.approx(expected)
    assert np.isnan(inference.friedman(scores[:, :2]))
    assert inference.friedman(np.ones((5, 3))) == 1


def test_so_many_samples_find_the_difference_in_four_of_five_simulations():
    rng = np.random.default_rng(0)
    pilot = rng.normal(size=2000)
    pilot = 0.5 + (pilot - pilot.mean()) / pilot.std(ddof=1)  # a mean of half its standard deviation
    needed = int(inference.samples_needed(pilot))
    assert needed == 34  # as in the tables for d = 0.5, power 0.8, two-sided 5 %
    found = scipy_stats.ttest_1samp(rng.normal(0.5, 1, size=(2000, needed)), 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.81, abs=0.03)  # the standard error is 0.009
    more = int(inference.samples_needed(pilot, tests=10))
    found = scipy_stats.ttest_1samp(rng.normal(0.5, 1, size=(2000, more)), 0, axis=1).pvalue < 0.005
    assert found.mean() == pytest.approx(0.81, abs=0.03)
    assert inference.samples_needed(np.zeros(5)) == np.inf
    assert inference.samples_needed(np.ones(5)) == 6  # 2 / 2^6 is the first below 0.05
    assert inference.samples_needed(np.ones(5), tests=10) == 9  # and 2 / 2^9 below 0.005
    assert np.isnan(inference.samples_needed(np.ones(1)))


@pytest.mark.parametrize("tests", [1, 45, 703])
def test_samples_needed_are_those_at_which_the_integral_of_the_power_passes_it(tests):
    """SciPy's noncentral t is NaN here and there; read as a power of 1 it made of 2,300 needed samples 2,000."""
    shape = np.random.default_rng(0).normal(size=100)
    shape = (shape - shape.mean()) / shape.std(ddof=1)
    level = 0.05 / tests

    def power(effect, n):
        limit = scipy_stats.t.isf(level / 2, n - 1)
        over = np.linspace(1e-6, 1 + 10 / np.sqrt(2 * (n - 1)), 20001)  # of the estimated standard deviation
        density = 2 * over * (n - 1) * scipy_stats.chi2.pdf((n - 1) * over**2, n - 1)
        return integrate.trapezoid(scipy_stats.norm.sf(limit * over - effect * np.sqrt(n)) * density, over)

    for effect in np.geomspace(0.03, 1.5, 40):
        n = int(inference.samples_needed(shape + effect, tests=tests))
        assert power(effect, n) >= 0.8 - 1e-6
        assert n == int(np.floor(1 - np.log2(level)) + 1) or power(effect, n - 1) < 0.8 + 1e-6


def test_two_columns_differ_as_scipys_paired_t_test_says():
    rng = np.random.default_rng(0)
    scores = rng.normal([0.0, 0.8], size=(20, 2))
    p = scipy_stats.ttest_rel(scores[:, 0], scores[:, 1]).pvalue
    assert inference.different(scores)[0, 1] == (p < 0.05)
    assert p < 0.05


def test_copies_never_differ_and_a_constant_gap_always_does():
    column = np.random.default_rng(0).normal(size=30)
    found = inference.different(np.stack([column, column, column + 1], axis=1))
    assert found.tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_few_samples_that_happen_to_agree_prove_nothing():
    """With four samples even +, +, + and + come up by chance in one case of eight."""
    gaps = np.array([0.0, 0, 0, 0, 0, 0, 0, 0])
    scores = np.stack([gaps, gaps + 1], axis=1)
    assert not inference.different(scores[:4])[0, 1]
    assert not inference.different(scores[:5])[0, 1]  # 2 / 2^5 = 0.0625
    assert inference.different(scores[:6])[0, 1]  # 2 / 2^6 = 0.03125


def test_the_interval_of_a_rank_by_hand():
    """Eight samples; b is above a on each, c above both; d goes either way. p is 2 / 2^8 = 0.0078, and there are six tests."""
    a = np.array([0.0, 1, 2, 3, 4, 5, 6, 7])
    d = a + np.array([-4, 5] * 4)
    scores = np.stack([a, a + 1, a + 2, d], axis=1)
    low, high = inference.rank_interval(scores.mean(0), inference.different(scores))
    assert low.tolist() == [1, 2, 3, 1]
    assert high.tolist() == [2, 3, 4, 4]


def test_on_noise_a_difference_is_found_in_at_most_one_run_in_twenty():
    rng = np.random.default_rng(1)
    found = [inference.different(rng.normal(size=(50, 5))).any() for _ in range(400)]
    # 5 % of 400 is 20; a binomial exceeds 31 once in 200 such simulations
    assert sum(found) <= 31


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], ["a", "a", "a", "a"]),
        ([(0, 3)], ["a", "ab", "ab", "b"]),
        ([(0, 2), (0, 3), (1, 3)], ["a", "ab", "bc", "c"]),
        ([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], ["a", "b", "c", "d"]),
        ([(0, 2)], ["a", "ab", "b", "ab"]),
    ],
)
def test_letters_by_hand(pairs, expected):
    differ = np.zeros((4, 4), dtype=bool)
    for i, j in pairs:
        differ[i, j] = differ[j, i] = True
    assert letters(differ) == expected


def test_a_letter_is_shared_exactly_by_those_that_do_not_differ():
    rng = np.random.default_rng(2)
    for _ in range(50):
        upper = np.triu(rng.random((7, 7)) < 0.4, 1)
        differ = upper | upper.T
        found = letters(differ)
        for i in range(7):
            for j in range(7):
                assert bool(set(found[i]) & set(found[j])) == (not differ[i, j])


def test_the_bootstrap_interval_is_that_of_the_normal_theory():
    scores = np.random.default_rng(3).normal(2, 3, size=(400, 1))
    low, high = inference.interval(inference.bootstrap_means(scores), len(scores))
    half = 1.96 * scores.std() / np.sqrt(400)
    # 1000 replicates: an end of the interval varies by about 5 % of its half width
    assert low[0] == pytest.approx(scores.mean() - half, abs=0.15 * half)
    assert high[0] == pytest.approx(scores.mean() + half, abs=0.15 * half)


def test_resamples_are_paired_and_reproducible():
    column = np.random.default_rng(4).normal(size=50)
    means = inference.bootstrap_means(np.stack([column, column + 5], axis=1))
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 5)
    np.testing.assert_array_equal(means, inference.bootstrap_means(np.stack([column, column + 5], axis=1)))


def test_missing_samples_are_left_out_of_a_mean():
    scores = np.array([[1.0, np.nan], [1.0, 4.0], [1.0, np.nan]])
    means = inference.bootstrap_means(scores)
    assert (means[:, 0] == 1).all()
    assert set(means[~np.isnan(means[:, 1]), 1]) == {4.0}
    low, high = inference.interval(np.full((10, 1), np.nan), 3)
    assert np.isnan([low[0], high[0]]).all()


def test_each_column_has_an_interval_over_the_samples_that_it_has():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(24, 3))
    scores[8:, 1] = scores[1:, 2] = np.nan
    low, high = inference.interval(inference.bootstrap_means(scores), (~np.isnan(scores)).sum(0))
    half = scipy_stats.t.ppf(0.975, [23, 7]) * np.nanstd(scores[:, :2], axis=0, ddof=1) / np.sqrt([24, 8])
    np.testing.assert_allclose((high - low)[:2] / 2, half, rtol=0.25)  # the percentiles of a few resamples
    assert np.isnan([low[2], high[2]]).all()


def test_kendalls_tau_by_hand():
    # of six pairs one is exchanged; then two ties that do not coincide leave four pairs that both order, alike
    assert concordance.kendall(np.array([[1.0, 2, 3, 4], [1, 3, 2, 4]]))[0, 1] == pytest.approx((5 - 1) / 6)
    assert concordance.kendall(np.array([[1.0, 1, 2, 3], [1, 2, 3, 3]]))[0, 1] == pytest.approx(4 / np.sqrt(5 * 5))
    assert np.isnan(concordance.kendall(np.array([[1.0, 1, 1], [1, 2, 3]]))[0, 1])


def test_kendalls_tau_is_scipys_over_the_columns_that_both_know():
    rng = np.random.default_rng(0)
    values = rng.integers(6, size=(3, 5, 12)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    found = concordance.kendall(values)
    for batch, a, b in np.ndindex(3, 5, 5):
        both = ~np.isnan(values[batch, [a, b]]).any(0)
        expected = scipy_stats.kendalltau(values[batch, a, both], values[batch, b, both])[0]
        assert found[batch, a, b] == pytest.approx(expected, abs=1e-6)  # counts of pairs, divided in float32


def test_unrelated_orders_exceed_the_critical_tau_in_at_most_one_case_of_twenty():
    for m in range(2, 7):
        taus = [abs(scipy_stats.kendalltau(range(m), order)[0]) for order in permutations(range(m))]
        limit = concordance.critical_tau(m)
        assert np.mean(np.array(taus) > limit + 1e-9) <= 0.05
        smaller = [tau for tau in taus if tau < limit - 1e-9]
        if smaller:
            assert np.mean(np.array(taus) > max(smaller) + 1e-9) > 0.05
    assert concordance.critical_tau(40) == pytest.approx(
        1.96 * np.sqrt(2 * 85 / (9 * 40 * 39)), abs=0.01
    )  # the normal limit
    assert np.isnan(concordance.critical_tau(1))


# Krippendorff (2011), section D: 4 observers, 12 units; the last unit has one value and cannot be compared
PUBLISHED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def test_krippendorffs_alpha_of_his_own_example():
    values = np.array([line.replace(".", "nan").split() for line in PUBLISHED.strip().splitlines()], dtype=float)
    assert concordance.ordinal_alpha(values).round(3) == 0.815
    assert concordance.interval_alpha(values).round(3) == 0.849
    assert concordance.ordinal_alpha(np.exp(values)) == pytest.approx(
        concordance.ordinal_alpha(values)
    )  # only the order counts
    assert concordance.ordinal_alpha(np.stack([values, values[::-1]])).round(3).tolist() == [0.815, 0.815]


def test_krippendorffs_alpha_is_its_definition_on_values_with_gaps():
    rng = np.random.default_rng(0)
    values = rng.integers(5, size=(4, 15)) + rng.integers(2, size=15).astype(float)
    values[rng.random(values.shape) < 0.3] = np.nan
    units = [column[~np.isnan(column)] for column in values.T]
    units = [unit for unit in units if len(unit) > 1]
    everything = np.concatenate(units)

    def distance(c: float, k: float) -> float:
        low, high = min(c, k), max(c, k)
        between = ((everything >= low) & (everything <= high)).sum()
        return float(between - ((everything == c).sum() + (everything == k).sum()) / 2) ** 2

    observed = sum(sum(distance(c, k) for c, k in product(unit, unit)) / (len(unit) - 1) for unit in units)
    expected = sum(distance(c, k) for c, k in product(everything, everything)) / (len(everything) - 1)
    assert concordance.ordinal_alpha(values) == pytest.approx(1 - observed / expected)


@pytest.mark.parametrize("n", [8, 20])
def test_percentiles_are_expanded_by_hand(n):
    """Student's quantile times sqrt(n / (n - 1)) says which normal tail is cut off."""
    replicates = np.random.default_rng(0).normal(size=(1000, 1))
    tail = scipy_stats.norm.cdf(-scipy_stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1)))
    ordered = np.sort(replicates[:, 0])
    expected = ordered[[int(np.ceil(1000 * tail)) - 1, int(np.ceil(1000 * (1 - tail))) - 1]]
    low, high = inference.interval(replicates, n)
    assert [low[0], high[0]] == expected.tolist()


def test_the_interval_of_few_samples_is_students():
    means = inference.bootstrap_means(np.array([[1.0], [2.0], [4.0], [5.0]]))
    half = means.std() * np.sqrt(4 / 3) * scipy_stats.t.ppf(0.975, 3)
    low, high = inference.interval(means, 4)
    assert [low[0], high[0]] == pytest.approx([means.mean() - half, means.mean() + half])


def test_rounding_is_relative_to_the_spread_or_the_size():
    assert inference.rounding(np.array([3.0, 3.0, np.nan])) == pytest.approx(3e-5)
    assert inference.rounding(np.array([-1.0, 1.0, 5.0, -5.0])) == pytest.approx(13**0.5 * 1e-5)
    assert inference.rounding(np.array([np.nan])) == 0


def test_letters_after_z_are_numbers():
    names = letters(~np.eye(28, dtype=bool))
    assert [names[0], *names[24:]] == ["a", "y", "z", "(27)", "(28)"]
