"""run.json: what a run was asked, with which versions, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.core.files import atomic

NAME = "run.json"
LIBRARIES = ("torch", "captum", "quantus", "zennit", "numpy", "scipy", "pandas")


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes the facts of a run to its results folder, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / NAME) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """The facts of the folder's last run; empty where there is none."""
    path = folder / NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def library_versions() -> dict[str, str]:
    """The versions of the libraries that can change a score."""
    return {name: version(name) for name in LIBRARIES}
