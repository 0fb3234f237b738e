"""The documentation names what there is, cites what it uses, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cli import main
from bench.registry.decorators import METHODS, METRICS, TASKS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("registry", [TASKS, METHODS, METRICS], ids=["tasks", "methods", "metrics"])
def test_every_registered_name_is_in_the_readme_with_its_family(registry):
    for name, entry in registry.items():
        assert f"`{name}`" in README, name
        if registry is not TASKS:
            assert re.search(rf"`{name}`.*\| {entry.family} \|", README), name
        if registry is METHODS:
            assert re.search(rf"^\| `{name}` \| {entry.family} \| {entry.cost} \|", README, re.MULTILINE), name


def test_every_direction_in_the_readme_is_the_registrys():
    for name, metric in METRICS.items():
        word = "higher" if metric.higher_is_better else "lower"
        assert re.search(rf"`{name}`.*\| {metric.family} \| {word} \|", README), name


def test_every_citation_is_in_the_bibliography():
    known = set(re.findall(r"@\w+\{([\w-]+),", (ROOT / "references.bib").read_text(encoding="utf-8")))
    cited = {entry.cite for registry in (TASKS, METHODS, METRICS) for entry in registry.values()} - {""}
    sources = [*ROOT.glob("bench/**/*.py"), *ROOT.glob("methods/*.py"), *ROOT.glob("tasks/*.py")]
    for path in sources:
        cited |= set(re.findall(r"\[([a-z]+\d{4}[a-z0-9]*)\]", path.read_text(encoding="utf-8")))
    assert cited <= known


def test_every_entry_says_what_it_is():
    for registry in (TASKS, METHODS, METRICS):
        for entry in registry.values():
            assert len(entry.summary.split()) >= 4, entry.name


def test_the_readmes_method_has_12_lines_and_runs(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len(code.strip().splitlines()) <= 12
    (tmp_path / "my_method.py").write_text(code)
    asked = [
        "run",
        "--task",
        "mnist1d",
        "--method",
        "unsigned_gradient_x_input",
        "random",
        "--metric",
        "drop",
        "--samples",
        "4",
    ]
    try:
        assert main.main([*asked, "--plugins", str(tmp_path / "my_method.py"), "--out", str(tmp_path / "out")]) == 0
    finally:
        METHODS.pop("unsigned_gradient_x_input", None)
    assert "unsigned_gradient_x_input" in capsys.readouterr().out


def test_ci_runs_the_readmes_test_command():
    command = "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox"
    assert f"    {command}\n" in README
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_pictures_and_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_every_task_has_a_committed_board_with_the_random_control_and_no_image_of_hmt_is_kept():
    reference = ROOT / "results" / "reference"
    boards = [path for path in reference.glob("leaderboards/*.csv") if path.stem in TASKS]
    assert {path.stem for path in boards} == set(TASKS)
    for path in boards:
        assert re.search(r",random,", path.read_text(encoding="utf-8")), path.name
    assert not list(reference.rglob("hmt_*gallery*"))
