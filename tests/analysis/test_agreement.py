"""Which metric to believe: tables worked by hand, simulated stores whose answer is known, and every kind of gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from bench.analysis import agreement, metric_table
from bench.analysis.agreement import MEAN_TRUTH

Scores = Sequence[Sequence[float]] | np.ndarray  # methods x samples; NaN is an undefined score


def store(
    metrics: Mapping[str, tuple[str, bool, Scores]], *, controls: Sequence[str] = (), task: str = "toy"
) -> pd.DataFrame:
    """Metric -> family, higher is better, scores; as rows of the store. Methods are called a, b, c, ..."""
    parts = []
    for metric, (family, higher, scores) in metrics.items():
        table = np.asarray(scores, dtype=float)
        method, sample = np.indices(table.shape)
        names = np.array([chr(ord("a") + number) for number in range(len(table))])[method.ravel()]
        parts.append(
            pd.DataFrame(
                {
                    "task": task,
                    "method": names,
                    "metric": metric,
                    "method_id": [f"{name}@1" for name in names],
                    "metric_id": f"{metric}@1",
                    "method_family": ["control" if name in controls else "test" for name in names],
                    "metric_family": family,
                    "higher_is_better": higher,
                    "label": f"{metric} (%)",
                    "seed": 0,
                    "sample_id": [f"s{number}" for number in sample.ravel()],
                    "sample_digest": [f"input {number}" for number in sample.ravel()],
                    "score": table.ravel(),
                    "status": np.where(np.isnan(table.ravel()), "undefined", "ok"),
                    "written": "2026-01-01",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def one(table: pd.DataFrame, **where: Any) -> pd.Series:
    """The only row that has these values."""
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def noisy(means: Sequence[float], samples: int, seed: int, spread: float = 1.0) -> np.ndarray:
    """Methods x samples: normal scores about each method's mean."""
    return np.random.default_rng(seed).normal(np.asarray(means)[:, None], spread, size=(len(means), samples))


FOUR = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]
SWAPPED = [[1.0, 1.0], [3.0, 3.0], [2.0, 2.0], [4.0, 4.0]]  # one of six pairs exchanged: tau (5 - 1) / 6


def test_trust_worked_by_hand():
    rows = store({"truth": ("localisation", True, FOUR), "guess": ("faithfulness", True, SWAPPED)})
    table = agreement.trust(rows)
    assert list(table) == agreement.TRUST_COLUMNS
    assert table["truth_metric"].tolist() == [MEAN_TRUTH, "truth"]
    assert table["tau"].tolist() == pytest.approx([2 / 3, 2 / 3])
    row = one(table, truth_metric="truth")
    assert row[["task", "metric", "metric_family", "label"]].tolist() == ["toy", "guess", "faithfulness", "guess (%)"]
    assert row[["n_samples", "n_methods"]].tolist() == [2, 4]
    assert row["tau_critical"] == 1  # of 24 orders 2 have |tau| 1, more than 5 %: four methods prove nothing


def test_the_mean_rank_of_the_truth_is_over_the_methods_that_every_truth_metric_ranks():
    """`d` lacks one score of the second truth metric; of the other three the first two change places."""
    lacking = [[2.0, 2.0], [1.0, 1.0], [3.0, 3.0], [np.nan, 4.0]]
    rows = store(
        {
            "first": ("localisation", True, FOUR),
            "second": ("localisation", True, lacking),
            "guess": ("faithfulness", True, FOUR),
        }
    )
    table = agreement.trust(rows)
    assert one(table, truth_metric=MEAN_TRUTH)["n_methods"] == 3
    assert one(table, truth_metric="first")["n_methods"] == 4
    assert one(table, truth_metric="second")["tau"] == pytest.approx(1 / 3)


def test_intervals_of_tau_end_at_minus_1_and_1():
    """Of four samples Student's interval reaches far beyond."""
    means = np.arange(5.0)
    others = {f"up {seed}": ("faithfulness", True, noisy(means, 4, seed, 2.0)) for seed in range(1, 6)}
    others |= {f"down {seed}": ("faithfulness", True, noisy(-means, 4, seed, 2.0)) for seed in range(6, 11)}
    table = agreement.trust(store({"truth": ("localisation", True, noisy(means, 4, 0, 2.0))} | others))
    assert (table["tau_low"].min(), table["tau_high"].max()) == (-1, 1)


