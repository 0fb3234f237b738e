"""Pictures say what the tables say, and every small or partial store can be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_leaderboard import THREE, rows

from bench import leaderboard, plots


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def tables(table: dict) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    frame = rows(table)
    return frame, leaderboard.wide_table(frame), leaderboard.long_table(frame)


def test_heatmap_shows_means_in_rank_order_with_directions_and_no_costs():
    _, wide, long = tables(THREE)
    figure = plots.heatmap(wide, long, "toy")
    axes = figure.axes[0]
    assert [label.get_text().split()[0] for label in axes.get_xticklabels()] == ["good", "same", "random"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["down (%) ↓", "up (%) ↑"]
    shown = np.array([text.get_text() for text in axes.texts[:6]]).reshape(2, 3).astype(float)
    assert shown.tolist() == [[1, 1, 9], [6, 6, 1]]
    colours = axes.collections[0].get_array().reshape(2, 3)
    assert np.asarray(colours).tolist() == [[1, 1, 0], [1, 1, 0]]  # the control is the zero of every line


def test_heatmap_is_pale_where_a_method_cannot_be_told_from_the_control():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=30)
    table = {"random": noise, "lucky": rng.normal(size=30) + 0.1, "better": noise + 3}
    _, wide, long = tables({name: {"up": list(scores)} for name, scores in table.items()})
    axes = plots.heatmap(wide, long, "toy").axes[0]
    names = [label.get_text().split()[0] for label in axes.get_xticklabels()]
    colour = dict(zip(names, np.asarray(axes.collections[0].get_array()).ravel(), strict=True))
    assert colour["better"] == 1
    assert abs(colour["lucky"]) <= plots.PALE
    assert colour["random"] == 0


def test_distributions_mark_the_mean_of_the_random_control():
    figure = plots.distributions(*tables(THREE), "toy")
    visible = [axes for axes in figure.axes if axes.get_visible()]
    dashed = [line.get_xdata()[0] for axes in visible for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [9, 1]
    assert [axes.get_xlabel() for axes in visible] == ["down (%) ↓", "up (%) ↑"]


def test_curves_draw_every_method_with_the_control_in_black():
    frame = rows({name: {"deletion": [0.5, 0.4]} for name in THREE}, metric_family="faithfulness")
    frame["curve"] = [np.linspace(1, 0, 5)] * len(frame)
    figure = plots.mean_curves(leaderboard.mean_curves(frame), leaderboard.wide_table(frame), "toy")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == set(THREE)
    assert lines["random"].get_color() == "black"
    assert lines["good"].get_ydata().tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert "features removed" in figure.axes[0].get_xlabel()


def test_cost_has_a_log_axis_and_names_every_method():
    _, wide, _ = tables(THREE)
    figure = plots.cost(wide, "toy")
    assert figure.axes[0].get_xscale() == "log"
    assert all(name in texts(figure) for name in THREE)


@pytest.mark.parametrize("shape", [(1, 12), (3, 8, 8), (1, 8, 8)], ids=["signal", "rgb", "grey"])
def test_gallery_draws_each_sample_and_map_and_says_when_there_is_none(shape):
    _, wide, _ = tables(THREE)
    rng = np.random.default_rng(0)
    maps = {
        "inputs": {
            "inputs": rng.random((2, *shape)),
            "sample_ids": np.array(["a", "b"]),
            "explained": np.array(["cat", "dog"]),
            "label": np.array(["cat", "cat"]),
            "probability": np.array([0.9, 0.6]),
        },
        "x": {"maps": rng.normal(size=(2, *shape[1:])), "method_id": np.array("good@1")},
        "y": {"maps": np.zeros((2, *shape[1:])), "method_id": np.array("random@1")},
    }
    figure = plots.gallery(maps, wide, "toy")
    assert len(figure.axes) == 2 * 3
    shown = texts(figure)
    assert shown.count("no map") == 2
    assert "dog (0.60)\ntrue: cat" in shown
    figure.draw_without_rendering()


@pytest.mark.parametrize("methods", [["random"], ["good"], ["good", "same"]])
@pytest.mark.parametrize("metrics", [["up"], ["seconds"], ["up", "down", "seconds"]])
@pytest.mark.parametrize("samples", [1, 3])
def test_small_and_partial_stores_can_be_drawn(tmp_path, methods, metrics, samples):
    table = {name: {metric: THREE[name][metric][:samples] for metric in metrics} for name in methods}
    drawn = dict(plots.all_of_task("toy", *tables(table), pd.DataFrame(), maps={}))
    for name, figure in drawn.items():
        plots.save(figure, tmp_path / name)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".png", ".svg"}
    assert ("heatmap" in drawn) == (metrics != ["seconds"])
    assert ("cost" in drawn) == (len(metrics) == 3)


def test_undefined_scores_can_be_drawn():
    nan = [np.nan, np.nan]
    for table in (
        {"a": {"up": nan}, "random": {"up": nan}},
        THREE | {"odd": {"up": nan, "down": [1.0, 2.0]}},
        THREE | {"few": {"up": nan}},
    ):
        for _, figure in plots.all_of_task("toy", *tables(table), pd.DataFrame(), maps={}):
            figure.draw_without_rendering()
            assert "random" in texts(figure)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path):
    _, wide, long = tables(THREE)
    for name in ("a", "b"):
        plots.save(plots.heatmap(wide, long, "toy"), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
