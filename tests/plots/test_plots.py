"""Pictures say what the tables say, and every small or partial store can be drawn."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from test_board import THREE, TWICE, rows

from bench import plots
from bench.analysis import agreement, metric_table, score_matrix
from bench.analysis.board import boards, wide_table
from bench.analysis.groups import share_a_letter
from bench.analysis.task_tables import of_task
from bench.analysis.wins import win_table
from bench.core.errors import RequestError
from bench.plots import board_cells, style
from bench.plots.cells import Figures


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def figures(axes: Axes) -> np.ndarray:
    """The figures in the cells of a matrix, as texts."""
    (found,) = (one for one in axes.collections if isinstance(one, Figures))
    return found.labels


def tables(table: dict) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    frame = rows(table)
    return frame, wide_table(frame), metric_table.long_table(frame)


def drawings(table: dict) -> dict[str, Figure]:
    return drawings_of(rows(table))


def drawings_of(frame: pd.DataFrame) -> dict[str, Figure]:
    return dict(plots.all_of_task("toy", of_task(frame), maps={}))


def test_heatmap_shows_skill_in_rank_order_with_directions_and_no_costs():
    _, wide, long = tables(TWICE)
    figure = plots.heatmap(wide, long, "toy")
    axes = figure.axes[0]
    assert [label.get_text().split()[0] for label in axes.get_xticklabels()] == ["good", "same", "random"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["down ↓", "up ↑"]
    shown = figures(axes).astype(float)
    # every variance is 4/7: (9 - 1) / sqrt(4/7) and (6 - 1) / sqrt(4/7) standard deviations better than the control
    assert shown.tolist() == [[11, 11, 0], [6.61, 6.61, 0]]
    colours = axes.collections[0].get_array().reshape(2, 3)
    assert np.asarray(colours).tolist() == [[1, 1, 0], [1, 1, 0]]  # the control is the zero of every line


@pytest.mark.parametrize("methods", [1, 2])
def test_a_board_of_few_methods_has_room_for_long_names_of_metrics(tmp_path, methods):
    """Matplotlib warns, which is an error here, where names leave no height to the axes."""
    frame = rows({name: {"up": [1.0, 2.0, 4.0]} for name in ("random", "good")[:methods]})
    frame["metric"] = "deletion[features=segment20,output=logit]"
    long = metric_table.long_table(frame)
    figure = plots.ranks(boards(frame, long), long, "toy")
    figure.savefig(tmp_path / "ranks.png")
    assert min(axes.get_window_extent().height for axes in figure.axes) > 20


def test_heatmap_without_a_control_shows_means():
    _, wide, long = tables({name: THREE[name] for name in ("good", "same")})
    axes = plots.heatmap(wide, long, "toy").axes[0]
    assert figures(axes).astype(float).tolist() == [[1, 1], [6, 6]]


def test_ranks_show_rank_interval_and_group_and_only_what_has_a_vote():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=30)
    table = {"random": noise, "lucky": noise + 0.4 * rng.normal(size=30), "better": noise + 3}
    frame = rows({name: {"up": list(scores), "seconds": [1.0] * 30} for name, scores in table.items()})
    long = metric_table.long_table(frame)
    wide = boards(frame, long)
    left, right = plots.ranks(wide, long, "toy").axes
    filled, hollow = left.containers  # the top group, the others
    for drawn, lines in ((filled, wide[wide["top_group"] == "yes"]), (hollow, wide[wide["top_group"] == "no"])):
        assert len(lines) in (1, 2)
        np.testing.assert_array_equal(drawn[0].get_xdata(), lines["rank"])
        ends = np.array([one[:, 0] for one in drawn[2][0].get_segments()])
        np.testing.assert_array_equal(ends, lines[["rank_low", "rank_high"]])
    assert (filled[0].get_markerfacecolor(), hollow[0].get_markerfacecolor()) == ("black", "white")
    beside = {"better": "better", "lucky": "~", "random": ""}
    assert [text.get_text() for text in left.texts] == ["vs random", *(beside[name] for name in wide["method"])]
    assert "1 of 2 pairs of neighbours in rank can be distinguished." in texts(left.figure)
    assert [label.get_text() for label in left.get_yticklabels()] == wide["method"].tolist()
    assert [label.get_text() for label in right.get_xticklabels()] == ["up"]


def test_a_bar_joins_those_that_share_a_letter_and_marks_each():
    rng = np.random.default_rng(1)
    common = rng.normal(size=(60, 1))
    scores = common + rng.normal([3.0, 2.9, 1.0, 0.9], 1.0, size=(60, 4))
    frame, wide, long = tables({name: {"up": list(scores[:, m])} for m, name in enumerate(["a", "b", "c", "random"])})
    assert wide["group"].tolist() == ["a", "a", "b", "b"]
    axes = plots.critical_difference(wide, win_table(frame, long), "toy").axes[0]
    bars = sorted(sorted(line.get_xdata()) for line in axes.lines if line.get_marker() == "o")
    expected = [sorted(wide.loc[wide["group"] == letter, "mean_rank"]) for letter in ("a", "b")]
    np.testing.assert_allclose(bars, sorted(expected))
    named = {text.get_text().split()[0] for text in axes.texts}
    assert named == {"a", "b", "c", "random"}


def test_many_groups_are_drawn_as_p_values_in_steps():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(24, 1))
    scores = common + 0.8 * rng.normal(np.linspace(4, 0, 30), 1, size=(24, 30))
    names = [*(f"m{m}" for m in range(29)), "random"]
    frame, wide, long = tables({name: {"up": list(scores[:, m])} for m, name in enumerate(names)})
    assert len(set("".join(wide["group"]))) > 12
    pairs = win_table(frame, long)
    figure = plots.critical_difference(wide, pairs, "toy")
    (axes,) = figure.axes
    shown = np.ma.filled(np.ma.asarray(axes.collections[0].get_array(), dtype=float), np.nan).reshape(30, 30)
    assert [label.get_text() for label in axes.get_yticklabels()] == wide["method"].tolist()
    p = pairs.set_index(["method", "opponent"])["p_difference"]
    group = wide.set_index("method")["group"]
    for i, one in enumerate(wide["method"]):
        assert np.isnan(shown[i, i])
        for j, other in enumerate(wide["method"]):
            if i != j:
                assert shown[i, j] == p[one, other]
                assert (p[one, other] >= 0.05) == share_a_letter(group[one], group[other])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("p < 0.001", "p < 0.01", "p < 0.05"),
        "not distinguished",
    ]


def test_titles_stay_inside_the_picture():
    for figure in drawings(TWICE).values():
        figure.draw_without_rendering()
        box = figure._suptitle.get_window_extent()
        assert box.x1 <= figure.bbox.x1, figure._suptitle.get_text()


def test_wins_are_drawn_row_against_column_and_pale_where_nothing_is_known():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=30)
    frame = rows(
        {"random": {"up": list(noise)}, "lucky": {"up": list(rng.normal(size=30))}, "best": {"up": list(noise + 9)}}
    )
    long = metric_table.long_table(frame)
    wide, table = boards(frame, long), win_table(frame, long)
    axes = plots.wins(table, wide, "toy").axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    colour = np.asarray(axes.collections[0].get_array()).reshape(3, 3)
    at = {name: place for place, name in enumerate(names)}
    assert (colour[at["best"], at["random"]], colour[at["random"], at["best"]]) == (1, 0)
    share = table.set_index(["method", "opponent"])["win_rate"]["lucky", "random"]
    assert colour[at["lucky"], at["random"]] == pytest.approx(0.5 + style.PALE * (share - 0.5))


def test_without_a_score_for_the_control_nothing_shines():
    rng = np.random.default_rng(0)
    table = {name: {"up": list(rng.normal(size=20))} for name in ("random", "a", "b")}
    table["random"]["up"][0] = np.nan
    _, _, long = tables(table)
    colour = board_cells.colours(long, ["up"], ["a", "b"])
    assert (colour.abs() <= style.PALE).all(axis=None)


def test_names_with_dollars_are_no_formulas_and_powers_are(tmp_path):
    frame = rows(
        {
            name: {
                "up": list(np.arange(8.0) + n),
                "down": list(np.arange(8.0) - n * n),
                "seconds": [10.0**-n] * 8,
            }
            for n, name in enumerate(("random", "a$^$", "b", "c", "d"))
        }
    )
    frame["label"] = "p $_{$ %"
    frame.loc[frame["method"] == "random", "method_family"] = "control"
    frame.loc[frame["metric"] == "down", "metric_family"] = "localisation"
    drawn = drawings_of(frame)
    assert {"ranks", "heatmap", "distributions", "agreement", "trust", "cost"} <= set(drawn)
    for figure in drawn.values():
        plots.save(figure, tmp_path / "picture")
    powers = [text.get_text() for text in plots.cost(wide_table(frame), "$^$").axes[0].get_xticklabels()]
    assert any("10^{" in text for text in powers)


def test_heatmap_is_pale_where_a_method_cannot_be_told_from_the_control():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=30)
    table = {"random": noise, "lucky": rng.normal(size=30) + 0.1, "better": noise + 3}
    _, wide, long = tables({name: {"up": list(scores)} for name, scores in table.items()})
    axes = plots.heatmap(wide, long, "toy").axes[0]
    names = [label.get_text().split()[0] for label in axes.get_xticklabels()]
    colour = dict(zip(names, np.asarray(axes.collections[0].get_array()).ravel(), strict=True))
    assert colour["better"] == 1
    assert abs(colour["lucky"]) <= style.PALE
    assert colour["random"] == 0


def test_distributions_mark_the_mean_of_the_random_control():
    frame, wide, long = tables(THREE)
    figure = plots.distributions(score_matrix.spreads(frame), wide, long, "toy")
    visible = [axes for axes in figure.axes if axes.get_visible()]
    dashed = [line.get_xdata()[0] for axes in visible for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [9, 1]
    assert [axes.get_xlabel() for axes in visible] == ["down ↓ (%)", "up ↑ (%)"]


def test_curves_draw_every_method_with_the_control_in_black():
    frame = rows({name: {"deletion": [0.5, 0.4]} for name in THREE}, metric_family="faithfulness")
    frame["curve"] = [np.linspace(1, 0, 5)] * len(frame)
    figure = plots.mean_curves(score_matrix.mean_curves(frame), wide_table(frame), "toy")
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


def test_names_on_the_cost_picture_hide_no_other_name_and_stay_inside():
    """Forty methods, of which nine are on the Pareto front, close to each other."""
    rank = np.r_[np.linspace(20, 12, 9), np.linspace(21, 40, 31)]
    board = pd.DataFrame(
        {
            "method": [f"a_longer_name_{i}" for i in range(39)] + ["random"],
            "method_family": "gradient",
            "mean_rank_faithfulness": rank,
            "seconds": np.r_[np.geomspace(1e-3, 2e-3, 9), np.geomspace(5e-4, 1, 31) + 2e-3],
        }
    )
    figure = plots.cost(board, "toy")
    figure.canvas.draw()
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 10  # the front and the random control
    assert not any(box.overlaps(other) for box, other in combinations(boxes, 2))
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_cost_is_set_against_faithfulness_where_a_metric_asks_that():
    wide = tables(THREE)[1].assign(mean_rank=9.0, mean_rank_localisation=8.0)
    axes = plots.cost(wide, "toy").axes[0]
    assert axes.get_ylabel() == "mean rank by faithfulness (up is better)"
    places = [point.get_offsets()[0][1] for point in axes.collections]
    assert sorted(places) == sorted(wide["mean_rank_faithfulness"])
    other = wide.drop(columns="mean_rank_faithfulness")
    assert plots.cost(other, "toy").axes[0].get_ylabel() == "mean rank (up is better)"


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
    (axes,) = figure.axes
    inputs, maps_drawn = 2, 2  # of `good`; those of `random` are constant
    *signals, frames = axes.collections
    assert len(frames.get_paths()) == inputs + maps_drawn + 2
    if len(shape) == 3:
        assert len(axes.images) == inputs + maps_drawn
    else:
        points = shape[-1]  # of each map the signal, and its coloured parts over it
        assert [len(one.get_paths()) for one in signals] == [inputs, maps_drawn, maps_drawn * points]
    shown = texts(figure)
    assert shown.count("no map") == 2
    assert "dog (0.60)\ntrue: cat" in shown
    figure.draw_without_rendering()


def judged(metrics: int, samples: int = 3) -> tuple[agreement.Tables, pd.DataFrame]:
    """Tables of four methods on a ground-truth metric and on others; the first of those orders as the truth does."""
    rng = np.random.default_rng(0)
    truth = [rng.normal(level, 0.1, samples) for level in range(4)]
    parts = [
        rows({name: {"up": list(own)} for name, own in zip("abcd", truth, strict=True)}, metric_family="localisation")
    ]
    for number in range(metrics):
        scores = truth if number == 0 else [rng.normal(size=samples) for _ in truth]
        table = {name: {f"m{number}": list(-own)} for name, own in zip("abcd", scores, strict=True)}  # lower is better
        parts.append(rows(table, metric_family="faithfulness" if number % 2 else "complexity"))
    frame = pd.concat(parts, ignore_index=True)
    return agreement.tables(frame), metric_table.long_table(frame)


@pytest.mark.parametrize("metrics", [3, style.FEW])
def test_agreement_shows_the_taus_that_the_table_holds(metrics):
    tables, long = judged(metrics)
    square = agreement.clustered(tables.agreement)
    figure = plots.agreement(tables.agreement, square, tables.alphas, long, "toy")
    axes = figure.axes[0]
    colours = np.asarray(axes.collections[0].get_array()).reshape(square.shape)
    assert np.array_equal(colours, square.to_numpy(), equal_nan=True)
    named = [label.get_text() for label in axes.get_yticklabels()]
    assert named == [label.get_text() for label in axes.get_xticklabels()]
    assert sorted(named) == sorted([*(f"m{number} ↓" for number in range(metrics)), "up ↑"])
    if metrics < style.FEW:
        assert figures(axes).ravel().tolist() == [f"{value:.2f}" for value in square.to_numpy().ravel()]
    else:
        assert not any(isinstance(one, Figures) for one in axes.collections)
    alpha = tables.alphas.set_index("metric_family").loc["all"]
    assert f"all metrics: {alpha['alpha']:.2f} [{alpha['alpha_low']:.2f}, {alpha['alpha_high']:.2f}]" in texts(figure)


def test_trust_is_drawn_best_first_with_intervals_and_the_zone_of_chance():
    tables, _ = judged(4)
    figure = plots.trust(tables.trust, "toy")
    axes = figure.axes[0]
    of_mean = tables.trust[tables.trust["truth_metric"] == agreement.MEAN_TRUTH]
    named = [label.get_text() for label in axes.get_yticklabels()]
    assert named == [f"{name} ↓" for name in of_mean["metric"]]
    assert named[0] == "m0 ↓"
    assert [text.get_text() for text in axes.texts] == [f"{tau:.2f}" for tau in of_mean["tau"]]
    zones = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    assert zones == [(-1, 1)] * 4  # no order of four methods is beyond chance
    drawn = sorted(end for bars in axes.containers[1:] for line in bars[2][0].get_segments() for end in line[:, 0])
    assert drawn == pytest.approx(sorted([*of_mean["tau_low"], *of_mean["tau_high"]]))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("metrics", [1, 2])
def test_small_agreements_can_be_drawn(tmp_path, samples, metrics):
    tables, long = judged(metrics, samples)
    square = agreement.clustered(tables.agreement)
    plots.save(plots.agreement(tables.agreement, square, tables.alphas, long, "toy"), tmp_path / "agreement")
    plots.save(plots.trust(tables.trust, "toy"), tmp_path / "trust")
    assert {path.name for path in tmp_path.iterdir()} == {"agreement.png", "trust.png"}


@pytest.mark.parametrize("methods", [["random"], ["good"], ["good", "same"]])
@pytest.mark.parametrize("metrics", [["up"], ["seconds"], ["up", "down", "seconds"]])
@pytest.mark.parametrize("samples", [1, 3])
def test_small_and_partial_stores_can_be_drawn(tmp_path, methods, metrics, samples):
    table = {name: {metric: THREE[name][metric][:samples] for metric in metrics} for name in methods}
    drawn = drawings(table)
    for name, figure in drawn.items():
        plots.save(figure, tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in drawn}
    assert ("heatmap" in drawn) == (metrics != ["seconds"])
    assert ("cost" in drawn) == (len(metrics) == 3)


def test_undefined_scores_can_be_drawn():
    nan = [np.nan, np.nan]
    for table in (
        {"a": {"up": nan}, "random": {"up": nan}},
        THREE | {"odd": {"up": nan, "down": [1.0, 2.0]}},
        THREE | {"few": {"up": nan}},
    ):
        for name, figure in drawings(table).items():
            figure.draw_without_rendering()
            assert "random" in texts(figure) or name in ("agreement", "trust")  # these are of metrics


def test_paper_is_white_and_colours_stay_what_they_are(tmp_path):
    _, wide, long = tables(TWICE)
    figure = plots.heatmap(wide, long, "toy")
    plots.save(figure, tmp_path / "small")
    figure.savefig(tmp_path / "full.png", dpi=150)
    with Image.open(tmp_path / "small.png") as small, Image.open(tmp_path / "full.png") as full:
        found, drawn = (np.asarray(one.convert("RGB")).astype(int) for one in (small, full))
    assert (found[(drawn == 255).all(axis=2)] == 255).all()
    assert np.abs(found - drawn).mean() < 2.55  # a hundredth of the range


def test_saving_twice_gives_the_same_bytes(tmp_path: Path):
    _, wide, long = tables(THREE)
    for name in ("a", "b"):
        plots.save(plots.heatmap(wide, long, "toy"), tmp_path / name, svg=True)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_svg_is_written_on_request_and_an_older_one_is_removed(tmp_path: Path):
    _, wide, _ = tables(THREE)
    for svg in (False, True, False):
        plots.save(plots.cost(wide, "toy"), tmp_path / "cost", svg=svg)
        assert (tmp_path / "cost.svg").is_file() == svg
        assert (tmp_path / "cost.png").is_file()


def test_the_front_joins_methods_that_none_beats_in_time_and_rank_and_no_controls():
    """`cheap` is fastest, `good` better and slower, `slow` no better than `good`; `random` is faster than all."""
    board = pd.DataFrame(
        {
            "method": ["cheap", "good", "slow", "random"],
            "method_family": ["test", "test", "test", "control"],
            "seconds": [1.0, 2.0, 4.0, 0.1],
            "mean_rank_faithfulness": [3.0, 1.0, 1.0, 4.0],
            "mean_rank": [3.0, 1.0, 1.0, 4.0],
            "n_samples": 8,
        }
    )
    (axes,) = plots.cost(board, "toy").axes
    (front,) = axes.lines
    assert np.stack(front.get_data(), axis=1).tolist() == [[1, 3], [2, 3], [2, 1]]


def test_a_method_that_is_no_control_is_not_black():
    assert style.look("random", 3)[0] == "black"
    assert style.look("saliency", 0)[0] != "black"
    assert len({style.look("saliency", number)[2] for number in range(3)}) > 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.gif", "its name must end in"), ("folder.png", "is a folder"), ("nowhere/a.png", "its folder does not exist")],
)
def test_a_picture_that_cannot_be_written_is_refused(tmp_path, name, reason):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(RequestError, match=reason):
        style.check_path(tmp_path / name)
    style.check_path(tmp_path / "a.png")
