"""Questions about one method on one network, each answered with a number that was measured there.

The laws (`laws`) ask whether a method is sound, on small networks made for that. These checks ask whether what it promises
holds on the network at hand, on which a sum of few steps may miss the integral, rounding may decide a map, or the gradient may
not be the slope of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from bench.core.entries import Entry
from bench.core.errors import NotApplicable
from bench.core.outputs import of_class
from bench.core.problem import Problem
from bench.engine import sandbox
from bench.engine.explain import explain
from bench.network import applied
from bench.validation import twins
from bench.validation.laws import APART

R = TypeVar("R")
HOLDS, FAILS, NOT_CHECKED, SKIPPED = "holds", "fails", "not checked", "skipped"
FEW = 2  # samples that are explained at once, and of the checks that explain again
GAP = 0.01  # of what the output gains: a smaller gap changes no picture
UNREAD = 1e-5  # of the largest value: least squares and sums leave rounding
SLOPE = 2e-3  # of the largest slope: twice what the slopes on both sides of a point may differ by
ROUNDING = 0.05  # of a map's length (L2)
HALF = 0.5  # of the maps, or of what the output gains: a method that has less to say explains nothing
REPEAT = 1e-5  # of the largest value: on a GPU sums have no fixed order
LINEAR = 1e-3  # of the largest value
MORE = ("steps", "samples", "orders")  # settings that make an estimate more exact
FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # gradient (M, C), x - x' (M, C) -> value of the map (M,)
    "saliency": lambda slope, way: slope.abs().amax(1),
    "sensitivity": lambda slope, way: slope.square().sum(1),
    "gradient_x_input": lambda slope, way: (slope * way).sum(1),
}


@dataclass(frozen=True)
class Answer:
    """What a check found on the network."""

    verdict: str  # HOLDS, FAILS or NOT_CHECKED
    note: str  # one sentence
    measured: float = float("nan")
    tolerance: float = float("nan")


class Network:
    """A problem, and what the checks of its methods share. Each is made when it is first asked for."""

    def __init__(self, problem: Problem, task: str, seed: int) -> None:
        self.problem, self.task, self.seed = problem, task, seed
        self.few = problem.take(range(min(FEW, len(problem))))

    def explain(self, method: Entry, problem: Problem) -> tuple[Tensor, int]:
        """The maps (N, *S) as a run makes them, and the number of inputs sent backwards."""
        found, backwards = [], 0
        for rows in torch.arange(len(problem)).split(min(FEW, problem.batch_size)):
            maps, meter = explain(method, problem.take(rows.tolist()), task=self.task, seed=self.seed)
            found.append(maps)
            backwards += meter.backwards
        return torch.cat(found), backwards

    @cached_property
    def exact(self) -> Problem | NotApplicable:
        """The problem in float64."""
        return _or_reason(lambda: twins.in_float64(self.problem))

    @cached_property
    def best(self) -> Problem:
        """The problem in float64 where it can be, or as it is."""
        return self.problem if isinstance(self.exact, NotApplicable) else self.exact

    @cached_property
    def wide(self) -> twins.Widened:
        return twins.widened(self.few)

    @cached_property
    def other(self) -> tuple[Problem, Tensor] | NotApplicable:
        return _or_reason(lambda: twins.other_classes(self.few))

    @cached_property
    def slopes(self) -> twins.Slopes | NotApplicable:
        def found() -> twins.Slopes:
            if self.best.inputs.dtype != torch.float64:
                raise NotApplicable(f"slopes are measured in float64, and {self.exact}")
            return twins.measured_slopes(self.best.take(range(len(self.few))))

        return _or_reason(found)

    @cached_property
    def gained(self) -> Tensor:
        """What the explained output gains over the baseline: (N,) float64."""
        one = self.best
        with torch.no_grad():
            here = of_class(one.model(one.inputs), one.targets).double()
            there = one.model(one.baseline.expand_as(one.inputs[:1])).double()[0, one.targets]
        return here - there

    @cached_property
    def linear(self) -> bool:
        """Whether the outputs are those of a linear function, on lines through pairs of inputs and the baseline."""
        one = self.best
        ends = torch.cat([one.inputs, one.baseline.expand_as(one.inputs[:1])])
        with torch.no_grad():
            outputs = one.model(ends)
            between = one.model(0.3 * ends + 0.7 * ends.roll(1, 0))
        wanted = 0.3 * outputs + 0.7 * outputs.roll(1, 0)
        return bool((between - wanted).abs().max() <= 1e-5 * outputs.abs().max().clamp_min(1e-6))


@dataclass(frozen=True)
class Asked:
    """A method on a network, and the maps that it gave."""

    network: Network
    method: Entry
    maps: Tensor  # (N, *S)
    backwards: int  # inputs that were sent backwards
    rules: list[applied.Rules]  # of layers, where the method has its own

    def again(self, problem: Problem) -> Tensor:
        return self.network.explain(self.method, problem)[0]

    @property
    def id_with_more(self) -> str:
        """The method with four times as many steps, samples or orders; "" where it has none of these."""
        settings = {name: value for name, value in self.method.params if name in MORE and isinstance(value, int)}
        name = self.method.name.split("[")[0]
        return next((f"{name}[{key}={4 * value}]" for key, value in settings.items()), "")


def defined(asked: Asked) -> Answer:
    """Most maps are finite and not the same everywhere. A class without evidence for it may rightly have an empty map."""
    bad = [why for status, why in sandbox.map_status(asked.maps) if status != "ok"]
    if not bad:
        return Answer(HOLDS, "every map is finite and varies", 0.0, HALF)
    share = len(bad) / len(asked.maps)
    note = f"{len(bad)} of {len(asked.maps)} maps {'say' if len(bad) > 1 else 'says'} nothing: {bad[0]}"
    return Answer(HOLDS if share <= HALF else FAILS, note, share, HALF)


def complete(asked: Asked) -> Answer:
    """The maps sum to what the output gains over the baseline."""
    gained, sums = asked.network.gained, asked.maps.double().flatten(1).sum(1)
    gaps = (sums - gained).abs()
    if not float(gained.abs().sum()):
        return Answer(NOT_CHECKED, "the explained output is the same at the inputs and at the baseline")
    share = float(gaps.sum() / gained.abs().sum())
    if share <= GAP:
        return Answer(
            HOLDS, f"the maps sum to what the output gains over the baseline: the gap is {percent(share)}", share, GAP
        )
    worst = int(gaps.argmax())
    sample = asked.network.problem.sample_ids[worst]
    note = (
        f"the maps miss {percent(share)} of what the output gains over the baseline: that of sample '{sample}' sums to "
        f"{float(sums[worst]):.3g}, and the gain is {float(gained[worst]):.3g}"
    )
    ways = [*([asked.id_with_more] if asked.id_with_more else []), *(["another baseline"] if share > HALF else [])]
    more = f"; {' or '.join(ways)} may close the gap" if ways else ""
    return Answer(FAILS, note + more, share, GAP)


def null(asked: Asked) -> Answer:
    """Features that the network is not given get zero."""
    wide = asked.network.wide
    maps = asked.again(wide.problem)
    most = float(maps.abs().max())
    share = float(wide.unread(maps).abs().max()) / most if most else 0.0
    if share <= UNREAD:
        return Answer(HOLDS, "features that do not reach the network get zero", share, UNREAD)
    note = f"features that do not reach the network get up to {percent(share)} of the largest value"
    return Answer(FAILS, note, share, UNREAD)


def other_class(asked: Asked) -> Answer:
    """Another class gets another map."""
    found = asked.network.other
    if isinstance(found, NotApplicable):
        return Answer(NOT_CHECKED, str(found))
    problem, rows = found
    one, two = (values.double().flatten(1)[rows] for values in (asked.maps, asked.again(problem)))
    usable = ((one.amax(1) > one.amin(1)) | (two.amax(1) > two.amin(1))) & (one + two).isfinite().all(1)
    if not usable.any():
        return Answer(NOT_CHECKED, "the maps of the two classes say nothing that could be compared")
    one, two, rows = one[usable], two[usable], rows[usable]
    largest = torch.maximum(one.abs().amax(1), two.abs().amax(1)).clamp_min(1e-30)
    gaps = (one - two).abs().amax(1) / largest
    least = int(gaps.argmin())
    share, row = float(gaps[least]), int(rows[least])
    if share > APART:
        return Answer(HOLDS, f"another class gets another map: it differs by {percent(share)} or more", share, APART)
    classes = f"{int(asked.network.few.targets[row])} and {int(problem.targets[row])}"
    note = f"the map of sample '{problem.sample_ids[row]}' is the same for the outputs {classes}: it does not explain the class"
    return Answer(FAILS, note, share, APART)


def linear(asked: Asked) -> Answer:
    """On a linear network: weight times distance from the baseline."""
    network = asked.network
    if not network.linear:
        return Answer(NOT_CHECKED, "the network is not linear")
    problem = network.best
    slope = twins.slopes_of(problem, problem.targets).view_as(problem.inputs)
    exact = (slope * (problem.inputs - problem.baseline)).sum(1)
    share = float((asked.maps.double() - exact).abs().max() / exact.abs().max().clamp_min(1e-30))
    wrong = share > LINEAR
    note = f"the network is linear, and the map {'is not' if wrong else 'is'} weight times distance from the baseline"
    return Answer(FAILS if wrong else HOLDS, f"{note} (to {percent(share)})", share, LINEAR)


def differences(asked: Asked) -> Answer:
    """The map, or the gradient that it is made from, is that of finite differences."""
    slopes = asked.network.slopes
    if isinstance(slopes, NotApplicable):
        return Answer(NOT_CHECKED, str(slopes))
    number, known = len(slopes.smooth), slopes.smooth
    if not known.any():
        return Answer(NOT_CHECKED, f"the output has a kink at each of the {number} features that were tried")
    formula = FORMULAS.get(asked.method.name)
    if formula is None:
        gaps, scale, what = (slopes.gradient - slopes.measured).abs().amax(1), slopes.scale, "the network's gradient"
    else:
        problem = asked.network.best.take(range(len(asked.network.few)))
        maps = asked.again(problem).double().flatten(1)
        way = (problem.inputs - problem.baseline).flatten(2)[slopes.rows, :, slopes.places]
        gaps = (maps[slopes.rows, slopes.places] - formula(slopes.measured, way)).abs()
        scale, what = float(maps.abs().max()), "the map"
    share = float(gaps[known].max()) / scale if scale else 0.0
    of = f"at {int(known.sum())} features"
    left = f"; {int((~known).sum())} more lie on a kink" if not known.all() else ""
    if share <= SLOPE:
        return Answer(HOLDS, f"{what} is that of finite differences {of}{left}", share, SLOPE)
    note = f"{what} is not that of finite differences {of}: it is off by up to {percent(share)}{left}"
    return Answer(FAILS, note, share, SLOPE)


def precision(asked: Asked) -> Answer:
    """The map is that of the same network in float64."""
    if isinstance(asked.network.exact, NotApplicable):
        return Answer(NOT_CHECKED, str(asked.network.exact))
    few = asked.network.few
    exact = asked.again(asked.network.exact.take(range(len(few)))).double().flatten(1)
    own = asked.maps[: len(few)].double().flatten(1)
    off = (own - exact).norm(dim=1) / exact.norm(dim=1).clamp_min(1e-30)
    worst = int(off.argmax())
    share = float(off[worst])
    if share <= ROUNDING:
        return Answer(HOLDS, f"computed in float64 the maps differ by {percent(share)}", share, ROUNDING)
    note = f"computed in float64 the map of sample '{few.sample_ids[worst]}' differs by {percent(share)}: rounding decides it"
    return Answer(FAILS, note, share, ROUNDING)


def repeat(asked: Asked) -> Answer:
    """The same seed gives the same map."""
    few = asked.network.few
    before, after = asked.maps[: len(few)].double(), asked.again(few).double()
    most = float(before.abs().max())
    share = float((after - before).abs().max()) / most if most else 0.0
    if share <= REPEAT:
        return Answer(HOLDS, "the same seed gives the same map", share, REPEAT)
    return Answer(FAILS, f"two equal calls give maps that differ by {percent(share)}", share, REPEAT)


def percent(share: float) -> str:
    """A share for people: `12 %`, `0.52 %`, `less than 0.01 %`."""
    if 0 < share < 1e-4:
        return "less than 0.01 %"
    return f"{100 * share:.2g} %" if share < 0.095 else f"{100 * share:.0f} %"


def _or_reason(make: Callable[[], R]) -> R | NotApplicable:
    """What is made, or why it cannot be."""
    try:
        return make()
    except NotApplicable as reason:
        return reason
