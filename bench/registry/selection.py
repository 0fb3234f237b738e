"""Chooses registered entries by name, wildcard and settings."""

from __future__ import annotations

import ast
import fnmatch
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from bench.core.entries import Entry, Metric
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.core.vocabulary import FEATURES_PATTERN, VIEW

E = TypeVar("E", bound=Entry)
WITH_SETTINGS = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
UNSAFE = re.compile(r"[/\\\x00-\x1f]|\.\.")  # values enter names of files


def select(registry: Mapping[str, E], patterns: Iterable[str], kind: str) -> list[E]:
    """The entries that match any pattern, in registry order.

    A pattern is a name with shell wildcards (`lrp*`), with or without settings (`smoothgrad[samples=8]`).
    Raises RequestError, with the nearest name, when a pattern matches nothing.
    """
    chosen: dict[str, E] = {}
    for pattern in patterns:
        chosen.update({entry.id: entry for entry in _matching(registry, pattern, kind)})
    if not chosen:
        raise RequestError(f"no {kind} was given; name at least one, for example {next(iter(registry), 'none')}")
    order = {name: place for place, name in enumerate(registry)}
    return sorted(chosen.values(), key=lambda entry: order[entry.name.split("[")[0]])


def _matching(registry: Mapping[str, E], pattern: str, kind: str) -> list[E]:
    if not pattern.strip(" ,"):
        raise RequestError(
            f"'{pattern}' names no {kind}; name at least one, for example {next(iter(registry), 'none')}"
        )
    parts = WITH_SETTINGS.fullmatch(pattern)
    if parts and ("=" in parts[2] or not fnmatch.filter(registry, pattern)):  # brackets without = may be a wildcard
        names = fnmatch.filter(registry, parts[1])
        entries = [with_params(registry[name], parts[2]) for name in names]
    else:
        entries = [registry[name] for name in fnmatch.filter(registry, pattern)]
    if not entries:
        raise RequestError(unknown_name(parts[1] if parts else pattern, registry, kind))
    return entries


def split(texts: Iterable[str]) -> list[str]:
    """Names separated by commas outside brackets: `a,b[x=1,y=2] c` -> a, b[x=1,y=2], c.

    Raises RequestError for a text without any name.
    """
    names = []
    for text in texts:
        parts = [name.strip() for name in re.split(r",(?![^\[]*\])", text) if name.strip()]
        if not parts:
            raise RequestError(f"'{text}' holds no name; separate names by commas, for example grad_cam,saliency")
        names += parts
    return names


def with_params(entry: E, settings: str) -> E:
    """The entry with other settings, given as `name=value,name=value`; those that differ from the default enter its name.

    Settings are hyper-parameters and those of vocabulary.VIEW that a metric's scores follow.
    """
    params, defaults = dict(entry.params), dict(entry.params)
    views = _views(entry)
    given: set[str] = set()
    for setting in settings.split(","):
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or not name:
            raise RequestError(f"{entry.name}[{settings}]: settings are written name=value{_example(entry)}")
        if name not in params and name not in views:
            raise RequestError(unknown("setting", name, [*params, *views], of=entry.name))
        if name in given:
            raise RequestError(f"{entry.name}[{settings}]: {name} is given twice; give it once")
        given.add(name)
        if name in params:
            params[name] = _value(entry, name, text, defaults[name])
        else:
            views[name] = _word(entry, name, text)
    view = tuple((name, word) for name, word in views.items() if word != VIEW[name][0])
    changed = [(name, value) for name, value in params.items() if value != defaults[name]] + list(view)
    if not changed:
        return entry
    name = f"{entry.name}[{','.join(f'{name}={value}' for name, value in changed)}]"
    other = replace(entry, name=name, params=tuple(params.items()))
    return replace(other, view=view) if isinstance(other, Metric) else other


def unknown_name(name: str, allowed: Iterable[str], kind: str) -> str:
    """The message for a task, method or metric that is not registered."""
    return unknown(kind, name, sorted(allowed), listing=f"python -m bench list {kind}s")


def _views(entry: Entry) -> dict[str, str]:
    """The settings of the view that the entry takes beside its hyper-parameters, at their defaults."""
    if not isinstance(entry, Metric):
        return {}
    return {name: words[0] for name, words in VIEW.items() if name in entry.views and name not in dict(entry.params)}


def _word(entry: Entry, name: str, text: str) -> str:
    """A value of a setting whose values are words of vocabulary.VIEW."""
    if text in VIEW[name] or (name == "features" and re.fullmatch(FEATURES_PATTERN, text)):
        return text
    allowed = [*VIEW[name], *(["patchN", "segmentN"] if name == "features" else [])]
    raise RequestError(unknown(name, text, allowed, of=entry.name))


def _value(entry: Entry, name: str, text: str, default: Any) -> Any:
    """A hyper-parameter's value, of the type of its default."""
    if isinstance(default, str) and default in VIEW.get(name, ()):
        return _word(entry, name, text)
    given = f"{entry.name}[{name}={text}]"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(default, str):
        value = value if isinstance(value, str) else text
        if not value or UNSAFE.search(value):
            raise RequestError(f"{given}: {name} must be a text without '/', '\\' and '..'; the default is {default}")
    if default is None and value is None:
        return value
    number = isinstance(default, float) or default is None
    kinds = (int, float) if number else (type(default),)
    if not isinstance(value, kinds) or (isinstance(value, bool) and not isinstance(default, bool)):
        needed = "a number" if number else {"int": "a whole number", "bool": "True or False"}.get(kinds[0].__name__)
        needed = needed or f"a {kinds[0].__name__}"
        raise RequestError(f"{given}: {name} must be {needed}; the default is {default}")
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestError(f"{given}: {name} must be a finite number; the default is {default}")
    return value


def _example(entry: Entry) -> str:
    examples = [*entry.params, *_views(entry).items()]
    return f", for example {entry.name}[{examples[0][0]}={examples[0][1]}]" if examples else f"; {entry.name} has none"
