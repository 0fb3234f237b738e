"""Imports run in one direction: each module sees only those before it (shared data flow: nouns to command line)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bench

ORDER = [
    "core",
    "files",
    "data",
    "seeding",
    "hooks",
    "canonise",
    "propagation",
    "secants",
    "masking",
    "cells",
    "coalitions",
    "imputation",
    "registry",
    "weights",
    "device",
    "meter",
    "guard",
    "probe",
    "metrics",
    "explaining",
    "scoring",
    "store",
    "runner",
    "single",
    "closed_form",
    "conformance",
    "stats",
    "leaderboard",
    "sweep",
    "survival",
    "agreement",
    "pasting",
    "comparison",
    "training",
    "tables",
    "plots",
    "page",
    "report",
    "serving",
    "cli",
    "__main__",
]
PACKAGE = Path(bench.__file__).parent
LAZY = {("registry", "metrics")}  # load_all() fills the registries when it is called, not when it is imported


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "bench":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("bench.")}
    return names - {"__version__"}


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py" or path.parent != PACKAGE]
MODULES = [path for path in MODULES if layer(path) not in {"methods", "tasks"}]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_earlier_layers(path):
    own = layer(path)
    allowed = set(ORDER[: ORDER.index(own)]) | {own}
    assert {name for name in imported(path) if (own, name) not in LAZY} <= allowed


def test_plugins_import_no_later_layer_than_the_registry_and_the_helpers():
    from bench.registry import home

    allowed = {*ORDER[: ORDER.index("device")], "methods", "tasks"}
    for folder in ("methods", "tasks"):
        for path in home(folder).glob("*.py"):
            assert imported(path) <= allowed, path.name
