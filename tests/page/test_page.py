"""The page holds the numbers of the tables, in one safe file of bounded size, and the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pages
import pandas as pd
import pytest
import torch
from conftest import signal_problem
from PIL import Image
from reference import ROOT
from test_board import THREE, TWICE, rows

from bench import page
from bench.analysis import task_tables
from bench.cli.main import main
from bench.core.vocabulary import EXCLUSION_REASONS
from bench.page import data, pictures, sources

pytestmark = pytest.mark.usefixtures("one_thread", "registries_as_before")


@pytest.fixture(scope="module")
def out(results_with_page) -> Path:
    return results_with_page


@pytest.fixture(scope="module")
def text(out) -> str:
    return (out / page.NAME).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(out, tmp_path_factory) -> str:
    copy = Path(shutil.copytree(out, tmp_path_factory.mktemp("hostile") / "results"))
    pages.make_hostile(copy)
    assert main(["report", "--no-plots", "--out", str(copy), "--plugins", str(out.parent / pages.PLUGIN_FILE)]) == 0
    return (copy / page.NAME).read_text(encoding="utf-8")


NO_VERDICTS = pd.DataFrame(columns=["metric", "metric_id", "family", "verdict"])


def page_of(frame: pd.DataFrame, maps: pictures.Maps | None = None) -> str:
    tables = task_tables.of_task(frame)
    samples = {"toy": page.samples(maps, tables.wide, frame)} if maps else {}
    return page.html(tables, samples, NO_VERDICTS, {})


class Elements(HTMLParser):
    """The elements that a browser would find, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


# --- one safe file


def test_the_page_needs_no_network(text):
    for tag, attributes in Elements(text).found:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag
    styles = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else(text):
    policy = next(
        of["content"] for tag, of in Elements(text).found if of.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts]
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == hashes
    assert len(hashes) == 3
    assert "connect-src" not in rules


def test_names_from_data_are_text(text, hostile):
    assert [tag for tag, _ in Elements(hostile).found] == [tag for tag, _ in Elements(text).found]
    for part in (pages.SCRIPT, pages.PICTURE):
        assert part not in hostile
    content = pages.block(hostile, "content")
    assert pages.SCRIPT in {row["method"] for row in content["boards"]["mnist1d"]["methods"]}
    assert f"ValueError: {pages.PICTURE}</script><!--" in content["missing"][0]["note"]
    assert content["descriptions"]["methods"]["faulty"]["cite"] == pages.PICTURE
    sample = pages.block(hostile, "samples-0")[0]
    assert sample["explained"].startswith(pages.PICTURE)
    assert sample["id"].startswith(pages.PICTURE)
    assert pages.SCRIPT in sample["methods"]


def test_no_script_of_the_page_parses_text_as_html():
    for path in (ROOT / "bench" / "page" / "parts").glob("*.js"):
        code = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", code
        )


def test_vendored_libraries_are_as_published_and_licensed():
    readme = (ROOT / "bench" / "page" / "vendor" / "README.md").read_text(encoding="utf-8")
    for name in ("d3.min.js", "plot.umd.min.js"):
        library = (ROOT / "bench" / "page" / "vendor" / name).read_bytes()
        assert hashlib.sha256(library).hexdigest() in readme
        licence = ROOT / "bench" / "page" / "vendor" / f"{name.split('.')[0]}.LICENSE"
        assert "Permission to use, copy, modify, and/or distribute" in licence.read_text(encoding="utf-8")


def test_the_page_carries_the_licences_of_the_libraries_in_it(text):
    folder = ROOT / "bench" / "page" / "vendor"
    assert {path.stem for path in folder.glob("*.LICENSE")} == set().union(*page.LIBRARIES.values())
    for path in folder.glob("*.LICENSE"):
        assert path.read_text(encoding="utf-8") in text


# --- the same every time


def test_the_same_store_gives_the_same_bytes(out, text):
    assert main(["report", "--no-plots", "--out", str(out), "--plugins", str(out.parent / pages.PLUGIN_FILE)]) == 0
    assert (out / page.NAME).read_text(encoding="utf-8") == text


# --- what it holds


