"""Rooms import in one direction, and no circle exists inside a room."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import bench
from bench.core.files import home

ROOMS = [
    "core",
    "registry",
    "network",
    "perturbation",
    "task_tools",
    "storage",
    "metrics",
    "engine",
    "validation",
    "analysis",
    "plots",
    "page",
    "report",
    "api",
    "cli",
    "__main__",
]
PLUGINS_MAY_USE = {"core", "registry", "network", "perturbation", "task_tools", "methods", "tasks"}
PACKAGE = Path(bench.__file__).parent


def name_of(path: Path) -> str:
    """The module's name without `bench.`: `analysis.board`; a room's own `__init__` is the room's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {name: path for name, path in MODULES.items() if name.split(".")[0] not in {"__init__", "methods", "tasks"}}


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, anywhere in it, without `bench.`; for the lazy public names see api."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bench":
            base = node.module.removeprefix("bench").lstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                found.add(full if full in MODULES else base or full)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("bench.") for alias in node.names if alias.name.startswith("bench.")}
    return found - {"__version__"}


@pytest.mark.parametrize("name", MODULES)
def test_a_room_imports_only_rooms_below_it(name):
    own = name.split(".")[0]
    allowed = set(ROOMS[: ROOMS.index(own)]) | {own}
    assert {module.split(".")[0] for module in imported(MODULES[name])} <= allowed


@pytest.mark.parametrize("room", sorted({name.split(".")[0] for name in MODULES}))
def test_no_circle_exists_inside_a_room(room):
    inside = {name: path for name, path in MODULES.items() if name.split(".")[0] == room}
    arrows = {
        name: {module for module in imported(path) if module in inside and module != name}
        for name, path in inside.items()
    }
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_every_room_is_in_the_order():
    assert {name.split(".")[0] for name in MODULES} == set(ROOMS)


@pytest.mark.parametrize("folder", ["methods", "tasks"])
def test_plugins_import_the_rooms_that_are_made_for_them(folder):
    for path in home(folder).glob("*.py"):
        assert {module.split(".")[0] for module in imported(path)} <= PLUGINS_MAY_USE, path.name
