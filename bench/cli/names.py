"""What is registered: the list, and the check of a request's names before any library is loaded."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.api.request import named, one_task
from bench.cli import own_data
from bench.core.entries import Entry
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.core.vocabulary import COSTS
from bench.engine.catalogue import Registered, registered
from bench.registry.selection import select

ONE_TASK = ("explain", "attribute", "sweep", "train", "evaluate", "fetch")  # commands that take one task
OWN_DATA = ("attribute", "explain")  # of these: those that also take data of the user's own
COMMANDS = ("list_entries",)  # of this module
KINDS = ("methods", "metrics")  # what `check` takes beside files
NAMED = ("run", "check", *ONE_TASK)  # commands whose names are those of registered things


def list_entries(arguments: argparse.Namespace) -> int:
    """The command `list`."""
    known = registered(arguments.plugins)
    kinds: dict[str, Mapping[str, Entry]] = {"tasks": known.tasks, "methods": known.methods, "metrics": known.metrics}
    chosen = {kind: list(kinds[kind].values()) for kind in ([arguments.kind] if arguments.kind else kinds)}
    if arguments.json:
        print(json.dumps({kind: [as_json(one) for one in entries] for kind, entries in chosen.items()}, indent=2))
    else:
        print_entries(chosen)
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Raises RequestError where a command asks for a task, method, metric or setting that does not exist."""
    asked = (getattr(arguments, kind, None) for kind in ("task", "method", "metric"))
    if arguments.command not in NAMED or not any(asked):
        return
    plugins = [*arguments.plugins, *(Path(one) for one in getattr(arguments, "what", ()) if one not in KINDS)]
    known = registered(plugins)
    try:
        _select(arguments, known)
    except RequestError:
        if known.certain:
            raise
        _select(arguments, registered(plugins, load=True))


def _select(arguments: argparse.Namespace, known: Registered) -> None:
    if arguments.command in ONE_TASK:
        if arguments.command not in OWN_DATA or not own_data.word(arguments):
            one_task(arguments.task, known.tasks)
    elif getattr(arguments, "task", None):
        select_tasks(arguments, known)
    if getattr(arguments, "method", None):
        select(known.methods, named(arguments.method), "method")
    if getattr(arguments, "metric", None):
        select(known.metrics, named(arguments.metric), "metric")


def select_tasks(arguments: argparse.Namespace, known: Registered) -> None:
    """The registered tasks of a run or a check, unless it explains data of the user's own."""
    if own_data.word(arguments):
        return
    asked = named(arguments.task)
    for name in asked:
        if difflib.get_close_matches(name.split("[")[0], own_data.TASKS, cutoff=0.8):
            raise RequestError(unknown("task", name, [*own_data.TASKS, *known.tasks]))
    select(known.tasks, asked, "task")


def print_entries(entries: Mapping[str, Sequence[Entry]]) -> None:
    """Names, families, costs, summaries and sources of what is registered."""
    for kind, some in entries.items():
        width = max((len(one.name) for one in some), default=0)
        print(f"{kind}:" + (f" (cost: {_cost_classes()})" if kind == "methods" else ""))
        for one in some:
            cost = f"{one.cost or '-':<8}" if kind == "methods" else ""
            source = f" [{one.cite}]" if one.cite else ""
            print(f"  {one.name:<{width}}  {one.family:<12}  {cost}{one.summary}{source}")


def _cost_classes() -> str:
    limits = [f"{name} = at most {limit}" for name, limit in COSTS.items() if limit]
    return f"{', '.join(limits)} model queries a sample; slow = more, only in --profile full or when named"


def as_json(entry: Any) -> dict[str, Any]:
    """Every field of an entry."""
    fields = {"name": entry.name, "id": entry.id, "family": entry.family, "cite": entry.cite, "summary": entry.summary}
    fields |= {"params": dict(entry.params), "needs": sorted(entry.needs)}
    if entry.cost or entry.promises:
        fields |= {"cost": entry.cost, "promises": sorted(entry.promises)}
    for name in ("higher_is_better", "label", "limits", "profiles"):
        if hasattr(entry, name):
            value = getattr(entry, name)
            fields[name] = dict(value) if name == "profiles" else value
    return fields