def test_every_number_of_the_boards_is_in_the_page(out, text):
    content = pages.block(text, "content")
    assert content["tasks"] == ["mnist1d", "planted_image"]
    for task, board in content["boards"].items():
        wide = pd.read_csv(out / "leaderboards" / f"{task}.csv")
        fields = [name for name in board["methods"][0] if name not in ("is_control", "is_first")]
        assert {"rank", "rank_low", "rank_high", "top_group", "vs_random", "mean_rank"} <= set(fields)
        for row, expected in zip(board["methods"], wide.to_dict("records"), strict=True):
            assert [cell(row[name]) for name in fields] == [cell(expected[name]) for name in fields]
        methods, metrics = ([row[kind] for row in board[f"{kind}s"]] for kind in ("method", "metric"))
        long = pd.read_csv(out / "leaderboards" / f"{task}_long.csv")
        assert len(long) == len(methods) * len(metrics)
        for row in long.to_dict("records"):
            i, j = methods.index(row["method"]), metrics.index(row["metric"])
            for name in data.SCORE_FIELDS:
                assert cell(board["scores"][name][i][j]) == cell(row[name]), (task, row["method"], row["metric"], name)


def cell(value: object) -> object:
    """A value with the six digits of the CSV files; None where there is none, which CSV and JSON write in their own ways."""
    if value is None or value == "" or value != value:
        return None
    return float(f"{value:.6g}") if isinstance(value, (int, float)) else value


def test_adjacent_pairs_are_counted_by_hand():
    board = pages.block(page_of(rows(TWICE)), "content")["boards"]["toy"]
    assert [(row["method"], row["group"]) for row in board["methods"]] == [
        ("good", "a"),
        ("same", "a"),
        ("random", "b"),
    ]
    assert board["adjacent"] == {"pairs": 2, "distinguishable": 1}  # only same and random differ


def test_metrics_that_do_not_count_say_why(text):
    metrics = pages.block(text, "content")["boards"]["mnist1d"]["metrics"]
    reasons = {metric["metric"]: metric["exclusion_text"] for metric in metrics}
    assert reasons["sparseness"] == "only faithfulness and localisation metrics ask whether a map is right"
    assert all((metric["rank_weight"] > 0) == (metric["exclusion_text"] == "") for metric in metrics)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, ""),
        ({"rank_weight": 0, "exclusion_reason": "fail"}, EXCLUSION_REASONS["fail"]),
        ({"rank_weight": 0, "exclusion_reason": "uninformative"}, EXCLUSION_REASONS["uninformative"]),
        ({"rank_weight": 0}, "no method has a score"),
    ],
)
def test_reasons_for_not_counting(facts, reason):
    counted = {"rank_weight": 1.0, "metric_family": "faithfulness", "exclusion_reason": ""}
    assert data.exclusion_text(counted | facts) == reason


def test_rows_of_an_older_version_are_marked():
    tables = task_tables.of_task(rows(TWICE), versions={"method": {"good": 2, "same": 1}, "metric": {"up": 3}})
    board = pages.block(page.html(tables, {}, NO_VERDICTS, {}), "content")["boards"]["toy"]
    assert {row["method"]: row["outdated"] for row in board["methods"]} == {"good": "yes", "same": "no", "random": ""}
    assert {metric["metric"]: metric["outdated"] for metric in board["metrics"]}["up"] == "yes"


def test_cards_have_formula_source_and_settings(text):
    content = pages.block(text, "content")
    card = content["descriptions"]["methods"]["grad_cam"]
    assert "upsampled ReLU( sum_k" in card["about"]
    assert card["params"] == [["layer", "-1"]]
    assert card["cost"] == "fast"
    assert content["references"][card["cite"]]["link"] == "https://arxiv.org/abs/1610.02391"
    assert content["references"][card["cite"]]["text"] == (
        "Ramprasaath R. Selvaraju, Michael Cogswell, Abhishek Das et al. (2017). Grad-CAM: Visual Explanations from Deep "
        "Networks via Gradient-Based Localization. ICCV."
    )


