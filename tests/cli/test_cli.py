"""The command line as a user meets it: exit codes, what is said, and which files are there afterwards."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import registries_put_back
from reference import ROOT

from bench.cli.main import main
from bench.registry import decorators
from bench.registry.decorators import METHODS, METRICS, TASKS

BOARDS = ["leaderboard.csv", "leaderboards/mnist1d.csv", "leaderboards/mnist1d_long.csv", "failures.csv"]
PLOTS = ("ranks", "heatmap", "critical_difference", "wins", "distributions", "curves", "cost", "gallery")
METHOD_NAMES = ["random", "saliency", "input_magnitude"]
METRIC_NAMES = ["drop", "deletion", "seconds"]
RUN = ["run", "--task", "mnist1d", "--samples", "4", "--device", "cpu", "--batch-size", "8"]
SMALL = [*RUN, "--method", *METHOD_NAMES, "--metric", *METRIC_NAMES]

FAULTY = '''"""Raises, always."""

from bench.registry import method


@method(cite="", family="test")
def faulty(problem):
    """Never works."""
    raise ValueError("no map today")
'''


@pytest.fixture(autouse=True, scope="module")
def no_data_of_the_users(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BENCH_DATA", raising=False)
        patch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def registries_as_before():
    with registries_put_back():
        yield


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> Path:
    """A small run, done once; tests that go on from it take a copy."""
    out = tmp_path_factory.mktemp("first") / "results"
    assert main([*SMALL, "--out", str(out)]) == 0
    return out


@pytest.fixture
def out(first_run, tmp_path) -> Path:
    return Path(shutil.copytree(first_run, tmp_path / "results"))


HIDDEN = '''"""Signals whose truth nobody tells."""

from dataclasses import replace

from bench.registry import TASKS, task


def ids():
    return TASKS["mnist1d"].samples()


@task(cite="greydanus2020mnist1d", family="signal", samples=ids, profiles={"quick": 4})
def hidden(sample_ids):
    """MNIST-1D without its truth."""
    return replace(TASKS["mnist1d"].fn(sample_ids), truth=None)
'''


def facts(out: Path) -> dict[str, object]:
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def tables(out: Path) -> dict[str, pd.DataFrame]:
    """The boards, which say of every row whether it is outdated."""
    return {name: pd.read_csv(out / name) for name in BOARDS if "failures" not in name}


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in BOARDS}


def scores(out: Path) -> pd.DataFrame:
    """Mean scores per method and metric, without the time it took."""
    long = pd.read_csv(out / "leaderboards" / "mnist1d_long.csv")
    return long[long["metric"] != "seconds"].set_index(["method", "metric"])["mean"].sort_index()


# --- requests that are wrong


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --task mnist2d", "unknown task 'mnist2d'; did you mean 'mnist1d'?"),
        ("run --method smothgrad", "unknown method 'smothgrad'; did you mean 'smoothgrad'?"),
        ("run --metric deletoin", "unknown metric 'deletoin'; did you mean 'deletion'?"),
        (
            "run --method smoothgrad[sample=3]",
            "unknown setting 'sample' of smoothgrad; did you mean 'samples'?",
        ),
        ("run --all --method smothgr*", "unknown method 'smothgr*'; did you mean 'smoothgrad'?"),
        ("train mnist2d", "unknown task 'mnist2d'; did you mean 'mnist1d'?"),
        ("evaluate mnist2d", "unknown task 'mnist2d'; did you mean 'mnist1d'?"),
        ("fetch hmd", "unknown task 'hmd'; did you mean 'hmt'?"),
        ("run", "no task, method or metric was given; use --all, or some of --task, --method and --metric"),
        ("run --all --data nowhere", "data folder nowhere does not exist"),
        ("evaluate hmt --data nowhere", "data folder nowhere does not exist"),
        ("run --all --plugins nowhere.py", "plug-in nowhere.py does not exist"),
        ("report", "holds no scores; `python -m bench run --all --out"),
    ],
)
def test_a_wrong_request_says_what_is_wrong_and_writes_nothing(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main([*words.split(), "--out", "results"]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("bench: ")
    assert said in line
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [RUN, ["evaluate", "mnist1d"], ["train", "mnist1d", "--epochs", "1"]])
def test_a_gpu_that_is_not_there(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([*command, "--device", "cuda", "--out", str(tmp_path / "results")]) == 2
    assert "device 'cuda' cannot be used: torch finds no GPU on this machine" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_results_cannot_go_into_a_file(tmp_path, capsys):
    (tmp_path / "results").write_text("mine")
    assert main([*SMALL, "--out", str(tmp_path / "results")]) == 2
    assert f"--out {tmp_path / 'results'} is a file" in capsys.readouterr().err
    assert (tmp_path / "results").read_text() == "mine"


# --- help and list


def test_help_is_fast_for_torch_is_not_imported():
    command = [sys.executable, "-X", "importtime", "-m", "bench", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "bench.cli" in imported
    assert imported & {"torch", "numpy", "pandas", "matplotlib", "captum", "quantus"} == set()
    assert "python -m bench run --all" in done.stdout


def test_list_shows_every_name_once(capsys):
    assert main(["list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["tasks:", *TASKS, "methods:", *METHODS, "metrics:", *METRICS]


def test_list_of_one_kind_as_json(capsys):
    assert main(["list", "methods", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed["methods"]] == list(METHODS)
    assert list(listed) == ["methods"]
    smoothgrad = next(entry for entry in listed["methods"] if entry["name"] == "smoothgrad")
    assert smoothgrad["id"] == "smoothgrad@1[samples=32,sigma=0.15]"
    assert smoothgrad["params"] == {"samples": 32, "sigma": 0.15}
    assert smoothgrad["cite"] == "smilkov2017smoothgrad"


def test_list_as_json_tells_directions_and_profiles(capsys):
    assert main(["list", "--json"]) == 0
    listed = {kind: {e["name"]: e for e in entries} for kind, entries in json.loads(capsys.readouterr().out).items()}
    assert listed["metrics"]["drop"]["higher_is_better"] is False
    assert listed["metrics"]["drop"]["limits"] == [0, 100]
    assert listed["metrics"]["increase"]["higher_is_better"] is True
    assert listed["tasks"]["mnist1d"]["profiles"] == {"quick": 128, "standard": 1000, "full": 1000}


def test_list_tells_what_methods_cost(capsys):
    assert main(["list", "methods"]) == 0
    told = capsys.readouterr().out
    assert (
        "fast = at most 10, medium = at most 400 model queries a sample; slow = more, only in --profile full or when named"
        in told
    )
    for name, method in METHODS.items():
        assert re.search(rf"{name} +{method.family} +{method.cost} +\S.*{method.cite}", told), name


def test_list_shows_a_users_method(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(FAULTY)
    assert main(["list", "methods", "--plugins", str(tmp_path)]) == 0
    assert re.search(r"faulty +test +- +Never works$", capsys.readouterr().out, re.MULTILINE)


# --- run and report


def test_slow_methods_and_metrics_wait_for_full_and_the_boards_say_so(tmp_path, capsys):
    slow = [name for name, method in METHODS.items() if method.cost == "slow"]
    assert slow
    asked = [
        "run",
        "--task",
        "mnist1d",
        "--metric",
        "drop",
        "--no-plots",
        "--batch-size",
        "8",
        "--samples",
        "2",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
    ]
    assert main(asked) == 0
    assert (
        f"profile standard leaves out {len(slow)} methods; --profile full takes all, or name them"
        in capsys.readouterr().out
    )
    board = pd.read_csv(tmp_path / "leaderboards" / "mnist1d.csv").set_index("method")
    assert board.loc[slow, "status"].tolist() == ["not run"] * len(slow)
    assert board.loc[slow, "n_samples"].tolist() == [0] * len(slow)
    assert set(METHODS) == set(board.index)
    assert board.loc[["cam", "constant"], "status"].tolist() == ["skipped", "undefined"]
    assert "global average pooling" in (tmp_path / "failures.csv").read_text()
    assert main([*asked, "--method", "lime[samples=20]", "random"]) == 0
    board = pd.read_csv(tmp_path / "leaderboards" / "mnist1d.csv").set_index("method")
    assert board.loc["lime[samples=20]", "n_samples"] == 2
    assert "not run" not in set(board["status"])


def test_boards_are_printed_and_written_while_the_run_goes_on(tmp_path, capsys, monkeypatch):
    from bench.engine import runner

    written, load = {}, runner.load

    def watched(task, ids, plan):
        written[task.name] = sorted(path.name for path in tmp_path.glob("leaderboards/*.csv") if "_" not in path.name)
        return load(task, ids, plan)

    monkeypatch.setattr(runner, "load", watched)
    words = ["run", "--task", "tissue", "mnist1d", "--method", "random", "saliency", "--metric", "drop", "--no-plots"]
    assert main([*words, "--samples", "2", "--batch-size", "2", "--device", "cpu", "--out", str(tmp_path)]) == 0
    assert written == {"mnist1d": [], "tissue": ["mnist1d.csv"]}  # cheap tasks come first
    text = capsys.readouterr().out
    assert 0 <= text.index("mnist1d: 2 samples") < text.index("tissue: 2 samples") < text.index("Rank: ")
    assert text.count("\nsaliency ") == 4  # a sentence and a row of each board


def test_a_run_with_a_budget_says_what_the_boards_rest_on(tmp_path, capsys, monkeypatch):
    from bench.engine import schedule

    monkeypatch.setattr(schedule, "ROUND_LIMITS", (3, 3))
    monkeypatch.setattr(schedule.Budget, "left", property(lambda budget: 0.0 if budget.longest else 1e9))
    words = ["run", "--task", "mnist1d", "--method", "random", "saliency", "--metric", "drop", "--no-plots"]
    words += ["--samples", "5", "--batch-size", "2", "--device", "cpu", "--budget", "10m", "--out", str(tmp_path)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "mnist1d: 3 samples" in text
    assert "the budget is used up; samples scored: mnist1d 3 of 5; the same command goes on from there" in text
    assert facts(tmp_path)["tasks"]["mnist1d"]["samples"] == 3
    assert facts(tmp_path)["budget_seconds"] == 600
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "mnist1d: 5 samples" in text
    assert "used up" not in text


def test_costs_of_a_task_that_failed_are_printed_too(capsys):
    from bench.cli.output import _print_costs
    from bench.engine.plan import Outcome
    from bench.engine.work import Work
    from bench.network.timing import Pace

    timed = Work(8, Pace(8, 1e-3, 1e-3), seconds=3.0, forwards=10, floor=2.0)
    works = {
        "good": timed,
        "failed": Work(8, Pace(8, 1e-3, 1e-3), seconds=1.0),
        "given": Work(8, None, floor=float("nan")),
    }
    _print_costs(Outcome(work=works))
    good, failed, given, _ = capsys.readouterr().out.splitlines()
    assert good.endswith("the model alone needs 2 s for these in batches of 8: ratio 1.50")
    assert failed.endswith("the bare model was not timed, since the task failed")
    assert given.endswith("the bare model was not timed, since the batch size was given")


def test_a_run_writes_every_file(first_run):
    assert {p.name for p in first_run.iterdir()} >= {"scores", "leaderboards", "plots", "leaderboard.csv", "run.json"}
    assert all((first_run / name).is_file() for name in BOARDS)
    assert list(first_run.rglob("*.part")) == []
    for name in PLOTS:
        assert (first_run / "plots" / f"mnist1d_{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not list((first_run / "plots").glob("*.svg"))  # only on request


def test_the_boards_hold_every_method_and_metric(first_run):
    board, own, long, failures = (pd.read_csv(first_run / name) for name in BOARDS)
    assert sorted(board["method"]) == sorted(METHOD_NAMES)
    assert set(METRIC_NAMES) < set(board.columns)
    assert board["task"].tolist() == ["mnist1d"] * 3
    assert board["n_samples"].tolist() == [4] * 3
    assert board["status"].tolist() == ["complete"] * 3
    pd.testing.assert_frame_equal(board, own)  # there is one task
    assert sorted(zip(long["method"], long["metric"], strict=True)) == sorted(
        (method, metric) for method in METHOD_NAMES for metric in METRIC_NAMES
    )
    assert set(long["n_samples"]) == {4}
    assert set(long["status"]) == {"ok"}
    assert failures.empty
    assert list(failures.columns) == ["task", "method", "metric", "status", "note", "n_samples"]


def test_run_json_says_what_was_run(first_run):
    told = facts(first_run)
    assert told["methods"] == [METHODS[name].id for name in METHODS if name in METHOD_NAMES]
    assert told["metrics"] == [METRICS[name].id for name in METRICS if name in METRIC_NAMES]
    assert told["tasks"]["mnist1d"]["samples"] == 4
    assert told["rows_written"] == {"ok": 3 * 3 * 4}
    assert told["rows_kept"] == 0
    assert told["model_queries"] > told["queries_by_metrics"] > 0
    assert told["versions"]["torch"] == torch.__version__.split("+")[0]


def test_run_json_has_the_command_that_made_it(first_run):
    told = shlex.split(facts(first_run)["command"])
    assert told == ["python", "-m", "bench", *SMALL, "--out", str(first_run)]


def test_a_second_run_asks_the_model_nothing_and_writes_the_same(out, capsys):
    before = contents(out)
    assert main([*SMALL, "--out", str(out)]) == 0
    assert "new scores: none; kept: 36; model queries: 0" in capsys.readouterr().out
    assert facts(out)["model_queries"] == 0
    assert contents(out) == before


def test_fresh_computes_all_anew_and_finds_the_same(out, capsys):
    queries, before = facts(out)["model_queries"], scores(out)
    assert main([*SMALL, "--fresh", "--no-plots", "--out", str(out)]) == 0
    assert "new scores: 36 ok; kept: 0; " in capsys.readouterr().out
    assert facts(out)["model_queries"] == queries
    pd.testing.assert_series_equal(scores(out), before)


def test_the_terminal_shows_metrics_of_tasks_with_and_without_a_truth(tmp_path, capsys):
    words = ["run", "--task", "mnist1d", "hidden", "--plugins", str(tmp_path / "hidden.py"), "--samples", "4"]
    (tmp_path / "hidden.py").write_text(HIDDEN, encoding="utf-8")
    words += [
        "--method",
        "saliency",
        "random",
        "--metric",
        "drop",
        "localisation_auc",
        "--device",
        "cpu",
        "--batch-size",
        "8",
    ]
    assert main([*words, "--no-plots", "--out", str(tmp_path / "results")]) == 0
    told = capsys.readouterr().out
    assert told.count(" drop") == 2
    columns = list(pd.read_csv(tmp_path / "results" / "leaderboard.csv"))
    assert max(map(columns.index, [name for name in columns if name.startswith("mean_rank")])) < columns.index("drop")


def test_report_makes_the_same_files_from_the_scores_alone(out, capsys):
    before = contents(out)
    for name in ("leaderboards", "plots"):
        shutil.rmtree(out / name)
    for name in ("leaderboard.csv", "failures.csv"):
        (out / name).unlink()
    assert main(["report", "--out", str(out)]) == 0
    assert contents(out) == before
    assert {p.name for p in (out / "plots").iterdir()} == {f"mnist1d_{n}.png" for n in PLOTS}
    assert f"leaderboards and plots are in {out}" in capsys.readouterr().out


def test_svg_files_are_written_on_request(out):
    assert main(["report", "--svg", "--out", str(out)]) == 0
    for name in PLOTS:
        assert "<svg" in (out / "plots" / f"mnist1d_{name}.svg").read_text(encoding="utf-8")[:1000]
    with pytest.raises(SystemExit):
        main(["report", "--svg", "--no-plots", "--out", str(out)])


def test_a_task_without_data_is_skipped_with_one_line_and_the_others_are_complete(out, capsys):
    before = contents(out)
    command = [*SMALL, "--out", str(out), "--offline"]
    command.insert(command.index("mnist1d"), "hmt")
    assert main(command) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "hmt" in line]
    assert told == [
        "skipped hmt: hmt is not on this machine, and downloads are off (--offline); download it with "
        "`python -m bench fetch hmt` (258 MB, CC BY 4.0), or name a folder that contains it with --data"
    ]
    assert list(facts(out)["skipped_tasks"]) == ["hmt"]
    assert contents(out) == before


def test_a_run_of_nothing_but_a_skipped_task_says_so(tmp_path, capsys):
    assert main(["run", "--task", "hmt", "--offline", "--out", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "no leaderboard yet" in printed
    assert "skipped hmt: hmt is not on this machine" in printed


def test_fetch_without_network_says_how_to_get_the_data(tmp_path, capsys):
    assert main(["fetch", "hmt", "--offline", "--out", str(tmp_path)]) == 1
    assert "name a folder that contains it with --data" in capsys.readouterr().err


def test_a_method_that_raises_becomes_rows_and_the_others_are_complete(out, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(FAULTY)
    before = scores(out)
    command = [*SMALL, "--no-plots", "--plugins", str(tmp_path / "mine.py"), "--out", str(out)]
    command.insert(command.index("--metric"), "faulty")
    assert main(command) == 1
    note = "ValueError: no map today (mine.py:9)"
    assert f"FAILED mnist1d · faulty: {note} (12 scores)" in capsys.readouterr().out

    failures = pd.read_csv(out / "failures.csv")
    assert sorted(failures["metric"]) == sorted(METRIC_NAMES)
    for column, value in {
        "task": "mnist1d",
        "method": "faulty",
        "status": "failed",
        "note": note,
        "n_samples": 4,
    }.items():
        assert set(failures[column]) == {value}
    board = pd.read_csv(out / "leaderboard.csv")
    assert board["status"].tolist() == ["complete"] * 3 + ["incomplete"]
    assert board["method"].iloc[-1] == "faulty"
    assert board["rank"].isna().tolist() == [False] * 3 + [True]
    pd.testing.assert_series_equal(scores(out).drop(index="faulty"), before)


def test_rows_stay_in_the_leaderboard_when_the_plugin_is_gone(out, tmp_path):
    (tmp_path / "mine.py").write_text(FAULTY)
    command = [*RUN, "--no-plots", "--method", "faulty", "--metric", "drop", "--plugins", str(tmp_path / "mine.py")]
    assert main([*command, "--out", str(out)]) == 1
    del decorators.METHODS["faulty"]
    before = tables(out)
    assert main(["report", "--no-plots", "--out", str(out)]) == 0
    for name, table in tables(out).items():  # which version is in use is not known without the plug-in
        pd.testing.assert_frame_equal(table.drop(columns="outdated"), before[name].drop(columns="outdated"))


@pytest.mark.parametrize("metric", ["drop", "increase", "deletion", "seconds", "quantus_sparseness"])
def test_one_metric_alone_makes_a_board_and_plots(tmp_path, metric):
    out = tmp_path / "results"
    assert main([*RUN, "--method", "random", "saliency", "--metric", metric, "--out", str(out)]) == 0
    assert len(pd.read_csv(out / "leaderboard.csv")) == 2
    assert any((out / "plots").iterdir())


def test_one_method_on_one_sample_makes_a_board_and_plots(tmp_path):
    out = tmp_path / "results"
    words = "run --task mnist1d --samples 1 --device cpu --batch-size 8 --method random --metric drop deletion seconds"
    assert main([*words.split(), "--out", str(out)]) == 0
    assert pd.read_csv(out / "leaderboard.csv")[["method", "n_samples", "rank"]].values.tolist() == [["random", 1, 1]]


# --- train and evaluate


def test_train_writes_weights_facts_and_curves_that_evaluate_reads(tmp_path, capsys):
    weights, out = tmp_path / "weights", tmp_path / "results"
    assert main(["train", "mnist1d", "--epochs", "1", "--to", str(weights), "--out", str(out), "--device", "cpu"]) == 0
    told = json.loads((weights / "mnist1d.json").read_text())
    assert (told["training"]["epochs"], told["training"]["seed"]) == (1, 0)
    history = pd.read_csv(out / "training" / "mnist1d.csv")
    assert list(history.columns) == ["epoch", "loss", "train_accuracy", "test_accuracy"]
    assert history["test_accuracy"].round(4).tolist() == [told["test_accuracy"]]
    assert (out / "training" / "mnist1d.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "training" / "mnist1d.svg").read_text(encoding="utf-8")[:1000]
    assert f"test accuracy {told['test_accuracy']:.4f}" in capsys.readouterr().out

    stored = str(weights / "mnist1d.safetensors")
    assert main(["evaluate", "mnist1d", "--weights", stored, "--out", str(out), "--device", "cpu"]) == 0
    table = pd.read_csv(out / "evaluation" / "mnist1d.csv")
    assert table["accuracy"].iloc[-1] == pytest.approx(told["test_accuracy"], abs=5e-5)


def test_evaluate_measures_the_shipped_model(tmp_path, capsys):
    assert main(["evaluate", "mnist1d", "--out", str(tmp_path), "--device", "cpu"]) == 0
    table = pd.read_csv(tmp_path / "evaluation" / "mnist1d.csv")
    assert table["class"].tolist() == [*"0123456789", "all (accuracy; macro means)"]
    assert table["n"].tolist()[-1] == sum(table["n"].tolist()[:-1]) == 1000
    accuracy = table["accuracy"].iloc[-1]
    assert accuracy >= 0.92
    last = capsys.readouterr().out.splitlines()[-2]
    assert last.split()[-6:-5] == [f"{accuracy:.4f}"]
    for name in ("confusion", "roc"):
        assert (tmp_path / "evaluation" / f"mnist1d_{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / "evaluation" / f"mnist1d_{name}.svg").read_text(encoding="utf-8")[:1000]


def test_evaluate_names_weights_that_are_not_there(tmp_path, capsys):
    assert main(["evaluate", "mnist1d", "--weights", str(tmp_path / "gone.safetensors"), "--out", str(tmp_path)]) == 1
    assert "there are no weights at " in capsys.readouterr().err


def test_evaluate_without_data_says_how_to_get_it(tmp_path, capsys):
    assert main(["evaluate", "hmt", "--offline", "--out", str(tmp_path)]) == 1
    assert "download it with `python -m bench fetch hmt`" in capsys.readouterr().err


def test_a_report_of_a_folder_that_only_a_sweep_filled_says_so(tmp_path, capsys):
    words = ["sweep", "mnist1d", "--samples", "2", "--baseline", "mean", "--features", "pixel", "--device", "cpu"]
    words += ["--batch-size", "8"]
    assert main([*words, "--method", "random", "input_magnitude", "--out", str(tmp_path)]) == 0
    assert main(["report", "--no-plots", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert (
        f"{tmp_path} holds no scores of a run, and those of a sweep are not shown; `python -m bench run --all" in said
    )
    assert not (tmp_path / "leaderboard.csv").exists()
