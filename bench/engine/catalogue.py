"""What is registered, without waiting for PyTorch: a copy of the registries in the user's cache, as JSON.

Filling the registries imports every plug-in file and the libraries that these use, which takes seconds. A list, and the check
of a request's names, need names, settings and docstrings alone. The copy is used only where all that it was made from is the
same: the content of the project's Python files, of the plug-ins and of what these import, the installed entry points and
packages, Python, and the harness's environment variables. Where it is missing, damaged or old, everything is loaded and it is
written again. A cache that cannot be written costs time and is no error.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from bench.core.entries import Entry, Metric, Task
from bench.core.files import atomic, home
from bench.engine.loading import load_all
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.task_tools.data import cache

E = TypeVar("E", bound=Entry)
KEPT = 16  # files in the cache, one for each set of plug-ins
FUNCTIONS = ("fn", "samples", "recipe")  # fields of entries that the copy lacks; it has the docstring of `fn`
LIBRARIES = ("site-packages", "dist-packages")  # names of folders with installed packages


@dataclass(frozen=True)
class Registered:
    """The three registries, or a copy of them whose functions cannot be called."""

    tasks: Mapping[str, Task]
    methods: Mapping[str, Entry]
    metrics: Mapping[str, Metric]
    certain: bool = True  # False: a copy, and plug-ins that are not the project's own may choose what they register


class NotLoaded:
    """Stands for a function that was not loaded: its docstring."""

    def __init__(self, doc: str | None) -> None:
        self.__doc__ = doc

    def __call__(self, *arguments: object) -> None:
        raise RuntimeError("an entry of the catalogue has no function; bench.engine.loading.load_all loads it")


def registered(plugins: Iterable[str | Path] = (), *, load: bool = False) -> Registered:
    """What is registered, the user's files included. Nothing is loaded where an up-to-date copy is at hand.

    `load`: load everything in any case. Raises RequestError for a plug-in that cannot be loaded.
    """
    paths = tuple(Path(path) for path in plugins)
    fresh = not (TASKS or METHODS or METRICS)  # else loaded already, or the user registered something in this process
    if fresh:
        started, facts = time.time(), _facts(paths)
        copy = None if load else _read(facts)
        if copy is not None:
            return copy
    load_all(paths)
    if fresh and _facts(paths) == facts:  # else a file was edited meanwhile
        _write(facts, started)
    return Registered(TASKS, METHODS, METRICS)


def _facts(plugins: Sequence[Path]) -> dict[str, Any]:
    """What decides what is registered, as far as it is known before loading."""
    points = [
        [point.group, point.name, point.value, *([point.dist.name, point.dist.version] if point.dist else [])]
        for kind in ("tasks", "methods", "metrics")
        for point in entry_points(group=f"bench.{kind}")
    ]
    package = Path(__file__).parents[1]
    files = {path for folder in (package, home("methods"), home("tasks")) for path in folder.rglob("*.py")}
    for plugin in plugins:
        files |= set(plugin.glob("*.py")) if plugin.is_dir() else {plugin}
    libraries = [path for path in sys.path if Path(path).name in LIBRARIES and os.path.isdir(path)]
    return {
        "plugins": [os.path.realpath(path) for path in plugins],
        "entry points": points,
        "files": {os.path.realpath(path): _digest(path) for path in sorted(files)},
        "python": [sys.version, sys.flags.optimize],
        "path": [os.path.abspath(path) for path in sys.path]
        if plugins or points
        else [],  # where other people's files find what they import
        "libraries": [[path, os.stat(path).st_mtime_ns] for path in libraries],  # changes with each installation
        "variables": sorted([name, value] for name, value in os.environ.items() if name.startswith("BENCH_")),
    }


def _digest(path: str | Path) -> str:
    """A hash of a file's content; empty where it cannot be read."""
    try:
        return _hash(Path(path).read_bytes())
    except OSError:
        return ""


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _file(facts: Mapping[str, Any]) -> Path:
    """Where the copy is. Other plug-ins, another Python or another checkout have a copy of their own."""
    which = [__file__, *(facts[name] for name in ("plugins", "python", "path"))]
    return cache() / "catalogue" / f"{_hash(repr(which).encode())}.json"


def _read(facts: Mapping[str, Any]) -> Registered | None:
    """The copy, if it is whole and up to date."""
    try:
        digest, _, text = _file(facts).read_bytes().partition(b"\n")
        if digest != _hash(text).encode():
            return None
        stored = json.loads(text)
        if stored["facts"] != _hash(repr(facts).encode()) or any(
            _digest(path) != known for path, known in stored["imported"].items()
        ):
            return None
        return Registered(
            _entries(Task, stored["tasks"]),
            _entries(Entry, stored["methods"]),
            _entries(Metric, stored["metrics"]),
            certain=not (facts["plugins"] or facts["entry points"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(facts: Mapping[str, Any], started: float) -> None:
    """Writes the copy, unless an entry has settings that JSON does not hold, or a file was edited since `started`."""
    imported = list(_imported(facts))
    content: dict[str, Any] = {
        "facts": _hash(repr(facts).encode()),
        "imported": {path: _digest(path) for path in imported},
    }
    file = _file(facts)
    try:
        if any(os.stat(path).st_mtime >= started for path in imported):
            return
        for kind, entries in (("tasks", TASKS), ("methods", METHODS), ("metrics", METRICS)):
            content[kind] = [_told(entry) for entry in entries.values()]
        text = json.dumps(content).encode()
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic(file) as part:
            part.write_bytes(_hash(text).encode() + b"\n" + text)
        copies = sorted(file.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for old in copies[:-KEPT]:
            old.unlink(missing_ok=True)
    except (OSError, TypeError):
        return


def _imported(facts: Mapping[str, Any]) -> Iterator[str]:
    """Files that the plug-ins of others may have imported: those of all modules that are not in Python or a library.

    The modules of entry points count wherever they are.
    """
    if not (facts["plugins"] or facts["entry points"]):
        return
    followed = {point[2].partition(":")[0].partition(".")[0] for point in facts["entry points"]}
    python = Path(sysconfig.get_path("stdlib"))
    for name, module in list(sys.modules.items()):
        path = Path(os.path.realpath(getattr(module, "__file__", None) or ""))
        if path.suffix != ".py" or str(path) in facts["files"] or name == "__main__" or not path.is_file():
            continue
        library = any(part in LIBRARIES for part in path.parts) or path.is_relative_to(python)
        if not library or name.partition(".")[0] in followed:
            yield str(path)


def _told(entry: Entry) -> dict[str, Any]:
    """An entry's fields as JSON holds them. Raises TypeError for a value that would not come back the same."""
    told = {field.name: _plain(getattr(entry, field.name)) for field in fields(entry) if field.name not in FUNCTIONS}
    return told | {"doc": _plain(entry.fn.__doc__)}


def _plain(value: Any) -> Any:
    if type(value) is tuple:
        return [_plain(item) for item in value]
    if type(value) is frozenset:
        return {"set": sorted(_plain(item) for item in value)}
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise TypeError(f"{value!r} has no place in JSON")


def _entries(kind: type[E], stored: Iterable[dict[str, Any]]) -> dict[str, E]:
    """The copies of entries by name, in their order."""
    told = [{name: _back(value) for name, value in one.items()} for one in stored]
    return {one["name"]: kind(fn=NotLoaded(one.pop("doc")), **one) for one in told}


def _back(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_back(item) for item in value)
    return frozenset(value["set"]) if isinstance(value, dict) else value