def test_both_directions_count():
    down = -np.asarray(FOUR)
    rows = store(
        {
            "truth": ("localisation", True, FOUR),
            "same": ("faithfulness", True, FOUR),
            "error": ("faithfulness", False, down),
            "inverted": ("faithfulness", True, down),
        }
    )
    table = agreement.trust(rows)
    assert table.loc[table["truth_metric"] == "truth", "metric"].tolist() == ["error", "same", "inverted"]
    assert table.loc[table["truth_metric"] == "truth", "tau"].tolist() == [1, 1, -1]
    truth_down = store({"truth": ("localisation", False, down), "same": ("faithfulness", True, FOUR)})
    assert agreement.trust(truth_down)["tau"].tolist() == [1, 1]


def test_on_noisy_scores_a_copy_of_the_truth_has_tau_1_in_every_resample_and_its_negation_flipped_too():
    truth = noisy(np.zeros(12), 30, seed=0)  # nothing but noise: resampled means change places all the time
    rows = store(
        {
            "truth": ("localisation", True, truth),
            "copy": ("faithfulness", True, truth),
            "error": ("faithfulness", False, -truth),
            "independent": ("faithfulness", True, noisy(np.zeros(12), 30, seed=1)),
        }
    )
    table = agreement.trust(rows)
    for name in ("copy", "error"):
        assert one(table, metric=name, truth_metric="truth")[["tau", "tau_low", "tau_high"]].tolist() == [1, 1, 1]
    other = one(table, metric="independent", truth_metric="truth")
    assert other["tau_low"] < other["tau_high"] < 1  # so the replicates do vary


def test_random_metrics_have_a_tau_about_0_and_intervals_that_cover_it_in_19_of_20_cases():
    truth = noisy(np.arange(20), 60, seed=0)
    random = {f"noise {i}": ("faithfulness", True, noisy(np.zeros(20), 60, seed=i)) for i in range(1, 41)}
    table = agreement.trust(store({"truth": ("localisation", True, truth)} | random))
    table = table[table["truth_metric"] == "truth"]
    # of 40 cases 2 are allowed to stray; a binomial exceeds 6 in one of 300 such tests
    assert ((table["tau_low"] > 0) | (table["tau_high"] < 0)).sum() <= 6
    assert (table["tau"].abs() > table["tau_critical"]).sum() <= 6
    assert abs(table["tau"].mean()) < 0.08  # three standard errors: one has a standard deviation of 0.16


def test_a_metric_that_follows_the_truth_is_trusted_more_than_one_that_hardly_does():
    rng = np.random.default_rng(0)
    means = np.arange(20.0)
    rows = store(
        {
            "truth": ("localisation", True, noisy(means, 200, 0)),
            "follows": ("faithfulness", True, noisy(means + rng.normal(0, 1, 20), 200, 1)),
            "hardly": ("faithfulness", True, noisy(means + rng.normal(0, 15, 20), 200, 2)),
        }
    )
    table = agreement.trust(rows)
    follows, hardly = (one(table, metric=name, truth_metric="truth") for name in ("follows", "hardly"))
    assert follows["tau_low"] > hardly["tau_high"]
    assert follows["tau_low"] > follows["tau_critical"]


def test_the_mean_truth_is_the_mean_rank_over_the_ground_truth_metrics():
    rows = store(
        {
            "one": ("localisation", True, [[9.0, 9.0], [5.0, 5.0], [1.0, 1.0]]),  # ranks 1 2 3
            "two": ("localisation", False, [[2.0, 2.0], [1.0, 1.0], [9.0, 9.0]]),  # ranks 2 1 3
            "guess": ("faithfulness", True, [[3.0, 3.0], [2.0, 2.0], [1.0, 1.0]]),
        }
    )
    # mean ranks 1.5 1.5 3: of three pairs the truth leaves one open, and agrees on the others: 2 / sqrt(3 * 2)
    table = agreement.trust(rows)
    assert one(table, truth_metric=MEAN_TRUTH)["tau"] == pytest.approx(2 / np.sqrt(6))
    assert one(table, truth_metric="two")["tau"] == pytest.approx(1 / 3)


