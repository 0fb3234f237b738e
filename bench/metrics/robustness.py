"""Do similar inputs have similar explanations? Lower is better for all of these metrics.

All except explanation_continuity use the same noisy inputs, x' = x + uniform noise of +- `radius` of the sample's range of
values, so together they cost `samples` explanations per sample. The noise depends on the sample alone, so all methods get the
same. It is not clipped to the valid range. The largest of a few draws is a lower bound of the maximum.

e, e': maps of x and x' for the same class. Changes are relative to e, so an attribution's unit does not matter. Random methods
use new random numbers for x', so their randomness counts as instability.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.outputs import same_decision
from bench.network.gradients import activations
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

lower = functools.partial(metric, family="robustness", higher_is_better=False, limits=(0, None), cost="slow")


@lower(cite="yeh2019infidelity", label="max-sensitivity")
def max_sensitivity(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest relative change of the attribution over noisy inputs: ||e' - e|| / ||e||. (N,)"""
    near = neighbours(probe, samples, radius)
    return _changes(near, attribution, explain).norm(dim=2).amax(1) / _length(attribution)


@lower(cite="bhatt2020faithfulness", label="average sensitivity")
def avg_sensitivity(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Mean relative change of the attribution over noisy inputs: ||e' - e|| / ||e||. (N,)"""
    near = neighbours(probe, samples, radius)
    return _changes(near, attribution, explain).norm(dim=2).mean(1) / _length(attribution)


@lower(cite="alvarezmelis2018robust", label="local Lipschitz estimate (per unit of input)")
def local_lipschitz(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest relative change of the attribution per unit of noise: (||e' - e|| / ||e||) / ||x' - x||. (N,)

    The paper does not divide by ||e||, so it ranks methods by the unit of their attributions.
    """
    near = neighbours(probe, samples, radius)
    steps = _changes(near, attribution, explain).norm(dim=2) / near.moved
    return steps.amax(1) / _length(attribution)


@lower(cite="agarwal2022rethinking", label="relative input stability")
def relative_input_stability(
    probe: Probe,
    attribution: Tensor,
    explain: Explain,
    *,
    samples: int = 3,
    radius: float = 0.05,
    floor: float = 0.1,
    eps_min: float = 1e-6,
) -> Tensor:
    """Largest ratio of the relative changes of attribution and input, over noisy inputs of the same prediction. (N,)

        ||(e' - e) / e|| / ||(x' - x) / x||    feature by feature

    The change of a feature is divided by its size, but at least by `floor` of the largest size: in the paper a single
    feature near zero decides. `eps_min`: lower bound of the denominator. Undefined where noise always changes the prediction.
    """
    near = neighbours(probe, samples, radius)
    inputs = torch.stack([relative_norm(other - near.of, near.of, floor) for other in near.inputs], dim=1)
    return _largest(near, _relative_changes(near, attribution, explain, floor) / inputs.clamp_min(eps_min))


@lower(cite="agarwal2022rethinking", label="relative output stability (per unit of logit)")
def relative_output_stability(
    probe: Probe,
    attribution: Tensor,
    explain: Explain,
    *,
    samples: int = 3,
    radius: float = 0.05,
    floor: float = 0.1,
    eps_min: float = 0.01,
) -> Tensor:
    """Largest relative change of the attribution per change of the logits, over noisy inputs of the same prediction. (N,)

        ||(e' - e) / e|| / ||h(x') - h(x)||    h: logits

    `eps_min`: lower bound of the change of the logits, without which rounding would decide where they hardly change. The
    rest is as in relative input stability.
    """
    near = neighbours(probe, samples, radius)
    return _largest(near, _relative_changes(near, attribution, explain, floor) / near.logits.clamp_min(eps_min))


@lower(cite="agarwal2022rethinking", label="relative representation stability", needs={"layers"})
def relative_representation_stability(
    probe: Probe,
    attribution: Tensor,
    explain: Explain,
    *,
    samples: int = 3,
    radius: float = 0.05,
    floor: float = 0.1,
    eps_min: float = 1e-6,
) -> Tensor:
    """Largest ratio of the relative changes of attribution and last layer, over noisy inputs of the same prediction. (N,)

        ||(e' - e) / e|| / ||(L(x') - L(x)) / L(x)||

    L: output of the last of the problem's layers. The rest is as in relative input stability.
    """
    near = neighbours(probe, samples, radius, floor)
    return _largest(near, _relative_changes(near, attribution, explain, floor) / near.layer.clamp_min(eps_min))


@lower(cite="montavon2018methods", label="explanation continuity (per unit of input)")
def explanation_continuity(probe: Probe, attribution: Tensor, explain: Explain, *, step: int = 1) -> Tensor:
    """Largest relative change of the attribution per unit of change of the input, over shifts along each axis. (N,)

        (||e' - e||_1 / ||e||_1) / ||x' - x||_2

    The border is repeated. A map that moves along with the input changes too, and a sharp map more than a smooth one, as in
    the paper, which follows single features of moved digits. The paper does not divide by ||e||_1.
    """
    inputs, size = probe.problem.inputs, attribution.flatten(1).double().norm(p=1, dim=1)
    found = []
    for axis, length in enumerate(probe.problem.shape):
        places = (torch.arange(length, device=inputs.device) - step).clamp(0, length - 1)
        other = inputs.index_select(2 + axis, places)
        change = (explain(other, 1 + axis) - attribution).flatten(1).double().norm(p=1, dim=1)
        found.append(change / (other - inputs).flatten(1).double().norm(dim=1))
    return torch.stack(found, dim=1).amax(1) / size


@dataclass(frozen=True)
class Neighbours:
    """M noisy versions of each of N inputs, and how the model's answers to them differ. The same for all methods."""

    of: Tensor  # (N, C, *S) the inputs
    inputs: Tensor  # (M, N, C, *S)
    moved: Tensor  # (N, M) ||x' - x||
    same: Tensor  # (N, M) bool: the model predicts the same class as for x
    logits: Tensor  # (N, M) ||h(x') - h(x)||
    layer: Tensor  # (N, M) ||(L(x') - L(x)) / L(x)|| for the last of the problem's layers; NaN without layers


def neighbours(probe: Probe, samples: int, radius: float, floor: float = 0.1) -> Neighbours:
    """The noisy inputs that all metrics and methods share, kept by sample. `floor`: see `relative_norm`."""
    kept: dict[str, tuple[Tensor, ...]] = probe.shared(("neighbours", samples, radius, floor), dict)
    names = probe.problem.sample_ids
    missing = [row for row, name in enumerate(names) if name not in kept]
    if missing:
        new = _neighbours(probe.take(missing), samples, radius, floor)
        kept.update(zip((names[row] for row in missing), zip(*new, strict=True), strict=True))
    inputs, *others = (torch.stack(parts) for parts in zip(*(kept[name] for name in names), strict=True))
    return Neighbours(probe.problem.inputs, inputs.transpose(0, 1).contiguous(), *others)


def _neighbours(probe: Probe, samples: int, radius: float, floor: float) -> tuple[Tensor, ...]:
    """The fields of Neighbours from `inputs` on, each with the samples as its first axis."""
    problem, x = probe.problem, probe.problem.inputs
    axes = tuple(range(1, x.dim()))
    spread = radius * (x.amax(axes, keepdim=True) - x.amin(axes, keepdim=True))
    noise = probe.rng("neighbours").uniform((samples, *x.shape[1:])).transpose(0, 1)
    inputs = (x + spread * (2 * noise - 1)).contiguous()

    with activations(problem.model, problem.layers[-1:]) as seen:

        def last(logits: Tensor) -> Tensor:
            return next((layer.flatten(1) for layer in seen.values() if isinstance(layer, Tensor)), logits[:, :0])

        known = probe.answers(x[None], lambda logits, _: torch.cat([logits, last(logits)], dim=1))[0]

        def differences(logits: Tensor, rows: Tensor) -> Tensor:
            before, layer = known[rows].tensor_split([logits.shape[1]], dim=1)
            same = same_decision(logits, before, probe.targets[rows], problem.output)
            moved = (logits - before).double().norm(dim=1)
            return torch.stack([same, moved, relative_norm(last(logits) - layer, layer, floor)], dim=1)

        same, logits, layer = probe.answers(inputs, differences).unbind(2)
    distances = (inputs - x).flatten(2).double().norm(dim=2)
    return inputs.transpose(0, 1), distances.T, same.T > 0, logits.T, layer.T


def relative_norm(change: Tensor, size: Tensor, floor: float) -> Tensor:
    """||change / size||, element by element: two (N, ...) -> (N,) float64.

    An element's size counts for at least `floor` of its row's largest. NaN where the row's sizes are all zero, or none.
    """
    change, size = change.flatten(1).double(), size.flatten(1).double().abs()
    if not size.shape[1]:
        return size.new_full((len(size),), torch.nan)
    largest = size.amax(1, keepdim=True)
    return (change / torch.maximum(size, floor * largest)).norm(dim=1).masked_fill(largest[:, 0] == 0, torch.nan)


def _changes(near: Neighbours, attribution: Tensor, explain: Explain) -> Tensor:
    """e' - e of every noisy input: (N, M, F) float64."""
    maps = [explain(inputs, draw) - attribution for draw, inputs in enumerate(near.inputs, start=1)]
    return torch.stack(maps, dim=1).flatten(2).double()


def _relative_changes(near: Neighbours, attribution: Tensor, explain: Explain, floor: float) -> Tensor:
    """||(e' - e) / e|| of every noisy input: (N, M)."""
    changes = _changes(near, attribution, explain).unbind(1)
    return torch.stack([relative_norm(change, attribution, floor) for change in changes], dim=1)


def _largest(near: Neighbours, ratios: Tensor) -> Tensor:
    """The largest ratio (N, M) -> (N,) among noisy inputs that the model puts into the same class; NaN where none is."""
    largest = ratios.masked_fill(~near.same, -torch.inf).amax(1)
    return largest.masked_fill(~near.same.any(1), torch.nan)


def _length(attribution: Tensor) -> Tensor:
    return attribution.flatten(1).double().norm(dim=1)
