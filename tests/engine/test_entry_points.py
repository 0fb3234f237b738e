"""Installed packages bring methods, metrics and tasks by entry points; here one made of a folder with its metadata."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import registries_put_back
from reference import ROOT

from bench.cli.main import main
from bench.core.errors import RequestError
from bench.engine import loading
from bench.registry.decorators import METHODS, METRICS, TASKS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = ROOT / "docs" / "publish-a-package.md"
MARKED = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of the documentation, as an installer lays it out: its modules, and a .dist-info with its entry points."""
    files = dict(MARKED.findall(PAGE.read_text(encoding="utf-8")))
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, text in files.items():
        path = tmp_path / name.removeprefix("src/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    groups = project["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for group, points in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "heat_maps"]:
        del sys.modules[name]


def test_a_package_brings_a_method_a_metric_and_a_task(package):
    with registries_put_back():
        loading.load_all()
        assert METHODS["heat"].family == "gradient"
        assert METRICS["top_tenth"].higher_is_better is False
        assert TASKS["two_bumps"].samples()[0] == "bump/0"
        found = main(["check", "methods", "--method", "heat"])
    assert found == 0
    assert "heat" not in METHODS


def test_the_command_line_knows_it_without_an_option(package):
    environment = os.environ | {"PYTHONPATH": f"{package}{os.pathsep}{ROOT}", "BENCH_CACHE": str(package / "cache")}
    words = [sys.executable, "-m", "bench", "list", "--json"]
    for _ in range(2):  # loaded, then from the copy in the cache
        done = subprocess.run(words, env=environment, cwd=package, capture_output=True, text=True, check=True)
        assert all(f'"name": "{name}"' in done.stdout for name in ("heat", "top_tenth", "two_bumps"))


def test_a_package_that_cannot_be_loaded_is_named_with_the_way_out(package):
    (package / "heat_maps" / "methods.py").write_text("import something_that_is_not_there\n", encoding="utf-8")
    with registries_put_back(), pytest.raises(RequestError) as raised:
        loading.load_all()
    assert str(raised.value) == (
        "entry point 'heat = heat_maps.methods' of the package heat-maps could not be loaded: ModuleNotFoundError: No module "
        "named 'something_that_is_not_there'; correct or uninstall it"
    )
