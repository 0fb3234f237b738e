"""The three registries, the decorators that fill them, and the discovery of plug-in files.

`methods/` and `tasks/` are generic import names, so they are folders of plug-in files and no packages: each file runs
under a module name of its own, `bench.methods.<stem>`, by which others can import it. A user's files join in by `--plugins` or
by an entry point.
"""

from __future__ import annotations

import ast
import difflib
import fnmatch
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from bench.core import COSTS, OPTIONAL, PROMISES, BenchError, Entry, Metric, Recipe, RequestError, Task

E = TypeVar("E", bound=Entry)
Function = Callable[..., Any]


class Explain(Protocol):
    """The method asked again, on other inputs (N, C, *S) of the same samples: -> attributions (N, *S).

    A method with randomness draws afresh for every `draw`; 0 repeats the draw of the attribution that is judged. `model`
    and `targets` (N,), if given, take the place of the problem's; `shift` is added to what else it knows of its inputs
    (Problem.shifted). Equal questions of all metrics are answered once.
    """

    def __call__(
        self,
        inputs: Tensor,
        draw: int,
        *,
        model: nn.Module | None = None,
        targets: Tensor | None = None,
        shift: float = 0.0,
    ) -> Tensor: ...


TASKS: dict[str, Task] = {}
METHODS: dict[str, Entry] = {}
METRICS: dict[str, Metric] = {}

# What the harness can hand over, by argument name.
OFFERED = {
    "task": frozenset({"sample_ids", "data"}),
    "method": frozenset({"problem", "rng"}),
    "metric": frozenset({"probe", "attribution", "rng", "explain", "cost"}),
}


def method(
    *,
    cite: str,
    family: str,
    needs: Iterable[str] = (),
    cost: str = "",
    promises: Iterable[str] = (),
    version: int = 1,
) -> Callable[[Function], Function]:
    """Registers `fn(problem, [rng], *, hyper-parameters) -> (N, *S)` under its own name.

    `cost`: "fast", "medium" or "slow"; slow ones run in profile `full`, and wherever they are asked for by name. `promises`:
    what is true of every map (core.PROMISES).
    """

    def register(fn: Function) -> Function:
        read = _read(fn, "method", needs)
        strange = sorted({cost} - {"", *COSTS}) + sorted(set(promises) - set(PROMISES))
        if strange:
            raise RequestError(
                f"method '{fn.__name__}' has the cost or promise '{strange[0]}'; costs are {', '.join(COSTS)}, "
                f"promises {', '.join(PROMISES)}"
            )
        _add(METHODS, Entry(**read, cite=cite, family=family, version=version, cost=cost, promises=frozenset(promises)))
        return fn

    return register


def metric(
    *,
    cite: str,
    family: str,
    higher_is_better: bool,
    label: str = "",
    limits: tuple[float | None, float | None] = (None, None),
    needs: Iterable[str] = (),
    cost: str = "",
    version: int = 1,
) -> Callable[[Function], Function]:
    """Registers `fn(probe, attribution, [rng, explain, cost], *, hyper-parameters)` under its own name.

    `cost`: "slow" for one that runs in profile `full` only, or when named.

    It returns scores (N,), or a curve (N, steps + 1) over even steps from nothing to everything perturbed; a curve is
    stored whole and its score is the area under it.
    """

    def register(fn: Function) -> Function:
        read = _read(fn, "metric", needs)
        entry = Metric(
            **read,
            cite=cite,
            family=family,
            version=version,
            cost=cost,
            higher_is_better=higher_is_better,
            label=label or read["name"].replace("_", " "),
            limits=limits,
        )
        _add(METRICS, entry)
        return fn

    return register


