"""Boards for pasting and for a terminal: what a reader sees."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from test_at_a_glance import levels
from test_board import THREE, rows

from bench.analysis import task_tables
from bench.analysis.task_tables import Tables
from bench.core.entries import Task
from bench.report import markup
from bench.report.markup import LEGEND
from bench.report.terminal import boards_text, closing_text
from bench.storage import run_facts
from bench.storage.scores import Store
from bench.validation.ladders import COLUMNS

TASK = "toy"
TOY = Task(name=TASK, fn=print, family="", cite="", version=1, params=(), injected=())


def tables_of(frame: pd.DataFrame, **settings) -> Tables:
    return task_tables.of_task(frame, **settings)


@pytest.fixture
def board_and_metrics():
    found = rows(THREE | {"a_b%": {"up": [float("nan")] * 4, "down": [1.0] * 4, "seconds": [0.0] * 4}})
    tables = tables_of(found)
    return tables.wide, tables.metrics


def test_markdown_has_a_line_for_each_ranked_method(board_and_metrics):
    lines = markup.markdown(*board_and_metrics).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert cells[0] == ["method", "rank", "top", "vs random", "mean rank, faithfulness", "seconds ↓", "down ↓", "up ↑"]
    assert cells[2] == ["good", "1.5 (1-3)", "yes", "~", "1.5", "2", "1", "6"]
    assert [line[0] for line in cells[2:]] == ["good", "same", "random", "a_b%"]
    assert cells[5] == ["a_b%", "incomplete", "", "", "", "0", "1", ""]  # it lacks scores
    assert lines[:4] == [
        "- toy: 4 samples.",
        "- good is the best method; 2 of the other 2 cannot be distinguished from it: same, random.",
        "- 0 of 3 methods are significantly better than the random control; the control is last.",
        "- 0 of 2 pairs of neighbours in rank can be distinguished.",
    ]
    assert "hidden" not in lines[-1]


def test_a_board_of_many_metrics_shows_the_best_known_and_counts_the_others():
    names = ["c", "deletion", "d", "drop", "e", "f", "pointing_game"]
    for number, shown in ((6, ["drop", "deletion", "c", "d", "e", "f"]), (7, ["drop", "deletion"])):
        tables = tables_of(
            rows({method: dict.fromkeys(names[:number], values["up"]) for method, values in THREE.items()})
        )
        assert markup.headlines(tables.wide, tables.metrics) == shown


def test_markdown_says_what_is_significant():
    tables = tables_of(levels())
    found = markup.short(tables.wide, tables.metrics).set_index("method")
    assert found["top"].to_dict() == {
        "oracle (control)": "yes",
        "a": "yes",
        "b": "yes",
        "near": "",
        "random (control)": "",
        "below": "",
    }
    assert found["vs random"].to_dict() == {
        "oracle (control)": "better",
        "a": "better",
        "b": "better",
        "near": "~",
        "random (control)": "",
        "below": "worse",
    }


def test_a_shown_metric_that_does_not_count_and_an_outdated_method_are_marked():
    frame = rows({name: {"up": scores["up"], "drop": scores["down"]} for name, scores in THREE.items()})
    tables = tables_of(frame, verdicts={"drop@1": "fail"}, versions={"method": {"good": 2}})
    text = markup.markdown(tables.wide, tables.metrics)
    assert "Not counted in the rank: drop." in text
    assert "| good (outdated) " in text


def test_latex_escapes_what_it_must(board_and_metrics):
    board, metrics = board_and_metrics
    board = board.replace({"method": {"good": "goo_d&%"}})
    text = markup.latex(board, metrics)
    assert r"goo\_d\&\% & 1.5 (1-3) & yes & \textasciitilde  & 1.5 & 2 & 1 & 6 \\" in text
    assert r"95 \% interval" in text
    assert r"\toprule" in text
    assert r"seconds $\downarrow$" in text


def test_odd_names_break_neither_table(board_and_metrics):
    board, metrics = board_and_metrics
    board = board.replace({"method": {"good": "a|b\nc<i>"}, "task": {"toy": "my#task&1{$|"}})
    lines = [line for line in markup.markdown(board, metrics).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "| a\\|b c&lt;i>" in lines[2]
    text = markup.latex(board, metrics)
    assert r"\caption{my\#task\&1\{\$|: 4 samples" in text
    assert r"\label{tab:my-task-1-}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_compiles(board_and_metrics, tmp_path):
    text = markup.latex(*board_and_metrics)
    whole = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + text + r"\end{document}"
    (tmp_path / "board.tex").write_text(whole)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "board.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    assert (tmp_path / "board.pdf").stat().st_size > 1000


def test_the_terminal_says_the_answer_before_the_table_and_what_is_missing_after_it(tmp_path):
    frame = rows({name: {"up": scores["up"], "down": scores["down"]} for name, scores in THREE.items()})
    odd = rows({name: {"third": [float(i), 2.0, 1.0, 3.0]} for i, name in enumerate(THREE)})
    frame = pd.concat([frame, odd.assign(metric_family="complexity")], ignore_index=True)
    tables = tables_of(
        frame,
        verdicts={"down@1": "fail"},
        left_out={TASK: ["slow one"]},
        versions={"method": {"same": 2}, "metric": {"third": 3}},
    )
    lines = boards_text(tables, tmp_path).splitlines()
    assert lines[1:5] == [
        "toy: 4 samples",
        "good is the best method; 2 of the other 2 cannot be distinguished from it: same, random.",
        "0 of 3 methods are significantly better than the random control; the control is last.",
        "0 of 2 pairs of neighbours in rank can be distinguished.",
    ]
    assert lines[5].split()[:6] == ["rank", "top", "vs", "random", "mean", "rank"]
    assert lines[5].split()[6::2] == ["down", "up", "third"]
    assert "not counted in the rank, fails its checks: down" in lines
    assert "outdated, scored by an older version (run again): same, third" in lines
    assert not any("hidden" in line for line in lines)
    assert not any(line.startswith("slow one ") for line in lines)
    assert boards_text(None, tmp_path) == "no leaderboard yet: nothing has been scored"


def test_metrics_that_fail_and_were_left_out_are_listed(tmp_path):
    Store(tmp_path).mark_run(TOY, "weights", [], left_out={"metrics": ["slow_metric", "bad_metric", "up"]})
    verdict = {"metric": "bad_metric", "metric_id": "bad_metric@1", "verdict": "fail"}
    pd.DataFrame([verdict]).reindex(columns=["code", *COLUMNS]).to_csv(tmp_path / "conformance.csv", index=False)
    text = boards_text(tables_of(rows(THREE)), tmp_path)
    assert "left out, fail their checks (--profile full, or by name): bad_metric\n" in text


@pytest.mark.parametrize(
    ("profile", "left_out", "line"),
    [
        (
            "quick",
            {"tasks": ["planted"], "methods": ["lime", "rise"], "metrics": ["a", "b", "c", "d", "bad_metric"]},
            "profile quick leaves out task planted, methods lime and rise and 4 metrics; --profile standard takes more of "
            "them, full all, or name them",
        ),
        (
            "standard",
            {"tasks": [], "methods": ["lime"], "metrics": ["bad_metric"]},
            "profile standard leaves out method lime; --profile full takes all, or name them",
        ),
        ("standard", {"metrics": ["bad_metric"]}, None),
        ("full", {}, None),
    ],
)
def test_a_line_says_what_the_profile_leaves_out_and_how_to_add_it(tmp_path, profile, left_out, line):
    verdict = {"metric": "bad_metric", "metric_id": "bad_metric@1", "verdict": "fail"}
    pd.DataFrame([verdict]).reindex(columns=["code", *COLUMNS]).to_csv(tmp_path / "conformance.csv", index=False)
    run_facts.write(tmp_path, {"profile": profile, "left_out": left_out})
    lines = closing_text(tmp_path).splitlines()
    assert lines == ([line] if line else []) + [LEGEND]


def test_numbers_without_a_value_are_empty_cells():
    nan = np.nan
    table = {"random": {"drop": [1.0, 2.0]}, "good": {"drop": [nan, nan]}}
    tables = tables_of(rows(table))
    short = markup.short(tables.wide, tables.metrics).set_index("method")
    assert short.loc["good", "drop ↓"] == ""
    assert short.loc["good", "rank"] == "undefined"
