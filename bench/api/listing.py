"""Names of what is registered."""

from __future__ import annotations

from bench.api.request import Names, Paths, named, plugin_paths
from bench.engine.catalogue import Registered, registered
from bench.registry.selection import select


def list_tasks(names: Names = None, *, plugins: Paths = ()) -> list[str]:
    """Names of the registered tasks, of those that match `names` (wildcards are allowed)."""
    return [entry.name for entry in select(_known(plugins).tasks, named(names), "task")]


def list_methods(
    names: Names = None, *, family: str | None = None, cost: str | None = None, plugins: Paths = ()
) -> list[str]:
    """Names of the registered methods that match `names`, are of a family, and of a cost class (fast, medium, slow)."""
    chosen = select(_known(plugins).methods, named(names), "method")
    return [entry.name for entry in chosen if family in (None, entry.family) and cost in (None, entry.cost)]


def list_metrics(names: Names = None, *, family: str | None = None, plugins: Paths = ()) -> list[str]:
    """Names of the registered metrics that match `names` and are of a family (faithfulness, localisation, ...)."""
    chosen = select(_known(plugins).metrics, named(names), "metric")
    return [entry.name for entry in chosen if family in (None, entry.family)]


def _known(plugins: Paths) -> Registered:
    """What is registered. A user's own files are always loaded, so that they can be used by name afterwards."""
    paths = plugin_paths(plugins)
    return registered(paths, load=bool(paths))
