"""Tables worked by hand: three methods, ties, a missing score, two settings of one method, old versions and weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from bench.analysis import metric_table, rank_weights, score_matrix, task_tables
from bench.analysis.board import boards, wide_table, with_left_out
from bench.analysis.wins import win_table

RAISES = {"up": True, "down": False}


def rows(table: dict[str, dict[str, list[float]]], **fields: object) -> pd.DataFrame:
    """method -> metric -> scores per sample, as rows of the store; NaN is an undefined score."""
    found = []
    for method, metrics in table.items():
        for metric, scores in metrics.items():
            for number, score in enumerate(scores):
                row = {
                    "task": "toy",
                    "method": method.split("@")[0] + (f"[{method.split('[')[1]}" if "[" in method else ""),
                    "metric": metric,
                    "task_id": "toy@1",
                    "method_id": method if "@" in method else f"{method}@1",
                    "metric_id": f"{metric}@1",
                    "method_family": "test",
                    "metric_family": "cost" if metric == "seconds" else "faithfulness",
                    "higher_is_better": RAISES.get(metric, False),
                    "label": f"{metric} (%)",
                    "fingerprint": "weights",
                    "seed": 0,
                    "sample_id": f"s{number}",
                    "sample_digest": f"input {number}",
                    "features": 10,
                    "curve": None,
                    "score": score,
                    "status": "undefined" if np.isnan(score) else "ok",
                    "note": "why" if np.isnan(score) else "",
                    "written": "2026-01-01",
                }
                found.append(row | fields)
    return pd.DataFrame(found)


THREE = {
    "random": {"up": [0.0, 1.0, 2.0, 1.0], "down": [9.0, 9.0, 8.0, 10.0], "seconds": [0.0] * 4},
    "good": {"up": [5.0, 6.0, 7.0, 6.0], "down": [1.0, 2.0, 1.0, 0.0], "seconds": [2.0] * 4},
    "same": {"up": [6.0, 5.0, 6.0, 7.0], "down": [2.0, 1.0, 0.0, 1.0], "seconds": [1.0] * 4},
}


# The same samples twice: with four, not even a gap that never varies says anything (2 / 2^4 = 0.125).
TWICE = {name: {metric: scores * 2 for metric, scores in metrics.items()} for name, metrics in THREE.items()}


def test_a_board_worked_by_hand():
    board = wide_table(rows(THREE)).set_index("method")
    assert board.index.tolist() == ["good", "same", "random"]
    assert board["rank"].tolist() == [1.5, 1.5, 3]
    assert board["mean_rank"].tolist() == [1.5, 1.5, 3]
    assert board["up"].tolist() == [6, 6, 1]
    assert board["down"].tolist() == [1, 1, 9]
    assert board["seconds"].tolist() == [2, 1, 0]
    assert board.loc["random", ["rank_low", "rank_high"]].tolist() == [1, 3]  # four samples prove nothing
    # what `good` gains on `up` it loses on `down`, on every sample
    assert board.loc["good", ["mean_rank_low", "mean_rank_high"]].tolist() == [1.5, 1.5]
    twice = wide_table(rows(TWICE)).set_index("method")
    assert twice["rank_low"].to_dict() == {"good": 1, "same": 1, "random": 3}
    assert twice["rank_high"].to_dict() == {"good": 2, "same": 2, "random": 3}
    # `good` and `same` are equal, and so many samples do not exist; `random` is always 1.5 ranks behind, and of three tests
    # one finds what seven samples agree on: 2 / 2^7 < 0.05 / 3
    assert twice["n_required_vs_best"].to_dict() == pytest.approx(
        {"good": np.nan, "same": np.inf, "random": 7}, nan_ok=True
    )
    assert (board["n_samples"] == 4).all()
    assert (board["status"] == "complete").all()


def test_a_long_table_worked_by_hand():
    table = metric_table.long_table(rows(TWICE)).set_index(["metric", "method"])
    assert table.loc["up", "rank"].to_dict() == {"good": 1.5, "same": 1.5, "random": 3}
    assert table.loc["down", "rank"].to_dict() == {"good": 1.5, "same": 1.5, "random": 3}
    assert table.loc["up", "group"].to_dict() == {"good": "a", "same": "a", "random": "b"}
    assert table.loc[("up", "good"), "mean_low"] >= 5
    assert table.loc[("up", "good"), "mean_high"] <= 7
    assert (table["status"] == "ok").all()


def test_costs_take_no_part_in_ranks():
    cheap = {name: metrics | {"seconds": [float(i)] * 4} for i, (name, metrics) in enumerate(THREE.items())}
    dear = {name: metrics | {"seconds": [9.0 - i] * 4} for i, (name, metrics) in enumerate(THREE.items())}
    ranks = [wide_table(rows(table)).set_index("method")["rank"].to_dict() for table in (cheap, dear)]
    assert ranks[0] == ranks[1]


def test_a_method_with_a_missing_score_is_listed_last_without_a_rank():
    table = THREE | {"best": {"up": [99.0, 99.0, np.nan, 99.0], "down": [0.0] * 4, "seconds": [0.0] * 4}}
    board = wide_table(rows(table)).set_index("method")
    assert board.index.tolist() == ["good", "same", "random", "best"]
    assert board.loc["best", "status"] == "incomplete"
    assert np.isnan(board.loc["best", "rank"])
    assert board.loc["best", "up"] == 99
    assert board["rank"].tolist()[:3] == [1.5, 1.5, 3]
    long = metric_table.long_table(rows(table)).set_index(["metric", "method"])
    assert long.loc[("up", "best"), "status"] == "undefined 1 of 4"
    assert long.loc[("up", "best"), "n_samples"] == 3
    assert long.loc[("up", "best"), "group"] == ""


def test_a_method_with_fewer_samples_is_incomplete():
    table = THREE | {"new": {"up": [9.0, 9.0], "down": [0.0, 0.0], "seconds": [0.0] * 2}}
    board = wide_table(rows(table)).set_index("method")
    assert board.loc["new", ["status", "n_samples"]].tolist() == ["incomplete", 2]
    assert board.index[-1] == "new"


def test_a_sample_on_which_a_metric_is_undefined_for_all_counts_for_none():
    table = {name: metrics | {"up": [np.nan, *metrics["up"][1:]]} for name, metrics in THREE.items()}
    board = wide_table(rows(table)).set_index("method")
    assert (board["status"] == "complete").all()
    assert board.loc["random", "up"] == pytest.approx(4 / 3)
    assert metric_table.long_table(rows(table)).set_index(["metric", "method"]).loc[("up", "good"), "n_samples"] == 3


def test_two_settings_of_a_method_are_two_methods():
    table = {"smooth@1[samples=8]": THREE["good"], "smooth@1[samples=32]": THREE["same"], "random": THREE["random"]}
    board = wide_table(rows(table))
    assert sorted(board["method"]) == ["random", "smooth[samples=32]", "smooth[samples=8]"]


def test_only_the_newest_version_counts_even_if_its_defaults_changed():
    old = rows({"good@1": THREE["random"]}, written="2026-01-01")
    new = rows({"good@2": THREE["good"]}, method_id="good@2[steps=9]", written="2025-12-31")
    assert score_matrix.current(pd.concat([new, old]))["method_id"].unique().tolist() == ["good@2[steps=9]"]


def test_a_score_of_an_input_that_has_changed_since_counts_no_more():
    old = rows({"random": {"up": [1.0, 2.0]}, "good": {"up": [1.0, 2.0]}})
    changed = rows({"good": {"up": [9.0]}}, sample_digest="changed", written="2026-02-02")
    frame = pd.concat([old[(old["method"] != "good") | (old["sample_id"] != "s0")], changed], ignore_index=True)
    board = wide_table(score_matrix.current(frame)).set_index("method")
    assert board["n_samples"].to_dict() == {"good": 2, "random": 1}
    assert board.loc["random", "status"] == "incomplete"


def test_costs_get_no_rank_no_group_and_no_interval():
    table = metric_table.long_table(rows(THREE)).set_index("metric").loc["seconds"]
    assert table[["rank", "mean_low", "mean_high"]].isna().all(axis=None)
    assert (table["group"] == "").all()


def test_one_sample_is_no_ground_for_an_interval():
    one = {name: {"up": metrics["up"][:1]} for name, metrics in THREE.items()}
    assert wide_table(rows(one))[["rank_low", "rank_high"]].isna().all(axis=None)
    assert metric_table.long_table(rows(one))[["mean_low", "mean_high"]].isna().all(axis=None)


def test_rank_intervals_end_at_ranks():
    rng = np.random.default_rng(0)
    noise = {name: {"up": list(rng.normal(size=12))} for name in "abcde"}
    board = wide_table(rows(noise))
    assert ((board[["rank_low", "rank_high"]] * 2) % 1 == 0).all(axis=None)


def test_seeds_are_averaged_per_sample():
    first = rows({"random": {"up": [0.0, 2.0]}})
    second = rows({"random": {"up": [2.0, 2.0]}}, seed=1)
    table = metric_table.long_table(pd.concat([first, second]))
    assert table[["n_samples", "mean"]].iloc[0].tolist() == [2, 1.5]


@pytest.mark.parametrize("methods", [["random"], ["good"], ["good", "same"]])
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("metrics", [["up"], ["seconds"], ["up", "down", "seconds"]])
def test_small_and_partial_stores_make_tables(methods, samples, metrics):
    table = {name: {metric: THREE[name][metric][:samples] for metric in metrics} for name in methods}
    board = wide_table(rows(table))
    assert sorted(board["method"]) == sorted(methods)
    assert board["rank"].notna().all() == (metrics != ["seconds"])
    assert (board["status"] == "complete").all()
    assert len(metric_table.long_table(rows(table))) == len(methods) * len(metrics)


def test_all_methods_undefined_makes_a_table_without_ranks():
    board = wide_table(rows({"a": {"up": [np.nan, np.nan]}, "b": {"up": [np.nan, np.nan]}}))
    assert board["rank"].isna().all()
    assert (board["status"] == "undefined").all()


def test_what_was_left_out_has_a_line_until_it_has_been_run():
    board = wide_table(rows(THREE))
    told = with_left_out(board, {"toy": ["slow one", "good"], "another": ["x"]})
    assert told["method"].tolist() == [*board["method"], "slow one"]
    assert told.iloc[-1][["n_samples", "status"]].tolist() == [0, "not run"]
    assert with_left_out(board, {}).equals(board)


def test_failures_are_grouped_by_reason():
    table = score_matrix.failures(rows({"a": {"up": [np.nan, 1.0, np.nan]}, "b": {"up": [1.0, 1.0, 1.0]}}))
    assert table.to_dict("records") == [
        {"task": "toy", "method": "a", "metric": "up", "status": "undefined", "note": "why", "n_samples": 2}
    ]


def test_mean_curves_by_hand():
    frame = rows({"a": {"down": [0.5] * 8}})
    frame["curve"] = [np.array([1.0, 0.5, 0.0]), np.array([1.0, 0.7, 0.2])] * 4
    frame["metric_family"] = "faithfulness"
    curves = score_matrix.mean_curves(frame)
    assert curves["share"].tolist() == [0, 0.5, 1]
    assert curves["p"].tolist() == pytest.approx([1, 0.6, 0.1])
    assert curves.loc[0, ["p_low", "p_high"]].tolist() == [1, 1]
    assert 0.5 <= curves.loc[1, "p_low"] < 0.6 < curves.loc[1, "p_high"] <= 0.7
    seeds = pd.concat([frame, frame.assign(seed=1)], ignore_index=True)  # the same samples again are no more samples
    pd.testing.assert_frame_equal(score_matrix.mean_curves(seeds), curves)


def test_row_order_does_not_change_the_tables():
    frame = rows(THREE)
    shuffled = frame.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(wide_table(shuffled), wide_table(frame))
    pd.testing.assert_frame_equal(metric_table.long_table(shuffled), metric_table.long_table(frame))


def truth_rows() -> pd.DataFrame:
    """A localisation metric on four methods and six samples."""
    table = {
        "oracle": {"up": [1.0] * 6},
        "half": {"up": [0.6, 0.5, 0.7, 0.6, 0.5, 0.7]},
        "random": {"up": [0.2, 0.1, 0.3, 0.2, 0.3, 0.1]},
        "upside": {"up": [0.1, 0.0, 0.1, 0.0, 0.1, 0.0]},
    }
    found = rows(table, metric_family="localisation")
    found["method_family"] = found["method"].map({"oracle": "control", "random": "control"}).fillna("test")
    return found


def test_skill_is_0_for_random_and_1_for_the_oracle():
    table = metric_table.long_table(truth_rows()).set_index("method")
    assert table.loc["oracle", "skill"] == pytest.approx(1)
    assert table.loc["random", "skill"] == 0
    assert table.loc["half", "skill"] == pytest.approx((0.6 - 0.2) / (1 - 0.2))
    assert table.loc["upside", "skill"] == pytest.approx((0.05 - 0.2) / (1 - 0.2))
    assert table.loc["random", "skill_low"] < 0 < table.loc["random", "skill_high"]
    assert (table["skill_low"] <= table["skill"]).all()
    assert (table["skill"] <= table["skill_high"]).all()


def test_skill_without_an_oracle_is_the_standardised_mean_difference():
    table = metric_table.long_table(rows(THREE)).set_index(["metric", "method"])
    noise, good = np.array(THREE["random"]["down"]), np.array(THREE["good"]["down"])  # lower is better
    spread = np.sqrt((noise.var(ddof=1) + good.var(ddof=1)) / 2)
    assert table.loc[("down", "good"), "skill"] == pytest.approx((noise.mean() - good.mean()) / spread)
    assert table.loc[("down", "random"), "skill"] == 0
    assert table.loc[("up", "good"), "skill"] > 0


def test_a_metric_by_which_most_methods_do_not_beat_random_is_uninformative_and_has_no_say():
    n = 8
    spread = np.tile([0.0, 1.0], n // 2)
    table = {
        "random": {"up": list(5 + spread), "down": list(5 + spread)},
        "good": {"up": list(9 + spread), "down": list(5.1 - spread)},
        "bad": {"up": list(8 + spread), "down": list(4.9 + spread[::-1])},
        "third": {"up": list(7 + spread), "down": list(6 + spread)},
    }
    long = metric_table.long_table(rows(table))
    told = metric_table.metric_table(long).set_index("metric")
    assert told["informative"].to_dict() == {"up": "yes", "down": "no"}
    assert told["rank_weight"].to_dict() == {"up": 1, "down": 0}
    assert told.loc["up", "share_beats_random"] == 1
    board = boards(rows(table), long).set_index("method")
    assert board["mean_rank"].to_dict() == {"good": 1, "bad": 2, "third": 3, "random": 4}
    assert "down" in board  # its column stays


def test_a_metric_that_fails_its_checks_keeps_its_column_and_has_no_say():
    long = metric_table.long_table(rows(THREE), {"down@1": "fail", "up@1": "pass"})
    told = metric_table.metric_table(long).set_index("metric")
    assert told["conformance"].to_dict() == {"down": "fail", "up": "pass", "seconds": ""}
    board = boards(rows(THREE), long).set_index("method")
    assert board["mean_rank"].to_dict() == {"good": 1.5, "same": 1.5, "random": 3}
    assert board.loc["good", "down"] == 1


def test_metrics_that_say_the_same_share_one_vote():
    """`down` is `up` upside down but for a little noise, in other units; `third` puts the methods in the reverse order."""
    rng = np.random.default_rng(0)
    names, n = ["a", "b", "c"], 30
    up = rng.normal(size=(n, 1)) + [0.9, 0.5, 0.1] + 0.3 * rng.normal(size=(n, 3))
    down = 7 - 5 * up + 0.1 * rng.normal(size=(n, 3))
    third = [0.1, 0.5, 0.9] + 0.3 * rng.normal(size=(n, 3))
    found = rows({name: {"up": list(up[:, m]), "down": list(down[:, m])} for m, name in enumerate(names)})
    other = rows({name: {"up": list(third[:, m])} for m, name in enumerate(names)})
    found = pd.concat([found, other.assign(metric="third", metric_id="third@1")], ignore_index=True)
    long = metric_table.long_table(found)
    told = metric_table.metric_table(long).set_index("metric")
    assert told["rank_weight"].to_dict() == {"down": 0.5, "up": 0.5, "third": 1}
    assert told["redundancy_group"].to_dict() == {"down": "down", "up": "down", "third": "third"}
    board = boards(found, long).set_index("method")
    ranks = {
        metric: scipy_stats.rankdata(-values, axis=1).mean(0)
        for metric, values in {"up": up, "down": -down, "third": third}.items()
    }
    expected = (ranks["up"] + ranks["down"]) / 4 + ranks["third"] / 2
    np.testing.assert_allclose(board.loc[names, "mean_rank"].to_numpy(float), expected)
    few = found[found["sample_id"].isin(sorted(found["sample_id"].unique())[: rank_weights.FEWEST - 1])]
    assert set(metric_table.long_table(few)["rank_weight"]) == {1}


def test_methods_are_ranked_on_each_sample_and_ranks_are_averaged():
    """On three of four samples `often` is first, by a little; on one it is last, by far. Its mean is the lowest."""
    table = {
        "often": {"up": [2.0, 2.0, 2.0, -9.0]},
        "never": {"up": [1.0, 1.0, 1.0, 1.0]},
        "other": {"up": [0.0, 0.0, 0.0, 2.0]},
    }
    board = wide_table(rows(table)).set_index("method")
    assert board["mean_rank"].to_dict() == {"often": 6 / 4, "never": 8 / 4, "other": 10 / 4}
    assert board["rank"].to_dict() == {"often": 1, "never": 2, "other": 3}
    assert board["up"].idxmin() == "often"


def test_a_sample_on_which_one_metric_is_undefined_counts_by_the_others():
    """`up` puts a, b on both samples; `down` is defined on the second alone, and puts b, a there."""
    table = {"a": {"up": [2.0, 2.0], "down": [np.nan, 1.0]}, "b": {"up": [1.0, 1.0], "down": [np.nan, 0.0]}}
    board = wide_table(rows(table)).set_index("method")
    assert board["mean_rank"].to_dict() == {"a": (1 + 1.5) / 2, "b": (2 + 1.5) / 2}


def test_where_no_method_is_complete_there_are_tables_without_ranks_and_wins():
    nan = np.nan
    broken = {
        "a": {"up": [1.0, nan, 3.0], "down": [1.0, 2.0, 3.0]},
        "b": {"up": [1.0, 2.0, 3.0], "down": [1.0, 2.0, nan]},
    }
    found = task_tables.of_task(rows(broken))
    assert found.wins.empty
    assert found.wide["rank"].isna().all()
    assert found.wide["status"].tolist() == ["incomplete"] * 2


def test_a_method_that_has_costs_only_is_incomplete():
    board = wide_table(rows({"a": {"up": [1.0, 2.0], "seconds": [1.0, 1.0]}, "b": {"seconds": [1.0, 2.0]}}))
    assert board.set_index("method")["status"].to_dict() == {"a": "complete", "b": "incomplete"}


def test_of_two_that_tie_no_number_of_samples_would_tell_the_second():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 7))
    table = {
        name: {metric: list(np.concatenate(halves)) for metric in ("up", "down")}
        for name, halves in (("a", (one, other)), ("b", (other, one)), ("c", (one - 3, other + 5)))
    }
    board = wide_table(rows(table)).set_index("method")
    required = board["n_required_vs_best"]
    assert sorted(required[["a", "b"]].fillna(-1)) in ([-1, np.inf], [required.min()] * 2)
    known = required.dropna()
    assert (known < 1e9).sum() + np.isinf(known).sum() == 2


def test_wins_worked_by_hand():
    """On `up` good and same win two of four; on `down` the same; random never wins."""
    found = rows(THREE)
    wins = win_table(found, metric_table.long_table(found)).set_index(["method", "opponent"])["win_rate"]
    assert wins.to_dict() == {
        ("good", "same"): 0.5,
        ("same", "good"): 0.5,
        ("good", "random"): 1,
        ("same", "random"): 1,
        ("random", "good"): 0,
        ("random", "same"): 0,
    }


def test_a_methods_mean_rank_follows_from_its_wins():
    """Ranked first to last on a sample: one plus the methods that win against it, a tie counting half."""
    rng = np.random.default_rng(0)
    found = rows(
        {name: {"up": list(rng.integers(0, 4, 12) * 1.0), "down": list(rng.normal(size=12))} for name in "abcd"}
    )
    long = metric_table.long_table(found)
    wins = win_table(found, long).groupby("opponent")["win_rate"].sum()
    board = boards(found, long).set_index("method")["mean_rank"]
    np.testing.assert_allclose(board.sort_index().to_numpy(float), 1 + wins.sort_index().to_numpy(float))


def test_a_metric_that_has_no_number_for_the_random_control_has_no_vote():
    broken = {name: {"up": list(scores["up"]), "down": list(scores["down"])} for name, scores in THREE.items()}
    broken["random"]["down"][2] = np.nan
    long = metric_table.long_table(rows(broken))
    assert metric_table.metric_table(long).set_index("metric")["rank_weight"].to_dict() == {"down": 0, "up": 1}
    board = boards(rows(broken), long).set_index("method")
    assert board["rank"].to_dict() == {"good": 1.5, "same": 1.5, "random": 3}


def test_a_random_control_that_failed_on_a_sample_does_not_speak_against_the_metric():
    """Where it is undefined the metric has no number for noise; a failure is tried again."""
    broken = {name: {"up": list(scores["up"]), "down": list(scores["down"])} for name, scores in THREE.items()}
    broken["random"]["down"][2] = np.nan
    frame = rows(broken)
    failed = frame.assign(status=frame["status"].replace("undefined", "failed"))
    reasons = [
        metric_table.metric_table(metric_table.long_table(some)).set_index("metric")["exclusion_reason"]["down"]
        for some in (frame, failed)
    ]
    assert reasons == ["no_random_score", ""]


@pytest.mark.parametrize(
    ("n", "correlation", "weight"), [(40, 0.93, 1.0), (40, 0.97, 0.5), (5, 0.97, 0.5), (4, 0.97, 1.0)]
)
def test_metrics_share_a_vote_above_a_correlation_of_095_on_five_samples_or_more(n, correlation, weight):
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, n, 4))
    one = one - one.mean(1, keepdims=True)
    other = other - other.mean(1, keepdims=True)
    other -= (one * other).sum() / (one * one).sum() * one  # uncorrelated, then of the same size
    other *= np.sqrt((one * one).sum() / (other * other).sum())
    mixed = correlation * one + np.sqrt(1 - correlation**2) * other
    frame = rows({name: {"up": list(one[:, m]), "down": list(-mixed[:, m])} for m, name in enumerate("abcd")})
    assert set(metric_table.long_table(frame)["rank_weight"]) == {weight}


def test_a_localisation_metric_that_puts_a_map_above_the_truth_has_no_vote():
    table = {"oracle": {"up": [1.0] * 6, "other": [1.0] * 6}, "random": {"up": [0.2, 0.3] * 3, "other": [0.3, 0.1] * 3}}
    table["method"] = {"up": [0.9, 0.8] * 3, "other": [0.7, 1.5] * 3}
    found = rows(table).assign(metric_family="localisation", higher_is_better=True)
    found["method_family"] = found["method"].map({"oracle": "control", "random": "control"}).fillna("test")
    told = metric_table.metric_table(metric_table.long_table(found)).set_index("metric")
    assert told["exclusion_reason"].to_dict() == {"up": "", "other": "beats_oracle"}
    assert told["rank_weight"].to_dict() == {"up": 1, "other": 0}


def test_each_family_counts_once_however_many_metrics_it_has():
    """Two faithfulness metrics say a, b, c; one localisation metric says c, b, a: on the whole all are alike."""
    table = {
        "a": {"up": [3.0, 3.0], "down": [1.0, 1.0], "truth": [0.0, 0.0]},
        "b": {"up": [2.0, 2.0], "down": [2.0, 2.0], "truth": [1.0, 1.0]},
        "c": {"up": [1.0, 1.0], "down": [3.0, 3.0], "truth": [2.0, 2.0]},
    }
    found = rows(table)
    truth = found["metric"] == "truth"
    found.loc[truth, ["metric_family", "higher_is_better"]] = ["localisation", True]
    board = wide_table(found).set_index("method")
    assert board["mean_rank_faithfulness"].to_dict() == {"a": 1, "b": 2, "c": 3}
    assert board["mean_rank_localisation"].to_dict() == {"a": 3, "b": 2, "c": 1}
    for end in ("low", "high"):
        assert board[f"mean_rank_localisation_{end}"].to_dict() == {"a": 3, "b": 2, "c": 1}
    assert board["mean_rank"].to_dict() == {"a": 2, "b": 2, "c": 2}
    assert set(board["group"]) == {"a"}
    assert board[["mean_rank_low", "mean_rank_high"]].eq(2).all(axis=None)


def test_tests_of_each_method_against_the_best_and_random_worked_by_hand():
    """`good` beats `random` by 5, 5, 5, 5 and `same` by -1, 1, 1, -1 on `up`; on `down` it is beaten by nobody."""
    long = metric_table.long_table(rows(THREE)).set_index(["metric", "method"])
    up = long.loc["up"]
    # a gap that never varies: four equal signs come up in 2 of 16 cases, and there are two tests
    assert up.loc["good", ["p_vs_random", "superiority"]].tolist() == [2 * 2 / 16, 1]
    assert np.isnan(up.loc["random", "p_vs_random"])
    assert up.loc["random", "superiority"] == 0.5
    # against the best, which the samples chose, there are as many tests as pairs: three
    assert up["p_vs_best"].to_dict() == pytest.approx({"good": np.nan, "same": 1, "random": 0.375}, nan_ok=True)
    # ranks per sample: good, same, random 2 1 3, 1 2 3, 1 2 3, 2 1 3: sums 6, 6, 12; 12 / (4 * 3 * 4) * 216 - 3 * 4 * 4 = 6
    assert up["p_friedman"].iloc[0] == pytest.approx(np.exp(-6 / 2))  # chi-squared of two degrees of freedom
    assert up["n_required_top_two"].iloc[0] == np.inf  # the first two are equal


def test_a_metric_that_is_undefined_for_all_on_some_samples_keeps_its_vote():
    """The random control lacks nothing that others have."""
    broken = {name: {metric: [np.nan, *scores[1:]] for metric, scores in own.items()} for name, own in TWICE.items()}
    told = metric_table.metric_table(metric_table.long_table(rows(broken))).set_index("metric")
    assert told.loc[["up", "down"], "exclusion_reason"].tolist() == ["", ""]
    assert told.loc[["up", "down"], "rank_weight"].tolist() == [0.5, 0.5]  # they are alike


def test_a_method_that_a_metric_has_no_score_of_does_not_speak_against_the_metric():
    found = {"random": TWICE["random"], "good": TWICE["good"]} | {f"absent {i}": {"up": [np.nan] * 8} for i in range(4)}
    told = metric_table.metric_table(metric_table.long_table(rows(found))).set_index("metric")
    assert told.loc["up", ["share_beats_random", "informative", "exclusion_reason"]].tolist() == [1, "yes", ""]


def test_a_method_that_was_scored_on_easy_samples_only_does_not_surpass_the_truth():
    easy = [0.9, 0.9, 0.9] + [0.3] * 5
    table = {"oracle": {"up": easy}, "random": {"up": [0.1, 0.2] * 4}, "part": {"up": [0.85] * 3 + [np.nan] * 5}}
    found = rows(table, metric_family="localisation")
    assert metric_table.metric_table(metric_table.long_table(found))["exclusion_reason"].tolist() == [""]


def test_a_copy_that_differs_by_rounding_has_the_same_rank_and_group():
    rng = np.random.default_rng(0)
    one, other = rng.normal(1, 1, (2, 30)), rng.normal(0, 1, (2, 30))
    copy = one + 1e-8
    table = {n: {"up": list(v[0]), "down": list(-v[1])} for n, v in (("one", one), ("copy", copy), ("other", other))}
    board = wide_table(rows(table)).set_index("method")
    assert board.loc["one", ["rank", "group", "mean_rank"]].equals(board.loc["copy", ["rank", "group", "mean_rank"]])
    long = metric_table.long_table(rows(table)).set_index(["metric", "method"])
    assert long.loc[("up", "one"), ["rank", "group"]].equals(long.loc[("up", "copy"), ["rank", "group"]])


def test_where_no_metric_votes_a_method_is_complete_that_has_every_score():
    table = {"a": {"up": [1.0, 2.0, 3.0]}, "b": {"up": [1.0, np.nan, np.nan]}, "c": {"up": [np.nan] * 3}}
    found = rows(table)
    board = boards(found, metric_table.long_table(found, {"up@1": "fail"})).set_index("method")
    assert board["status"].to_dict() == {"a": "complete", "b": "incomplete", "c": "undefined"}


def test_where_no_metric_has_a_say_there_is_no_rank():
    long = metric_table.long_table(rows(THREE), {"down@1": "fail", "up@1": "fail"})
    board = boards(rows(THREE), long)
    assert board["rank"].isna().all()
    assert (board["status"] == "complete").all()


@pytest.mark.parametrize(("metrics", "told"), [(3, "yes"), (4, "")])
def test_among_many_metrics_more_samples_are_needed_to_say_anything(metrics, told):
    """Of six samples that agree p is 1/64: below 0.05 / 3, and above 0.05 / 4."""
    rng = np.random.default_rng(0)
    table = {name: rng.normal(5.0 * (name != "random"), 0.1, (metrics, 6)) for name in ("random", "a", "b")}
    frame = rows({name: {f"m{k}": list(-scores) for k, scores in enumerate(own)} for name, own in table.items()})
    assert set(metric_table.long_table(frame)["informative"]) == {told}


def test_few_samples_say_nothing_of_a_metric():
    table = metric_table.metric_table(metric_table.long_table(rows(THREE)))
    assert (table["informative"] == "").all()
