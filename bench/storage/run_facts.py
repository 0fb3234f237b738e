"""run.json: what a run was asked, with which versions, and what it cost."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import __version__
from bench.core.errors import BenchError
from bench.core.files import atomic

NAME = "run.json"
LIBRARIES = ("torch", "captum", "quantus", "zennit", "numpy", "scipy", "pandas")


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes the facts of a run to its results folder, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / NAME) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """The facts of the folder's last run; empty where there is none. Raises BenchError where the file cannot be read."""
    path = folder / NAME
    if not path.is_file():
        return {}
    facts = _json(path)
    if not isinstance(facts, dict):
        raise unreadable(path, "it does not hold the facts of a run as JSON", folder, "python -m bench run --all")
    return facts


def unreadable(path: Path, flaw: str, folder: Path, command: str) -> BenchError:
    """The error for a file of a results folder, and what makes the file again: a command without `--out`."""
    facts = _json(folder / NAME) if (folder / NAME).is_file() else None
    version = facts.get("bench") if isinstance(facts, dict) else None
    written = f" (bench {version} wrote the folder, this is bench {__version__})" if version else ""
    again = f"{command} --out {shlex.quote(str(folder))}"
    return BenchError(f"{path} cannot be read: {flaw}{written}; move it away, and `{again}` makes it again")


def _json(path: Path) -> Any:
    """What the file holds; None where it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def library_versions() -> dict[str, str]:
    """The versions of the libraries that can change a score."""
    return {name: version(name) for name in LIBRARIES}
