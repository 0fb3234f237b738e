"""Maps that were made elsewhere get the scores of the method that made them, to the last digit, whatever way they come in."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import registries_put_back

import bench
from bench.cli.main import main
from bench.core.entries import GIVEN
from bench.core.errors import BenchWarning
from bench.engine import given
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.storage import map_files

SCORABLE = [name for name, metric in METRICS.items() if not given.why_not(metric)]
NOT_SCORABLE = [name for name, metric in METRICS.items() if given.why_not(metric)]
SIGNALS = {"task": "mnist1d", "samples": 4, "batch_size": 8}

pytestmark = pytest.mark.usefixtures("one_thread")


def wide(scores: pd.DataFrame, method: str) -> pd.DataFrame:
    """Samples x metrics."""
    own = scores[scores["method"] == method]
    return own.pivot(index="sample_id", columns="metric", values="score").astype(float)


def quietly(ask: Any) -> Any:
    """Without the warnings of metrics that have no score of a map."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BenchWarning)
        return ask()


@pytest.mark.parametrize(
    ("task", "samples", "method", "metrics"),
    [
        ("mnist1d", 4, "smoothgrad[samples=4]", SCORABLE),
        ("planted_signal", 3, "random", ["drop", "faithfulness_correlation", "pointing_game", "localisation_auc"]),
        ("tissue", 2, "grad_cam", ["drop", "deletion", "faithfulness_correlation", "sparseness", "pointing_game"]),
    ],
)
def test_a_run_of_a_method_of_its_maps_and_bench_score_agree_to_the_last_digit(
    tmp_path, task, samples, method, metrics
):
    """By every metric that maps alone can serve; those that draw random numbers draw the same."""
    size, file, out = ["--samples", str(samples), "--batch-size", "8"], tmp_path / "maps.npz", tmp_path / "results"
    with registries_put_back():
        words = ["--batch-size", "8", "--samples", str(samples), "-o", str(file)]
        assert main(["attribute", task, "--method", method, *words]) == 0
        asked = ["--method", method, "--metric", *metrics, "--no-plots", "--out", str(out)]
        assert main(["run", "--task", task, *size, *asked, "--maps", f"theirs={file}"]) == 0
    scores = bench.Results(out).scores
    expected = wide(scores, method)
    assert set(expected.columns) == set(metrics)
    assert expected.notna().to_numpy().mean() > 0.8
    pd.testing.assert_frame_equal(wide(scores, "theirs"), expected, check_exact=True)
    for maps in (file, quietly(lambda: bench.attribute(task, method, samples=samples, batch_size=8))):
        alone = quietly(lambda maps=maps: bench.score(task, maps, metrics=metrics, batch_size=8))
        alone = alone.reindex(index=expected.index, columns=expected.columns)
        np.testing.assert_array_equal(alone.to_numpy(), expected.to_numpy())


def test_a_problem_of_one_s_own_agrees_too():
    task = TASKS["mnist1d"]
    problem = task.fn(tuple(task.samples()[:4]))
    maps = bench.attribute(problem, "saliency", batch_size=8)
    metrics = ["drop", "deletion", "faithfulness_correlation", "sparseness"]
    made = bench.evaluate(
        problem,
        methods="saliency",
        metrics=metrics,
        maps={"array": maps, "keyed": keyed(maps)},
        batch_size=8,
        progress=False,
    )
    expected = wide(made.scores, "saliency")
    for name in ("array", "keyed"):
        pd.testing.assert_frame_equal(wide(made.scores, name), expected, check_exact=True)
    alone = bench.score(problem, keyed(maps), metrics=metrics, batch_size=8)
    np.testing.assert_array_equal(alone.loc[expected.index, expected.columns].to_numpy(), expected.to_numpy())


def keyed(maps: torch.Tensor) -> dict[str, np.ndarray]:
    return dict(zip(TASKS["mnist1d"].samples(), maps.numpy(), strict=False))


def test_metrics_that_need_the_method_are_skipped_with_the_reason():
    made = bench.evaluate(
        **SIGNALS, methods="random", metrics=[*NOT_SCORABLE, "drop"], maps={"mine": torch.rand(4, 40)}, progress=False
    )
    own = made.scores[made.scores["method"] == "mine"].set_index("metric")
    assert set(own.loc["drop", "status"]) == {"ok"}
    without = own.drop(index="drop")
    assert set(without.index) == set(NOT_SCORABLE)
    assert set(without["status"]) == {"skipped"}
    assert without["score"].isna().all()
    assert all(note == given.why_not(METRICS[name]) for name, note in without["note"].items())


