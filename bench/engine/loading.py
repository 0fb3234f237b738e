"""Loads plug-in files, so that their decorators fill the registries."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from bench.core.errors import BenchError, RequestError
from bench.core.files import home, module_spec
from bench.registry.decorators import METHODS


def discover(where: Path, package: str) -> None:
    """Runs a plug-in file, or every plug-in file of a folder, so that its decorators register what it holds."""
    if not where.exists():
        raise RequestError(
            f"plug-in {where} does not exist; the path of a Python file, or of a folder with such files, is needed"
        )
    files = [where] if where.is_file() else sorted(p for p in where.glob("*.py") if not p.name.startswith("_"))
    folder = sys.modules.setdefault(package, ModuleType(package, "Plug-in files, which can import each other by name."))
    folder.__path__ = sorted(
        {*getattr(folder, "__path__", ()), str((where if where.is_dir() else where.parent).resolve())}
    )
    for path in files:
        _run_file(path.resolve(), f"{package}.{path.stem}")


def load_all(plugins: Iterable[Path] = ()) -> None:
    """Fills the registries: the project's metrics, methods and tasks, installed entry points, and the user's files."""
    import bench.metrics  # noqa: F401  (its modules register themselves)

    discover(home("methods"), "bench.methods")
    discover(home("tasks"), "bench.tasks")
    for name in sorted(METHODS, key=lambda name: (METHODS[name].family, name)):  # files import each other, in any order
        METHODS[name] = METHODS.pop(name)
    for kind in ("tasks", "methods", "metrics"):
        for point in entry_points(group=f"bench.{kind}"):
            _load(point)
    for path in plugins:
        discover(path, "bench.plugins")


def _load(point: EntryPoint) -> None:
    """Imports what an installed package names, so that its decorators register what it holds."""
    package = f" of the package {point.dist.name}" if point.dist else ""
    try:
        point.load()
    except Exception as error:
        said = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        raise RequestError(
            f"entry point '{point.name} = {point.value}'{package} could not be loaded: {said}; correct or uninstall it"
        ) from error


def _run_file(path: Path, name: str) -> None:
    loaded = sys.modules.get(name)
    if loaded is not None:
        if Path(str(loaded.__file__)) == path:
            return
        raise RequestError(
            f"two plug-in files have the name {path.name}: {loaded.__file__} and {path}; rename one of them"
        )
    spec = module_spec(name, path)
    if spec is None or spec.loader is None:
        raise RequestError(f"plug-in {path} is no Python file; its name must end in .py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BenchError as error:
        del sys.modules[name]
        raise RequestError(f"plug-in {path}: {error}") from error
    except Exception as error:
        del sys.modules[name]
        raise RequestError(f"plug-in {path} could not be loaded: {type(error).__name__}: {error}") from error
