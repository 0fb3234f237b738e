"""A results folder that version 0.1.0 wrote: it is read, continued and reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.cli.main import main
from bench.storage.maps import MapStore
from bench.storage.scores import Store

STORED = Path(__file__).parents[1] / "data" / "results_0.1.0"
METHODS = ["grad_cam", "random", "saliency"]
METRICS = ["deletion", "drop", "insertion", "seconds", "sparseness"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def results(tmp_path) -> Path:
    return Path(shutil.copytree(STORED, tmp_path / "results"))


def test_its_scores_and_maps_are_read():
    rows = Store(STORED).read()
    assert len(rows) == 3 * 5 * 6
    assert sorted(set(rows["method"])) == METHODS
    assert sorted(set(rows["metric"])) == METRICS
    assert set(rows["status"]) == {"ok"}
    by_metric = rows[rows["method"] == "grad_cam"].groupby("metric", observed=True)["score"].mean()
    # as the leaderboard of that run had them
    assert by_metric["deletion"] == pytest.approx(0.115963, abs=1e-6)
    assert by_metric["drop"] == pytest.approx(0.198374, abs=1e-6)
    assert rows[rows["metric"] == "deletion"]["curve"].str.len().tolist() == [21] * 18
    maps = MapStore(STORED).read_current("mnist1d", rows["fingerprint"].iloc[0])
    assert maps["inputs"]["inputs"].shape == (6, 1, 40)
    assert {str(arrays["method_id"]) for arrays in maps.values() if "maps" in arrays} == set(rows["method_id"])


def test_a_run_over_it_keeps_all_rows_and_asks_the_model_nothing(results):
    before = Store(results).read()
    words = ["run", "--task", "mnist1d", "--samples", "6", "--batch-size", "8", "--device", "cpu", "--offline"]
    assert main([*words, "--method", *METHODS, "--metric", *METRICS, "--out", str(results)]) == 0
    facts = json.loads((results / "run.json").read_text(encoding="utf-8"))
    assert (facts["model_queries"], facts["rows_written"], facts["rows_kept"]) == (0, {}, 90)
    pd.testing.assert_frame_equal(Store(results).read(), before)


def test_reports_are_made_from_it(results):
    assert main(["report", "--no-plots", "--out", str(results)]) == 0
    board = pd.read_csv(results / "leaderboard.csv").set_index("method")
    assert sorted(board.index) == METHODS
    assert board["n_samples"].tolist() == [6, 6, 6]
    assert board.loc["grad_cam", "drop"] == pytest.approx(0.198374, abs=1e-6)
    assert (results / "report.html").is_file()