def test_other_maps_under_the_same_name_replace_the_former_on_the_board_and_the_former_come_back_from_the_store(
    tmp_path,
):
    maps = {
        name: torch.rand(4, 40, generator=torch.Generator().manual_seed(seed)) for name, seed in (("a", 1), ("b", 2))
    }
    means, written = [], []
    for name in ("a", "b", "a"):
        made = bench.evaluate(
            **SIGNALS, methods="random", metrics="drop", maps={"mine": maps[name]}, out=tmp_path, progress=False
        )
        own = made.scores[made.scores["method"] == "mine"]
        assert len(own) == 4
        means.append(made.leaderboard.set_index("method").loc["mine", "drop"])
        written.append(made.facts["rows_written"])
        expected = bench.score("mnist1d", maps[name], metrics="drop", batch_size=8)["drop"]
        np.testing.assert_array_equal(own.set_index("sample_id").loc[expected.index, "score"], expected)
    assert means[0] == means[2] != means[1]
    assert written == [{"ok": 8}, {"ok": 4}, {}]  # nothing is computed again for maps that are known


def test_a_report_needs_the_store_alone_and_marks_given_maps(tmp_path):
    file = tmp_path / "mine.npz"
    map_files.write(file, TASKS["mnist1d"].samples()[:4], torch.rand(4, 40))
    out = tmp_path / "results"
    bench.evaluate(
        **SIGNALS, methods=["random", "saliency"], metrics="drop", maps={"mine": str(file)}, out=out, progress=False
    )
    file.unlink()
    again = bench.Results(out)
    again.write(plots=True, progress=False)
    board = again.leaderboard.set_index("method")
    assert board.loc["mine", "method_family"] == GIVEN
    assert board.loc["mine", "rank"] >= 1
    assert "| mine (given maps)" in (out / "leaderboards" / "mnist1d.md").read_text(encoding="utf-8")
    assert "\nmine (given maps) " in str(again)
    assert '"mine"' in (out / "report.html").read_text(encoding="utf-8")
    assert again.facts["maps"] == {"mine": {"source": str(file), "samples": 4}}


def test_channels_are_summed_with_one_warning():
    maps = torch.randn(4, 1, 40)
    with pytest.warns(BenchWarning, match=r"maps mine have an axis of channels") as told:
        made = bench.evaluate(
            **SIGNALS, methods="random", metrics=["drop", "sparseness"], maps={"mine": maps}, progress=False
        )
    assert len(told) == 1
    with pytest.warns(BenchWarning, match=r"^maps have an axis of channels, \(N, C, \*S\); they are summed") as told:
        scores = bench.score("mnist1d", maps, metrics=["drop", "sparseness"], batch_size=8)
    assert len(told) == 1
    flat = bench.score("mnist1d", maps[:, 0], metrics=["drop", "sparseness"], batch_size=8)
    pd.testing.assert_frame_equal(scores, flat, check_exact=True)
    np.testing.assert_array_equal(wide(made.scores, "mine").loc[flat.index, flat.columns].to_numpy(), flat.to_numpy())


def test_captum_s_maps_of_images_are_taken_as_they_are():
    from captum.attr import Saliency

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    problem = bench.Problem.from_model(model, torch.rand(6, 3, 8, 8))
    maps = Saliency(problem.model).attribute(problem.inputs.clone().requires_grad_(), target=0)
    assert maps.shape == (6, 3, 8, 8)
    with pytest.warns(BenchWarning, match="summed"):
        scores = bench.score(problem, maps, metrics=["drop", "deletion"])
    pd.testing.assert_frame_equal(
        scores, bench.score(problem, maps.sum(1), metrics=["drop", "deletion"]), check_exact=True
    )


