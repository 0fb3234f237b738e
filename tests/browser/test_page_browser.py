"""The page in a real browser: sorting, filtering, downloads, navigation, and names that contain scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import pandas as pd
import pytest

from bench import page
from bench.cli.main import main

# The browser handles a click later; `expect` waits for its effect.
expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
).expect
expect.set_options(timeout=10_000)

BLANK = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) n += data[i] === 255 && data[i + 1] === 255 && data[i + 2] === 255;
  return (4 * n) / data.length;
}"""  # share of white pixels; white is the baseline of the task
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 800}


pytestmark = pytest.mark.usefixtures("registries_as_before")


@pytest.fixture(scope="module")
def path(results_with_page: Path) -> Path:
    """A page about a small run, whose names are hostile."""
    out = results_with_page
    pages.make_hostile(out)
    assert main(["report", "--no-plots", "--out", str(out), "--plugins", str(out.parent / pages.PLUGIN_FILE)]) == 0
    return out / page.NAME


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Any]:
    """Opens the page at an address; fails on console messages, network requests and alerts."""
    troubles: list[str] = []
    contexts = []

    def at(address: str, size: dict[str, int] = DESKTOP, **settings: Any) -> Any:
        context = browser.new_context(viewport=size, **settings)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(10_000)
        tab.on(
            "console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None
        )
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.on("dialog", lambda dialog: (troubles.append(f"alert: {dialog.message}"), dialog.dismiss()))
        tab.on(
            "request", lambda asked: None if asked.url.startswith(("file:", "data:")) else troubles.append(asked.url)
        )
        tab.goto(f"{path.as_uri()}{address}")
        return tab

    yield at
    for context in contexts:
        context.close()
    assert troubles == []


def methods(tab: Any) -> list[str]:
    """Names in the first column of the leaderboard, from top to bottom."""
    return tab.locator("main .grid tbody th.first button.name").all_inner_texts()


def heading(tab: Any, key: str) -> Any:
    return tab.locator(f'main .grid thead th[data-key="{key}"]')


def column(tab: Any, key: str) -> list[float]:
    place = tab.locator("main .grid thead th").evaluate_all(
        "(all, key) => all.findIndex((th) => th.dataset.key === key)", key
    )
    texts = tab.locator(f"main .grid tbody tr > :nth-child({place + 1})").all_inner_texts()
    return [float(text) for text in texts if text not in ("–", "")]


def focused(tab: Any, what: str) -> Any:
    return tab.evaluate(f"document.activeElement.{what}")


def test_a_column_sorts_one_way_and_the_other(opened):
    tab = opened("#board/planted_image")
    assert heading(tab, "rank").get_attribute("aria-sort") == "ascending"
    button = heading(tab, "metric:deletion").locator("button")
    button.click()  # lower is better: the best comes first
    assert heading(tab, "metric:deletion").get_attribute("aria-sort") == "ascending"
    assert heading(tab, "rank").get_attribute("aria-sort") is None
    rising = column(tab, "metric:deletion")
    assert len(rising) >= 4
    assert rising == sorted(rising)
    button.click()
    assert heading(tab, "metric:deletion").get_attribute("aria-sort") == "descending"
    assert column(tab, "metric:deletion") == sorted(rising, reverse=True)
    heading(tab, "metric:insertion").locator("button").click()  # higher is better
    assert heading(tab, "metric:insertion").get_attribute("aria-sort") == "descending"
    assert "sorted by insertion, descending" in tab.locator("main .grid > .status").first.inner_text()


def shown_metrics(tab: Any) -> list[str]:
    keys = tab.locator("main .grid thead th.metric").evaluate_all("all => all.map((th) => th.dataset.key)")
    return [key.removeprefix("metric:") for key in keys]