def task(
    *,
    cite: str,
    family: str,
    samples: Callable[..., list[str]],
    profiles: Mapping[str, int | None],
    recipe: Callable[..., Recipe] | None = None,
    weights: str | None = None,
    version: int = 1,
) -> Callable[[Function], Function]:
    """Registers `fn(sample_ids, [data], *, hyper-parameters) -> Problem` under its own name."""

    def register(fn: Function) -> Function:
        entry = Task(
            **_read(fn, "task"),
            cite=cite,
            family=family,
            version=version,
            samples=samples,
            profiles=tuple(profiles.items()),
            recipe=recipe,
            weights=weights,
        )
        _add(TASKS, entry)
        return fn

    return register


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
            raise RequestError(unknown(settings[1] if settings else pattern, registry, kind))
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
            raise RequestError(unknown(name, params, f"hyper-parameter of {entry.name}"))
        try:
            params[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            params[name] = text
        kind = (int, float) if isinstance(defaults[name], float) or defaults[name] is None else type(defaults[name])
        if not isinstance(params[name], kind):
            raise RequestError(f"{entry.name}: {name}={text} is no value for it (the default is {defaults[name]})")
    changed = ",".join(f"{name}={value}" for name, value in params.items() if value != defaults[name])
    return replace(entry, name=f"{entry.name}[{changed}]", params=tuple(params.items())) if changed else entry


def unknown(name: str, known: Iterable[str], kind: str) -> str:
    """What to tell a user who asked for a name that does not exist."""
    known = sorted(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
    return f"unknown {kind} '{name}'{hint} (there is: {', '.join(known) or 'none'})"


def call(fn: Callable[..., Any], offered: dict[str, Any], params: Sequence[tuple[str, Any]] = ()) -> Any:
    """Calls a plug-in with what its signature asks for of what is offered, and with its hyper-parameters."""
    asked = inspect.signature(fn).parameters
    return fn(**{name: value for name, value in offered.items() if name in asked}, **dict(params))


def home(kind: str) -> Path:
    """The project's own plug-in folder: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def discover(where: Path, package: str) -> None:
    """Runs a plug-in file, or every plug-in file of a folder, so that its decorators register what it holds."""
    if not where.exists():
        raise RequestError(f"no plug-in file or folder at {where}")
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
            point.load()
    for path in plugins:
        discover(path, "bench.plugins")


def _run_file(path: Path, name: str) -> None:
    loaded = sys.modules.get(name)
    if loaded is not None:
        if Path(str(loaded.__file__)) == path:
            return
        raise RequestError(f"two plug-in files are called {path.name}: {loaded.__file__} and {path}; rename one")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RequestError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BenchError as error:
        del sys.modules[name]
        raise RequestError(f"plug-in {path}: {error}") from error
    except Exception as error:
        del sys.modules[name]
        raise RequestError(f"plug-in {path} could not be loaded: {type(error).__name__}: {error}") from error


def _read(fn: Function, kind: str, needs: Iterable[str] = ()) -> dict[str, Any]:
    """Name, hyper-parameters and injected arguments of a function, read off its signature."""
    parameters = inspect.signature(fn).parameters.values()
    injected = tuple(p.name for p in parameters if p.default is p.empty)
    for asked, offered, verb, may in (
        (injected, OFFERED[kind], "asks for", f"without a default a {kind} may ask for"),
        (needs, OPTIONAL, "needs", "a task may offer"),
    ):
        strange = sorted(set(asked) - set(offered))
        if strange:
            raise RequestError(
                f"{kind} '{fn.__name__}' {verb} {', '.join(strange)}; {may}: {', '.join(sorted(offered))}"
            )
    return {
        "name": fn.__name__,
        "fn": fn,
        "params": tuple((p.name, p.default) for p in parameters if p.default is not p.empty),
        "injected": injected,
        "needs": frozenset(needs),
    }


def _add(registry: dict[str, Any], entry: Entry) -> None:
    known = registry.get(entry.name)
    if known is not None and inspect.getfile(known.fn) != inspect.getfile(entry.fn):
        raise RequestError(
            f"'{entry.name}' is registered twice: in {inspect.getfile(known.fn)} and {inspect.getfile(entry.fn)}"
        )
    registry[entry.name] = entry
