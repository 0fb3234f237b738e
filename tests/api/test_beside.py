"""Methods ranked beside a release file: the board is that of one run of all, and nothing unequal is ranked together."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import registries_put_back
from matplotlib.text import Text
from torch import nn

import bench
from bench import api, plots
from bench.api import evaluation
from bench.api.beside import FILE
from bench.cli.main import main
from bench.core.errors import BenchError, RequestError
from bench.core.vocabulary import COST, Column
from bench.engine.plan import Outcome
from bench.storage.scores import Store

TASKS = ["mnist1d", "planted_signal"]
METRICS = ["drop", "deletion", "energy_pointing_game", "sparseness", "seconds"]
COSTS = {"seconds", "forward_queries", "backward_queries", "peak_memory"}
FAST: dict[str, Any] = {"device": "cpu", "batch_size": 16, "progress": False}
PLUGIN = '''import bench


@bench.method(cite="", family="test", cost="fast")
def mine(problem):
    """The input itself. -> (N, *S)"""
    return problem.inputs.sum(1)
'''


def evaluate(*methods: str, **asked: Any) -> bench.Results:
    return bench.evaluate(
        **({"task": TASKS, "methods": methods or None, "samples": 12, "metrics": METRICS} | FAST | asked)
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two methods, and beside it its release file."""
    folder = tmp_path_factory.mktemp("two") / "results"
    api.pack(evaluate("random", "saliency", out=folder), folder.parent / "two.parquet")
    return folder


@pytest.fixture(scope="module")
def file(two: Path) -> Path:
    return two.parent / "two.parquet"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bench.Results:
    """A run of three methods."""
    return evaluate("random", "saliency", "grad_cam", out=tmp_path_factory.mktemp("whole"))


def beside(what: Path | str, out: Path, *methods: str, **asked: Any) -> bench.Results:
    return bench.evaluate(**({"methods": list(methods) or "grad_cam", "beside": what, "out": out} | FAST | asked))


def in_one_folder(two: Path, found: bench.Results, to: Path) -> bench.Results:
    """The stored scores of both folders as one run would have left them."""
    shutil.copytree(two, to)
    for path in (found.folder / "scores").glob("task=*/method=*"):
        shutil.copytree(path, to / path.relative_to(found.folder))
    return bench.Results(to)


def same_tables(found: bench.Results, expected: bench.Results, *, exact: bool = False) -> None:
    """All tables agree but for costs and the column of origins: to the last digit, or up to what batches round."""
    closely: Any = {"check_exact": True} if exact else {"rtol": 1e-5, "atol": 1e-8}
    for name in ("wide", "long", "metrics", "wins", "spreads"):
        tables = [getattr(results.tables, name) for results in (found, expected)]
        if "metric_family" in tables[0]:
            tables = [table[table["metric_family"] != COST] for table in tables]
        gone = [*COSTS, Column.ORIGIN]
        tables = [table.drop(columns=gone, errors="ignore").reset_index(drop=True) for table in tables]
        pd.testing.assert_frame_equal(*tables, **closely)
    for name in ("trust", "agreement", "alphas"):
        pd.testing.assert_frame_equal(
            getattr(found.tables.beliefs, name), getattr(expected.tables.beliefs, name), **closely
        )


def test_the_board_is_that_of_one_run_of_all_methods(two, file, whole, tmp_path):
    found = beside(file, tmp_path / "beside")
    same_tables(found, in_one_folder(two, found, tmp_path / "one"), exact=True)
    same_tables(found, whole)
    origins = found.leaderboard.set_index(["task", "method"])[Column.ORIGIN]
    assert origins.to_dict() == {
        (task, method): "" if method == "grad_cam" else "two of bench 0.2.0"
        for task in TASKS
        for method in ("random", "saliency", "grad_cam")
    }
    assert found.outcome is not None
    assert found.outcome.rows.total() == 2 * 12 * (4 + len(COSTS))


def test_costs_of_another_machine_are_missing_and_no_method_is_compared_by_them(file, tmp_path):
    found = beside(file, tmp_path)
    board = found.leaderboard.set_index("method")
    assert board.loc["grad_cam", "seconds"].notna().all()
    assert board.loc[["random", "saliency"], list(COSTS)].isna().all(axis=None)
    assert set(found.scores.loc[found.scores["metric_family"] == COST, "method"]) == {"grad_cam"}
    assert found.leaderboard["status"].eq("complete").all()


def test_the_scores_of_the_file_are_not_written_among_the_folders_own(file, tmp_path):
    found = beside(file, tmp_path / "results")
    stored = {path.parent.name for path in (found.folder / "scores").rglob("*.parquet")}
    assert stored == {"method=grad_cam"}
    (copy,) = (found.folder / "beside").iterdir()
    assert copy.read_bytes() == file.read_bytes()
    with pytest.raises(RequestError, match="task"):
        api.pack(found, tmp_path / "again.parquet", task="hmt")
    packed = api.pack(found, tmp_path / "again.parquet")
    assert {name for facts in packed.tasks.values() for name in facts.methods} == {"grad_cam"}


