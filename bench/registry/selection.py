"""Chooses registered entries by name, wildcard and hyper-parameters."""

from __future__ import annotations

import ast
import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from bench.core.entries import Entry
from bench.core.errors import RequestError

E = TypeVar("E", bound=Entry)


def select(registry: Mapping[str, E], patterns: Iterable[str], kind: str) -> list[E]:
    """The entries that match any pattern, in registry order.

    A pattern is a name with shell wildcards (`lrp*`), or a name with hyper-parameters of its own (`smoothgrad[samples=8]`).
    Raises RequestError with the nearest name when a pattern matches nothing.
    """
    chosen: dict[str, E] = {}
    for pattern in patterns:
        settings = re.fullmatch(r"([^\[\]]+)\[(\w+=[^\[\]]*)\]", pattern)
        found = fnmatch.filter(registry, settings[1] if settings else pattern)
        if not found:
            raise RequestError(unknown_name(settings[1] if settings else pattern, registry, kind))
        entries = [with_params(registry[name], settings[2]) if settings else registry[name] for name in found]
        chosen.update({entry.id: entry for entry in entries})
    order = {name: place for place, name in enumerate(registry)}
    return sorted(chosen.values(), key=lambda entry: order[entry.name.split("[")[0]])


def split(texts: Iterable[str]) -> list[str]:
    """Names that commas part, but for commas inside brackets: `a,b[x=1,y=2] c` -> a, b[x=1,y=2], c."""
    return [name for text in texts for name in re.split(r",(?![^\[]*\])", text) if name]


def with_params(entry: E, settings: str) -> E:
    """The entry with other hyper-parameters, given as `name=value,name=value`; those that differ enter its name."""
    params, defaults = dict(entry.params), dict(entry.params)
    for setting in settings.split(","):
        name, _, text = setting.partition("=")
        if name not in params:
            raise RequestError(unknown_name(name, params, f"hyper-parameter of {entry.name}"))
        try:
            params[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            params[name] = text
        kind = (int, float) if isinstance(defaults[name], float) or defaults[name] is None else type(defaults[name])
        if not isinstance(params[name], kind):
            raise RequestError(f"{entry.name}: {name}={text} is no value for it (the default is {defaults[name]})")
    changed = ",".join(f"{name}={value}" for name, value in params.items() if value != defaults[name])
    return replace(entry, name=f"{entry.name}[{changed}]", params=tuple(params.items())) if changed else entry


def unknown_name(name: str, known: Iterable[str], kind: str) -> str:
    """What to tell a user who asked for a name that does not exist."""
    known = sorted(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
    return f"unknown {kind} '{name}'{hint} (there is: {', '.join(known) or 'none'})"
