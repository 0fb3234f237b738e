"""Files to start from: a method, a metric, a task, and the settings of a run. Nothing is overwritten."""

from __future__ import annotations

import importlib.util
import keyword
from collections.abc import Mapping
from pathlib import Path

from bench.core.entries import Entry
from bench.core.errors import RequestError
from bench.core.files import atomic
from bench.core.nearest import unknown
from bench.engine.catalogue import registered

TEMPLATES = Path(__file__).with_name("templates")
KINDS = ("method", "metric", "task")
CONFIG = "bench.toml"


def new(kind: str, name: str, *, to: str | Path = ".") -> Path:
    """Writes NAME.py with a method, metric or task that passes `bench check` as it is, and comments on what can be changed.

    Args:
        kind: "method", "metric" or "task".
        name: of the function and of the file.
        to: folder for the file; it is made if it does not exist.

    Returns:
        The path of the file.

    Raises:
        RequestError: the name is no Python identifier, is registered already, or is that of a module; or the file exists.
    """
    if kind not in KINDS:
        raise RequestError(unknown("kind", kind, KINDS))
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii() or name.startswith("_"):
        raise RequestError(
            f"'{name}' cannot be the name of a function; letters, digits and '_' are allowed, a letter first, and no word of "
            f"Python such as 'class'; for example my_{kind}"
        )
    known = registered()
    entries: Mapping[str, Mapping[str, Entry]] = {"task": known.tasks, "method": known.methods, "metric": known.metrics}
    if name in entries[kind]:
        raise RequestError(f"{kind} '{name}' is registered already; choose another name, for example my_{name}")
    if _hides(name):
        raise RequestError(
            f"{name}.py would hide the Python module '{name}' from programs in its folder; choose another name, for example "
            f"my_{name}"
        )
    text = (TEMPLATES / f"{kind}.py").read_text(encoding="utf-8")
    title = name.replace("_", " ").capitalize()
    return _write(Path(to) / f"{name}.py", text.replace("TITLE", title).replace(f"my_{kind}", name))


def init(*, to: str | Path = ".") -> Path:
    """Writes `bench.toml`, the settings of a run, with comments, and returns its path.

    Args:
        to: folder for the file; it is made if it does not exist.

    Raises:
        RequestError: the file exists.
    """
    return _write(Path(to) / CONFIG, (TEMPLATES / CONFIG).read_text(encoding="utf-8"))


def _hides(name: str) -> bool:
    """Whether Python or a library has a module of that name; files of the current folder do not count."""
    spec = importlib.util.find_spec(name)
    return spec is not None and Path(spec.origin or "").parent.resolve() != Path.cwd()


def _write(path: Path, text: str) -> Path:
    if path.parent.exists() and not path.parent.is_dir():
        raise RequestError(f"--to {path.parent} is a file; the path of a folder is needed")
    if path.exists():
        raise RequestError(f"{path} exists and is not overwritten; move it away, or give another folder with --to")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")
    return path
