"""Boards as text for a terminal: what they hide is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bench.report import terminal


def test_a_metric_without_any_score_is_not_hidden():
    names = ["drop", "other", "third", *"abcd"]
    metrics = pd.DataFrame({"metric": [*names, "empty"]})
    board = pd.DataFrame({name: [1.0] for name in names} | {"empty": [np.nan]})
    path = Path("leaderboards/toy.csv")
    assert terminal._hidden(board, metrics, path) == [f"6 metrics hidden; {path} holds all"]
    assert terminal._hidden(board, metrics.drop(2), path) == []  # six are few enough to be shown
