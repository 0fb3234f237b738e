"""What checks of methods on a task's network found, as labels of the leaderboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pages
import pandas as pd
import pytest

from bench import page
from bench.cli.main import main
from bench.report.files import exactness_of
from bench.storage import exactness as stored
from bench.storage.scores import Store

pytestmark = pytest.mark.usefixtures("one_thread", "registries_as_before")

SENTENCE = f"the maps miss {pages.PICTURE}"


def rows(method_id: str, check: str, verdict: str, measured: float, note: str) -> pd.DataFrame:
    line = {"method": method_id.split("@")[0], "method_id": method_id, "check": check, "asks": "?", "verdict": verdict}
    return pd.DataFrame([line | {"measured": measured, "tolerance": 0.01, "note": note}])


@pytest.fixture(scope="module")
def out(results_with_page: Path) -> Path:
    """A results folder with checks of mnist1d: of its network, and of one that it had before."""
    network = Store(results_with_page).fingerprints()["mnist1d"]
    for part in (
        rows("grad_cam@1[layer=-1]", "complete", "fails", 0.12, SENTENCE),
        rows("random@1", "complete", "holds", 0.0, "a control"),
        rows("saliency@0", "complete", "holds", 0.0, "an older version"),
    ):
        stored.write(results_with_page, part, task="mnist1d", fingerprint=network)
    before = rows("saliency@1", "applies", "skipped", float("nan"), "another network")
    stored.write(results_with_page, before, task="mnist1d", fingerprint="before")
    plugin = str(results_with_page.parent / pages.PLUGIN_FILE)
    assert main(["report", "--no-plots", "--out", str(results_with_page), "--plugins", plugin]) == 0
    return results_with_page


def test_checks_of_a_network_that_the_task_no_longer_has_are_left_out(out):
    found = exactness_of(out)
    assert list(found) == ["mnist1d"]
    assert set(found["mnist1d"]) == {"grad_cam@1[layer=-1]", "random@1", "saliency@0"}


def test_the_page_holds_kind_label_and_sentence_and_the_board_stays_as_it_is(out):
    content = pages.block((out / page.NAME).read_text(encoding="utf-8"), "content")
    assert content["exactness"]["planted_image"] == {}
    assert content["exactness"]["mnist1d"]["grad_cam@1[layer=-1]"] == {
        "kind": "gap",
        "chip": "gap 12 %",
        "note": f"{SENTENCE[0].upper()}{SENTENCE[1:]}.",
    }
    assert "12 %" not in (out / "leaderboards" / "mnist1d.csv").read_text(encoding="utf-8")


def test_labels_stand_beside_the_methods_that_were_checked(browser: Any, out):
    """Not beside controls, nor where another version or network was checked. The sentence stays text."""
    troubles: list[str] = []
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.goto(f"{(out / page.NAME).as_uri()}#board/mnist1d")
    labels = tab.locator("main .grid .badge.exactness")
    assert labels.all_inner_texts() == ["gap 12 %"]
    assert labels.get_attribute("class") == "badge exactness gap"
    cell = tab.locator("main .grid tbody th.first").filter(has_text="grad_cam")
    assert "gap 12 %" in cell.inner_text()
    cell.get_by_role("button").hover()
    tab.locator("#tip", has_text="On this network: The maps miss <img").wait_for()
    tab.locator("main .key", has_text="checked here").wait_for()
    tab.goto(f"{(out / page.NAME).as_uri()}#card/mnist1d/grad_cam")
    tab.locator("dialog dl", has_text=re.compile(r"checked on mnist1d\s*The maps miss <img")).wait_for()
    tab.goto(f"{(out / page.NAME).as_uri()}#board/planted_image")
    tab.locator("h2", has_text="planted_image").wait_for()
    assert tab.locator("main .key", has_text="checked here").count() == 0
    tab.close()
    assert troubles == []