def test_methods_are_filtered_by_family_and_name(opened):
    tab = opened("#board/mnist1d")
    everything = methods(tab)
    assert set(everything) >= {"random", "grad_cam", pages.SCRIPT}
    tab.get_by_role("group", name="Families of methods").get_by_label("control", exact=True).uncheck()
    assert set(everything) - set(methods(tab)) == {"random", "input_magnitude", "oracle", "constant"}
    tab.get_by_label("Find a method").fill("grad")
    assert methods(tab) == ["grad_cam"]
    tab.get_by_label("Find a method").fill("nothing like it")
    assert "Nothing matches" in tab.locator("main .grid tbody").inner_text()


def test_a_board_starts_with_the_standing_and_the_metrics_that_count(opened):
    tab = opened("#board/mnist1d")
    counted = ["deletion", "drop", "insertion", "energy_pointing_game"]
    keys = tab.locator("main .grid thead th").evaluate_all("all => all.map((th) => th.dataset.key)")
    assert keys == ["method", "rank", "top_group", "vs_random", *(f"metric:{name}" for name in counted)]
    assert "2 metrics hidden" in tab.locator("main .grid > .status").inner_text()
    tab.get_by_role("button", name="Show all 6 metrics").click()
    assert shown_metrics(tab) == [*counted, "sparseness", "seconds"]
    assert "0 metrics hidden" in tab.locator("main .grid > .status").inner_text()
    expect(tab.get_by_role("button", name="Show all 6 metrics")).to_be_hidden()
    expect(tab.get_by_label("Metrics shown")).to_have_value("all")
    tab.get_by_label("Metrics shown").select_option("family localisation")
    assert shown_metrics(tab) == ["energy_pointing_game"]
    tab.get_by_label("Find a metric").fill("spars")  # a search covers the hidden metrics
    assert shown_metrics(tab) == ["sparseness"]


def test_the_download_has_the_shown_rows_and_columns_with_the_digits_of_the_results(opened, path):
    tab = opened("#board/mnist1d")
    tab.get_by_role("group", name="Families of methods").get_by_label("activation", exact=True).uncheck()
    tab.get_by_label("mean ranks and group letters").check()
    heading(tab, "metric:insertion").locator("button").click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "mnist1d.csv"
    saved = pd.read_csv(download.value.path())
    board = pd.read_csv(path.parent / "leaderboards" / "mnist1d.csv").set_index("method")
    assert saved["method"].tolist() == methods(tab)
    assert "grad_cam" not in set(saved["method"])
    assert [name for name in saved if name in pages.METRICS] == [
        "deletion",
        "drop",
        "insertion",
        "energy_pointing_game",
    ]
    assert {"group", "mean_rank", "top_group", "vs_random", "method_id"} <= set(saved)
    expected = board.loc[saved["method"]].reset_index()[list(saved)]
    pd.testing.assert_frame_equal(saved, expected, check_exact=True)


def test_the_pareto_front_is_that_of_the_shown_methods(opened):
    tab = opened("#board/mnist1d")
    circles = tab.locator("figure .pareto circle")
    circles.first.wait_for()
    tab.get_by_label("Find a method").fill("grad_cam")
    expect(circles).to_have_count(1)
    expect(tab.locator('figure[aria-label^="Seconds per sample"] svg')).to_contain_text("grad_cam")
    tab.get_by_label("Find a method").fill("random")  # a control is never on the front
    expect(tab.locator('figure[aria-label^="Seconds per sample"] svg')).to_contain_text("random")
    expect(circles).to_have_count(0)


def test_rows_and_columns_of_an_older_version_are_marked(browser, path):
    text = path.read_text(encoding="utf-8")
    row = re.search(r'\{"method":"grad_cam"[^{}]*\}', text)[0]
    metric = re.search(r'\{"metric":"deletion"[^{}]*\}', text)[0]
    for old in (row, metric):
        assert '"outdated":"no"' in old
        text = text.replace(old, old.replace('"outdated":"no"', '"outdated":"yes"'))
    older = path.with_name("older.html")
    older.write_text(text, encoding="utf-8")
    tab = browser.new_page()
    tab.goto(f"{older.as_uri()}#board/mnist1d")
    marks = tab.locator("main .grid").get_by_text("older version")
    expect(marks).to_have_count(2)
    expect(tab.locator("main .grid tbody th.first", has_text="older version")).to_contain_text("grad_cam")
    expect(tab.locator("main .grid thead th", has_text="older version")).to_have_attribute(
        "data-key", "metric:deletion"
    )
    tab.close()