def test_taus_are_those_of_the_leaderboards_means():
    rng = np.random.default_rng(0)
    scores = {name: rng.normal(size=(8, 12)) for name in ("truth", "up", "down")}
    scores["up"][2, 5] = np.nan  # method c has a gap on `up`
    scores["down"][:, 3] = np.nan  # sample 3 has no answer on `down`
    rows = store(
        {
            "truth": ("localisation", True, scores["truth"]),
            "up": ("faithfulness", True, scores["up"]),
            "down": ("faithfulness", False, scores["down"]),
        },
        controls="h",
    )
    long = metric_table.long_table(rows)
    long = long[long["rank"].notna() & (long["method"] != "h")]
    means = long.pivot(index="method", columns="metric", values="mean") * {"truth": 1, "up": 1, "down": -1}
    table = agreement.agreement(rows)
    assert len(table) == 3
    for row in table.itertuples():
        both = means[[row.metric_a, row.metric_b]].dropna()
        assert row.tau == pytest.approx(scipy_stats.kendalltau(both[row.metric_a], both[row.metric_b])[0])
        assert row.n_methods == len(both) == (6 if "up" in (row.metric_a, row.metric_b) else 7)
        assert row.n_samples == (11 if "down" in (row.metric_a, row.metric_b) else 12)
        assert row.tau_low <= row.tau_high


def test_a_method_with_a_gap_takes_no_part_where_its_mean_is_not_comparable():
    gap = [*FOUR, [np.nan, 99.0]]
    rows = store({"truth": ("localisation", True, [*FOUR, [0.0, 0.0]]), "guess": ("faithfulness", True, gap)})
    row = one(agreement.trust(rows), truth_metric="truth")
    assert row[["n_methods", "tau"]].tolist() == [4, 1]


def test_controls_and_costs_take_no_part():
    rows = store(
        {
            "truth": ("localisation", True, [*SWAPPED, [-9.0, -9.0]]),
            "guess": ("faithfulness", True, [*FOUR, [-9.0, -9.0]]),
            "seconds": ("cost", False, [*FOUR, [0.0, 0.0]]),
        },
        controls="e",
    )
    tables = agreement.tables(rows)
    assert set(tables.trust["metric"]) == {"guess"}
    assert tables.trust["n_methods"].tolist() == [4, 4]
    assert tables.trust["tau"].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert tables.agreement[["metric_a", "metric_b"]].to_numpy().tolist() == [["guess", "truth"]]


