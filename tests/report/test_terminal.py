"""Boards as text for a terminal: what they hide is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bench.report import terminal


def test_a_metric_without_any_score_is_not_hidden():
    metrics = pd.DataFrame({"metric": ["drop", "other", "third", "empty"]})
    board = pd.DataFrame({"drop": [1.0], "other": [1.0], "third": [2.0], "empty": [np.nan]})
    path = Path("leaderboards/toy.csv")
    assert terminal._hidden(board, metrics, path) == [f"2 metrics hidden; {path} holds all"]
    assert terminal._hidden(board, metrics.drop(2), path) == [f"1 metric hidden; {path} holds all"]
    assert terminal._hidden(board, metrics.drop([1, 2]), path) == []