def test_a_term_is_explained_where_it_is_used(opened):
    tab = opened("#board/mnist1d")
    tab.locator("main .term", has_text="counts in the rank").hover()
    expect(tab.get_by_role("tooltip")).to_contain_text("unless they fail the conformance checks")


def test_on_a_touch_screen_a_tap_on_a_heading_sorts_and_its_question_mark_explains(opened):
    tab = opened("#board/mnist1d", PHONE, has_touch=True, is_mobile=True)
    top_group = heading(tab, "top_group")
    top_group.get_by_role("button", name="top group", exact=True).tap()
    assert top_group.get_attribute("aria-sort") == "descending"
    assert tab.get_by_role("tooltip").is_hidden()
    top_group.get_by_role("button", name="About top group").tap()
    expect(tab.get_by_role("tooltip")).to_contain_text("cannot be distinguished from the best")
    assert top_group.get_attribute("aria-sort") == "descending"


def test_hover_and_focus_show_interval_and_samples(opened):
    tab = opened("#board/mnist1d")
    tip = tab.get_by_role("tooltip")
    assert tip.is_hidden()
    cell = tab.locator("main .grid tbody tr", has_text="grad_cam").locator("td.metric").first
    cell.hover()
    for part in ("mean", "95 % interval", "skill", "against the random control"):
        expect(tip).to_contain_text(part)
    assert "samples\n4" in tip.inner_text()
    tab.mouse.move(5, 5)
    expect(tip).to_be_hidden()
    cell.focus()
    expect(tip).to_be_visible()
    assert cell.get_attribute("aria-describedby") == "tip"
    tab.get_by_label("Metrics shown").select_option("all")
    heading(tab, "metric:sparseness").locator("button").focus()
    expect(tip).to_contain_text("Not counted in the rank: only faithfulness and localisation metrics")


def test_a_card_opens_from_its_method_and_closes_with_escape(opened):
    tab = opened("#board/planted_image")
    tab.get_by_role("button", name="grad_cam", exact=True).click()
    card = tab.get_by_role("dialog")
    expect(card.locator("#card-title")).to_have_text("grad_cam")
    text = card.inner_text()
    for part in (
        "upsampled ReLU( sum_k",
        "selvaraju2017gradcam",
        "layer = -1",
        "fast",
        "Rank on each task",
        "Best metrics",
    ):
        assert part in text
    assert card.locator("a.map").count() == 4
    assert card.locator("table.standings tbody tr").count() == 2
    expect(tab).to_have_url(re.compile("#card/planted_image/grad_cam$"))
    tab.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(tab).to_have_url(re.compile("#board/planted_image$"))
    assert focused(tab, "textContent") == "grad_cam"


def test_the_address_leads_to_a_card_and_back(opened):
    tab = opened("#card/mnist1d/random")
    expect(tab.get_by_role("dialog")).to_contain_text("uniform random numbers")
    tab.get_by_role("button", name="Close").click()
    expect(tab.locator("main h2")).to_have_text("Leaderboard: mnist1d")
    expect(tab).to_have_url(re.compile("#board/mnist1d$"))