def test_ties_share_a_rank_and_a_metric_that_ties_all_has_no_tau():
    tied = [[1.0, 1.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    other = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [3.0, 3.0]]
    rows = store(
        {
            "truth": ("localisation", True, tied),
            "guess": ("faithfulness", True, other),
            "flat": ("faithfulness", True, np.ones((4, 2))),
        }
    )
    table = agreement.trust(rows)
    # each of the two leaves one pair of six open, not the same; on the other four they agree: 4 / sqrt(5 * 5)
    assert one(table, metric="guess", truth_metric="truth")["tau"] == pytest.approx(0.8)
    flat = one(table, metric="flat", truth_metric="truth")
    assert np.isnan(flat[["tau", "tau_low", "tau_high"]].astype(float)).all()
    square = agreement.clustered(agreement.agreement(rows))
    assert square.loc["flat"].drop("flat").isna().all()


def test_copies_of_a_method_are_tied_in_every_resample_however_sums_round():
    scores = np.repeat(noisy([0.1, 0.7], 301, seed=0), [4, 3], axis=0)  # two methods, in four and three copies
    rows = store({"truth": ("localisation", True, scores), "guess": ("faithfulness", True, scores * 3)})
    row = one(agreement.trust(rows), truth_metric="truth")
    assert row[["tau", "tau_low", "tau_high"]].tolist() == pytest.approx([1, 1, 1])
    assert one(agreement.alphas(rows), metric_family="all")[
        ["alpha", "alpha_low", "alpha_high"]
    ].tolist() == pytest.approx([1, 1, 1])


def test_one_sample_gives_a_tau_and_no_interval():
    rows = store({"truth": ("localisation", True, np.asarray(FOUR)[:, :1]), "guess": ("axiom", True, SWAPPED)})
    rows = rows[rows["sample_id"] == "s0"]
    tables = agreement.tables(rows)
    for table, name in ((tables.trust, "tau"), (tables.agreement, "tau"), (tables.alphas, "alpha")):
        assert len(table)
        assert table[[f"{name}_low", f"{name}_high"]].isna().all(axis=None)
    assert tables.trust["tau"].tolist() == pytest.approx([2 / 3, 2 / 3])


@pytest.mark.parametrize(("other", "tau"), [([[1.0], [2.0]], 1), ([[2.0], [1.0]], -1)])
def test_two_methods_agree_or_not_and_either_is_chance(other, tau):
    rows = store({"truth": ("localisation", True, [[1.0], [2.0]]), "guess": ("faithfulness", True, other)})
    row = one(agreement.trust(rows), truth_metric="truth")
    assert row[["tau", "n_methods", "tau_critical"]].tolist() == [tau, 2, 1]


def test_one_method_has_no_order():
    tables = agreement.tables(
        store({"truth": ("localisation", True, [[1.0]]), "guess": ("faithfulness", True, [[2.0]])})
    )
    assert tables.trust[["tau", "tau_low", "tau_high", "tau_critical"]].isna().all(axis=None)
    assert tables.alphas.empty


def test_a_truth_that_is_undefined_for_all_is_no_truth():
    nothing = {"gone": ("localisation", True, [[1.0], [np.nan]]), "guess": ("faithfulness", True, [[1.0], [2.0]])}
    assert agreement.trust(store(nothing, controls="a")).empty
    known = {"truth": ("localisation", True, [[1.0], [2.0], [3.0]]), "gone": ("localisation", True, [[np.nan]] * 3)}
    table = agreement.trust(store(known | {"guess": ("faithfulness", True, [[1.0], [2.0], [3.0]])}))
    assert table[["truth_metric", "tau"]].to_numpy().tolist() == [[MEAN_TRUTH, 1], ["truth", 1]]


def test_a_silent_metric_is_no_ground_truth_and_does_not_rank_but_is_judged_like_all():
    rows = store(
        {
            "truth": ("localisation", True, FOUR),
            "broken": ("localisation", False, FOUR),
            "guess": ("faithfulness", True, FOUR),
            "dumb": ("faithfulness", False, FOUR),
        }
    )
    tables = agreement.tables(rows, excluded={("toy", "broken"), ("toy", "dumb"), ("other", "truth")})
    assert tables.trust[["truth_metric", "metric", "tau"]].to_numpy().tolist() == [
        [MEAN_TRUTH, "guess", 1],
        [MEAN_TRUTH, "dumb", -1],
        ["truth", "guess", 1],
        ["truth", "dumb", -1],
    ]
    assert len(tables.agreement) == 6
    assert one(tables.alphas, metric_family="ranking")[["n_metrics", "alpha"]].tolist() == [2, 1]
    assert one(tables.alphas, metric_family="all")["n_metrics"] == 4


def test_without_truth_there_is_nothing_to_trust():
    tables = agreement.tables(store({"up": ("faithfulness", True, FOUR), "down": ("faithfulness", False, FOUR)}))
    assert tables.trust.empty
    assert list(tables.trust) == agreement.TRUST_COLUMNS
    assert tables.agreement["tau"].tolist() == [-1]


@pytest.mark.parametrize("family", ["cost", "faithfulness"])
def test_stores_without_anything_to_compare_give_empty_tables(family):
    rows = store({"only": (family, True, FOUR)})
    for frame in (rows, rows[:0], rows.assign(status="failed", score=np.nan)):
        for table, columns in zip(
            agreement.tables(frame),
            (agreement.TRUST_COLUMNS, agreement.AGREEMENT_COLUMNS, agreement.ALPHA_COLUMNS),
            strict=True,
        ):
            assert table.empty
            assert list(table) == columns


def test_alphas_worked_by_hand():
    order = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    rows = store(
        {
            "one": ("faithfulness", True, order),
            "same": ("faithfulness", True, order),
            "opposite": ("complexity", False, order),
            "opposite too": ("complexity", True, order[::-1]),
            "single": ("axiom", True, order),
        }
    )
    table = agreement.alphas(rows).set_index("metric_family")
    assert table.index.tolist() == ["faithfulness", "complexity", "ranking", "all"]
    assert table["n_metrics"].tolist() == [2, 2, 2, 5]
    assert table.loc["faithfulness", ["n_methods", "alpha", "alpha_low", "alpha_high"]].tolist() == [3, 1, 1, 1]
    # five orders, 1 2 3 three times and 3 2 1 twice: squared deviations of units 4.8, 0, 4.8, of all 10
    assert table.loc["all", "alpha"] == pytest.approx(1 - 14 / 15 * (5 / 4) * 9.6 / 10)


def test_alpha_falls_with_a_metric_of_another_opinion_and_skips_what_is_undefined_for_all():
    means = np.arange(10.0)
    agree = {f"m{i}": ("faithfulness", True, noisy(means, 40, i)) for i in range(3)}
    nowhere = {"nowhere": ("faithfulness", True, np.full((10, 40), np.nan))}
    other = {"other": ("faithfulness", True, noisy(means[::-1], 40, 9))}
    plain, gone, mixed = (
        one(agreement.alphas(store(metrics)), metric_family="all")
        for metrics in (agree, agree | nowhere, agree | other)
    )
    assert gone[["n_metrics", "alpha"]].tolist() == plain[["n_metrics", "alpha"]].tolist()
    assert mixed["alpha_high"] < plain["alpha_low"]


def test_tasks_do_not_mix():
    first = store({"truth": ("localisation", True, FOUR), "guess": ("faithfulness", True, SWAPPED)})
    second = store({"truth": ("localisation", True, FOUR), "guess": ("faithfulness", True, FOUR)}, task="other")
    table = agreement.trust(pd.concat([second, first], ignore_index=True))
    assert table["task"].tolist() == ["other", "other", "toy", "toy"]
    assert table["tau"].tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3])


