"""What changed between two runs, worked by hand; and the command, on real runs of a method that was made worse."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import registries_put_back
from scipy import stats as scipy_stats
from test_board import rows

from bench.analysis import comparison, inference
from bench.cli.main import main
from bench.report import markup

BEFORE = {
    "a": {"up": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] * 2, "seconds": [1.0] * 12},
    "b": {"up": [2.0, 2.0, 2.0, 3.0, 3.0, 3.0] * 2, "seconds": [1.0] * 12},
    "c": {"up": [5.0, 4.0, 5.0, 4.0, 5.0, 4.0] * 2, "seconds": [1.0] * 12},
}


def compared(after: dict, **fields: object) -> pd.DataFrame:
    """method and metric -> what is told of them."""
    table = comparison.judged([comparison.of_task(rows(BEFORE), rows(BEFORE | after, **fields))])
    return table.set_index(["method", "metric"])


def exact(gap: np.ndarray) -> float:
    """p of twelve differences by all exchanges of signs."""
    test = scipy_stats.permutation_test((gap,), np.mean, permutation_type="samples", n_resamples=np.inf)
    return float(test.pvalue)


def test_differences_intervals_and_verdicts_by_hand():
    gaps = {"a": [1.0, 2, 1, 2, 1, 2], "b": [-0.5, -1, -0.5, -1, -0.5, -0.5], "c": [1.0, -1, 1, -1, 0.5, 0]}
    gaps = {name: np.array(gap * 2) for name, gap in gaps.items()}
    after = {name: {"up": list(np.array(BEFORE[name]["up"]) + gap)} for name, gap in gaps.items()}
    table = compared(after).xs("up", level="metric")
    assert table["difference"].to_dict() == pytest.approx({name: gap.mean() for name, gap in gaps.items()})
    assert table["before"].to_dict() == pytest.approx({"a": 3.5, "b": 2.5, "c": 4.5})
    assert table["after"].to_dict() == pytest.approx(
        {name: table["before"][name] + gap.mean() for name, gap in gaps.items()}
    )
    p = {name: exact(gap) for name, gap in gaps.items()}
    expected = dict(zip(p, inference.holm(np.array(list(p.values()))), strict=True))
    assert table["p"].to_dict() == pytest.approx(expected)
    assert table["verdict"].to_dict() == {"a": "better", "b": "worse", "c": "unclear"}
    low, high = inference.interval(inference.bootstrap_means(gaps["a"][:, None]), 12)
    assert table.loc["a", ["difference_low", "difference_high"]].tolist() == pytest.approx([low[0], high[0]])


def test_where_lower_is_better_less_is_better():
    before = rows({"a": {"down": [5.0, 6.0, 7.0, 8.0, 9.0, 9.0]}})
    after = rows({"a": {"down": [4.0, 4.9, 6.1, 7.0, 8.1, 7.9]}})
    assert comparison.judged([comparison.of_task(before, after)])["verdict"].tolist() == ["better"]


def test_rounding_is_no_change_and_no_test():
    """Scores that float32 sums in another order would give; the one method that did change is not paid for by the others."""
    after = {name: {"up": list(np.array(scores["up"]) * (1 + 3e-7))} for name, scores in BEFORE.items()}
    table = compared(after)
    assert set(table.xs("up", level="metric")["verdict"]) == {"same"}
    gap = np.array([0.1, 0.4, 0.1, 0.2, -0.3, 0.2] * 2)
    after["a"] = {"up": list(np.array(BEFORE["a"]["up"]) + gap)}
    assert compared(after).loc[("a", "up"), "p"] == pytest.approx(exact(gap))


def test_costs_are_told_and_never_judged():
    table = compared({"a": BEFORE["a"] | {"seconds": [9.0, 8.0] * 6}})
    assert table.loc[("a", "seconds"), ["verdict", "difference"]].tolist() == ["cost", 7.5]
    assert np.isnan(table.loc[("a", "seconds"), "p"])
    assert not comparison.regressed(table)


def test_a_cost_that_is_gone_is_no_loss():
    table = compared({"a": BEFORE["a"] | {"seconds": [np.nan] * 4 + [9.0] * 8}})
    assert table.loc[("a", "seconds"), ["verdict", "n_lost", "n_samples"]].tolist() == ["cost", 0, 8]
    assert not comparison.regressed(table)


def test_means_are_over_the_samples_that_both_scored():
    table = compared({"a": {"up": [np.nan, 2.0, 3.0, 4.0, 5.0, 6.0] * 2}})
    assert table.loc[("a", "up"), ["before", "after", "difference"]].tolist() == [4, 4, 0]


def test_a_method_that_is_worse_and_lost_scores_stays_worse():
    table = compared({"a": {"up": [np.nan, *(score - 9 - score / 7 for score in BEFORE["a"]["up"][1:])]}})
    assert table.loc[("a", "up"), ["verdict", "n_lost"]].tolist() == ["worse", 1]


def test_a_score_that_is_gone_is_a_regression_and_a_new_one_is_not():
    table = compared({"a": {"up": [np.nan, 2.0, 3.0, 4.0, 5.0, np.nan] * 2}})
    assert table.loc[("a", "up"), ["n_lost", "n_samples", "verdict"]].tolist() == [4, 8, "lost"]
    assert comparison.regressed(table)
    turned = comparison.of_task(rows({"a": {"up": [np.nan, 2.0]}}), rows({"a": {"up": [1.0, 2.0]}}))
    assert not comparison.regressed(comparison.judged([turned]))


def test_a_method_that_is_gone_is_lost_and_samples_that_were_not_asked_are_not():
    after = rows({"a": BEFORE["a"], "b": {"up": BEFORE["b"]["up"][:8], "seconds": [1.0] * 8}})
    table = comparison.judged([comparison.of_task(rows(BEFORE), after)]).set_index(["method", "metric"])
    assert table.loc[("c", "(all)"), ["verdict", "n_lost", "n_samples"]].tolist() == ["lost", 12, 0]
    assert table.loc[("b", "up"), ["verdict", "n_lost", "n_samples"]].tolist() == ["same", 0, 8]
    assert comparison.regressed(table.reset_index())
    chosen = comparison.judged([comparison.of_task(rows(BEFORE), after, methods=["a", "b"])])
    assert not comparison.regressed(chosen)
    nothing = comparison.judged([comparison.of_task(rows(BEFORE), after.iloc[:0])])
    assert nothing[["method", "verdict"]].to_numpy().tolist() == [[name, "lost"] for name in "abc"]
    assert "| c        | (all)" in markup.comparison_markdown(table.reset_index(), before="A", after="B")


def test_residues_of_rounding_are_no_change():
    """What is exactly 0 in one order of summing is 1e-8 in another; the metric's scale is that of all methods."""
    before = BEFORE | {"exact": {"up": [0.0] * 12}}
    after = before | {"exact": {"up": [7e-9] * 12}}
    table = comparison.judged([comparison.of_task(rows(before), rows(after), methods=["exact"])])
    assert table["verdict"].tolist() == ["same"]


