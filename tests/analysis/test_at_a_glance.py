"""What a board says first: the top group, the random control, and which rows are of older versions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_board import THREE, TWICE, rows

from bench.analysis import inference, task_tables
from bench.analysis.board import FIRST, wide_table
from bench.analysis.overall import overall
from bench.analysis.summary import Summary, sentences, summary
from bench.analysis.versions import outdated


def levels(n: int = 24) -> pd.DataFrame:
    """An oracle far ahead, two methods that are alike, one near the random control, one below it."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(n, 6))
    means = {"oracle": 9.0, "a": 5.0, "b": 5.0, "near": 0.1, "random": 0.0, "below": -5.0}
    found = rows({name: {"up": list(mean + noise[:, i])} for i, (name, mean) in enumerate(means.items())})
    found["method_family"] = found["method"].map({"oracle": "control", "random": "control"}).fillna("test")
    return found


def test_top_group_and_comparison_with_random_worked_by_hand():
    board = wide_table(levels()).set_index("method")
    # the best method is a or b, whichever the samples chose: the oracle explains nothing, but is not worse
    assert board["top_group"].to_dict() == {
        "oracle": "yes",
        "a": "yes",
        "b": "yes",
        "near": "no",
        "random": "no",
        "below": "no",
    }
    assert board["vs_random"].to_dict() == {
        "oracle": "better",
        "a": "better",
        "b": "better",
        "near": "indistinguishable",
        "random": "",
        "below": "worse",
    }


@pytest.mark.parametrize("seed", range(6))
def test_both_follow_from_the_tests_of_the_groups(seed):
    """By one metric the ranks are those on the samples: the tests can be made again here."""
    rng = np.random.default_rng(seed)
    scores = rng.normal([0, 0, 0.5, 1.0, 1.1], 1, size=(16, 5))
    names = ["random", "a", "b", "c", "d"]
    found = rows({name: {"up": list(scores[:, i])} for i, name in enumerate(names)})
    board = overall(found, names, pd.Series({"up": 1.0}), controls=["random"])
    places = inference.ranks(scores, higher_is_better=True)
    p, mean = inference.pairwise(places), places.mean(0)
    best = 1 + int(mean[1:].argmin())  # controls left out
    for i, name in enumerate(names):
        assert board.loc[name, "top_group"] == ("no" if p[i, best] < 0.05 and mean[i] > mean[best] else "yes")
        told = "" if i == 0 else "indistinguishable" if p[i, 0] >= 0.05 else "better" if mean[i] < mean[0] else "worse"
        assert board.loc[name, "vs_random"] == told


def test_without_a_random_control_nothing_is_compared_with_it():
    board = wide_table(rows({name: TWICE[name] for name in ("good", "same")}))
    assert board["vs_random"].tolist() == ["", ""]
    assert board["top_group"].tolist() == ["yes", "yes"]


def test_a_method_without_a_rank_is_in_no_group():
    table = TWICE | {"part": {"up": [99.0, np.nan] * 4, "down": [0.0] * 8}}
    board = wide_table(rows(table)).set_index("method")
    assert board.loc["part", ["top_group", "vs_random", "group"]].tolist() == ["", "", ""]


def test_the_answer_stands_before_the_metrics_and_those_that_count_before_the_others():
    frame = rows(THREE | {"odd": {"up": [np.nan] * 4, "down": [1.0] * 4}})
    frame.loc[frame["metric"] == "up", "metric_family"] = "complexity"
    found = task_tables.of_task(frame, left_out={"toy": ["slow one"]}).wide
    assert list(found) == [*(name for name in FIRST if "localisation" not in name), "down", "up", "seconds", "group"]
    assert found.iloc[-1][["method", "status", "top_group", "outdated"]].tolist() == ["slow one", "not run", "", ""]


def test_summary_counts_methods_and_leaves_out_controls():
    board = wide_table(levels())
    assert summary(board) == Summary(
        n_samples=24,
        methods=tuple(name for name in board["method"] if name not in ("oracle", "random")),
        top_group=tuple(name for name in board["method"] if name in ("a", "b")),
        above_random=tuple(name for name in board["method"] if name in ("a", "b")),
        below_random=("below",),
        random="not last",
        neighbours=5,
        neighbours_distinct=3,  # oracle | a b | near random | below
    )


def test_summary_in_words():
    found = Summary(24, ("a", "b", "c", "d"), ("a", "b"), ("a", "b", "c"), (), "last", 4, 2)
    assert sentences(found) == [
        "a is the best method; 1 of the other 3 cannot be distinguished from it: b.",
        "3 of 4 methods are significantly better than the random control; the control is last.",
        "2 of 4 pairs of neighbours in rank can be distinguished.",
    ]
    assert sentences(summary(wide_table(rows({"a": {"up": [np.nan, np.nan]}})))) == ["No method is ranked."]
    assert sentences(summary(wide_table(rows({"a": {"up": [1.0, 2.0]}})))) == ["a is the only method."]


def test_rows_of_an_older_version_are_marked():
    ids = pd.Series(["a@1", "a@2", "b@1[samples=8]", "gone@1", "a.b@10"])
    assert outdated(ids, {"a": 2, "b": 1, "a.b": 11}).tolist() == ["yes", "no", "no", "", "yes"]
    versions = {"method": {"good": 2, "same": 1}, "metric": {"up": 1, "down": 3, "seconds": 1}}
    found = task_tables.of_task(rows(THREE), versions=versions)
    assert found.wide.set_index("method")["outdated"].to_dict() == {"good": "yes", "same": "no", "random": ""}
    assert found.metrics.set_index("metric")["outdated"].to_dict() == {"down": "yes", "up": "no", "seconds": "no"}
    long = found.long.set_index(["metric", "method"])["outdated"]
    assert long["up"].to_dict() == {"good": "yes", "same": "no", "random": ""}
    assert set(long["down"]) == {"yes"}


def test_only_an_older_version_is_outdated():
    ids = pd.Series(["a@2", "a@1[x=1]", "a@3", "b@1"])
    assert outdated(ids, {"a": 2}).tolist() == ["no", "yes", "no", ""]