def test_the_same_command_again_computes_nothing_and_a_report_knows_the_file(file, tmp_path):
    first, again = (beside(file, tmp_path) for _ in range(2))
    assert again.outcome is not None
    assert (again.outcome.rows.total(), again.outcome.queries) == (0, 0)
    opened = bench.Results(tmp_path)
    pd.testing.assert_frame_equal(opened.leaderboard, first.leaderboard)
    assert main(["report", "--out", str(tmp_path), "--no-plots"]) == 0
    written = pd.read_csv(tmp_path / "leaderboards" / "mnist1d.csv", keep_default_na=False)
    assert written.set_index("method")[Column.ORIGIN]["saliency"] == "two of bench 0.2.0"
    assert "saliency (beside)" in (tmp_path / "leaderboards" / "mnist1d.md").read_text(encoding="utf-8")
    assert '"scores_from":"two of bench 0.2.0"' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_pictures_mark_the_methods_of_the_file(file, tmp_path):
    tables = beside(file, tmp_path, task="mnist1d").tables
    marked = {"random †", "saliency †", "grad_cam"}
    for name, figure in plots.all_of_task("mnist1d", tables, maps={}):
        heading = figure.get_suptitle()
        if name in ("ranks", "wins", "critical_difference", "distributions"):
            figure.draw_without_rendering()
            texts = {text.get_text().strip() for axes in figure.axes for text in axes.findobj(Text)}
            assert all(any(text.startswith(one) for text in texts) for one in marked), name
            assert not any(text.startswith("grad_cam †") for text in texts)
            assert "†: scores from two of bench 0.2.0." in heading
        if name in ("curves", "cost"):
            assert f"No {name.removesuffix('s')}s of the methods from two of bench 0.2.0." in heading
    assert {"ranks", "curves", "cost"} <= set(plots.of_task("mnist1d", tables, maps={}))


def test_a_run_without_the_file_shows_the_folders_own_scores_alone(file, tmp_path):
    beside(file, tmp_path)
    evaluate("grad_cam", out=tmp_path, task="mnist1d")
    assert len(list((tmp_path / "beside").iterdir())) == 1  # the other task takes rows from it still
    found = evaluate("grad_cam", out=tmp_path)
    assert set(found.leaderboard["method"]) == {"grad_cam"}
    assert list((tmp_path / "beside").iterdir()) == []
    assert Column.ORIGIN not in found.leaderboard


def test_a_folder_is_as_good_as_its_file(two, file, whole, tmp_path):
    same_tables(beside(two, tmp_path / "folder"), whole)
    with pytest.raises(RequestError, match="is the results folder itself"):
        beside(two, two)


def test_other_samples_metrics_and_seeds_of_the_folder_stay_out(file, whole, tmp_path):
    evaluate("grad_cam", "saliency", out=tmp_path, samples=20, metrics=["drop", "insertion"])
    evaluate("grad_cam", out=tmp_path, seed=1)
    found = beside(file, tmp_path)
    same_tables(found, whole)
    origins = found.leaderboard.set_index("method")[Column.ORIGIN]
    assert set(origins["saliency"]) == {"two of bench 0.2.0"}  # that of the file, as it was not asked for


def test_a_method_that_is_asked_for_is_the_one_computed_in_the_folder(file, whole, tmp_path):
    found = beside(file, tmp_path, "saliency", "grad_cam")
    same_tables(found, whole)
    assert set(found.leaderboard.loc[found.leaderboard[Column.ORIGIN] != "", "method"]) == {"random"}


def test_fewer_samples_tasks_and_metrics_are_compared_on_both_sides(file, tmp_path):
    asked = {"task": "mnist1d", "samples": 7, "metrics": ["drop", "sparseness"]}
    found = beside(file, tmp_path / "beside", **asked)
    same_tables(found, evaluate("random", "saliency", "grad_cam", out=tmp_path / "whole", **asked))
    assert set(found.leaderboard["n_samples"]) == {7}


def test_a_file_of_the_first_samples_is_compared_on_these(two, tmp_path):
    api.pack(two, tmp_path / "few.parquet", samples=5)
    found = beside(tmp_path / "few.parquet", tmp_path / "beside")
    same_tables(found, evaluate("random", "saliency", "grad_cam", out=tmp_path / "whole", samples=5))


def test_a_run_that_a_budget_stops_is_compared_on_what_it_has_scored(file, tmp_path, monkeypatch):
    def stopped(*asked: Any) -> Outcome:
        outcome = run(*asked)
        outcome.stopped = True
        for facts in outcome.tasks.values():
            facts["samples"] = 5
        return outcome

    run = evaluation.run
    monkeypatch.setattr(evaluation, "run", stopped)
    told: list[tuple[str, int]] = []

    def tell(task: str) -> None:
        rows = Store(tmp_path / "beside").read(task)
        told.append((task, rows["sample_id"].nunique()))

    found = beside(file, tmp_path / "beside", budget="1h", finished=tell)
    monkeypatch.undo()
    assert sorted(told) == [(task, 5) for task in TASKS]
    same_tables(found, evaluate("random", "saliency", "grad_cam", out=tmp_path / "whole", samples=5))
    assert set(beside(file, tmp_path / "beside").leaderboard["n_samples"]) == {12}  # the same command goes on