def test_where_no_change_could_be_significant_that_is_told():
    """Eight samples that agree give 2 / 2^8; of seven such tests Holm's first is 0.055."""
    down = {f"m{i}": {"up": [1.0 + i] * 8} for i in range(7)}
    gone = {f"m{i}": {"up": [0.0] * 8} for i in range(7)}
    table = comparison.judged([comparison.of_task(rows(down), rows(gone))])
    assert set(table["verdict"]) == {"unclear"}
    assert comparison.too_few(table) == ["toy"]
    assert "Too few samples** of toy: among 7 tests none can be significant" in markup.comparison_markdown(
        table, before="A", after="B"
    )
    table = comparison.judged([comparison.of_task(rows(down), rows(gone), methods=["m[0-5]"])])
    assert set(table["verdict"]) == {"worse"}
    assert comparison.too_few(table) == []


def test_only_scores_of_the_same_input_are_compared():
    before, after = rows(BEFORE), rows({name: {"up": [9.0] * 12} for name in BEFORE})
    after.loc[after["sample_id"] != "s0", "sample_digest"] = "another input"
    table = comparison.judged([comparison.of_task(before, after, methods=["a"])])
    assert table[["n_samples", "before", "after"]].to_numpy().tolist() == [[1, 1, 9]]


def test_nothing_is_said_of_inputs_that_are_not_the_same():
    before, after = rows(BEFORE), rows(BEFORE, sample_digest="another input")
    assert comparison.judged([comparison.of_task(before, after)]).empty


def test_few_samples_that_happen_to_agree_prove_nothing():
    before, after = rows({"a": {"up": [1.0, 1.0]}}), rows({"a": {"up": [0.0, 0.0]}})
    assert comparison.judged([comparison.of_task(before, after)])["verdict"].tolist() == ["unclear"]


def test_one_sample_has_no_interval():
    after = rows({name: {"up": [9.0] + [np.nan] * 11} for name in BEFORE})
    table = comparison.of_task(rows(BEFORE), after, methods=["a"])
    assert table[["difference_low", "difference_high"]].isna().all(axis=None)


def test_another_version_of_a_metric_is_not_compared():
    before, after = rows(BEFORE), rows(BEFORE)
    after["metric_id"] = after["metric_id"].replace("up@1", "up@2")
    assert comparison.others(before, after) == ["up"]
    assert set(comparison.of_task(before, after)["metric"]) == {"seconds"}


def test_names_choose_methods_and_metrics():
    table = comparison.of_task(rows(BEFORE), rows(BEFORE), methods=["[ab]"], metrics=["u*"])
    assert table["method"].tolist() == ["a", "b"]
    odd = rows({"m@1[x=1]": {"up": [1.0, 2.0]}})
    assert comparison.of_task(odd, odd, methods=["m[x=1]"])["method"].tolist() == ["m[x=1]"]


