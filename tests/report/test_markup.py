"""Boards for pasting: what a reader of the Markdown and the LaTeX sees."""

from __future__ import annotations

import shutil
import subprocess

import pandas as pd
import pytest
from test_board import THREE, rows

from bench.analysis import metric_table
from bench.analysis.board import boards
from bench.report import markup


@pytest.fixture
def board_and_long():
    found = rows(THREE | {"a_b%": {"up": [float("nan")] * 4, "down": [1.0] * 4, "seconds": [0.0] * 4}})
    long = metric_table.long_table(found)
    return boards(found, long), long


def test_markdown_has_a_line_for_each_ranked_method(board_and_long):
    lines = markup.markdown(*board_and_long).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert cells[0] == ["method", "rank", "group", "faithfulness", "seconds ↓"]
    assert cells[2] == ["good", "1.5 (1-3)", "a", "1.5", "2"]
    assert [line[0] for line in cells[2:]] == ["good", "same", "random", "a_b%"]
    assert cells[5] == ["a_b%", "incomplete", "", "", "0"]  # it lacks scores
    assert "toy, 4 samples" in lines[-1]


def test_a_table_is_that_of_tabulate():
    table = pd.DataFrame({"method": ["a", "a long name"], "drop ↓": ["1.5", ""], "n": ["3", "12345678"]})
    assert markup.pipe_table(table) == table.to_markdown(index=False, disable_numparse=True)


def test_latex_escapes_what_it_must(board_and_long):
    board, long = board_and_long
    board = board.replace({"method": {"good": "goo_d&%"}})
    text = markup.latex(board, long)
    assert r"goo\_d\&\% & 1.5 (1-3) & a & 1.5 & 2 \\" in text
    assert r"\toprule" in text
    assert r"95 \% intervals" in text
    assert r"seconds $\downarrow$" in text


def test_odd_names_break_neither_table(board_and_long):
    board, long = board_and_long
    board = board.replace({"method": {"good": "a|b\nc<i>"}, "task": {"toy": "my#task&1{$|"}})
    lines = [line for line in markup.markdown(board, long).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "| a\\|b c&lt;i>" in lines[2]
    text = markup.latex(board, long)
    assert r"\caption{my\#task\&1\{\$|, 4 samples" in text
    assert r"\label{tab:my-task-1-}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_compiles(board_and_long, tmp_path):
    text = markup.latex(*board_and_long)
    whole = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + text + r"\end{document}"
    (tmp_path / "board.tex").write_text(whole)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "board.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    assert (tmp_path / "board.pdf").stat().st_size > 1000
