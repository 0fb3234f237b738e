"""Reports are written task by task, by processes or not, and nothing is made twice from the same scores."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jobs
import pandas as pd
import pytest

from bench import page
from bench.analysis.task_tables import Tables
from bench.api.results import Results
from bench.cli.main import main
from bench.core.errors import BenchError
from bench.report import build, kept, writer
from bench.report.pool import Pool, WorkerDied
from bench.report.writer import Writer
from bench.storage.scores import Store

METHODS = ["random", "saliency", "input_magnitude", "oracle"]
METRICS = ["drop", "deletion", "energy_pointing_game", "seconds"]
PICTURES = {"ranks", "heatmap", "critical_difference", "wins", "distributions", "curves", "cost", "gallery"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """Two tasks of signals, without any report."""
    out = tmp_path_factory.mktemp("written") / "results"
    asked = ["run", "--task", "mnist1d", "planted_signal", "--samples", "6", "--device", "cpu", "--no-plots"]
    assert main([*asked, "--method", *METHODS, "--metric", *METRICS, "--out", str(out)]) == 0
    shutil.rmtree(out / "leaderboards")
    shutil.rmtree(out / ".cache")
    for path in [*out.glob("*.csv"), out / page.NAME]:
        path.unlink()
    return out


@pytest.fixture(autouse=True)
def quickly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of pictures without pictures in them, where a test does not look into them."""
    if "drawing" not in request.fixturenames:
        monkeypatch.setattr(writer, "draw", jobs.draw_nothing)


@pytest.fixture
def drawing() -> None:
    """Real pictures."""


@pytest.fixture
def out(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "results"))


@pytest.fixture
def one_task(out: Path) -> Path:
    shutil.rmtree(out / "scores" / "task=planted_signal")
    return out


def written(out: Path) -> dict[str, bytes]:
    """What a report writes: name -> contents."""
    files = [path for path in out.rglob("*") if path.is_file() and path.parent.name not in ("maps", "scores")]
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if name.split("/")[0] not in ("scores", "maps", "run.json")}


