"""The documentation covers everything that is registered, cites what it uses, and its links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

import bench
from bench.analysis.board import FIRST
from bench.cli import config
from bench.core.vocabulary import MEANINGS
from bench.page.sources import bibliography
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.validation.ladders import COLUMNS
from bench.validation.laws import LAWS

ROOT = Path(bench.__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
import catalogue  # noqa: E402

BIBLIOGRAPHY = (ROOT / "references.bib").read_text(encoding="utf-8")
KEYS = set(re.findall(r"@\w+\{([\w-]+),", BIBLIOGRAPHY))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    ("page", "kind", "registry"),
    [("methods", "method", METHODS), ("metrics", "metric", METRICS), ("tasks", "task", TASKS)],
)
def test_every_registered_name_has_a_section_with_source_and_settings(page, kind, registry):
    text = catalogue.PAGES[page]()
    for name, entry in registry.items():
        section = re.search(rf"^\({kind}-{name}\)=\n(.*?)(?=^\({kind}-|\Z)", text, re.DOTALL | re.MULTILINE)
        assert section, name
        assert all(f"`{setting}={default!r}`" in section[1] for setting, default in entry.params)
        if entry.cite:
            assert f"](#{entry.cite})" in section[1]


def test_a_metric_s_section_gives_its_direction_and_verdict():
    text = catalogue.metrics()
    road, drop = (text.split(f"(metric-{name})=")[1].split("\n(")[0] for name in ("road", "drop"))
    assert "- **Better:** lower" in drop
    assert "- **Checks:** pass" in drop
    assert "- **Checks:** fail (" in road


def test_docstrings_become_markdown_without_markup_by_accident():
    text = "Sum of a_k * b_k | see [selvaraju2017gradcam].\n\n    w = 1 * 2\n\nMore `of_it`."
    assert catalogue.prose(text) == (
        "Sum of a\\_k \\* b\\_k \\| see [Selvaraju et al., 2017](#selvaraju2017gradcam).\n\n"
        "```text\nw = 1 * 2\n```\n\nMore `of_it`."
    )


def test_every_citation_is_in_the_bibliography():
    cited = {entry.cite for registry in (TASKS, METHODS, METRICS) for entry in registry.values()} - {""}
    sources = [*ROOT.glob("bench/**/*.py"), *ROOT.glob("methods/*.py"), *ROOT.glob("tasks/*.py")]
    for path in sources:
        cited |= set(re.findall(r"\[([a-z]+\d{4}[a-z0-9]*)\]", path.read_text(encoding="utf-8")))
    assert cited <= KEYS


def test_the_list_of_references_is_that_of_the_bibliography():
    text = catalogue.references()
    assert set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)) == KEYS == set(bibliography(KEYS))


def test_every_entry_says_what_it_is():
    for registry in (TASKS, METHODS, METRICS):
        for entry in registry.values():
            assert len(entry.summary.split()) >= 4, entry.name


def test_the_table_of_tasks_names_every_task():
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(\w+)`(?=[^|\n]*\|)", text.split("## ")[0])) >= set(TASKS)


def test_the_tables_for_authors_name_every_law_and_every_key_of_a_settings_file():
    def first_cells(page: str) -> set[str]:
        cells = re.findall(r"^\| (`[^|]*) \|", (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)
        return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}

    assert first_cells("add-a-method") == {law.name for law in LAWS}
    assert first_cells("settings-file") == set(config.KEYS)
    template = (ROOT / "bench" / "api" / "templates" / "bench.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"\b{key} =", template) for key in config.KEYS)


def test_ci_runs_the_readmes_test_command():
    command = "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox"
    assert f"\n{command}\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_and_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)|^```\{image\} (\S+)$", text, re.MULTILINE):
        path = "".join(target)
        if not path.startswith("http"):
            assert (page.parent / path).exists(), path


def test_the_readme_names_as_many_methods_metrics_and_tasks_as_exist():
    told = re.search(r"(\d+) methods, (\d+) metrics, (\d+) tasks", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert told is not None
    assert [int(count) for count in told.groups()] == [len(METHODS), len(METRICS), len(TASKS)]


def test_every_page_is_in_the_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"} == set(
        re.findall(r"^([a-z-]+)$", index, re.MULTILINE)
    )


def test_every_task_has_a_committed_board_with_the_random_control():
    boards = {path.stem: path for path in (ROOT / "results" / "reference").glob("leaderboards/*.csv")}
    assert set(TASKS) <= set(boards)
    for name in TASKS:
        assert ",random," in boards[name].read_text(encoding="utf-8"), name


def test_the_columns_of_the_committed_tables_are_those_that_a_run_writes():
    """Exact for verdicts; of the boards the columns before the metrics, so that a renamed column is renamed here too."""
    kept = ROOT / "results" / "reference"
    for name in ("conformance.csv", "conformance_quantus_0.5.3.csv"):
        assert list(pd.read_csv(kept / name)) == ["metric", "metric_id", "code", *COLUMNS[2:]]
    for name in TASKS:
        board = list(pd.read_csv(kept / "leaderboards" / f"{name}.csv"))
        assert [column for column in FIRST if column in board] == board[: board.index(FIRST[-1]) + 1]
        told = {column for names in MEANINGS for column in names.split(", ")} | {"task", "truth_metric"}
        own = set(pd.read_csv(kept / "leaderboards" / f"{name}_metrics.csv"))
        assert own - told <= {"metric", "metric_id", "metric_family", "label", "higher_is_better"}