def test_a_sample_of_signals_down_to_its_perturbed_inputs(opened):
    tab = opened("#samples/mnist1d")
    expect(tab.locator("a.thumb")).to_have_count(4)
    tab.locator("a.thumb").nth(1).click()
    expect(tab.locator("a.thumb").nth(1)).to_have_attribute("aria-current", "true")
    expect(tab.locator("a.map")).to_have_count(7)
    expect(tab.locator('a.map[data-method="constant"]')).to_contain_text("no map")
    tab.locator('a.map[data-method="grad_cam"]').click()
    panel = tab.locator("section.perturbation")
    expect(panel).to_have_attribute("data-method", "grad_cam")
    slider = panel.get_by_role("slider")
    slider.fill("5")
    assert "25 % of the features removed: p =" in panel.locator("output").inner_text()
    assert panel.locator(".stage circle.removed").count() == 10  # of 40 time steps
    slider.press("End")
    assert panel.locator(".stage circle.removed").count() == 40
    panel.get_by_role("combobox").select_option("restore")
    assert panel.locator(".stage circle.removed").count() == 0
    assert "restored" in panel.locator("output").inner_text()


def test_a_sample_of_images_down_to_its_perturbed_inputs(opened):
    tab = opened("#samples/planted_image/0/grad_cam")
    stage = tab.locator("section.perturbation .stage canvas")
    stage.wait_for()
    before = stage.evaluate(BLANK)
    slider = tab.get_by_role("slider")
    slider.fill("10")
    tab.wait_for_function("document.querySelector('section.perturbation output').textContent.startsWith('50 %')")
    half = tab.locator('section.perturbation .stage [aria-label="input at step 10"] canvas')
    half.wait_for()
    assert half.evaluate(BLANK) >= 0.5 > before
    slider.press("End")
    whole = tab.locator('section.perturbation .stage [aria-label="input at step 20"] canvas')
    whole.wait_for()
    assert whole.evaluate(BLANK) == 1
    assert tab.get_by_text("ground truth: the part that holds the evidence").count() == 1


def test_everything_works_with_the_keyboard_alone(opened):
    tab = opened("")
    tab.keyboard.press("Tab")
    assert focused(tab, "textContent") == "Skip to the content"
    for _ in range(3):  # title, overview, leaderboard
        tab.keyboard.press("Tab")
    assert focused(tab, "textContent") == "Leaderboard"
    tab.keyboard.press("Enter")
    expect(tab.locator("main h2")).to_have_text("Leaderboard: mnist1d")
    for _ in range(60):  # into the table: one stop
        tab.keyboard.press("Tab")
        if tab.evaluate("Boolean(document.activeElement.closest('[role=grid]'))"):
            break
    assert focused(tab, "closest('th').dataset.key") == "method"
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    assert focused(tab, "closest('th').getAttribute('aria-sort')") == "ascending"
    tab.keyboard.press("ArrowDown")
    tab.get_by_role("tooltip").wait_for(state="visible")
    tab.keyboard.press("Home")
    name = focused(tab, "textContent")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("dialog").get_by_role("heading").first).to_have_text(name)
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_be_hidden()
    assert focused(tab, "textContent") == name
    tab.keyboard.press("Tab")  # and out of the table again
    assert not tab.evaluate("Boolean(document.activeElement.closest('[role=grid]'))")


@pytest.mark.parametrize(
    "address",
    [
        *("", "#board/planted_image", "#samples/mnist1d", "#samples/planted_image/1/random", "#agreement/mnist1d"),
        *("#conformance", "#failures", "#cite", "#card/mnist1d/grad_cam"),
    ],
)
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_view_fits_a_phone_in_both_colours(opened, address, colours):
    tab = opened(address, PHONE, color_scheme=colours)
    tab.locator("main h2").wait_for()
    tab.wait_for_timeout(150)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert tab.evaluate("document.body.scrollWidth") <= PHONE["width"]
    if address.startswith("#card"):
        assert tab.evaluate("document.querySelector('dialog').scrollWidth") <= PHONE["width"]


