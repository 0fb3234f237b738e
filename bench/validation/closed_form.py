"""Small models whose exact attribution is known, and the maps that a metric must rank.

Every model has the logits (-s / 2, s / 2) for two classes, where s is a sum of contributions. Each contribution belongs to one
feature (its channels together). The baseline is 0 and contributes nothing, so the contributions to a class are its exact
attribution: the only one for sums of single features, the Shapley values for pairs of features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.entries import Entry
from bench.core.hashing import digest
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.probe import Probe

SHAPES = {"1-D": (1, 24), "grey": (1, 6, 6), "RGB": (3, 6, 6)}
SAMPLES = 32  # of each problem; metrics with values 0 and 1 need that many for the sign test
LOGITS = 3.0  # root mean square of s over the samples, so that p lies between 0.5 and 1


class ClosedForm(nn.Module):
    """Inputs (N, C, *S) -> logits (N, 2). `features` maps inputs to (N, C', *S), and `dense` is their weighted sum."""

    def __init__(self, features: nn.Module, shape: tuple[int, ...], weights: Tensor) -> None:
        super().__init__()
        self.features, self.flatten, self.dense = features, nn.Flatten(), nn.Linear(weights.numel(), 2, bias=True)
        with torch.no_grad():
            self.dense.weight.copy_(torch.stack([-weights.flatten() / 2, weights.flatten() / 2]))
            self.dense.bias.zero_()
        self.eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.dense(self.flatten(self.features(inputs)))
        return out

    def contributions(self, inputs: Tensor, baseline: Tensor, targets: Tensor) -> Tensor:
        """The exact attribution of the targets: inputs and baseline (N, C, *S), targets (N,) -> (N, *S)."""
        return self._of_places(inputs, baseline, self.dense.weight[targets])

    def _of_places(self, inputs: Tensor, baseline: Tensor, weights: Tensor) -> Tensor:
        found = self.features(inputs) - self.features(baseline)
        return (found * weights.view(found.shape)).sum(1)


class Elementwise(nn.Module):
    """x |x|: each feature alone, but not linear."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * inputs.abs()


class Gate(nn.Module):
    """ReLU(x - threshold): a feature below the threshold has neither an effect nor a gradient."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold, self.relu = threshold, nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        gated: Tensor = self.relu(inputs - self.threshold)
        return gated


class Pairs(nn.Module):
    """AND (minimum) or OR (maximum) of the channel means of two features; the result is at the first one's position.

    `first`, `second`: positions (P,) of the pairs; `either` (P,) bool: OR instead of AND.
    """

    def __init__(self, places: int, first: Tensor, second: Tensor, either: Tensor) -> None:
        super().__init__()
        self.places = places
        self.register_buffer("first", first)
        self.register_buffer("second", second)
        self.register_buffer("either", either)

    first: Tensor
    second: Tensor
    either: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        one, other = self._both(inputs)
        values = torch.where(self.either, torch.maximum(one, other), torch.minimum(one, other))
        found = inputs.new_zeros(len(inputs), self.places)
        return found.index_copy(1, self.first, values).view(len(inputs), 1, *inputs.shape[2:])

    def shares(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Shapley values of both features of each pair: (N, P) each. Inputs must not be negative."""
        one, other = self._both(inputs)
        both = torch.where(self.either, torch.maximum(one, other), torch.minimum(one, other))
        nothing = torch.zeros_like(one)
        alone, other_alone = torch.where(self.either, one, nothing), torch.where(self.either, other, nothing)
        return (alone + both - other_alone) / 2, (other_alone + both - alone) / 2

    def _both(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        means = inputs.mean(1).flatten(1)
        return means[:, self.first], means[:, self.second]


class PairsForm(ClosedForm):
    """The closed form of pairs: both features of a pair get their Shapley value."""

    def _of_places(self, inputs: Tensor, baseline: Tensor, weights: Tensor) -> Tensor:
        pairs = self.features
        assert isinstance(pairs, Pairs)
        own = weights[:, pairs.first]
        found = inputs.new_zeros(len(inputs), pairs.places)
        for places, share in zip((pairs.first, pairs.second), pairs.shares(inputs), strict=True):
            found = found.index_add(1, places, own * share)
        return found.view(len(inputs), *inputs.shape[2:])


class PatchForm(ClosedForm):
    """A convolution with positive weights, so that its ReLU never clips: linear, and attributions are slope times value."""

    def _of_places(self, inputs: Tensor, baseline: Tensor, weights: Tensor) -> Tensor:
        with torch.enable_grad():
            at = inputs.detach().clone().requires_grad_()
            total = (self.features(at).flatten(1) * weights).sum()
            (slope,) = torch.autograd.grad(total, at)
        return (slope * (inputs - baseline)).sum(1).detach()


def problem(kind: str, shape: str) -> Problem:
    """The closed-form problem of a kind (KINDS) and an input shape (SHAPES), its targets chosen by the model.

    `truth`: the features with at least half of the highest attribution. In each input the evidence against one class is
    weakened by a random factor: if none is left, keeping only the top features lowers p (drop); if much is left, it raises p
    (increase). Raises KeyError for unknown names.
    """
    size = SHAPES[shape]
    rng = np.random.default_rng([list(KINDS).index(kind), list(SHAPES).index(shape)])
    model = KINDS[kind](rng, size)
    inputs = torch.from_numpy(rng.uniform(0.1, 1.0, (SAMPLES, *size)).astype(np.float32))
    wanted = torch.arange(SAMPLES) % 2
    against = model.contributions(inputs, torch.zeros_like(inputs), wanted) < 0
    left = torch.from_numpy(rng.uniform(0.0, 1.0, SAMPLES).astype(np.float32)).view(-1, *(1,) * len(size))
    inputs = inputs * torch.where(against.unsqueeze(1), left, 1)
    with torch.no_grad():  # the same size of logits everywhere, so that p is neither 0.5 nor 1
        model.dense.weight.mul_(LOGITS / model(inputs).diff(dim=1).square().mean().sqrt())
    found = Problem(
        model=model,
        inputs=inputs,
        sample_ids=tuple(f"{kind}/{shape}/{row}" for row in range(len(inputs))),
        baseline=torch.zeros(size[0], *(1,) * (len(size) - 1)),
        layers=("features",),
        top_k=0.3,
        fingerprint=digest(kind, shape, model.dense.weight),
        bounds=torch.tensor([0.0, 1.0]).view(2, *(1,) * len(size)).expand(2, size[0], *(1,) * (len(size) - 1)),
        background=inputs.mean(0, keepdim=True),
        batch_size=len(inputs),
    )
    found = Probe(found).problem
    contributions = exact(found)
    most = contributions.flatten(1).amax(1).view(-1, *(1,) * (len(size) - 1))
    return replace(found, truth=contributions >= most / 2)


def _weights(rng: np.random.Generator, number: int) -> Tensor:
    """Weights of both signs with sum 0, so that the size of the inputs favours neither class."""
    values = rng.normal(size=number)
    return torch.from_numpy((values - values.mean()).astype(np.float32))


def _linear(rng: np.random.Generator, size: tuple[int, ...]) -> ClosedForm:
    return ClosedForm(nn.Identity(), size, _weights(rng, math.prod(size)))


def _additive(rng: np.random.Generator, size: tuple[int, ...]) -> ClosedForm:
    return ClosedForm(Elementwise(), size, _weights(rng, math.prod(size)))


def _gate(rng: np.random.Generator, size: tuple[int, ...]) -> ClosedForm:
    return ClosedForm(Gate(0.5), size, _weights(rng, math.prod(size)))


def _pairs(rng: np.random.Generator, size: tuple[int, ...]) -> ClosedForm:
    places = math.prod(size[1:])
    number = places // 6  # pairs, so that a third of the features matter
    chosen = torch.from_numpy(rng.permutation(places)[: 2 * number])
    first, second = chosen[:number], chosen[number:]
    either = torch.arange(number) % 2 == 0
    weights = torch.zeros(places)
    signs = torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat(number)[:number]  # AND and OR for either class
    weights[first] = signs * torch.from_numpy(rng.uniform(0.5, 1.5, number).astype(np.float32))
    return PairsForm(Pairs(places, first, second, either), size, weights)


def _patch(rng: np.random.Generator, size: tuple[int, ...]) -> ClosedForm:
    kind = nn.Conv1d if len(size) == 2 else nn.Conv2d
    convolution = kind(size[0], 2, 3, padding=1)
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, convolution.weight.shape).astype(np.float32)))
        assert convolution.bias is not None
        convolution.bias.zero_()
    live = torch.zeros(2, *size[1:])
    inside = (slice(None), *(slice(side // 4, side // 4 + max(2, side // 3)) for side in size[1:]))
    live[inside] = _weights(rng, live[inside].numel()).view(live[inside].shape)
    return PatchForm(nn.Sequential(convolution, nn.ReLU()), size, live)


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], ClosedForm]] = {
    "linear": _linear,
    "additive": _additive,
    "gate": _gate,
    "AND/OR": _pairs,
    "live patch": _patch,
}


def exact(problem: Problem) -> Tensor:
    """The exact attribution of the explained class. (N, *S)"""
    model = problem.model
    assert isinstance(model, ClosedForm)
    return model.contributions(problem.inputs, problem.baseline.expand_as(problem.inputs), problem.targets)


def noisy(problem: Problem, rng: SampleRng, *, noise: float = 0.1) -> Tensor:
    """The exact attribution plus Gaussian noise of `noise` times its standard deviation. (N, *S)"""
    truth = exact(problem)
    spread = truth.flatten(1).std(1).view(-1, *(1,) * (truth.dim() - 1))
    return truth + noise * spread * rng.normal(truth.shape[1:])


def random(problem: Problem, rng: SampleRng) -> Tensor:
    """Gaussian noise. (N, *S)"""
    return rng.normal(problem.shape)


def negated(problem: Problem) -> Tensor:
    """The exact attribution with the wrong sign. (N, *S)"""
    return -exact(problem)


def from_zero(problem: Problem) -> Tensor:
    """The exact attribution with zero as the baseline, as gradient times input gives it. (N, *S)"""
    return exact(replace(problem, baseline=torch.zeros_like(problem.baseline)))


def half_model(problem: Problem) -> Tensor:
    """The mean of the standardised exact attribution and the standardised input: depends on the model in part. (N, *S)"""
    parts = [exact(problem), problem.inputs.mean(1)]
    return torch.stack([_standard(part) for part in parts]).mean(0)


def model_free(problem: Problem) -> Tensor:
    """The standardised input, which does not depend on the model. (N, *S)"""
    return _standard(problem.inputs.mean(1))


def _standard(maps: Tensor) -> Tensor:
    flat = maps.flatten(1)
    return ((flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True).clamp_min(1e-12)).view(maps.shape)


def _entry(name: str, fn: Callable[..., Tensor], injected: tuple[str, ...], noise: float | None = None) -> Entry:
    params = () if noise is None else (("noise", noise),)
    return Entry(name, fn, "closed form", "", 1, params, injected)


CONTROLS = {
    entry.name: entry
    for entry in (
        _entry("exact", exact, ("problem",)),
        _entry("noisy(0.1)", noisy, ("problem", "rng"), 0.1),
        _entry("noisy(1)", noisy, ("problem", "rng"), 1.0),
        _entry("random", random, ("problem", "rng")),
        _entry("negated", negated, ("problem",)),
        _entry("from zero", from_zero, ("problem",)),
        _entry("half model", half_model, ("problem",)),
        _entry("model-free", model_free, ("problem",)),
    )
}
