"""Do inputs that differ a little have explanations that differ a little? Lower is better in all of them.

All but explanation_continuity read the same noisy inputs, x' = x + uniform noise of +- `radius` of the sample's range of
values, so they cost `samples` explanations of each sample together, not each. The noise belongs to the sample: all methods
meet the same. It is not clipped to what an input can be. The largest of a few draws is a lower bound of the largest there is.

e, e': maps of x and x', for the same class. They are compared in units of e, so an attribution's unit does not matter.
A method that draws draws afresh for x', so chance counts as instability.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.network.gradients import activations
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

lower = functools.partial(metric, family="robustness", higher_is_better=False, limits=(0, None), cost="slow")


@lower(cite="yeh2019infidelity", label="max-sensitivity")
def max_sensitivity(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest ||e' - e|| / ||e|| over noisy inputs. (N,)"""
    near = neighbours(probe, samples, radius)
    return _changes(near, attribution, explain).norm(dim=2).amax(1) / _length(attribution)


@lower(cite="bhatt2020faithfulness", label="average sensitivity")
def avg_sensitivity(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Mean of ||e' - e|| / ||e|| over noisy inputs. (N,)"""
    near = neighbours(probe, samples, radius)
    return _changes(near, attribution, explain).norm(dim=2).mean(1) / _length(attribution)


@lower(cite="alvarezmelis2018robust", label="local Lipschitz estimate (per unit of input)")
def local_lipschitz(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest (||e' - e|| / ||e||) / ||x' - x|| over noisy inputs. (N,)

    The paper's is not divided by ||e||, and would rank methods by the unit of their attributions.
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
    """Largest ||(e' - e) / e|| / ||(x' - x) / x||, feature by feature, over noisy inputs of the same prediction. (N,)

    A feature is measured against its own size, but at least against `floor` of the largest: in the paper a feature near
    zero decides alone. `eps_min` is the least the denominator counts for. Undefined where noise always changes the prediction.
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
    """Largest ||(e' - e) / e|| / ||h(x') - h(x)|| over noisy inputs of the same prediction; h: logits. (N,)

    Logits that change by less than `eps_min` count for that: by chance they hardly change at all, and rounding would decide.
    Otherwise as relative input stability.
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
    """Largest ||(e' - e) / e|| / ||(L(x') - L(x)) / L(x)|| over noisy inputs of the same prediction; L: the last layer. (N,)

    L is the output of the last of the problem's layers. Otherwise as relative input stability.
    """
    near = neighbours(probe, samples, radius, floor)
    return _largest(near, _relative_changes(near, attribution, explain, floor) / near.layer.clamp_min(eps_min))


@lower(cite="montavon2018methods", label="explanation continuity (per unit of input)")
def explanation_continuity(probe: Probe, attribution: Tensor, explain: Explain, *, step: int = 1) -> Tensor:
    """Largest (||e' - e||_1 / ||e||_1) / ||x' - x||_2 over moves of the input by a step along each axis. (N,)

    What enters at the border repeats the border. A map that moves along with the input changes too, the more the sharper
    it is: as in the paper, which follows single features of moved digits. The paper's is not divided by ||e||_1.
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
    """M noisy versions of each of N inputs, and how differently the model answers them. The same for all methods."""

    of: Tensor  # (N, C, *S) the inputs
    inputs: Tensor  # (M, N, C, *S)
    moved: Tensor  # (N, M) ||x' - x||
    same: Tensor  # (N, M) bool: the class that the model chooses is that which it chooses for x
    logits: Tensor  # (N, M) ||h(x') - h(x)||
    layer: Tensor  # (N, M) ||(L(x') - L(x)) / L(x)|| for the last of the problem's layers; NaN without layers


def neighbours(probe: Probe, samples: int, radius: float, floor: float = 0.1) -> Neighbours:
    """The noisy inputs that all metrics and methods share. `floor`: see `relative_norm`."""
    key = ("neighbours", samples, radius, floor)
    return probe.once(key, lambda: _neighbours(probe, samples, radius, floor))


def _neighbours(probe: Probe, samples: int, radius: float, floor: float) -> Neighbours:
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
            same = logits.argmax(1) == before.argmax(1)
            moved = (logits - before).double().norm(dim=1)
            return torch.stack([same, moved, relative_norm(last(logits) - layer, layer, floor)], dim=1)

        same, logits, layer = probe.answers(inputs, differences).unbind(2)
    distances = (inputs - x).flatten(2).double().norm(dim=2)
    return Neighbours(x, inputs, distances.T, same.T > 0, logits.T, layer.T)


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