def luminance(tab: Any, what: str) -> float:
    colour = tab.evaluate(f"getComputedStyle(document.body).{what}")
    red, green, blue = (int(part) / 255 for part in colour[4:-1].split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_dark_and_light_follow_the_system_and_the_button(opened):
    tab = opened("", color_scheme="dark")
    assert luminance(tab, "backgroundColor") < 0.15 < 0.7 < luminance(tab, "color")
    tab.get_by_role("button", name="Switch to light colours").click()
    assert luminance(tab, "backgroundColor") > 0.9
    tab.get_by_role("button", name="Switch to dark colours").click()
    assert luminance(tab, "backgroundColor") < 0.15
    assert luminance(opened("", color_scheme="light"), "backgroundColor") > 0.9


@pytest.mark.parametrize(
    "address",
    ["#board/mnist1d", "#board/planted_image", "#samples/mnist1d", "#samples/planted_image", "#failures", "#cite"],
)
def test_hostile_names_stay_text_everywhere(opened, address):
    tab = opened(address)
    tab.locator("main h2").wait_for()
    assert tab.locator("main script, main img, main b > img, dialog script, dialog img").count() == 0


def test_the_card_of_a_hostile_method_and_of_a_hostile_plugin(opened):
    tab = opened("#board/mnist1d")
    tab.get_by_role("button", name=pages.SCRIPT, exact=True).click()
    expect(tab.locator("#card-title")).to_have_text(pages.SCRIPT)
    expect(tab.get_by_role("dialog").locator("a.map")).to_have_count(4)
    tab.get_by_role("dialog").locator("a.map").first.click()
    expect(tab.locator("section.perturbation")).to_have_attribute("data-method", pages.SCRIPT)
    tab = opened("#card/mnist1d/faulty")
    expect(tab.get_by_role("dialog")).to_contain_text(f"{pages.PICTURE} in a description.")
    assert tab.locator("dialog img").count() == 0


def test_missing_scores_have_their_messages(opened):
    text = opened("#failures").locator("main").inner_text()
    assert f"ValueError: {pages.PICTURE}</script><!--" in text
    assert "the attribution is constant" in text


def test_agreement_conformance_and_citation(opened):
    tab = opened("#agreement/planted_image")
    tab.locator("td.square").first.wait_for()
    tab.locator("td.square").nth(1).hover()
    assert "95 % interval" in tab.get_by_role("tooltip").inner_text()
    tab.get_by_role("link", name="Conformance").click()
    tab.get_by_label("Verdict").select_option("pass")
    assert set(tab.locator("td .badge").all_inner_texts()) == {"pass"}
    tab.get_by_role("link", name="Reproduce & cite").click()
    expect(tab.locator("main")).to_contain_text("python -m bench run --task mnist1d planted_image")
    expect(tab.locator("main")).to_contain_text("Grad-CAM: Visual Explanations from Deep Networks")


def test_on_paper_a_board_is_whole_and_as_wide_as_the_page(opened):
    tab = opened("#board/mnist1d", {"width": 1000, "height": 900})
    tab.emulate_media(media="print")
    assert tab.locator("header.top").is_hidden()
    box = tab.locator("main .scroll").first
    assert box.evaluate("(box) => getComputedStyle(box).maxHeight") == "none"
    assert box.evaluate("(box) => box.scrollWidth") <= 1000
    expect(tab.locator("main .grid tbody tr")).to_have_count(7)


def test_the_skip_link_keeps_the_view_and_a_page_loaded_there_is_not_blank(opened):
    tab = opened("#board/mnist1d")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert focused(tab, "id") == "main"
    tab.reload()
    expect(tab.locator("main h2")).to_have_text("Leaderboard: mnist1d")
    expect(opened("#main").locator("main h2")).to_have_text("Results at a glance")


def test_a_new_view_takes_the_focus_and_its_link_stays_marked(opened):
    tab = opened("#board/mnist1d")
    current = tab.locator("#views [aria-current=page]")
    for view, title in (("Missing scores", "Missing scores"), ("Leaderboard", "Leaderboard: mnist1d")):
        tab.locator("#views").get_by_text(view, exact=True).focus()
        tab.keyboard.press("Enter")
        expect(tab.locator("main h2")).to_have_text(title)
        expect(tab.locator("main h2")).to_be_focused()
        expect(current).to_have_text(view)
    tab.get_by_role("button", name="grad_cam", exact=True).click()
    tab.get_by_role("dialog").locator("a.map").first.press("Enter")
    expect(tab.locator("main h2")).to_be_focused()
    expect(current).to_have_text("Samples")


def test_the_back_button_skips_a_card_that_was_closed(opened):
    tab = opened("#failures")
    tab.locator("#views").get_by_text("Leaderboard", exact=True).click()
    expect(tab.locator("main h2")).to_have_text("Leaderboard: mnist1d")
    tab.get_by_role("button", name="grad_cam", exact=True).click()
    expect(tab.get_by_role("dialog")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab).to_have_url(re.compile("#board/mnist1d$"))
    expect(tab.locator("#views [aria-current=page]")).to_have_text("Leaderboard")
    tab.go_back()
    expect(tab.locator("main h2")).to_have_text("Missing scores")


def test_a_reloaded_page_keeps_the_settings_of_its_reader(opened):
    tab = opened("#board/mnist1d", color_scheme="light")
    tab.get_by_label("Find a method").fill("grad")
    tab.get_by_label("Metrics shown").select_option("sound")
    tab.get_by_label("mean ranks and group letters").check()
    heading(tab, "metric:deletion").locator("button").click()
    tab.get_by_role("button", name="Switch to dark colours").click()
    tab.reload()
    expect(tab.get_by_label("Find a method")).to_have_value("grad")
    assert methods(tab) == ["grad_cam"]
    assert heading(tab, "metric:sparseness").count() == 1
    assert heading(tab, "group").count() == 1
    assert heading(tab, "metric:deletion").get_attribute("aria-sort") == "ascending"
    assert luminance(tab, "backgroundColor") < 0.15


def test_a_cell_in_focus_is_not_under_the_first_column(opened):
    tab = opened("#board/mnist1d", PHONE)
    heading(tab, "method").locator("button").focus()
    for key in ["ArrowDown", *["ArrowRight"] * 8, *["ArrowLeft"] * 7]:
        tab.keyboard.press(key)
        hidden = tab.evaluate("""() => {
          const cell = document.activeElement.closest("th, td"), first = cell.parentNode.cells[0];
          return cell === first ? 0 : first.getBoundingClientRect().right - cell.getBoundingClientRect().left;
        }""")
        assert hidden <= 1


def test_a_task_and_its_metrics_are_described_on_the_board(opened):
    tab = opened("#board/planted_image")
    tab.get_by_text("About this task").click()
    expect(tab.locator("details.more .prose").first).to_be_visible()
    tab.get_by_text("What the metrics measure").click()
    deletion = tab.locator("details.more dd", has_text="p while features are removed, highest attribution first")
    expect(deletion.first).to_be_visible()


def test_odd_addresses_lead_somewhere(opened):
    expect(opened("#samples/mnist1d/-1").locator("a.thumb").first).to_have_attribute("aria-current", "true")
    expect(opened("#nowhere").locator("main h2")).to_have_text("Results at a glance")


def test_the_conclusion_says_what_cannot_be_distinguished(opened):
    lead = opened("#board/mnist1d").locator("main p.lead")  # four samples are too few for any difference
    expect(lead).to_contain_text(
        re.compile(r"ranks first of 2 methods on 4 samples\. No other method can be distinguished")
    )
    expect(lead).to_contain_text("The first row of the table is a control: oracle, the ground truth used as a map.")
    expect(lead).to_contain_text("No method can be distinguished from the random control, which has rank")


def test_a_card_has_measured_costs_and_guaranteed_properties(opened):
    card = opened("#card/planted_image/grad_cam").get_by_role("dialog")
    expect(card).to_contain_text(re.compile(r"cost per sample on planted_image\s*\S+ s"))
    expect(card).to_contain_text("the map depends on the explained class")