def test_of_a_task_the_samples_that_have_a_map_are_scored(tmp_path):
    ids = TASKS["mnist1d"].samples()
    some = [ids[7], ids[2], ids[40]]
    maps = torch.rand(3, 40)
    map_files.write(tmp_path / "maps.npz", some, maps)
    scores = bench.score("mnist1d", tmp_path / "maps.npz", metrics="drop", batch_size=8)
    assert list(scores.index) == [ids[2], ids[7], ids[40]]
    problem = TASKS["mnist1d"].fn(tuple(some))
    expected = bench.score(problem, maps, metrics="drop", batch_size=8)
    pd.testing.assert_frame_equal(scores, expected.loc[scores.index], check_exact=True)
    map_files.write(tmp_path / "three.npz", ids[:3], maps)
    two = bench.score("mnist1d", tmp_path / "three.npz", metrics="drop", samples=2, batch_size=8)
    assert list(two.index) == ids[:2]
    with pytest.raises(bench.BenchError, match="4 of the 5 samples of mnist1d have no map"):
        bench.score("mnist1d", tmp_path / "maps.npz", metrics="drop", samples=5)


def test_maps_that_are_not_finite_are_not_written(tmp_path, monkeypatch):
    def holes(problem: bench.Problem) -> torch.Tensor:
        maps = problem.inputs.sum(1)
        maps[[name == "b" for name in problem.sample_ids], 3] = torch.nan
        return maps

    monkeypatch.setitem(METHODS, "holes", replace(METHODS["saliency"], name="holes", fn=holes))
    task = TASKS["mnist1d"]
    problem = replace(task.fn(tuple(task.samples()[:3])), sample_ids=("a", "b", "c"))
    with pytest.warns(BenchWarning, match="holes: 1 of 3 maps say nothing: the attribution is not finite"):
        bench.attribute(problem, "holes", out=tmp_path / "maps.npz")
    assert list(map_files.read(tmp_path / "maps.npz").maps) == ["a", "c"]


def test_the_shell_says_once_that_channels_are_summed_and_skips_tasks_that_the_maps_are_not_of(tmp_path, capsys):
    ids = TASKS["mnist1d"].samples()[:2]
    np.savez(tmp_path / "maps.npz", **dict.fromkeys(ids, np.arange(40.0)[None]), task=np.array("mnist1d@1"))
    words = ["run", "--task", "mnist1d", "planted_signal", "--method", "random", "--metric", "drop", "sparseness"]
    words += ["--maps", f"mine={tmp_path / 'maps.npz'}", "--samples", "2", "--batch-size", "8", "--no-plots"]
    assert main([*words, "--out", str(tmp_path / "results")]) == 0
    told = capsys.readouterr().err
    assert told.count("they are summed over it") == 1
    assert f"bench: maps mine ({tmp_path / 'maps.npz'}) have an axis of channels, (N, C, *S); they are summed" in told
    scores = bench.Results(tmp_path / "results").scores
    own = scores[scores["method"] == "mine"].groupby("task", observed=True)["status"].agg(set)
    assert own.to_dict() == {"mnist1d": {"ok"}, "planted_signal": {"skipped"}}


def test_attribute_writes_a_file_for_each_method_and_goes_on_where_one_cannot_serve(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["attribute", "mnist1d", "--samples", "3", "--batch-size", "8"]
    assert main([*words, "--method", "saliency", "random"]) == 0
    assert sorted(path.as_posix() for path in Path("maps").iterdir()) == ["maps/random.npz", "maps/saliency.npz"]
    assert "saliency: 3 maps of shape (40,) in maps/saliency.npz" in capsys.readouterr().out
    monkeypatch.setitem(METHODS, "faulty", replace(METHODS["saliency"], name="faulty", fn=lambda problem: 1 / 0))
    assert main([*words, "--method", "faulty", "random", "-o", "more"]) == 1
    assert "bench: faulty failed on sample test/0010: ZeroDivisionError" in capsys.readouterr().err
    assert [path.name for path in Path("more").iterdir()] == ["random.npz"]
    with np.load("maps/saliency.npz") as stored:
        assert stored["sample_ids"].tolist() == TASKS["mnist1d"].samples()[:3]
        expected = bench.attribute("mnist1d", "saliency", samples=3, batch_size=8).numpy()
        np.testing.assert_array_equal(stored["maps"], expected)
        assert str(stored["task"]) == "mnist1d@1"
    assert main([*words, "--method", "saliency", "-o", "one.safetensors"]) == 0
    maps, task = map_files.read(Path("one.safetensors"))
    np.testing.assert_array_equal(np.stack([maps[name] for name in TASKS["mnist1d"].samples()[:3]]), expected)
    assert task == "mnist1d@1"