def test_markdown_holds_what_changed_and_bars_in_names_do_not_break_it():
    before = rows({"a|b": {"up": [1.0, 2.0, 3.0] * 2}, "<i>": {"up": [1.0, 2.0, 3.0] * 2}})
    after = rows({"a|b": {"up": [2.0, 3.0, 4.5] * 2}, "<i>": {"up": [1.0, 2.0, 3.0] * 2}})
    table = comparison.judged([comparison.of_task(before, after)])
    text = markup.comparison_markdown(table, before="A", after="B|")
    assert "### A → B\\|" in text
    assert "2 comparisons: 1 better, 1 same." in text
    (line,) = [line for line in text.splitlines() if "a\\|b" in line]
    assert "<i>" not in text
    cells = [cell.strip() for cell in line.replace("\\|", "").strip("|").split("|")]
    assert cells[:7] == ["toy", "ab", "up ↑", "6", "2", "3.167", "+1.17"]
    assert cells[-1] == "better"
    assert "&lt;i>" in markup.comparison_markdown(table, before="A", after="B", everything=True)


PLUGIN = '''"""A method in the making."""

from bench.registry import method


@method(cite="test", family="perturbation", version={version})
def in_the_making(problem):
    """The size of the input, {comment}. -> (N, *S)"""
    return {formula}
'''


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Three runs of one plug-in: as it was, unchanged but for its version, and broken (its sign lost)."""
    folder, found = tmp_path_factory.mktemp("compare"), {}
    right, wrong = "problem.inputs.abs().sum(1)", "-problem.inputs.abs().sum(1)"
    for name, version, formula in (("before", 1, right), ("same", 2, right), ("broken", 3, wrong)):
        with registries_put_back():
            plugin = folder / "in_the_making.py"
            plugin.write_text(PLUGIN.format(version=version, comment=name, formula=formula), encoding="utf-8")
            found[name] = folder / name
            asked = ["run", "--task", "mnist1d", "--samples", "24", "--device", "cpu", "--batch-size", "32"]
            asked += [
                "--method",
                "in_the_making",
                "random",
                "--metric",
                "drop",
                "deletion",
                "localisation_auc",
                "seconds",
            ]
            assert main([*asked, "--no-plots", "--plugins", str(plugin), "--out", str(found[name])]) == 0
            for module in [module for module in sys.modules if module.endswith("in_the_making")]:
                del sys.modules[module]  # as in a program of its own
    return found


def test_the_command_is_silent_about_what_did_not_change_and_ends_with_0(runs, capsys):
    assert main(["compare", str(runs["before"]), str(runs["same"])]) == 0
    text = capsys.readouterr().out
    assert "8 comparisons: 2 cost, 6 same." in text
    assert "| in_the_making" not in text
    assert main(["compare", str(runs["before"]), str(runs["same"]), "--all"]) == 0
    assert "| in_the_making" in capsys.readouterr().out


def test_the_command_ends_with_1_where_a_method_became_worse(runs, capsys, tmp_path):
    path = tmp_path / "told" / "comparison.csv"
    assert main(["compare", str(runs["before"]), str(runs["broken"]), "--csv", str(path)]) == 1
    text = capsys.readouterr().out
    assert "3 worse" in text
    told = pd.read_csv(path).set_index(["method", "metric"])
    assert told.loc["in_the_making"].drop("seconds")["verdict"].tolist() == ["worse"] * 3
    assert told.loc["random"].drop("seconds")["verdict"].tolist() == ["same"] * 3
    assert list(told.reset_index()["verdict"][:3]) == ["worse"] * 3  # worst first
    assert main(["compare", str(runs["broken"]), str(runs["before"])]) == 0  # the other way round all is better
    assert main(["compare", str(runs["before"]), str(runs["broken"]), "--method", "random"]) == 0


def test_the_command_ends_with_1_where_a_method_or_a_task_is_gone(runs, tmp_path, capsys):
    before = shutil.copytree(runs["before"], tmp_path / "before")
    (gone,) = before.glob("scores/task=*/method=in_the_making")
    after = shutil.copytree(before, tmp_path / "after")
    shutil.rmtree(after / gone.relative_to(before))
    assert main(["compare", str(before), str(after)]) == 1
    assert "| mnist1d | in_the_making | (all)" in capsys.readouterr().out
    assert main(["compare", str(before), str(after), "--method", "random"]) == 0
    shutil.copytree(gone.parent, gone.parent.with_name("task=other"))
    for path in (before / "scores" / "task=other").rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        column = table.schema.get_field_index("task")
        pq.write_table(table.set_column(column, "task", pa.array(["other"] * len(table), type=pa.string())), path)
    assert main(["compare", str(before), str(after), "--method", "random"]) == 1
    assert "| other  | random   | (all)" in capsys.readouterr().out
    assert main(["compare", str(before), str(after), "--method", "random", "--task", "mnist1d"]) == 0


def test_wrong_requests(runs, tmp_path, capsys):
    known = str(runs["before"])
    for words, said in (
        (["compare", known, str(tmp_path / "nowhere")], "holds no scores"),
        (["compare", known, known, "--task", "hmt"], "unknown task 'hmt'"),
        (["compare", known, known, "--method", "nobody"], "no scores of the same inputs by methods nobody"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
