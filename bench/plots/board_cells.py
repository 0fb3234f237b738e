"""What pictures of boards share: colours of cells, names of methods and metrics on axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bench.core.vocabulary import CONTROLS, LEVEL, RANDOM, Column
from bench.plots.style import PALE, method_labels


def square(long: pd.DataFrame, field: str, metrics: list[str], methods: list[str]) -> pd.DataFrame:
    """A column of the long table as metrics x methods."""
    return long.pivot(index="metric", columns="method", values=field).reindex(index=metrics, columns=methods)


def colours(long: pd.DataFrame, metrics: list[str], methods: list[str]) -> pd.DataFrame:
    """Skill over the metric's greatest, from -1 to 1 (metrics x methods); pale where the test against random finds nothing.

    Where there is no random control the distance from the mean stands for skill.
    """
    if RANDOM in set(long["method"]):
        skill = square(long, "skill", metrics, methods)
        same = ~(square(long, Column.P_VS_RANDOM, metrics, methods) < 1 - LEVEL).to_numpy(bool)
    else:
        means = square(long, "mean", metrics, methods)
        higher = long.drop_duplicates("metric").set_index("metric").loc[metrics, "higher_is_better"]
        skill = means.sub(means.mean(axis=1), axis=0).mul(np.where(higher, 1.0, -1.0), axis=0)
        same = np.zeros(skill.shape, dtype=bool)
    scaled = skill.div(skill.abs().max(axis=1).replace(0, 1), axis=0)
    return scaled.where(~same, scaled * PALE)


def mark_losses(axes: Axes, where: np.ndarray, middle: float = 0.0) -> None:
    """A minus sign in each of these cells (rows, columns): in grey, red and blue look the same."""
    lines, columns = np.nonzero(where)
    axes.scatter(columns + middle, lines + middle, marker="_", s=9, color="white", lw=0.9, zorder=5)


def set_methods(axes: Axes, board: pd.DataFrame, middle: float = 0.0) -> None:
    """A row for each method, the first on top; the random control bold, controls in italics."""
    axes.set_yticks(np.arange(len(board)) + middle, method_labels(board), rotation=0, fontsize=8)
    axes.set_ylim(len(board) - 0.5 + middle, middle - 0.5)
    for label, (_, line) in zip(axes.get_yticklabels(), board.iterrows(), strict=True):
        label.set_fontweight("bold" if line["method"] == RANDOM else "normal")
        label.set_fontstyle("italic" if line["method_family"] == CONTROLS else "normal")
