"""Modules as their source defines them: what binds each top-level name, normalised, and the names that it uses in turn.

Comments, docstrings, formatting, positions and the texts of errors are left out, and syntax trees read the same for every
version of Python.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.hashing import digest

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Definition:
    """What binds one top-level name."""

    hash: str
    origins: tuple[str, ...] = ()  # of the names it uses, dotted; local variables and builtins have none


@dataclass(frozen=True)
class Source:
    """A module, read."""

    name: str
    package: str  # that relative imports start from
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)  # top-level name -> what binds or changes it
    imports: dict[str, str] = field(default_factory=dict)  # name -> dotted origin
    stars: list[str] = field(default_factory=list)  # modules of which everything is imported
    definitions: dict[str, Definition] = field(default_factory=dict)  # those that were asked for

    def definition(self, name: str) -> Definition:
        """Of a top-level name: all statements that bind or change it."""
        if name not in self.definitions:
            reader = _Reader(self.package)
            text = [reader.read(statement) for statement in self.statements[name]]
            origins = {origin for used in reader.names for origin in self._origins(used, reader.imports)}
            self.definitions[name] = Definition(digest(*text), tuple(sorted(origins)))
        return self.definitions[name]

    def _origins(self, dotted: str, local: dict[str, str]) -> list[str]:
        first, dot, rest = dotted.partition(".")
        origin = local.get(first) or self.imports.get(first)
        if origin is not None:
            return [origin + dot + rest]
        return [f"{self.name}.{first}"] if first in self.statements else [f"{star}.{dotted}" for star in self.stars]


def file_of(module: str) -> str | None:
    """Where the source of a module is; None where it has no file."""
    loaded = sys.modules.get(module)
    try:
        origin = loaded.__file__ if loaded is not None else getattr(importlib.util.find_spec(module), "origin", None)
    except (AttributeError, ImportError, ValueError):
        return None
    return origin if origin is not None and origin.endswith(".py") and os.path.exists(origin) else None


def source_of(module: str) -> Source:
    """A module's source, read again when its file has changed."""
    path = file_of(module)
    if path is None:
        return _typed_in(module)
    state = os.stat(path)
    return _read(path, module, (state.st_mtime_ns, state.st_size))


@functools.lru_cache(maxsize=1024)
def _read(path: str, module: str, _state: tuple[int, int]) -> Source:
    source = Source(module, module if path.endswith("__init__.py") else module.rpartition(".")[0])
    for statement in ast.parse(Path(path).read_bytes()).body:
        for node in _imports_in(statement):
            names, everything_of = _imported(node, source.package)
            source.imports.update(names)
            source.stars.extend(everything_of)
        for name in _bound(statement):
            source.statements.setdefault(name, []).append(statement)
    return source


def _typed_in(module: str) -> Source:
    """The names of a module without a file, such as a notebook's, as far as their source is kept."""
    source = Source(module, module)
    for name, value in dict(vars(sys.modules[module])).items() if module in sys.modules else ():
        if inspect.ismodule(value):
            source.imports[name] = value.__name__
        elif callable(value) and getattr(value, "__module__", module) != module:
            source.imports[name] = f"{value.__module__}.{getattr(value, '__qualname__', name)}"
        elif inspect.isfunction(value) or inspect.isclass(value):
            with suppress(OSError, TypeError, SyntaxError):
                source.statements[name] = ast.parse(textwrap.dedent(inspect.getsource(value))).body
        elif not name.startswith("_"):
            source.statements[name] = [ast.Expr(ast.Constant(plain(value)))]
    return source


def plain(value: Any) -> Any:
    """Numbers and texts as they are, anything else as its type, for a repr that is the same in every process."""
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return [(str(key), plain(item)) for key, item in value.items()]
    return value if isinstance(value, (int, float, str, bytes, type(None))) else type(value).__qualname__


def _imports_in(statement: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports at the level of the module, those in its `if`, `try` and `with` blocks included."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield statement
    elif not isinstance(statement, DEFINITIONS):
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                yield from _imports_in(child)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> tuple[dict[str, str], list[str]]:
    """Names that an import binds, with their dotted origins, and the modules of which it takes everything."""
    if isinstance(node, ast.Import):
        full = {alias.asname: alias.name for alias in node.names if alias.asname}
        first = {alias.name.split(".")[0] for alias in node.names if not alias.asname}
        return full | {name: name for name in first}, []
    above = package.split(".")[: 1 - node.level or None] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    names = {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names if alias.name != "*"}
    return names, [base for alias in node.names if alias.name == "*"]


def _bound(statement: ast.stmt) -> set[str]:
    """Top-level names that a statement binds or changes."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    if isinstance(statement, ast.Expr):  # `TABLE.update(...)` changes TABLE
        call = statement.value.func if isinstance(statement.value, ast.Call) else statement.value
        return {_dotted(call).split(".")[0]} - {""} if isinstance(call, ast.Attribute) else set()
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, DEFINITIONS):
            found.add(node.name)
        elif isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            found.add(_dotted(node).split(".")[0])
    return found - {""}


def _dotted(node: ast.expr) -> str:
    """`a.b.c` for such a chain of attributes, `a` for `a[0].b` and `a().b`; empty where it begins with no name."""
    parts: list[str] = []
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        parts = [node.attr, *parts] if isinstance(node, ast.Attribute) else []
        node = node.func if isinstance(node, ast.Call) else node.value
    return ".".join([node.id, *parts]) if isinstance(node, ast.Name) else ""


class _Reader:
    """Turns syntax trees into texts, and notes the names and imports in them."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.names: set[str] = set()
        self.imports: dict[str, str] = {}

    def read(self, node: Any) -> str:
        if isinstance(node, list):
            return f"[{', '.join(map(self.read, node))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports.update(_imported(node, self.package)[0])
        if isinstance(node, (ast.Name, ast.Attribute)):
            self.names.add(_dotted(node))
        fields = {
            name: value
            for name, value in ast.iter_fields(node)
            if value not in (None, []) and name not in ("ctx", "kind", "type_comment")
        }
        if isinstance(node, DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
            fields["body"] = node.body[1:]
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):  # without its text
            fields["exc"] = node.exc.func
        return f"{type(node).__name__}({', '.join(f'{name}={self.read(value)}' for name, value in fields.items())})"
