"""The page holds what the tables say, in one safe file of bounded size, and the same bytes every time."""

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
from bench.page import data, pictures, sources

pytestmark = pytest.mark.usefixtures("one_thread", "registries_as_before")


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return pages.run(folder / "results", folder / "page_faulty.py")


@pytest.fixture(scope="module")
def text(out) -> str:
    return (out / page.NAME).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(out, tmp_path_factory) -> str:
    copy = Path(shutil.copytree(out, tmp_path_factory.mktemp("hostile") / "results"))
    pages.make_hostile(copy)
    assert main(["report", "--out", str(copy), "--plugins", str(out.parent / "page_faulty.py")]) == 0
    return (copy / page.NAME).read_text(encoding="utf-8")


NO_CHECKS = pd.DataFrame(columns=["metric", "metric_id", "family", "verdict"])


def page_of(frame: pd.DataFrame, maps: pictures.Maps | None = None) -> str:
    found = task_tables.of_task(frame)
    kept = {"toy": page.samples(maps, found.wide, frame)} if maps else {}
    return page.html(found, kept, NO_CHECKS, {})


class Elements(HTMLParser):
    """The elements that a browser would find, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


# --- one safe file


def test_the_page_asks_nothing_of_a_network(text):
    for tag, attributes in Elements(text).found:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag
    styles = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_policy_lets_run_the_pages_own_scripts_and_nothing_else(text):
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


def test_names_of_users_are_text(text, hostile):
    assert [tag for tag, _ in Elements(hostile).found] == [tag for tag, _ in Elements(text).found]
    for part in (pages.SCRIPT, pages.PICTURE):
        assert part not in hostile
    content = pages.block(hostile, "content")
    assert pages.SCRIPT in {one["method"] for one in content["tasks"]["mnist1d"]["board"]["methods"]}
    assert f"ValueError: {pages.PICTURE}</script><!--" in content["failures"][0]["note"]
    assert content["about"]["methods"]["faulty"]["cite"] == pages.PICTURE
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


def test_kept_libraries_are_as_published_and_licensed():
    told = (ROOT / "bench" / "page" / "vendor" / "README.md").read_text(encoding="utf-8")
    for name in ("d3.min.js", "plot.umd.min.js"):
        library = (ROOT / "bench" / "page" / "vendor" / name).read_bytes()
        assert hashlib.sha256(library).hexdigest() in told
        licence = ROOT / "bench" / "page" / "vendor" / f"{name.split('.')[0]}.LICENSE"
        assert "Permission to use, copy, modify, and/or distribute" in licence.read_text(encoding="utf-8")


def test_the_page_carries_the_licences_of_the_libraries_in_it(text):
    for name in ("d3", "plot"):
        assert (ROOT / "bench" / "page" / "vendor" / f"{name}.LICENSE").read_text(encoding="utf-8") in text


# --- the same every time


def test_the_same_store_gives_the_same_bytes(out, text):
    assert main(["report", "--out", str(out), "--plugins", str(out.parent / "page_faulty.py")]) == 0
    assert (out / page.NAME).read_text(encoding="utf-8") == text


# --- what it holds


def test_every_figure_of_the_boards_is_in_the_page(out, text):
    content = pages.block(text, "content")
    assert content["order"] == ["mnist1d", "planted_image"]
    for task in content["order"]:
        board = content["tasks"][task]["board"]
        methods, metrics = ([one[kind] for one in board[f"{kind}s"]] for kind in ("method", "metric"))
        wide = pd.read_csv(out / "leaderboards" / f"{task}.csv")
        assert methods == wide["method"].tolist()
        for line, own in zip(board["methods"], wide.to_dict("records"), strict=True):
            for name in ("rank", "rank_low", "rank_high", "mean_rank", "n"):
                value = own["n_samples" if name == "n" else name]
                assert line[name] == (None if pd.isna(value) else pytest.approx(value, rel=1e-4)), (task, name)
        long = pd.read_csv(out / "leaderboards" / f"{task}_long.csv")
        assert len(long) == len(methods) * len(metrics)
        for own in long.to_dict("records"):
            place = methods.index(own["method"]), metrics.index(own["metric"])
            for name in ("mean", "low", "high", "n", "rank", "skill", "p_random"):
                found, value = board["cells"][name][place[0]][place[1]], own[data.CELLS[name]]
                assert found == (None if pd.isna(value) else pytest.approx(value, rel=1e-4, abs=1e-30)), name


def test_metrics_without_a_vote_say_why(text):
    metrics = pages.block(text, "content")["tasks"]["mnist1d"]["board"]["metrics"]
    silent = {one["metric"]: one["exclusion_reason"] for one in metrics}
    assert silent["sparseness"] == "complexity takes no part in ranks: it does not ask whether a map is true"
    assert all((one["rank_weight"] > 0) == (one["exclusion_reason"] == "") for one in metrics)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, ""),
        ({"rank_weight": 0, "exclusion_reason": "fail"}, "fails its checks"),
        (
            {"rank_weight": 0, "exclusion_reason": "uninformative"},
            "does not put half of the methods above the random control here",
        ),
        ({"rank_weight": 0}, "no method has a score"),
    ],
)
def test_reasons_for_having_no_vote(facts, why):
    sound = {"rank_weight": 1.0, "metric_family": "faithfulness", "exclusion_reason": ""}
    assert data.silence(sound | facts) == why


def test_cards_have_formula_source_and_settings(text):
    content = pages.block(text, "content")
    card = content["about"]["methods"]["grad_cam"]
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


def test_failures_are_grouped_by_reason(text):
    failures = pages.block(text, "content")["failures"]
    assert failures[0]["status"] == "failed"
    assert failures[0]["methods"] == [["faulty", 4]]  # on four samples
    assert failures[0]["metrics"] == sorted(pages.METRICS)
    assert "the attribution is constant" in {one["note"] for one in failures if one["methods"] == [["constant", 4]]}


def test_a_board_without_ranks_or_maps_can_be_shown():
    found = page_of(rows({"random": {"up": [1.0]}}))
    content = pages.block(found, "content")
    assert content["samples"] == {"toy": {"there": 0, "kept": 0}}
    assert pages.block(found, "samples-0") == []


def test_methods_that_share_the_firsts_group_are_marked():
    content = pages.block(page_of(rows(TWICE)), "content")
    lines = content["tasks"]["toy"]["board"]["methods"]
    assert [one["method"] for one in lines if one["first"]] == ["good"]
    assert {one["method"]: (one["ties_first"], one["role"]) for one in lines} == {
        "good": (True, ""),
        "same": (True, ""),
        "random": (False, "random"),
    }


def test_a_control_is_not_the_first_of_the_methods():
    frame = rows(THREE)
    frame.loc[frame["method"] == "good", "method_family"] = "control"
    lines = pages.block(page_of(frame), "content")["tasks"]["toy"]["board"]["methods"]
    assert [(one["method"], one["first"], one["control"]) for one in lines] == [
        ("good", False, True),
        ("same", True, False),
        ("random", False, False),
    ]


# --- pictures


def test_the_step_of_removal_worked_by_hand():
    # 6 features in 3 steps: two go at each, highest first, ties by place
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


def test_large_images_are_thinned_and_coarse():
    assert pictures._thinned(np.zeros((3, 500, 300))).shape == (3, 167, 100)
    coarse = pictures._coarse(np.arange(100.0 * 90).reshape(100, 90))
    assert coarse.shape == (50, 45)
    assert coarse[0, 0] == np.mean([0, 1, 90, 91])


def test_samples_are_taken_in_turn_within_the_budget():
    size = {"a": "x" * 98}  # 107 bytes as JSON, and 2 between them
    one = len(json.dumps(size)) + 2
    tasks = {"first": [size] * 3, "second": [size] * 3}
    kept = pictures.within(3 * one, tasks)
    assert {task: len(of_task) for task, of_task in kept.items()} == {"first": 2, "second": 1}
    assert pictures.within(0, tasks) == {"first": [], "second": []}


def test_the_file_stays_under_its_limit_and_says_what_is_left_out(monkeypatch):
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
    assert pages.block(whole, "content")["samples"] == {"toy": {"there": 3, "kept": 3}}
    monkeypatch.setattr(page, "LARGEST", len(whole) - 1000 + 10_000)
    less = page_of(frame, maps)
    assert len(less) < page.LARGEST
    assert pages.block(less, "content")["samples"] == {"toy": {"there": 3, "kept": 2}}


def test_a_real_page_is_small(text):
    assert len(text.encode()) < page.LARGEST <= 10_000_000