def test_what_the_file_lacks_is_computed_where_no_method_is_named(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(PLUGIN, encoding="utf-8")
    command = ["run", "--beside", str(file), "--task", "mnist1d", "--plugins", "mine.py", "--profile", "quick"]
    with registries_put_back():
        assert main([*command, "--method", "mine", "--no-plots", "--device", "cpu", "--batch-size", "16"]) == 0
        shown = capsys.readouterr().out
        lacking = bench.evaluate(beside=file, task="mnist1d", profile="quick", plugins="mine.py", samples=1, **FAST)
    assert "random (control) (beside)" in shown
    assert "beside: 2 methods from two of bench 0.2.0, whose costs were measured elsewhere" in shown
    assert json.loads(Path("results/run.json").read_text(encoding="utf-8"))["beside"] == {
        "origin": "two of bench 0.2.0",
        "file": str(file),
    }
    origins = lacking.leaderboard.set_index("method")[Column.ORIGIN]
    assert origins[origins != ""].index.tolist() != []
    assert set(origins[origins != ""].index) == {"random", "saliency"}
    assert {"mine", "grad_cam"} <= set(origins[origins == ""].index)


def test_the_word_reference_is_the_file_of_this_version(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "reference").mkdir()  # another thing
    for place in ("cache", "data"):
        (tmp_path / place).mkdir()
        shutil.copy(file, tmp_path / place / FILE)
        asked = {"data": tmp_path / place} if place == "data" else {}
        found = beside("reference", tmp_path / f"from {place}", task="mnist1d", samples=2, **asked)
        assert set(found.leaderboard[Column.ORIGIN]) == {"", "reference of bench 0.2.0"}
        (tmp_path / place / FILE).unlink()


def test_pack_says_what_it_holds(two, tmp_path, capsys):
    assert main(["pack", "--out", str(two), "--to", str(tmp_path / "x.parquet"), "--samples", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mnist1d: 5 of 12 samples, 2 methods, 4 metrics"
    assert lines[-1].startswith(f"{tmp_path / 'x.parquet'}: 0.0")


# --- what is not comparable is refused


def own(seed: int = 0, **changed: Any) -> bench.Problem:
    """A problem of a small model whose weights follow the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(24, 3))
    inputs = torch.linspace(-1, 1, 4 * 24).view(4, 1, 24).sin()
    return replace(bench.Problem.from_model(model, inputs, sample_ids="abcd"), **changed)


@pytest.fixture(scope="module")
def of_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.parquet"
    api.pack(bench.evaluate(own(), methods="random", metrics="drop", **FAST), path)
    return path


def test_a_model_of_ones_own_is_compared_too(of_model):
    found = bench.evaluate(own(), methods="saliency", beside=of_model, **FAST)
    assert set(found.leaderboard["method"]) == {"saliency", "random"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, "the weights of model, or its baseline"),
        ({"top_k": 0.5}, "the weights of model, or its baseline"),
        ({"baseline": torch.ones(1, 1)}, "the weights of model, or its baseline"),
        ({"inputs": own().inputs + 1e-6}, "4 of 4 inputs of model differ, for example that of 'a'"),
        ({"targets": torch.tensor([0, 1, 2, 0])}, "4 of 4 inputs of model differ"),
        ({"sample_ids": ("a", "b", "c", "e")}, "its samples of model are not the first 4 of the task"),
    ],
)
def test_other_weights_settings_and_inputs_are_refused_before_anything_is_computed(
    of_model, tmp_path, changed, message
):
    with pytest.raises(RequestError, match=message):
        bench.evaluate(own(**changed), methods="saliency", beside=of_model, out=tmp_path, **FAST)
    assert list(tmp_path.iterdir()) == []


def test_another_precision_is_refused(file, tmp_path):
    with pytest.raises(RequestError, match="holds no registered task in bfloat16"):
        beside(file, tmp_path, precision="bfloat16")
    asked = {"task": "mnist1d", "samples": 2, "metrics": ["drop"], "precision": "bfloat16"}
    api.pack(evaluate("random", out=tmp_path / "low", **asked), tmp_path / "low.parquet")
    found = beside(tmp_path / "low.parquet", tmp_path / "both", precision="bfloat16")
    assert set(found.leaderboard["task"]) == {"mnist1d[precision=bfloat16]"}
    with pytest.raises(RequestError, match="holds no registered task in float32"):
        beside(tmp_path / "low.parquet", tmp_path / "other")


def test_a_file_that_has_gone_is_named(file, tmp_path):
    found = beside(file, tmp_path, task="mnist1d", samples=2)
    (copy,) = (tmp_path / "beside").iterdir()
    copy.unlink()
    with pytest.raises(BenchError, match="is missing; run again with --beside"):
        bench.Results(tmp_path).leaderboard  # noqa: B018
    assert np.isfinite(beside(file, tmp_path, task="mnist1d", samples=2).leaderboard["rank"]).all()
    assert Store(found.folder).read("mnist1d", own=True)["method"].unique().tolist() == ["grad_cam"]
