"""exactness.csv: rows by task, network, method and check."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.core.errors import BenchError
from bench.storage import exactness as stored
from bench.validation.exactness import standings


def rows(method: str, verdict: str = "holds", measured: float = 0.001) -> pd.DataFrame:
    line = {"method": method, "method_id": f"{method}@1", "check": "complete", "asks": "?", "verdict": verdict}
    return pd.DataFrame([line | {"measured": measured, "tolerance": 0.01, "note": "a note"}])


def test_answers_are_kept_by_task_network_and_method(tmp_path):
    for task, network, method in (("a", "1", "x"), ("a", "1", "y"), ("a", "2", "x"), ("b", "1", "x")):
        stored.write(tmp_path, rows(method), task=task, fingerprint=network)
    stored.write(tmp_path, rows("x", "fails", 0.12), task="a", fingerprint="1")
    table = stored.read(tmp_path)
    assert list(table) == ["task", "fingerprint", *stored.COLUMNS]
    assert len(table) == 4
    assert {name: one.chip for name, one in standings(table, "a", "1").items()} == {
        "x@1": "gap 12 %",
        "y@1": "exact here",
    }
    assert standings(table, "a", "2")["x@1"].note == "A note."
    assert standings(table, "a", "3") == {}


def test_a_folder_without_the_file_has_no_rows(tmp_path):
    assert standings(stored.read(tmp_path), "a", "1") == {}


def test_rows_are_read_as_they_were_written(tmp_path):
    written = pd.concat([rows("x", "not checked", float("nan")), rows("y").assign(note="")], ignore_index=True)
    stored.write(tmp_path, written, task="a", fingerprint="007")
    table = stored.read(tmp_path)
    pd.testing.assert_frame_equal(table[stored.COLUMNS], written)
    assert table["fingerprint"].tolist() == ["007", "007"]


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("task,method\na,b\n", "it has no column fingerprint"),
        ("", "it is not a CSV table"),
        ("measured\nmuch\n", "it is not a CSV table"),
    ],
)
def test_a_file_that_is_no_such_table_is_named(tmp_path, text, flaw):
    (tmp_path / stored.FILE).write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=flaw):
        stored.read(tmp_path)