def report(out: Path, **settings: Any) -> Tables | None:
    with Writer(out, **settings) as made:
        tables = made.close()
    made.check()
    return tables


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[tuple[Any, ...]]:
    """The calls of a function from now on."""
    calls, function = [], getattr(module, name)

    def called(*arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(module, name, called)
    return calls


def drawn_names(calls: list[tuple[Any, ...]]) -> set[str]:
    return {f"{task}_{name}" for _, task, _, _, name, _ in calls}


def test_a_task_is_written_when_it_is_done_and_the_others_later(out):
    with Writer(out) as made:
        made.task("planted_signal")
        names = {path.name for path in (out / "plots").iterdir()}
        assert names >= {f"planted_signal_{name}.png" for name in PICTURES}
        assert not any(name.startswith("mnist1d") for name in names)
        assert set(pd.read_csv(out / "leaderboard.csv")["task"]) == {"planted_signal"}
        assert '"tasks":["planted_signal"]' in (out / page.NAME).read_text(encoding="utf-8")
        assert {"metrics.csv", "columns.csv", "failures.csv", "agreement.csv"} <= set(os.listdir(out))
        tables = made.close()
    assert sorted(tables.wide["task"].unique()) == ["mnist1d", "planted_signal"]
    assert set(pd.read_csv(out / "leaderboard.csv")["task"]) == {"mnist1d", "planted_signal"}
    assert '"tasks":["mnist1d","planted_signal"]' in (out / page.NAME).read_text(encoding="utf-8")


def test_processes_write_the_same_files(one_task, tmp_path, monkeypatch, drawing):
    out = one_task
    other = Path(shutil.copytree(out, tmp_path / "other"))
    report(out, svg=True)
    monkeypatch.setattr(writer, "FEW", 0)
    report(other, svg=True, workers=2)
    assert written(other) == written(out)


def test_nothing_is_made_again_from_the_same_scores(out, monkeypatch):
    first = report(out)
    before, times = written(out), {path: path.stat().st_mtime_ns for path in (out / "plots").iterdir()}
    built, drawn = counted(monkeypatch, build, "task"), counted(monkeypatch, writer, "draw")
    pages = counted(monkeypatch, page, "write")
    second = report(out)
    assert built == drawn == []
    assert len(pages) == 1
    assert written(out) == before
    assert {path: path.stat().st_mtime_ns for path in (out / "plots").iterdir()} == times
    for name in kept.FRAMES:
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name), check_exact=True)
    for one, other in zip(first.beliefs, second.beliefs, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_deleted_picture_or_table_is_made_again(out, monkeypatch):
    report(out)
    before = written(out)
    for name in ("plots/mnist1d_ranks.png", "leaderboards/mnist1d_wins.csv", "leaderboard.csv", page.NAME):
        (out / name).unlink()
    drawn = counted(monkeypatch, writer, "draw")
    report(out)
    assert drawn_names(drawn) == {"mnist1d_ranks"}
    assert written(out) == before


def test_pictures_are_drawn_again_when_scores_verdicts_or_the_code_change(out, monkeypatch):
    report(out)
    drawn = counted(monkeypatch, writer, "draw")
    path = next(out.glob("scores/task=mnist1d/method=saliency/*.parquet"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # rewritten
    report(out)
    assert {name.rsplit("_", 1)[0] for name in drawn_names(drawn)} >= {"mnist1d"}
    assert not any(name.startswith("planted_signal") for name in drawn_names(drawn))
    drawn.clear()
    monkeypatch.setattr(kept, "_code", lambda: "other code")
    report(out)
    assert len(drawn) == 2 * len(PICTURES)
    drawn.clear()
    monkeypatch.setattr(build, "verdict_by_id", lambda out: {"drop@1": "fail"})
    report(out)
    assert len(drawn) == 2 * len(PICTURES)


def test_results_are_opened_with_the_tables_that_were_kept(out, monkeypatch):
    tables = report(out)
    built = counted(monkeypatch, build, "task")
    pd.testing.assert_frame_equal(Results(out).leaderboard, tables.wide, check_exact=True)
    assert built == []
    path = next(out.glob("scores/task=mnist1d/method=saliency/*.parquet"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    pd.testing.assert_frame_equal(Results(out).leaderboard, tables.wide, check_exact=True)
    assert [name for _, name, _ in built] == ["mnist1d"]


def test_svg_is_written_on_request_and_never_older_than_its_picture(out, monkeypatch):
    report(out)
    assert not list(out.glob("plots/*.svg"))
    report(out, svg=True)
    assert {path.stem for path in out.glob("plots/*.svg")} == {path.stem for path in out.glob("plots/*.png")}
    drawn = counted(monkeypatch, writer, "draw")
    report(out)
    assert drawn == []  # what is there is as new as the scores
    (out / "plots" / "mnist1d_cost.png").unlink()
    report(out)
    assert drawn_names(drawn) == {"mnist1d_cost"}
    assert not (out / "plots" / "mnist1d_cost.svg").exists()


def test_without_pictures_plots_stay_as_they_are(out):
    report(out, pictures=False)
    assert not (out / "plots").exists()
    assert (out / "leaderboards" / "mnist1d.csv").is_file()


def test_a_torn_memory_of_a_report_is_no_obstacle(out):
    report(out)
    before = written(out)
    for path in (out / ".cache" / "report").iterdir():
        path.write_text('{"key', encoding="utf-8")
    report(out)
    assert written(out) == before


def test_the_tables_of_a_task_are_made_again_when_scores_came_since(out, monkeypatch):
    built = counted(monkeypatch, build, "task")
    with Writer(out, pictures=False) as made:
        made.task("mnist1d")
        made.task("mnist1d")
        assert len(built) == 1
        path = next(out.glob("scores/task=mnist1d/method=saliency/*.parquet"))
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        made.close()
    assert [name for _, name, _ in built] == ["mnist1d", "mnist1d", "planted_signal"]


def test_a_killed_process_costs_its_picture_alone_and_the_exit_code_is_1(one_task, monkeypatch, capsys):
    out, others = one_task, {f"mnist1d_{name}.png" for name in PICTURES - {"heatmap"}}
    monkeypatch.setattr(writer, "FEW", 0)
    monkeypatch.setattr(writer, "draw", jobs.draw_or_die)
    assert main(["report", "--out", str(out)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench: ")]
    assert lines == ["bench: mnist1d_heatmap.png was not drawn: the process that drew it died (signal 9)"]
    assert {path.name for path in out.glob("plots/*.png")} >= others
    assert not (out / "plots" / "mnist1d_heatmap.png").exists()
    assert set(pd.read_csv(out / "leaderboard.csv")["task"]) == {"mnist1d"}
    assert '"tasks":["mnist1d"]' in (out / page.NAME).read_text(encoding="utf-8")
    monkeypatch.setattr(writer, "draw", jobs.draw_nothing)
    drawn = counted(monkeypatch, writer, "draw")
    report(out)
    assert drawn_names(drawn) == {"mnist1d_heatmap"}


def test_the_tables_are_written_when_the_process_that_makes_them_is_killed(one_task, monkeypatch):
    out, making = one_task, writer.make
    calls = []

    def submitted(self: Pool, order: int, function: Callable[..., Any], *arguments: Any, done: Any) -> None:
        calls.append(function)
        submit(self, order, jobs.killed if function is making else function, *arguments, done=done)

    submit = Pool.submit
    monkeypatch.setattr(Pool, "submit", submitted)
    monkeypatch.setattr(writer, "FEW", 0)
    with Writer(out, pictures=False, workers=1) as made:
        made.close()
    assert calls == [making]
    assert made.failures == ["the process that made the tables of mnist1d died (signal 9); they were made without it"]
    with pytest.raises(BenchError, match="died"):
        made.check()
    assert set(pd.read_csv(out / "leaderboard.csv")["task"]) == {"mnist1d"}


def test_an_error_in_a_process_is_raised_with_its_message(out, monkeypatch):
    path = next(out.glob("scores/task=mnist1d/method=saliency/*.parquet"))
    path.write_bytes(b"torn")
    monkeypatch.setattr(writer, "FEW", 0)
    with Writer(out, workers=1) as made, pytest.raises(BenchError, match="not a score file of this harness"):
        made.close()


def test_a_pool_goes_on_after_a_death_and_shares_jobs():
    found: list[Any] = []
    pool = Pool(1)
    pool.submit(1, jobs.process_id, done=found.append)
    pool.submit(0, jobs.killed, done=found.append)
    pool.submit(2, jobs.process_id, done=found.append)
    pool.wait()
    pool.stop()
    died = [one for one in found if isinstance(one, WorkerDied)]
    ids = [one for one in found if isinstance(one, int)]
    assert [str(one) for one in died] == ["signal 9"]
    assert len(ids) == 2
    assert os.getpid() not in ids


def test_a_stopped_pool_leaves_no_process(tmp_path):
    pool, path = Pool(1), tmp_path / "started"
    pool.submit(0, jobs.slept, path, done=print)
    while not path.is_file() or not path.read_text(encoding="utf-8"):
        time.sleep(0.02)
    start = time.monotonic()
    pool.stop()
    assert time.monotonic() - start < 2
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text(encoding="utf-8")), 0)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import jobs
from bench.cli.main import main
from bench.report import writer
writer.FEW = 0
writer.draw = jobs.draw_slowly
if __name__ == "__main__":
    sys.exit(main(["report", "--out", {out!r}]))
"""


def test_ctrl_c_ends_the_processes_without_a_traceback(one_task, tmp_path):
    out = one_task
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent), out=str(out)), encoding="utf-8")
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    # a shell lets what it runs in the background ignore the signal, and programs started there inherit that
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    started = subprocess.Popen([sys.executable, str(script)], **pipes, preexec_fn=heed)
    while not list(out.glob("plots/*.pid")):
        assert started.poll() is None
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "Traceback" not in said
    assert "bench: stopped" in said
    for path in out.glob("plots/*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text(encoding="utf-8")), 0)
    assert not list(out.rglob("*.part"))


def test_what_is_kept_of_a_task_is_plain_json(out):
    report(out, pictures=False)
    content = json.loads((out / ".cache" / "report" / "mnist1d.json").read_text(encoding="utf-8"))
    key = kept.key(out, "mnist1d", build.facts(out))
    assert content["key"] == key
    assert kept.read(out, "mnist1d", "another key") is None
    assert kept.read(out, "mnist1d", key).fingerprint == Store(out).read("mnist1d")["fingerprint"].iloc[0]
