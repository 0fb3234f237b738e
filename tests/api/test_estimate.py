"""A run says what it will cost before it starts, where that is worth saying."""

from __future__ import annotations

import re

import pytest

import bench
from bench.api import evaluation
from bench.cli.main import main
from bench.engine.estimate import Estimate

WHOLE = r"mnist1d: about \d+ s \(\d+(,\d+)* queries of the model at [\d.e-]+ ms\); most expensive: .*; shorter with "


@pytest.fixture
def eager(monkeypatch):
    """Says it whatever it takes."""
    monkeypatch.setattr(evaluation, "WORTH_SAYING", 0.0)


def score(capsys, **more: object) -> str:
    bench.evaluate(task="mnist1d", methods="saliency", metrics="drop", samples=2, offline=True, **more)
    return capsys.readouterr().err


def test_a_short_run_is_quiet(capsys):
    assert "about" not in score(capsys)


@pytest.mark.parametrize("more", [{"progress": False}, {"budget": "1h"}], ids=str)
def test_nothing_is_said_where_no_progress_is_shown_or_the_time_is_given(capsys, eager, more):
    assert "shorter" not in score(capsys, **more)


def test_the_line_of_python_and_of_the_shell(capsys, eager, tmp_path):
    assert re.search(WHOLE + "fewer names in metrics= and methods=\n", score(capsys))
    words = ["run", "--task", "mnist1d", "--method", "saliency", "--metric", "drop", "--samples", "2", "--offline"]
    assert main([*words, "--no-plots", "--out", str(tmp_path)]) == 0
    assert re.search(WHOLE + "fewer names in --metric and --method\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("profile", "in_shell", "ways"),
    [
        ("full", True, "--profile standard, --samples 2 (60 s), --budget 10m or fewer names in --metric and --method"),
        ("quick", True, "--samples 2 (60 s), --budget 10m or fewer names in --metric and --method"),
        ("", False, "samples=2 (60 s), budget='10m' or fewer names in metrics= and methods="),
        ("standard", False, "profile='quick', samples=2 (60 s), budget='10m' or fewer names in metrics= and methods="),
    ],
)
def test_ways_that_exist(capsys, profile, in_shell, ways):
    task = Estimate("tiles", 40, 1200.0, 1000.0, 0.01, {}, {}, round=8)
    evaluation._tell(task, profile=profile, in_shell=in_shell, show=True)
    line = capsys.readouterr().err
    assert line == f"tiles: about 20 min (1,000 queries of the model at 10 ms); shorter with {ways}\n"