def test_accents_of_the_bibliography_are_letters():
    found = sources.bibliography(["hedstrom2023quantus", "bach2015lrp", "ribeiro2016lime", "unknown1900"])
    assert set(found) == {"hedstrom2023quantus", "bach2015lrp", "ribeiro2016lime"}
    assert found["hedstrom2023quantus"]["text"].startswith(
        "Anna Hedström, Leander Weber, Daniel Krakowczyk et al. (2023)"
    )
    assert "Grégoire Montavon" in found["bach2015lrp"]["text"]
    assert "“Why Should I Trust You?”" in found["ribeiro2016lime"]["text"]
    everything = sources.bibliography(
        re.findall(r"@\w+\{([\w-]+),", (ROOT / "references.bib").read_text(encoding="utf-8"))
    )
    assert not [one["text"] for one in everything.values() if re.search(r"[\\{}]", one["text"])]


def test_missing_scores_are_grouped_by_reason(text):
    missing = pages.block(text, "content")["missing"]
    assert missing[0]["status"] == "failed"
    assert missing[0]["methods"] == [["faulty", 4]]  # on four samples
    assert missing[0]["metrics"] == sorted(pages.METRICS)
    assert [entry["methods"] for entry in missing if "is constant" in entry["note"]] == [[["constant", 4]]] * 2


def test_one_reason_of_several_metrics_is_one_entry_and_controls_come_last():
    columns = ["task", "method", "metric", "status", "note", "n_samples"]
    table = pd.DataFrame(
        [
            ("toy", "constant", "drop", "undefined", "the map is constant", 4),
            ("toy", "cam", "drop", "skipped", "cam needs pooling", 4),
            ("toy", "good", "pointing", "skipped", "pointing needs truth", 4),
            ("toy", "good", "focus", "skipped", "focus needs truth", 3),
            ("toy", "oracle", "drop", "skipped", "oracle needs truth", 4),
            ("toy", "bad", "drop", "failed", "ValueError: no", 1),
        ],
        columns=columns,
    )
    entries = data.missing(table, ["constant", "oracle", "random"])
    assert [(entry["note"], entry["n_scores"]) for entry in entries] == [
        ("ValueError: no", 1),
        ("the metric needs truth", 7),
        ("the method needs pooling", 4),
        ("the map is constant", 4),
        ("the method needs truth", 4),
    ]
    assert entries[1]["metrics"] == ["focus", "pointing"]
    assert entries[1]["methods"] == [["good", 4]]


def test_a_board_without_ranks_or_maps_can_be_shown():
    text = page_of(rows({"random": {"up": [1.0]}}))
    assert pages.block(text, "content")["samples"] == {"toy": {"stored": 0, "included": 0}}
    assert pages.block(text, "samples-0") == []


def test_the_first_method_and_the_controls_are_marked():
    frame = rows(THREE)
    frame.loc[frame["method"] == "good", "method_family"] = "control"
    methods = pages.block(page_of(frame), "content")["boards"]["toy"]["methods"]
    assert [(row["method"], row["is_first"], row["is_control"]) for row in methods] == [
        ("good", False, True),
        ("same", True, False),
        ("random", False, False),
    ]


# --- pictures


def test_steps_of_removal_worked_by_hand():
    # 6 features in 3 steps: two go at each, highest first, ties by position
    assert pictures.steps_of(np.array([0.1, 0.9, -0.5, 0.9, 0.0, 0.1]), 3).tolist() == [2, 1, 3, 1, 3, 2]
    image = np.arange(900.0).reshape(30, 30)
    assert np.bincount(pictures.steps_of(image).ravel()).tolist() == [0] + [45] * 20


def test_the_perturbed_inputs_of_the_page_have_the_p_of_the_stored_curve(text):
    problem = signal_problem(4)
    for row, sample in enumerate(pages.block(text, "samples-0")):
        signal = torch.tensor(sample["signal"])[None]
        assert torch.allclose(signal, problem.inputs[row], atol=1e-3)
        for name in ("saliency", "grad_cam"):
            order = np.frombuffer(base64.b64decode(sample["methods"][name]["order"]), np.uint8)
            early = order <= np.arange(21)[:, None, None]
            for curve, gone in (("deletion", early), ("insertion", ~early)):
                seen = np.where(gone, sample["baseline"][0], signal.numpy()).astype(np.float32)
                p = problem.model(torch.from_numpy(seen)).softmax(1)[:, problem.targets[row]].detach()
                assert p.tolist() == pytest.approx(sample["methods"][name][curve], abs=2e-3)


