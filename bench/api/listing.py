"""Names of what is registered."""

from __future__ import annotations

from bench.api.request import Names, Paths, load_plugins, methods_of, metrics_of, named
from bench.registry.decorators import TASKS
from bench.registry.selection import select


def list_tasks(names: Names = None, *, plugins: Paths = ()) -> list[str]:
    """Names of the registered tasks, of those that match `names` (wildcards are allowed)."""
    load_plugins(plugins)
    return [entry.name for entry in select(TASKS, named(names), "task")]


def list_methods(
    names: Names = None, *, family: str | None = None, cost: str | None = None, plugins: Paths = ()
) -> list[str]:
    """Names of the registered methods that match `names`, are of a family, and of a cost class (fast, medium, slow)."""
    load_plugins(plugins)
    return [entry.name for entry in methods_of(names) if family in (None, entry.family) and cost in (None, entry.cost)]


def list_metrics(names: Names = None, *, family: str | None = None, plugins: Paths = ()) -> list[str]:
    """Names of the registered metrics that match `names` and are of a family (faithfulness, localisation, ...)."""
    load_plugins(plugins)
    return [entry.name for entry in metrics_of(names) if family in (None, entry.family)]
