"""The laws that every method keeps: each a question to a method on a problem, answered by what is wrong, or by "".

A law raises NotApplicable where the method cannot serve the problem, and whatever the method raises.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bench.core.entries import Entry
from bench.core.errors import ContractError
from bench.core.problem import Problem
from bench.engine import sandbox
from bench.registry.decorators import call
from bench.validation.asking import Watched, answer, called, difference, hooks_of, maps_of, offered, other_global_draws
from bench.validation.law_problems import half_seen, linear
from bench.validation.module_state import ModuleState

EQUAL = 1e-4  # of the largest value: float32 sums in another order
APART = 1e-3  # of the largest value: less is no other map
GAP = 0.05  # of a logit's change, and of a logit: what sums over few steps may miss


@dataclass(frozen=True)
class Law:
    """A question about a method. `broken` answers it on a problem: what is wrong and the way out, or ""."""

    name: str
    asks: str
    broken: Callable[[Entry, Problem], str]
    promise: str = ""  # asked only of methods that promise it
    after: str = ""  # the law without which this one says nothing new
    controls: bool = True  # is it asked of controls?
    problem: Callable[[], Problem] | None = None  # asked once, on this problem with a known answer


def shape(method: Entry, problem: Problem) -> str:
    """One floating-point number for each place, (N, *S)."""
    try:
        sandbox.checked(answer(method, problem)[0], problem)
    except ContractError as error:
        channels = _channels_kept(method, problem)
        return f"{error}; {'sum over the channels' if channels else 'give one number for each place of each sample'}"
    return ""


def finite(method: Entry, problem: Problem) -> str:
    """Finite, and not the same number everywhere."""
    statuses = zip(problem.sample_ids, sandbox.map_status(maps_of(method, problem)), strict=True)
    for sample, (status, why) in statuses:
        if status != "ok":
            return (
                f"of sample '{sample}' {why}; such a map cannot be scored: look for a division by zero, a logarithm, "
                "or an output that nothing reaches"
            )
    return ""


def own(method: Entry, problem: Problem) -> str:
    """Different inputs get different maps."""
    maps = maps_of(method, problem)
    if not torch.equal(maps[0], maps[1]):
        return ""
    first, second = problem.sample_ids[:2]
    return f"samples '{first}' and '{second}' get the same map, though their inputs differ; explain each input"


def unchanged(method: Entry, problem: Problem) -> str:
    """The model, its inputs and the global state stay as they were."""
    changed = answer(method, problem)[1]
    if not changed or "draw from" in changed:
        return changed
    return f"{changed}; put back what is changed, or work on a copy"


def hooks(method: Entry, problem: Problem) -> str:
    """No hook is left when the model raises, and its error comes through."""
    asked: list[int] = []

    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            asked.append(1)
            return x.reshape(7919)  # not while it is traced, but when it runs

    children = OrderedDict(problem.model.named_children())
    model = nn.Sequential(OrderedDict([*children.items(), ("broken", Breaks())])).eval()
    copy = replace(sandbox.isolated(problem), model=model)
    raised, left = False, 0
    try:
        with sandbox.unchanged(copy):
            try:
                call(method.fn, offered(method, copy), method.params)
            finally:
                left = hooks_of(model)
    except ContractError:
        pass
    except Exception:
        raised = True
    if left:
        return f"when the model raises, {left} hooks stay on it; remove them in `finally`, or use a `with` block"
    return "the model raised an error and the method hid it; let it through" if asked and not raised else ""


def repeat(method: Entry, problem: Problem) -> str:
    """Two equal calls give the same map."""
    module = ModuleState(method.fn)
    first = maps_of(method, problem)
    module.put_back()
    with other_global_draws():
        second = maps_of(method, problem)
    found = difference(first, second, problem)
    return f"two equal calls give different maps: {found}; draw random numbers from `rng` only" if found else ""


def state(method: Entry, problem: Problem) -> str:
    """What was explained before does not matter."""
    module = ModuleState(method.fn)
    first = maps_of(method, problem)
    module.put_back()
    maps_of(method, replace(problem, inputs=0.5 * problem.inputs.flip(0), targets=problem.targets.flip(0)), seed=1)
    found = difference(first, maps_of(method, problem), problem)
    changed = module.put_back()
    if not found:
        return ""
    where = f" (it changed {', '.join(changed[:3])})" if changed else ""
    return f"what was explained before changes the map: {found}; keep nothing between calls{where}"


def seed(method: Entry, problem: Problem) -> str:
    """Where random numbers are drawn, another seed gives another map."""
    if "rng" not in method.injected:
        return ""
    rng = Watched((0,), problem.sample_ids)
    with suppress(ContractError):
        called(method, problem, rng)
    if not rng.drawn or difference(maps_of(method, problem), maps_of(method, problem, seed=1), problem, EQUAL):
        return ""
    return "it draws from `rng`, and two seeds give the same map; use what is drawn"


def batch(method: Entry, problem: Problem, tolerance: float = EQUAL) -> str:
    """A sample alone gets the map that it gets beside others."""
    whole = maps_of(method, replace(problem, batch_size=len(problem)))
    found = difference(whole, maps_of(method, replace(problem, batch_size=1)), problem, tolerance)
    way_out = "compute each sample on its own"
    return f"the map changes when a sample is explained beside others: {found}; {way_out}" if found else ""


def order(method: Entry, problem: Problem, tolerance: float = EQUAL) -> str:
    """The order of the samples, and how they are parted into batches, do not matter."""
    whole = maps_of(method, replace(problem, batch_size=len(problem)))
    rows = list(reversed(range(len(problem))))
    size = max(2, 2 * len(problem) // 3)
    other = maps_of(method, replace(problem.take(rows), batch_size=size))[rows]
    found = difference(whole, other, problem, tolerance)
    way_out = "compute each sample from its own row"
    return f"the map changes with the order of the samples: {found}; {way_out}" if found else ""


def other_class(method: Entry, problem: Problem) -> str:
    """Another class gets another map."""
    with torch.no_grad():
        classes = problem.model(problem.inputs).shape[1]
    other = replace(problem, targets=(problem.targets + 1) % classes)
    one, two = (maps_of(method, each).double().flatten(1) for each in (problem, other))
    scaled = [values / values.abs().amax(1, keepdim=True).clamp_min(1e-12) for values in (one, two)]
    for sample, gap in zip(problem.sample_ids, (scaled[0] - scaled[1]).abs().amax(1).tolist(), strict=True):
        if gap <= APART:
            return (
                f"it promises `class`, and the map of sample '{sample}' is the same for another class; explain "
                "`problem.targets`, or take the promise back"
            )
    return ""


def complete(method: Entry, problem: Problem, tolerance: float = GAP) -> str:
    """The map sums to what the logit gained over the baseline."""
    maps = maps_of(method, problem)
    with torch.no_grad():
        ends = problem.model(torch.cat([problem.inputs, problem.baseline.expand_as(problem.inputs[:1])])).double()
    gained = ends[:-1].gather(1, problem.targets[:, None])[:, 0] - ends[-1, problem.targets]
    sums = maps.double().flatten(1).sum(1)
    for sample, total, wanted in zip(problem.sample_ids, sums.tolist(), gained.tolist(), strict=True):
        if not abs(total - wanted) <= tolerance * (1 + abs(wanted)):
            return (
                f"it promises `complete`, and the map of sample '{sample}' sums to {total:.3g}, where the logit less that of "
                f"the baseline is {wanted:.3g}; correct the sum, or take the promise back"
            )
    return ""


def null(method: Entry, problem: Problem) -> str:
    """Features that the model ignores get zero: the right half of `half_seen`."""
    maps = maps_of(method, problem)
    most, ignored = float(maps.abs().max()), float(maps[..., 4:].abs().max())
    # least squares and sums over orders leave rounding; the others leave nothing
    if ignored <= 1e-5 * most and float(maps[..., :4].abs().max()) > 0:
        return ""
    return (
        f"it promises `null`, and features that the model ignores get up to {ignored:.2g} (the largest value is {most:.2g}); "
        "give them zero, or take the promise back"
    )


def weight_times_distance(method: Entry, problem: Problem) -> str:
    """On a linear model: weight times distance from the baseline."""
    weight = problem.model.get_parameter("1.weight")[problem.targets].view_as(problem.inputs)
    exact = (weight * (problem.inputs - problem.baseline)).sum(1)
    maps = maps_of(method, problem)
    exactly = torch.allclose(maps.double(), exact.double(), rtol=1e-3, atol=1e-5)
    found = "" if exactly else difference(exact, maps, problem)
    way_out = (
        "the exact map is weight times (input - baseline), summed over channels; correct it, or take the promise back"
    )
    return f"it promises `linear`, and on a linear model the map is wrong: {found}; {way_out}" if found else ""


LAWS = (
    Law("shape", "returns one floating-point number for each place, (N, *S)", shape),
    Law("finite", "every number is finite, and not all are the same", finite, controls=False),
    Law("own", "different inputs get different maps", own, controls=False),
    Law("unchanged", "leaves the model, the inputs and the global state as they were", unchanged),
    Law("hooks", "leaves no hook on a model that raises, and lets its error through", hooks),
    Law("repeat", "gives the same map twice", repeat),
    Law("state", "gives the same map whatever was explained before", state, after="repeat"),
    Law("seed", "gives another map for another seed, if it draws random numbers", seed, after="repeat"),
    Law("batch", "gives a sample the same map alone and beside others", batch, after="state"),
    Law("order", "gives a sample the same map in any order", order, after="batch"),
    Law("class", "promised: another class gets another map", other_class, "class"),
    Law("complete", "promised: the map sums to what the logit gained over the baseline", complete, "complete"),
    Law("null", "promised: features that the model ignores get zero", null, "null", problem=half_seen),
    Law("linear", "promised: exact on a linear model", weight_times_distance, "linear", problem=linear),
)


def _channels_kept(method: Entry, problem: Problem) -> bool:
    """Whether the map has the shape of the inputs instead."""
    found = answer(method, problem)[0]
    return isinstance(found, Tensor) and found.shape == problem.inputs.shape
