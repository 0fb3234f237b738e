"""The public functions: they agree with the command line and with each other to the last digit."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import bench
from bench.api import judging
from bench.cli.main import main
from bench.core.problem import Problem
from bench.registry.decorators import METHODS, TASKS

METHODS_ASKED = ["saliency", "smoothgrad[samples=4]", "random"]
METRICS_ASKED = ["drop", "deletion", "faithfulness_correlation", "sparseness"]


def mnist1d(samples: int = 6) -> Problem:
    task = TASKS["mnist1d"]
    problem: Problem = task.fn(tuple(task.samples()[:samples]))
    return problem


@pytest.fixture(scope="module")
def result() -> bench.Results:
    return bench.evaluate(mnist1d(), methods=METHODS_ASKED, metrics=METRICS_ASKED, batch_size=8, progress=False)


def by_sample(scores: pd.DataFrame, method: str) -> pd.DataFrame:
    return scores[scores["method"] == method].pivot(index="sample_id", columns="metric", values="score").astype(float)


def test_evaluate_gives_a_board_scores_and_failures(result):
    assert set(result.leaderboard["method"]) == set(METHODS_ASKED)
    assert result.leaderboard["rank"].notna().all()
    assert len(result.scores) == 3 * 4 * 6
    assert set(result.scores["status"]) == {"ok"}
    assert result.failures.empty
    assert result.facts["rows_written"] == {"ok": 72}


def test_the_command_line_agrees_to_the_last_digit(tmp_path):
    asked = {"task": "mnist1d", "methods": METHODS_ASKED, "metrics": METRICS_ASKED, "samples": 6, "batch_size": 8}
    ours = bench.evaluate(**asked, out=tmp_path / "python", progress=False)  # type: ignore[arg-type]
    words = ["run", "--task", "mnist1d", "--method", *METHODS_ASKED, "--metric", *METRICS_ASKED, "--samples", "6"]
    assert main([*words, "--batch-size", "8", "--no-plots", "--out", str(tmp_path / "shell")]) == 0
    pd.testing.assert_frame_equal(ours.leaderboard, bench.Results(tmp_path / "shell").leaderboard, check_exact=True)
    for name in METHODS_ASKED:
        theirs = by_sample(bench.Results(tmp_path / "shell").scores, name)
        pd.testing.assert_frame_equal(by_sample(ours.scores, name), theirs, check_exact=True)


def test_maps_that_are_scored_alone_get_the_scores_of_their_method(result):
    problem = mnist1d()
    for name in METHODS_ASKED:
        maps = bench.attribute(problem, name, batch_size=8)
        assert maps.shape == (6, 40)
        scores = bench.score(problem, maps, metrics=METRICS_ASKED, batch_size=8)
        expected = by_sample(result.scores, name).reindex(index=scores.index, columns=scores.columns)
        np.testing.assert_array_equal(scores.to_numpy(), expected.to_numpy())


def test_explain_draws_the_maps_that_attribute_returns(tmp_path):
    problem = mnist1d()
    shown = bench.explain(problem, sample=2, methods="saliency,random", progress=False)
    assert list(shown.maps) == ["saliency", "random"]
    one = problem.take([2])
    np.testing.assert_array_equal(shown.maps["saliency"], bench.attribute(one, "saliency")[0].numpy())
    assert shown.save(tmp_path / "maps.png").stat().st_size > 1000


def test_a_report_and_a_comparison_come_from_the_results(result, tmp_path):
    assert "smoothgrad" in result.report(tmp_path / "page.html", progress=False).read_text(encoding="utf-8")
    same = bench.compare(result, result, progress=False)
    assert not same.regressed
    with pytest.raises(bench.BenchError, match="a file in an existing folder is needed"):
        result.report(tmp_path / "missing" / "page.html")


def test_results_are_shown_by_their_folder_alone(result):
    assert repr(result) == f"Results(folder={result.folder!r})"  # neither the outcome nor a table
    assert not hasattr(result, "_repr_html_")


def test_a_temporary_folder_lives_as_long_as_the_results():
    made = bench.evaluate(mnist1d(2), methods="random", metrics="sparseness", batch_size=2, progress=False)
    folder = made.folder
    assert folder.is_dir()
    del made
    assert not folder.exists()


def test_a_constant_map_is_undefined_and_the_reason_is_a_warning():
    maps = torch.zeros(3, 40)
    maps[:2, 0] = 1.0
    with pytest.warns(UserWarning, match="drop: no score on 1 of 3 samples: the attribution is constant"):
        scores = bench.score(mnist1d(3), maps, metrics="drop")
    assert scores["drop"].notna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"methods": "grad_camm"}, "grad_cam"),
        ({"task": "mnist1d"}, "both a problem and task 'mnist1d' were given"),
        ({"profile": "fast"}, "unknown profile 'fast'"),
        ({"precision": "bf16"}, r"unknown precision 'bf16'; did you mean 'bfloat16'\? \(allowed: float32, bfloat16\)"),
        ({"name": "a/b"}, "name 'a/b' cannot be used in file names"),
        ({"name": "mnist1d"}, "name 'mnist1d' is that of a registered task"),
        ({"data": "nowhere"}, "data folder nowhere does not exist"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_computed(asked, sentence):
    with pytest.raises(bench.BenchError, match=sentence):
        bench.evaluate(mnist1d(2), **asked)


def test_maps_of_half_precision_are_scored_as_single_precision():
    maps = torch.rand(2, 40).half()
    scores = bench.score(mnist1d(2), maps, metrics=["drop", "sparseness"])
    pd.testing.assert_frame_equal(scores, bench.score(mnist1d(2), maps.float(), metrics=["drop", "sparseness"]))


def test_maps_of_another_shape_and_metrics_that_need_a_method_are_refused():
    with pytest.raises(bench.BenchError, match=r"floating-point values of shape \(2, 40\) are needed, or \(2, 1, 40\)"):
        bench.score(mnist1d(2), torch.zeros(2, 2, 40), metrics="drop")
    with pytest.raises(bench.BenchError, match="metric max_sensitivity asks the method for other maps"):
        bench.score(mnist1d(2), torch.rand(2, 40), metrics="max_sensitivity")
    with pytest.raises(bench.BenchError, match=r"'lrp\*' matches \d methods \(lrp_"):
        bench.attribute(mnist1d(2), "lrp*")
    with pytest.raises(bench.BenchError, match="matches 2 methods"):
        bench.attribute(mnist1d(2), "guided*")


def test_a_method_that_fails_on_a_sample_says_on_which(monkeypatch):
    def dislikes(problem: Problem) -> torch.Tensor:
        if "test/0001" in problem.sample_ids or len(problem) > 1:
            raise ValueError("not this one")
        return problem.inputs[:, 0].clone()

    monkeypatch.setitem(METHODS, "dislikes", replace(METHODS["saliency"], name="dislikes", fn=dislikes))
    problem = replace(mnist1d(3), sample_ids=("a", "test/0001", "c"))
    with pytest.raises(bench.BenchError, match="dislikes failed on sample test/0001: ValueError: not this one"):
        bench.attribute(problem, "dislikes")


def test_a_method_that_cannot_serve_a_model_says_so():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(40, 3))
    with pytest.raises(bench.NotApplicable, match="needs layers"):
        bench.attribute(Problem.from_model(model, torch.rand(2, 1, 40)), "grad_cam")


def test_lists_filter_by_name_family_and_cost():
    assert bench.list_tasks("planted*") == ["planted_signal", "planted_image"]
    assert set(bench.list_methods(family="control")) == {
        name for name, one in METHODS.items() if one.family == "control"
    }
    assert "sise" not in bench.list_methods(cost="fast")
    assert bench.list_metrics("delet*", family="faithfulness") == ["deletion"]


def test_every_public_name_exists_and_nothing_is_imported_before_it_is_used():
    for name in bench.__all__:
        assert getattr(bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bench.nothing  # noqa: B018
    code = "import sys, bench; assert 'torch' not in sys.modules and 'pandas' not in sys.modules; bench.BenchError"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(bench.__file__).parents[1], timeout=60)


@pytest.mark.parametrize("first", ["bench, torch", "torch, bench"])
def test_threads_spin_shortly_whichever_is_imported_first(first):
    code = f"import {first}; import os; bench.Problem; print(os.environ['GOMP_SPINCOUNT'])"
    root = Path(bench.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "10000\n"


def test_scores_in_bfloat16_are_kept_apart_and_named_on_every_board(tmp_path):
    asked = [
        "run",
        "--task",
        "mnist1d",
        "--method",
        "random",
        "grad_cam",
        "--metric",
        "drop",
        "sparseness",
        "--no-plots",
    ]
    asked += ["--samples", "6", "--batch-size", "8", "--out", str(tmp_path)]
    assert main(asked) == 0
    before = bench.Results(tmp_path).scores
    assert main([*asked, "--precision", "bfloat16"]) == 0
    both = bench.Results(tmp_path)
    assert both.facts["precision"] == "bfloat16"
    assert (both.facts["rows_written"], both.facts["rows_kept"]) == ({"ok": 24}, 0)
    named = "mnist1d[precision=bfloat16]"
    assert list(both.facts["tasks"]) == [named]
    assert set(both.scores["task"]) == {"mnist1d", named}
    board = (tmp_path / "leaderboards" / f"{named}.md").read_text(encoding="utf-8")
    assert board.startswith(f"- {named}: 6 samples.")
    assert f"\n{named}: 6 samples\n" in str(both)
    assert f'"{named}"' in (tmp_path / "report.html").read_text(encoding="utf-8")

    def of(task: str, method: str) -> pd.DataFrame:
        return by_sample(both.scores[both.scores["task"] == task], method)

    kept = both.scores[both.scores["task"] == "mnist1d"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept.astype(str), before.astype(str))  # float32 scores stay as they were
    assert (of(named, "random")["sparseness"] == of("mnist1d", "random")["sparseness"]).all()  # the same random numbers
    change = (of(named, "grad_cam")["drop"] - of("mnist1d", "grad_cam")["drop"]).abs()
    assert 0 < change.max() < 5  # percent
    assert main([*asked, "--precision", "bfloat16"]) == 0
    assert (bench.Results(tmp_path).facts["rows_written"], bench.Results(tmp_path).facts["rows_kept"]) == ({}, 24)


def test_a_precision_is_named_after_the_settings_of_the_task():
    from bench.api.request import named_by_precision, one_task

    task = one_task("hmt[size=224]")
    reduced = named_by_precision(task, "bfloat16")
    assert (reduced.name, reduced.id) == ("hmt[size=224,precision=bfloat16]", task.id)
    assert named_by_precision(task, "float32") is task


def test_a_precision_that_does_not_exist_is_refused_on_the_command_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["run", "--all", "--precision", "float16"])
    assert stopped.value.code == 2
    assert re.search(
        r"--precision: invalid choice: 'float16' \(choose from '?float32'?, '?bfloat16'?\)", capsys.readouterr().err
    )


def test_a_comparison_notes_other_versions_and_other_weights():
    before = pd.DataFrame({"metric": ["drop"], "metric_id": ["drop@1"], "fingerprint": ["weights"]})
    assert judging._notes("toy", before, before) == []
    assert judging._notes("toy", before, before.iloc[:0]) == []  # the task is gone
    (other,) = judging._notes("toy", before, before.assign(fingerprint="others"))
    assert other == "toy: the model's weights or the task's settings differ"
    (newer,) = judging._notes("toy", before, before.assign(metric_id="drop@2"))
    assert newer == "toy: not compared, the version differs: drop"
