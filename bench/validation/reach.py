"""Finds all code that a function can reach by name, and hashes it.

A name stands for the whole top-level definition that it belongs to: a class with all its methods, a constant with its value.
Names in annotations count, because they tell which classes a function works with. More may be reached than is ever called,
but never less, except through names that are put together at run time.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.core.hashing import digest
from bench.validation.source import Definition, Source, file_of, plain, source_of


@dataclass
class Reach:
    """Hashes of what was found, by module and name, and the libraries that it uses."""

    definitions: dict[tuple[str, str], str] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)

    @property
    def hash(self) -> str:
        return digest(*sorted(self.definitions.items()))


def reached(fn: Callable[..., Any]) -> Reach:
    """All definitions that a function can reach in this package and in the package that it comes from."""
    found, read = Reach(), functools.cache(source_of)  # each file is looked at once
    starts = list(_starts(fn))
    found.definitions |= {("", start.hash): start.hash for start in starts if isinstance(start, Definition)}
    queue = [start for start in starts if isinstance(start, str)]
    followed = {"bench", *(start.split(".")[0] for start in queue)}
    seen: set[str] = set()
    while queue:
        dotted = queue.pop()
        if dotted in seen:
            continue
        seen.add(dotted)
        if dotted.split(".")[0] not in followed:
            found.libraries.add(dotted.split(".")[0])
            continue
        module, names, elsewhere = _located(dotted, read)
        queue.extend(elsewhere)
        for name in names:
            if (module, name) not in found.definitions:
                definition = read(module).definition(name)
                found.definitions[module, name] = definition.hash
                queue.extend(definition.origins)
    return found


def _starts(fn: Any) -> Iterator[str | Definition]:
    """What a function object stands for: its own name, the function it wraps, and what it closes over."""
    if isinstance(fn, functools.partial):
        values = [fn.func, *fn.args, *fn.keywords.values()]
        yield Definition(digest(plain(list(fn.keywords))))
    else:
        values = [cell.cell_contents for cell in getattr(fn, "__closure__", None) or ()]
        values += [fn.__wrapped__] if hasattr(fn, "__wrapped__") else []
        module, name = getattr(fn, "__module__", None) or "", getattr(fn, "__qualname__", "").split(".")[0]
        if name in source_of(module).statements:
            yield f"{module}.{name}"
        elif hasattr(fn, "__code__"):  # made where no source is kept
            code = fn.__code__
            yield Definition(digest(code.co_code, plain(code.co_consts), code.co_names))
    for value in values:
        if callable(value):
            yield from _starts(value)
        else:
            yield Definition(digest(plain(value)))


def _located(dotted: str, read: Callable[[str], Source]) -> tuple[str, list[str], list[str]]:
    """What a dotted origin means: a module with top-level names of it, and the origins of names that it only passes on.

    A module itself means all its names.
    """
    module, *parts = dotted.split(".")
    for position, part in enumerate(parts):
        source, inside = read(module), f"{module}.{part}"
        if part in source.statements:
            return module, [part], []
        if source.imports.get(part, inside) != inside:
            return module, [], [".".join([source.imports[part], *parts[position + 1 :]])]
        if inside not in sys.modules and file_of(inside) is None:
            return module, [], [*(f"{star}.{part}" for star in source.stars), *_given_out(module, part)]
        module = inside
    return module, list(read(module).statements), []


def _given_out(module: str, name: str) -> list[str]:
    """The origin of a name that a module makes when it is asked for it (`__getattr__`)."""
    value = getattr(sys.modules.get(module), name, None)
    home, top = getattr(value, "__module__", module), getattr(value, "__qualname__", "").split(".")[0]
    return [f"{home}.{top}"] if home != module and top else []