def test_seeds_are_averaged():
    first = store({"truth": ("localisation", True, FOUR), "guess": ("faithfulness", True, np.asarray(FOUR))})
    second = store({"guess": ("faithfulness", True, -2 * np.asarray(FOUR))}).assign(seed=1)
    assert agreement.trust(pd.concat([first, second]))["tau"].tolist() == [-1, -1]


def test_the_same_rows_give_the_same_bytes_in_whatever_order():
    rows = store({f"m{i}": (("localisation", "faithfulness")[i % 2], True, noisy(range(6), 20, i)) for i in range(6)})
    tables = agreement.tables(rows)
    for again in (agreement.tables(rows), agreement.tables(rows.sample(frac=1, random_state=0))):
        for table, other in zip(tables, again, strict=True):
            assert len(table)
            assert table.to_csv(float_format="%.6g") == other.to_csv(float_format="%.6g")


def test_clustering_puts_metrics_that_agree_side_by_side():
    up, down = np.arange(8.0), np.arange(8.0)[::-1]
    metrics = {name: ("faithfulness", True, noisy(up if name in "ace" else down, 30, ord(name))) for name in "abcdef"}
    square = agreement.clustered(agreement.agreement(store(metrics)))
    assert {frozenset(square.index[:3]), frozenset(square.index[3:])} == {frozenset("ace"), frozenset("bdf")}
    assert (square.to_numpy() == square.to_numpy().T).all()
    assert (np.diag(square) == 1).all()
    assert square.loc["a", "c"] > 0.5 > -0.5 > square.loc["a", "b"]


def test_clustering_two_metrics_needs_no_tree():
    square = agreement.clustered(
        agreement.agreement(store({"x": ("axiom", True, FOUR), "y": ("axiom", True, SWAPPED)}))
    )
    assert square.to_numpy().tolist() == pytest.approx(np.array([[1, 2 / 3], [2 / 3, 1]]))
