"""The three registries and the decorators that fill them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bench.core.entries import Entry, Metric, Recipe, Task
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.core.vocabulary import COSTS, MODEL_OUTPUTS, OPTIONAL_FIELDS, PROMISES

if TYPE_CHECKING:
    from torch import Tensor, nn

Function = Callable[..., Any]


class Explain(Protocol):
    """Explains other inputs (N, C, *S) of the same samples with the method that is judged: -> attributions (N, *S).

    A method with randomness draws new numbers for every `draw`; 0 repeats the draw of the attribution that is judged. `model`
    and `targets` (N,), if given, replace those of the problem; `shift` is added to the problem's baseline, background and
    bounds (Problem.shifted). Equal calls from several metrics are computed once.
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
    core: bool = False,
    promises: Iterable[str] = (),
    outputs: Sequence[str] = MODEL_OUTPUTS,
    version: int = 1,
) -> Callable[[Function], Function]:
    """Registers `fn(problem, [rng], *, hyper-parameters) -> (N, *S)` under its own name.

    `cost`: "fast", "medium" or "slow". Where methods are not named, profile quick runs the fast ones and those that are `core`,
    standard also those of medium cost, full all. `promises`: properties that every map has (vocabulary.PROMISES). `outputs`:
    kinds of model output (vocabulary.MODEL_OUTPUTS) that the method can serve; on other tasks it is skipped. Raises
    RequestError for an unknown argument, cost, promise or output.
    """

    def register(fn: Function) -> Function:
        read = _read(fn, "method", needs)
        for name in sorted(set(promises) - set(PROMISES)):
            raise RequestError(unknown("promise", name, PROMISES, of=f"method {fn.__name__}"))
        entry = Entry(
            **read,
            cite=cite,
            family=family,
            version=version,
            cost=_checked_cost(cost, "method", fn),
            core=core,
            promises=frozenset(promises),
            outputs=_checked_outputs(outputs, "method", fn),
        )
        _add(METHODS, entry)
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
    views: Iterable[str] = (),
    outputs: Sequence[str] = MODEL_OUTPUTS,
    version: int = 1,
) -> Callable[[Function], Function]:
    """Registers `fn(probe, attribution, [rng, explain, cost], *, hyper-parameters)` under its own name.

    `cost`: "medium" for a metric that profile quick leaves out where it is not named, "slow" for one that only profile full
    takes. `views`: which of `baseline`, `output` and `features` the scores follow, as those of questions to the probe do; users
    may set these, `drop[baseline=blur]`. `outputs`: the kinds of model output that the metric can read; on other tasks it is
    skipped.

    The function returns scores (N,), or a curve (N, steps + 1) over even steps from nothing to everything perturbed; a curve is
    stored whole and its score is the area under it.
    """

    def register(fn: Function) -> Function:
        read = _read(fn, "metric", needs)
        entry = Metric(
            **read,
            cite=cite,
            family=family,
            version=version,
            cost=_checked_cost(cost, "metric", fn),
            higher_is_better=higher_is_better,
            label=label or read["name"].replace("_", " "),
            limits=limits,
            views=frozenset(views),
            outputs=_checked_outputs(outputs, "metric", fn),
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
    cost: str = "",
    version: int = 1,
) -> Callable[[Function], Function]:
    """Registers `fn(sample_ids, [data], *, hyper-parameters) -> Problem` under its own name.

    `profiles`: quick, standard and full -> number of samples, None for all. `cost`: "medium" for a task that profile quick
    leaves out where it is not named, "slow" for one that only profile full takes.
    """

    def register(fn: Function) -> Function:
        entry = Task(
            **_read(fn, "task"),
            cite=cite,
            family=family,
            version=version,
            cost=_checked_cost(cost, "task", fn),
            samples=samples,
            profiles=tuple(profiles.items()),
            recipe=recipe,
            weights=weights,
        )
        _add(TASKS, entry)
        return fn

    return register


def call(fn: Callable[..., Any], offered: dict[str, Any], params: Sequence[tuple[str, Any]] = ()) -> Any:
    """Calls a plug-in with what its signature asks for of what is offered, and with its hyper-parameters."""
    asked = inspect.signature(fn).parameters
    return fn(**{name: value for name, value in offered.items() if name in asked}, **dict(params))


def _read(fn: Function, kind: str, needs: Iterable[str] = ()) -> dict[str, Any]:
    """Name, hyper-parameters and injected arguments of a function, read off its signature."""
    parameters = inspect.signature(fn).parameters.values()
    injected = tuple(p.name for p in parameters if p.default is p.empty)
    for word, given, allowed in (
        ("argument without a default", injected, OFFERED[kind]),
        ("entry in needs", needs, OPTIONAL_FIELDS),
    ):
        for name in sorted(set(given) - set(allowed)):
            raise RequestError(unknown(word, name, sorted(allowed), of=f"{kind} {fn.__name__}"))
    return {
        "name": fn.__name__,
        "fn": fn,
        "params": tuple((p.name, p.default) for p in parameters if p.default is not p.empty),
        "injected": injected,
        "needs": frozenset(needs),
    }


def _checked_cost(cost: str, kind: str, fn: Function) -> str:
    if cost and cost not in COSTS:
        raise RequestError(unknown("cost", cost, COSTS, of=f"{kind} {fn.__name__}"))
    return cost


def _checked_outputs(outputs: Sequence[str], kind: str, fn: Function) -> tuple[str, ...]:
    for name in outputs:
        if name not in MODEL_OUTPUTS:
            raise RequestError(unknown("output", name, MODEL_OUTPUTS, of=f"{kind} {fn.__name__}"))
    return tuple(outputs)


def _add(registry: dict[str, Any], entry: Entry) -> None:
    known = registry.get(entry.name)
    if known is not None and inspect.getfile(known.fn) != inspect.getfile(entry.fn):
        raise RequestError(
            f"'{entry.name}' is registered twice: in {inspect.getfile(known.fn)} and {inspect.getfile(entry.fn)}; "
            "rename one of them"
        )
    registry[entry.name] = entry