def test_images_their_order_and_their_truth_are_the_stored_ones(out, text):
    with np.load(out / "maps" / "task=planted_image" / "inputs.npz") as kept:
        inputs, truth, baseline = kept["inputs"], kept["truth"], kept["baseline"]
    sample = pages.block(text, "samples-1")[0]
    assert np.abs(decoded(sample["image"]) / 255 - np.moveaxis(inputs[0], 0, -1)).max() <= 0.5 / 255 + 1e-6
    assert (decoded(sample["truth"]) == truth[0]).all()
    assert sample["baseline"] == np.rint(baseline.ravel() * 255).tolist() == [255, 255, 255]
    order = decoded(sample["methods"]["random"]["order"])
    assert order.shape == inputs.shape[2:]
    assert (order.min(), order.max()) == (1, 20)
    assert sample["methods"]["constant"] == {}
    assert len(sample["methods"]["random"]["insertion"]) == 21


def decoded(packed: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))))


def test_a_signed_map_keeps_its_zero():
    assert pictures.signed(np.array([-1.0, 0.0, 0.6, 1.0])).tolist() == [0, 15, 24, 30]


def test_large_images_are_subsampled_and_averaged():
    assert pictures._subsampled(np.zeros((3, 500, 300))).shape == (3, 167, 100)
    averaged = pictures._averaged(np.arange(100.0 * 90).reshape(100, 90))
    assert averaged.shape == (50, 45)
    assert averaged[0, 0] == np.mean([0, 1, 90, 91])


def test_samples_are_included_in_turn_within_the_budget():
    size = {"a": "x" * 98}  # 107 bytes as JSON, and 2 between them
    one = len(json.dumps(size)) + 2
    tasks = {"first": [size] * 3, "second": [size] * 3}
    included = pictures.within(3 * one, tasks)
    assert {task: len(samples) for task, samples in included.items()} == {"first": 2, "second": 1}
    assert pictures.within(0, tasks) == {"first": [], "second": []}


def test_the_file_stays_under_its_limit_and_counts_what_is_left_out(monkeypatch):
    rng = np.random.default_rng(0)
    frame = rows({name: {"up": [1.0, 2.0, 3.0]} for name in ("random", "good")})
    about = {"sample_ids": np.array(["s0", "s1", "s2"]), "fingerprint": np.array("weights")}
    shown = {key: np.array(["a", "b", "c"]) for key in ("explained", "label")}
    inputs = about | shown | {"inputs": rng.random((3, 3, 60, 60), dtype=np.float32), "probability": np.ones(3)}
    maps = {"inputs": inputs}
    maps |= {
        name: about | {"maps": rng.normal(size=(3, 60, 60)), "method_id": np.array(f"{name}@1")}
        for name in ("random", "good")
    }
    whole = page_of(frame, maps)
    assert pages.block(whole, "content")["samples"] == {"toy": {"stored": 3, "included": 3}}
    monkeypatch.setattr(page, "MAX_BYTES", len(whole) - 1000 + 10_000)
    less = page_of(frame, maps)
    assert len(less) < page.MAX_BYTES
    assert pages.block(less, "content")["samples"] == {"toy": {"stored": 3, "included": 2}}


def test_a_real_page_is_small(text):
    assert len(text.encode()) < page.MAX_BYTES <= 10_000_000


def test_a_signed_map_is_scaled_by_its_absolute_values():
    assert pictures.signed(np.array([-4.0, 0.0, 2.0] * 10))[:3].tolist() == [0, 15, 22]


def test_blocks_at_the_edge_are_averaged_over_what_they_hold():
    averaged = pictures._averaged(np.ones((97, 91)))
    assert averaged.shape == (49, 46)
    assert (averaged == 1).all()


def test_numbers_have_six_digits():
    found = data.plain([1 / 3, 2.0, 123456789.0, np.nan, np.int64(3), True, None])
    assert found == [0.333333, 2, 123457000, None, 3, True, None]
    assert [type(value) for value in found[:3]] == [float, int, int]
