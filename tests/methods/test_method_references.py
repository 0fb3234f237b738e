"""Every method against an independent implementation: captum, SciPy, scikit-learn, or a formula worked here.

`BENCH_TABLE=FILE pytest tests/test_method_references.py` writes the table of differences, relative to the largest value.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

import captum.attr
import numpy as np
import pandas as pd
import pytest
import scipy.fft
import scipy.ndimage
import scipy.optimize
import torch
from conftest import image_problem, signal_problem
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.engine.explain import explain
from bench.perturbation.masking import scaled
from bench.perturbation.partition import partition
from bench.registry.decorators import METHODS
from bench.registry.selection import with_params

Reference = Callable[[Problem], Tensor]


def rng(problem: Problem, name: str, **params: object) -> SampleRng:
    """The generator that the harness hands to a method."""
    return SampleRng((0, "test", entry(name, **params).id, 0), problem.sample_ids)


def entry(name: str, **params: object):
    method = METHODS[name]
    return with_params(method, ",".join(f"{key}={value}" for key, value in params.items())) if params else method


def logit(problem: Problem, inputs: Tensor, rows: list[int] | None = None) -> Tensor:
    targets = problem.targets if rows is None else problem.targets[rows]
    return problem.model(inputs).gather(1, targets[:, None])[:, 0]


def gradient(problem: Problem, inputs: Tensor) -> Tensor:
    inputs = inputs.detach().clone().requires_grad_()
    return torch.autograd.grad(logit(problem, inputs).sum(), inputs)[0]


def enlarged(maps: Tensor, problem: Problem) -> Tensor:
    """(N, *s) -> (N, *S)"""
    mode = "linear" if len(problem.shape) == 1 else "bilinear"
    return interpolate(maps[:, None], size=tuple(problem.shape), mode=mode)[:, 0].detach()


def blocks(problem: Problem, layer: str) -> tuple[nn.Sequential, nn.Sequential]:
    names = [name for name, _ in problem.model.named_children()]
    at = names.index(layer) + 1
    return problem.model[:at], problem.model[at:]


def features(problem: Problem) -> tuple[Tensor, Tensor]:
    """Last feature maps and the gradient of the logit there, by cutting the network in two."""
    head, tail = blocks(problem, problem.layers[-1])
    maps = head(problem.inputs).detach().requires_grad_()
    chosen = tail(maps).gather(1, problem.targets[:, None]).sum()
    return maps.detach(), torch.autograd.grad(chosen, maps)[0]


# --- gradients


def by_captum(make: Callable[[nn.Module], object], **settings: object) -> Reference:
    def reference(problem: Problem) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = make(problem.model).attribute(  # type: ignore[attr-defined]
                problem.inputs.clone().requires_grad_(), target=problem.targets, **settings
            )
        return found.detach()

    return reference


def summed(reference: Reference) -> Reference:
    return lambda problem: reference(problem).sum(1)


def largest(reference: Reference) -> Reference:
    return lambda problem: reference(problem).abs().amax(1)


def sensitivity(problem: Problem) -> Tensor:
    """By torch.func, one sample at a time."""

    def of_one(one: Tensor, target: Tensor) -> Tensor:
        return problem.model(one[None])[0].gather(0, target[None])[0]

    pairs = zip(problem.inputs, problem.targets, strict=True)
    return torch.stack([torch.func.grad(of_one)(one, target).square().sum(0) for one, target in pairs])


def integrated_gradients(problem: Problem, start: Tensor | None = None, steps: int = 32) -> Tensor:
    """The same nodes, one by one."""
    start = problem.baseline if start is None else start
    total = torch.zeros_like(problem.inputs)
    for node, weight in zip(*np.polynomial.legendre.leggauss(steps), strict=True):
        total += weight / 2 * gradient(problem, start + (node + 1) / 2 * (problem.inputs - start))
    return ((problem.inputs - start) * total).sum(1)


def expected_gradients(problem: Problem) -> Tensor:
    return torch.stack([integrated_gradients(problem, one, 4) for one in problem.background]).mean(0)


def simple_taylor(problem: Problem) -> Tensor:
    """By Brent's method on the first of 16 steps from the input that holds a root; in float64."""
    exact = problem.inputs.double(), problem.baseline.double()
    problem = replace(problem, model=deepcopy(problem.model).double(), inputs=exact[0], baseline=exact[1])
    found = []
    for row in range(len(problem)):
        one = problem.take([row])
        absent = logit(one, one.baseline.expand_as(one.inputs)).item()

        whole = logit(one, one.inputs).item() - absent

        def f(t: float, one: Problem = one, absent: float = absent, whole: float = whole) -> float:
            return (logit(one, one.baseline + t * (one.inputs - one.baseline)).item() - absent) / whole - 1e-6

        at = [1 - step / 16 for step in range(17)]
        here = [f(t) for t in at]
        inside = next(i for i in range(16) if here[i + 1] <= 0)
        root = (
            math.ceil(4096 * scipy.optimize.brentq(f, at[inside + 1], at[inside], xtol=1e-7)) / 4096
        )  # just before it
        way = one.inputs - one.baseline
        found.append((gradient(one, one.baseline + root * way) * (1 - root) * way).sum(1))
    return torch.cat(found)


def noisy(problem: Problem, name: str) -> Tensor:
    """The 32 gradients: (32, N, C, *S)."""
    axes = tuple(range(1, problem.inputs.dim()))
    spread = 0.15 * (problem.inputs.amax(axes, keepdim=True) - problem.inputs.amin(axes, keepdim=True))
    draws = rng(problem, name)
    noise = [draws.normal(problem.inputs.shape[1:]) for _ in range(32)]
    return torch.stack([gradient(problem, problem.inputs + spread * one) for one in noise])


def blur_integrated_gradients(problem: Problem) -> Tensor:
    """Blurred by SciPy's cosine transform."""
    axes = tuple(range(2, problem.inputs.dim()))

    def blurred(sigma: float) -> Tensor:
        waves = scipy.fft.dctn(problem.inputs.double().numpy(), axes=axes)
        for axis in axes:
            fading = np.exp(-((sigma * np.pi * np.arange(waves.shape[axis]) / waves.shape[axis]) ** 2) / 2)
            waves = waves * fading.reshape([-1 if i == axis else 1 for i in range(waves.ndim)])
        return torch.from_numpy(scipy.fft.idctn(waves, axes=axes)).float()

    widest = max(problem.shape) * 50 / 224
    at = [blurred(widest * (1 - step / 32)) for step in range(33)]
    middle = [blurred(widest * (1 - (step + 0.5) / 32)) for step in range(32)]
    return sum(gradient(problem, middle[i]) * (at[i + 1] - at[i]) for i in range(32)).sum(1)


# --- propagation: Montavon et al. (2019), section 10.3.1: forward, divide, backward, multiply


def propagated(
    problem: Problem, share: Callable[[nn.Module, Tensor, Tensor, bool], Tensor], start: str = "logit"
) -> Tensor:
    values = [problem.inputs]
    for layer in problem.model:
        values.append(layer(values[-1]).detach())
    one_hot = nn.functional.one_hot(problem.targets, values[-1].shape[1])
    relevance = {"logit": values[-1] * one_hot, "positive": values[-1].clamp_min(0) * one_hot, "one": one_hot.float()}[
        start
    ]
    first = next(layer for layer in problem.model if hasattr(layer, "weight"))
    for layer, a in reversed(list(zip(problem.model, values[:-1], strict=True))):
        if hasattr(layer, "weight"):
            relevance = share(layer, a, relevance, layer is first)
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            relevance = a * sent_back(layer, a, relevance / stabilised(layer(a)))
        elif not isinstance(layer, nn.ReLU):
            relevance = sent_back(layer, a, relevance)
    return relevance.sum(1)


def sent_back(layer: Callable[[Tensor], Tensor], a: Tensor, signal: Tensor) -> Tensor:
    a = a.detach().clone().requires_grad_()
    return torch.autograd.grad((layer(a) * signal).sum(), a)[0]


def stabilised(z: Tensor, epsilon: float = 1e-6) -> Tensor:
    return z + torch.where(z < 0, -epsilon, epsilon)


def like(layer: nn.Module, weight: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    """The layer with other weights."""
    return lambda a: torch.func.functional_call(layer, {"weight": weight, "bias": bias}, a)


def shared(
    layers: list[tuple[Callable[[Tensor], Tensor], Tensor]], relevance: Tensor, bias: Tensor | float = 0
) -> Tensor:
    """R of the layer's inputs: contributions of several (layer, inputs) pairs over their sum."""
    z = sum(layer(a) for layer, a in layers) + bias
    return sum(a * sent_back(layer, a, relevance / stabilised(z)) for layer, a in layers)


def epsilon_rule(layer: nn.Module, a: Tensor, relevance: Tensor, _first: bool) -> Tensor:
    return shared([(layer, a)], relevance)


def z_plus(
    layer: nn.Module, a: Tensor, relevance: Tensor, _first: bool, keep_bias: bool = True, sign: int = 1
) -> Tensor:
    w, none = layer.weight, torch.zeros_like(layer.bias)
    bias = (sign * layer.bias).clamp_min(0) * sign * keep_bias
    up, down = (sign * w).clamp_min(0) * sign, (sign * w).clamp_max(0) * sign
    return shared([(like(layer, up, bias), a.clamp_min(0)), (like(layer, down, none), a.clamp_max(0))], relevance)


def composite(layer: nn.Module, a: Tensor, relevance: Tensor, first: bool) -> Tensor:
    if first:
        flat = like(layer, torch.ones_like(layer.weight), torch.zeros_like(layer.bias))
        return shared([(flat, torch.ones_like(a))], relevance)
    return (epsilon_rule if isinstance(layer, nn.Linear) else z_plus)(layer, a, relevance, first)


def gamma_rule(layer: nn.Module, a: Tensor, relevance: Tensor, first: bool) -> Tensor:
    """Inputs are not negative here, and only neurons with a positive sum have relevance."""
    if isinstance(layer, nn.Linear):
        return epsilon_rule(layer, a, relevance, first)
    return shared([(like(layer, *(p + 0.25 * p.clamp_min(0) for p in (layer.weight, layer.bias))), a)], relevance)


def alpha_beta(layer: nn.Module, a: Tensor, relevance: Tensor, first: bool) -> Tensor:
    if isinstance(layer, nn.Linear):
        return epsilon_rule(layer, a, relevance, first)
    return 2 * z_plus(layer, a, relevance, first) - z_plus(layer, a, relevance, first, sign=-1)


def deep_taylor(problem: Problem) -> Tensor:
    def rule(layer: nn.Module, a: Tensor, relevance: Tensor, first: bool) -> Tensor:
        w, none = layer.weight, torch.zeros_like(layer.bias)
        if not first:
            return z_plus(layer, a, relevance, first, keep_bias=False)
        if problem.bounds is None:
            return shared([(like(layer, w**2, none), torch.ones_like(a))], relevance)
        low, high = (bound.expand_as(a) for bound in problem.bounds)
        up, down = like(layer, w.clamp_min(0), none), like(layer, w.clamp_max(0), none)
        z = stabilised(layer(a) - layer.bias[:, None, None] - up(low) - down(high))
        back = [sent_back(one, a, relevance / z) for one in (like(layer, w, none), up, down)]
        return a * back[0] - low * back[1] - high * back[2]

    return propagated(problem, rule, "positive")


def excitation(problem: Problem) -> Tensor:
    return propagated(problem, lambda layer, a, r, first: z_plus(layer, a, r, first, keep_bias=False), "one")


def deep_lift_by_hand(problem: Problem) -> Tensor:
    """Secants at ReLUs, one network without pooling: forward twice, then the chain of multipliers."""
    x, absent = problem.inputs, problem.baseline.expand_as(problem.inputs)
    steps = []
    for layer in problem.model:
        steps.append((layer, x, absent))
        x, absent = layer(x), layer(absent)
    multiplier = nn.functional.one_hot(problem.targets, x.shape[1]).float()
    for layer, one, other in reversed(steps):
        if isinstance(layer, nn.ReLU):
            change = one - other
            secant = (layer(one) - layer(other)) / torch.where(change == 0, 1, change)
            multiplier = multiplier * secant
        else:
            multiplier = sent_back(layer, one, multiplier)
    return (multiplier * (problem.inputs - problem.baseline)).sum(1)


def deep_lift_shap(problem: Problem) -> Tensor:
    return by_captum(captum.attr.DeepLiftShap, baselines=problem.background)(problem).sum(1)


# --- class activation


def cam(problem: Problem) -> Tensor:
    maps, _ = features(problem)
    weight = problem.model[-1].weight
    return enlarged(
        torch.stack([(weight[c][:, None, None] * a).sum(0) for c, a in zip(problem.targets, maps, strict=True)]),
        problem,
    )


def grad_cam(problem: Problem) -> Tensor:
    maps, slope = features(problem)
    weights = slope.flatten(2).mean(2)
    return enlarged(torch.einsum("nk,nk...->n...", weights, maps).clamp_min(0), problem)


def grad_cam_plus_plus(problem: Problem) -> Tensor:
    """Equation 19, neuron by neuron."""
    maps, slope = features(problem)
    cams = []
    for a, g in zip(maps.double(), slope.double(), strict=True):
        total = torch.zeros_like(a[0])
        for a_k, g_k in zip(a, g, strict=True):
            alpha = (g_k**2 / (2 * g_k**2 + a_k.sum() * g_k**3)).nan_to_num(0, 0, 0)
            total += (alpha * g_k.clamp_min(0)).sum() * a_k
        cams.append(total.clamp_min(0))
    return enlarged(torch.stack(cams), problem)


def xgrad_cam(problem: Problem) -> Tensor:
    maps, slope = features(problem)
    cams = []
    for a, g in zip(maps, slope, strict=True):
        cams.append(
            sum((a_k / a_k.sum() * g_k).sum() * a_k for a_k, g_k in zip(a, g, strict=True) if a_k.any()).clamp_min(0)
        )
    return enlarged(torch.stack(cams), problem)


def layer_cam(problem: Problem) -> Tensor:
    maps, slope = features(problem)
    return enlarged((slope.clamp_min(0) * maps).sum(1), problem)


def score_cam(problem: Problem) -> Tensor:
    """One mask of one image at a time."""
    maps, _ = features(problem)
    cams = []
    for row, a in enumerate(maps):
        scores = []
        for a_k in a:
            mask = enlarged(a_k[None], problem)
            mask = mask - mask.min()
            mask = mask / mask.max() if mask.max() > 0 else mask
            masked = problem.baseline + mask[:, None] * (problem.inputs[row] - problem.baseline)
            scores.append(logit(problem, masked, [row]))
        weights = torch.cat(scores).softmax(0)
        cams.append(sum(w * a_k for w, a_k in zip(weights, a, strict=True)).clamp_min(0))
    return enlarged(torch.stack(cams), problem)


def ablation_cam(problem: Problem) -> Tensor:
    """One feature map of one image at a time, through the whole rest of the network."""
    maps, _ = features(problem)
    _, tail = blocks(problem, problem.layers[-1])
    cams = []
    for row, a in enumerate(maps):
        full, total = tail(a[None])[0, problem.targets[row]], torch.zeros_like(a[0])
        for k in range(len(a)):
            without = a.clone()
            without[k] = 0
            total += (full - tail(without[None])[0, problem.targets[row]]) / full * a[k]
        cams.append(total.clamp_min(0))
    return enlarged(torch.stack(cams), problem)


def eigen_cam(problem: Problem) -> Tensor:
    """By NumPy's singular value decomposition."""
    maps, _ = features(problem)
    cams = []
    for a in maps.double().numpy():
        flat = a.reshape(len(a), -1).T
        flat = flat - flat.mean(0)
        shared = flat @ np.linalg.svd(flat, full_matrices=False)[2][0]
        shared = shared if shared @ flat.sum(1) > 0 else -shared
        cams.append(torch.from_numpy(shared.reshape(a.shape[1:])).clamp_min(0))
    return enlarged(torch.stack(cams).float(), problem)


def guided_grad_cam(problem: Problem) -> Tensor:
    return by_captum(captum.attr.GuidedBackprop)(problem).sum(1) * grad_cam(problem)


# --- perturbation


def sise(problem: Problem, adaptive: bool = False, least_share: float = 0.0) -> Tensor:
    """One mask of one sample at a time; the threshold by scikit-image."""
    from skimage.filters import threshold_otsu

    found = []
    for row in range(len(problem)):
        one, fused = problem.take([row]), None
        for layer in problem.layers:
            head, tail = blocks(one, layer)
            maps = head(one.inputs).detach().requires_grad_()
            p = tail(maps).softmax(1)[0, one.targets[0]]
            weight = torch.autograd.grad(p, maps)[0][0].flatten(1).mean(1)
            least = least_share
            levels = (weight[weight > 0] / weight.max() * 255).int().numpy().astype(np.uint8)
            if adaptive and len(np.unique(levels)) > 1:
                least = (int(threshold_otsu(levels)) + 1) / 255
            total = torch.zeros(problem.shape, dtype=torch.float64)
            for a_k, w in zip(maps.detach()[0], weight, strict=True):
                if w > 0 and w / weight.max() >= least:
                    mask = enlarged(a_k[None], problem)[0]
                    mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-6)
                    score = one.model(one.baseline + mask * (one.inputs - one.baseline)).softmax(1)[0, one.targets[0]]
                    total += score.double() * mask.double() / (mask.double().sum() + 1e-6)
            total = (total - total.min()) / (total.max() - total.min())
            if fused is not None:
                levels = np.round(256 * total.numpy()).astype(int)
                t = threshold_otsu(levels) + 1  # scikit-image names the last level of the lower class
                t = 1.5 * t if (levels > round(1.5 * t)).mean() < 0.1 else t
                total = (fused + total) * torch.sigmoid((total - t / 256) * 100)
            fused = total
        found.append(fused)
    return torch.stack(found)


def rise(problem: Problem) -> Tensor:
    """12 masks, one at a time."""
    draws, total = rng(problem, "rise", masks=12), torch.zeros(len(problem), *problem.shape)
    axes = len(problem.shape)
    cell = [math.ceil(side / 7) for side in problem.shape]
    for _ in range(12):
        numbers = draws.uniform((8**axes + axes,))
        for row in range(len(problem)):
            small = (numbers[row, : 8**axes] < 0.5).float().view(1, 1, *[8] * axes)
            mode = "linear" if axes == 1 else "bilinear"
            large = interpolate(small, size=[8 * side for side in cell], mode=mode)[0, 0]
            moved = (numbers[row, 8**axes :] * torch.tensor(cell)).long().tolist()
            mask = large[tuple(slice(m, m + side) for m, side in zip(moved, problem.shape, strict=True))]
            masked = problem.baseline + mask * (problem.inputs[row] - problem.baseline)
            total[row] += problem.model(masked[None]).softmax(1)[0, problem.targets[row]] * mask / (12 * 0.5)
    return total


def occlusion(problem: Problem) -> Tensor:
    """Window by window; the last one at each far edge may be cut off, as the first is not."""
    sides = [round(0.2 * length) for length in problem.shape]
    steps = [round(0.1 * length) for length in problem.shape]
    starts = [
        range(0, step * (math.ceil((n - side) / step) + 1), step)
        for n, side, step in zip(problem.shape, sides, steps, strict=True)
    ]
    full, total, times = (
        logit(problem, problem.inputs),
        torch.zeros(len(problem), *problem.shape),
        torch.zeros(problem.shape),
    )
    for corner in itertools.product(*starts):
        window = torch.zeros(problem.shape, dtype=torch.bool)
        window[tuple(slice(c, c + side) for c, side in zip(corner, sides, strict=True))] = True
        lost = full - logit(problem, torch.where(window, problem.baseline, problem.inputs))
        total += window * lost.view(-1, *[1] * window.dim())
        times += window
    return total / times


def feature_ablation(problem: Problem) -> Tensor:
    cells = partition("patch64", problem.inputs)
    labels = torch.arange(problem.shape[0])[None] if cells.labels is None else cells.labels
    settings = {"baselines": problem.baseline.expand_as(problem.inputs), "feature_mask": labels[:, None]}
    lost = by_captum(captum.attr.FeatureAblation, **settings)(problem)[:, 0]
    return lost / torch.bincount(labels.flatten())[labels]


def lime(problem: Problem) -> Tensor:
    """By scikit-learn's ridge regression."""
    from sklearn.linear_model import Ridge

    maps = []
    for row in range(len(problem)):
        one = problem.take([row])
        labels = partition("segment50", one.inputs).labels[0]
        z = rng(one, "lime").uniform((1000, int(labels.max()) + 1))[0] < 0.5
        z[0] = True
        masked = torch.where(z[:, labels][:, None], one.inputs, one.baseline)
        y = one.model(masked)[:, one.targets[0]].detach().numpy()
        away = 1 - z.double().mean(1).sqrt().numpy()
        fit = Ridge(alpha=1).fit(z.double().numpy(), y, sample_weight=np.sqrt(np.exp(-((away / 0.25) ** 2))))
        sizes = torch.bincount(labels.flatten())
        maps.append((torch.from_numpy(fit.coef_) / sizes)[labels])
    return torch.stack(maps).float()


def few_cells(problem: Problem) -> Problem:
    return replace(problem, inputs=problem.inputs[..., :10]) if len(problem.shape) == 1 else problem


def shapley(problem: Problem, cells: int) -> Tensor:
    """By its definition, over all coalitions of the others."""
    labels = partition(f"patch{cells}", problem.inputs).labels[0]
    cells = int(labels.max()) + 1
    every = torch.tensor(list(itertools.product([False, True], repeat=cells)))
    worth = torch.stack([logit(problem, torch.where(z[labels], problem.inputs, problem.baseline)) for z in every])
    index = {tuple(z.tolist()): i for i, z in enumerate(every)}
    values = torch.zeros(len(problem), cells, dtype=torch.float64)
    for z in every:
        for cell in (~z).nonzero()[:, 0].tolist():
            joined = z.clone()
            joined[cell] = True
            size = int(z.sum())
            share = math.factorial(size) * math.factorial(cells - size - 1) / math.factorial(cells)
            values[:, cell] += share * (worth[index[tuple(joined.tolist())]] - worth[index[tuple(z.tolist())]]).double()
    return (values / torch.bincount(labels.flatten()))[:, labels].float()


def extremal_perturbation(problem: Problem) -> Tensor:
    """Five steps, one area at a time, momentum by hand."""
    maps = torch.zeros(len(problem), *problem.shape)
    for row, area in itertools.product(range(len(problem)), (0.05, 0.1, 0.2, 0.4)):
        mask = torch.full((1, *[min(16, n) for n in problem.shape]), 0.5)
        velocity, strength, places = torch.zeros_like(mask), 300.0, problem.inputs[0, 0].numel()
        wanted = (torch.arange(places) >= places - torch.tensor(area) * places).float()
        for _ in range(5):
            leaf = mask.clone().requires_grad_()
            mode = "linear" if len(problem.shape) == 1 else "bilinear"
            fine = interpolate(leaf[None], size=tuple(problem.shape), mode=mode)[0]
            masked = problem.baseline + fine * (problem.inputs[row] - problem.baseline)
            loss = (
                strength * ((fine.flatten().sort().values - wanted) ** 2).mean()
                - logit(problem, masked[None], [row])[0]
            )
            velocity = 0.9 * velocity + torch.autograd.grad(loss, leaf)[0]
            mask = (mask - 0.01 * velocity).clamp(0, 1)
            strength *= 1.0035
        maps[row] += enlarged(mask, problem)[0]
    return maps


# --- controls


def edges(problem: Problem) -> Tensor:
    grey = problem.inputs.double().mean(1).numpy()
    if grey.ndim == 2:
        return torch.from_numpy(np.abs(np.gradient(grey, axis=1))).float()
    one = [np.hypot(*(scipy.ndimage.sobel(image, axis=axis, mode="nearest") / 8 for axis in (0, 1))) for image in grey]
    return torch.from_numpy(np.stack(one)).float()


def centre(problem: Problem) -> Tensor:
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in problem.shape], indexing="ij"))
    one = 1 - np.sqrt((grid**2).mean(0))
    return torch.from_numpy(one).float().expand(len(problem), *problem.shape)


def uniform(problem: Problem) -> Tensor:
    """Philox, seeded by the sample's name."""
    seeds = rng(problem, "random").seeds
    return torch.stack(
        [
            torch.from_numpy(np.random.Generator(np.random.Philox(seed)).random(tuple(problem.shape), dtype=np.float32))
            for seed in seeds
        ]
    )


# method -> what it is compared with, the comparison, the greatest difference (relative to the largest value), its settings.
# 2e-5: float32 sums in another order. More where differences of large numbers or thresholds amplify that.
SAME = 2e-5
REFERENCES: dict[str, tuple[str, Reference, float, dict[str, object]]] = {
    "saliency": ("captum", largest(by_captum(captum.attr.Saliency, abs=False)), SAME, {}),
    "sensitivity": ("torch.func", sensitivity, SAME, {}),
    "gradient_x_input": ("captum", summed(by_captum(captum.attr.InputXGradient)), SAME, {}),
    "simple_taylor": ("formula, SciPy's root", simple_taylor, 1e-3, {}),
    "integrated_gradients": ("formula", integrated_gradients, SAME, {}),
    "expected_gradients": ("formula", expected_gradients, SAME, {}),
    "smoothgrad": ("formula", lambda p: noisy(p, "smoothgrad").mean(0).abs().amax(1), SAME, {}),
    "smoothgrad_squared": ("formula", lambda p: noisy(p, "smoothgrad_squared").square().mean(0).sum(1), SAME, {}),
    "vargrad": ("formula", lambda p: noisy(p, "vargrad").var(0).sum(1), SAME, {}),
    "guided_backprop": ("captum", largest(by_captum(captum.attr.GuidedBackprop)), SAME, {}),
    "deconvnet": ("captum", largest(by_captum(captum.attr.Deconvolution)), SAME, {}),
    # a blur that differs in the last place may push a ReLU over its kink
    "blur_integrated_gradients": ("formula, SciPy's cosine transform", blur_integrated_gradients, 2e-3, {}),
    "lrp_epsilon": ("formula", lambda p: propagated(p, epsilon_rule), 1e-3, {}),
    "lrp_gamma": ("formula", lambda p: propagated(p, gamma_rule), 1e-3, {}),
    "lrp_alpha_beta": ("formula", lambda p: propagated(p, alpha_beta), 1e-3, {}),
    "lrp_composite": ("formula", lambda p: propagated(p, composite), 1e-3, {}),
    "deep_taylor": ("formula", deep_taylor, 1e-3, {}),
    "excitation_backprop": ("formula", excitation, 1e-3, {}),
    "deep_lift": ("formula", lambda p: deep_lift_by_hand(p), 1e-3, {}),
    "deep_lift_shap": ("captum", deep_lift_shap, 1e-3, {}),
    "cam": ("formula", cam, SAME, {}),
    "grad_cam": ("formula", grad_cam, SAME, {}),
    "grad_cam_plus_plus": ("formula", grad_cam_plus_plus, 1e-4, {}),
    "xgrad_cam": ("formula", xgrad_cam, SAME, {}),
    "layer_cam": ("formula", layer_cam, SAME, {}),
    "score_cam": ("formula", score_cam, 1e-4, {}),
    "ablation_cam": ("formula", ablation_cam, 1e-4, {}),
    "eigen_cam": ("NumPy's SVD", eigen_cam, SAME, {}),
    "guided_grad_cam": ("captum, formula", guided_grad_cam, SAME, {}),
    "sise": ("formula, scikit-image's Otsu", sise, 3e-4, {}),  # the gate multiplies rounding by up to 50
    "ada_sise": ("formula, scikit-image's Otsu", lambda p: sise(p, adaptive=True), 3e-4, {}),
    "rise": ("formula", rise, SAME, {"masks": 12}),
    "occlusion": ("formula", occlusion, 1e-4, {}),
    "feature_ablation": ("captum", feature_ablation, 1e-4, {}),
    "lime": ("scikit-learn", lime, 1e-4, {}),
    "kernel_shap": ("definition", lambda p: shapley(p, 9), 1e-4, {"features": "patch9"}),
    "shapley_sampling": (
        "definition",
        lambda p: shapley(p, 2),
        1e-4,
        {"features": "patch2"},
    ),  # both orders of two cells
    "extremal_perturbation": ("formula", extremal_perturbation, 1e-4, {"steps": 5}),
    "random": ("NumPy's Philox", uniform, 0, {}),
    "constant": ("formula", lambda p: torch.ones(len(p), *p.shape), 0, {}),
    "centre": ("formula", centre, SAME, {}),
    "edges": ("SciPy's Sobel", edges, SAME, {}),
    "input_magnitude": ("formula", lambda p: (p.inputs - p.baseline).abs().sum(1), 0, {}),
    "negated": ("formula", lambda p: -integrated_gradients(p), SAME, {}),
    "oracle": ("formula", lambda p: p.truth.float(), 0, {}),
}
NOT_FOR_SIGNALS = {
    "cam": "no global average pooling",
    "lrp_gamma": "the formula is for inputs that are not negative",
}
ONLY_FOR_SIGNALS = dict.fromkeys(("deep_lift", "deep_lift_shap"), "captum's are not complete at max-pools")


@pytest.fixture(scope="module")
def table() -> Iterator[list[dict[str, object]]]:
    rows: list[dict[str, object]] = []
    yield rows
    if os.environ.get("BENCH_TABLE"):
        pd.DataFrame(rows).sort_values(["method", "problem"]).to_csv(
            os.environ["BENCH_TABLE"], index=False, float_format="%.2g"
        )


def test_every_method_has_a_reference():
    assert set(REFERENCES) == set(METHODS)


@pytest.mark.parametrize("kind", ["signal", "image"])
@pytest.mark.parametrize("name", REFERENCES)
def test_a_method_equals_its_reference(name, kind, table):
    other = NOT_FOR_SIGNALS if kind == "signal" else ONLY_FOR_SIGNALS
    if name in other:
        pytest.skip(other[name])
    problem = signal_problem(samples=4) if kind == "signal" else image_problem(samples=3, size=36)
    what, reference, limit, params = REFERENCES[name]
    found = explain(entry(name, **params), problem, task="test", seed=0)[0].double()
    expected = reference(problem).detach().double()
    assert found.shape == expected.shape
    difference = float((found - expected).abs().max() / expected.abs().max())
    table.append({"method": name, "problem": kind, "reference": what, "difference": difference, "limit": limit})
    assert difference <= limit


def test_deep_lift_equals_captums_without_pooling():
    problem = signal_problem(samples=6)
    found = explain(METHODS["deep_lift"], problem, task="test", seed=0)[0]
    expected = by_captum(captum.attr.DeepLift, baselines=problem.baseline.expand_as(problem.inputs))(problem).sum(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("grad_cam", "GradCAM"),
        ("xgrad_cam", "XGradCAM"),
        ("layer_cam", "LayerCAM"),
        ("ablation_cam", "AblationCAM"),
    ],
)
def test_the_cam_family_equals_pytorch_grad_cam(name, theirs, table):
    """Which scales each map to [0, 1] before and after it is enlarged. Not compared: its ScoreCAM enlarges
    masks with aligned corners, its GradCAMPlusPlus adds 1e-6 to a denominator which is as small as that behind a pooled layer.
    """
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    problem = image_problem(samples=3, size=36)
    targets = [ClassifierOutputTarget(int(target)) for target in problem.targets]
    layer = problem.model.get_submodule(problem.layers[-1])
    with getattr(pytorch_grad_cam, theirs)(model=problem.model, target_layers=[layer]) as library:
        expected = torch.from_numpy(
            library(input_tensor=problem.inputs.clone().requires_grad_(), targets=targets)
        ).double()
    found = scaled(explain(METHODS[name], problem, task="test", seed=0)[0]).double()
    difference = float((found - scaled(expected)).abs().max())
    table.append(
        {"method": name, "problem": "image", "reference": "pytorch-grad-cam", "difference": difference, "limit": 1e-3}
    )
    assert difference < 1e-3  # their scaling adds 1e-7 to a maximum, and ablation rounds there


def test_the_blur_is_a_gaussian_mirrored_at_the_edges():
    blurred = sys.modules["bench.methods.blur_integrated_gradients"].blurred
    for inputs in (signal_problem(2).inputs, image_problem(2).inputs):
        for sigma in (1.5, 4.0, 20.0):
            widths = (0, 0, *[sigma] * (inputs.dim() - 2))
            expected = scipy.ndimage.gaussian_filter(inputs.double().numpy(), widths, mode="reflect", truncate=8)
            # a Gaussian sampled at whole places, as SciPy has it, is not quite the continuous one
            torch.testing.assert_close(blurred(inputs, sigma), torch.from_numpy(expected).float(), rtol=0, atol=1e-4)


def test_shapley_sampling_comes_near_the_definition():
    problem = signal_problem(samples=2)
    exact = shapley(problem, 8)
    found = explain(entry("shapley_sampling", features="patch8", orders=400), problem, task="test", seed=0)[0]
    # 400 orders of 8 cells: a few per cent of the largest value
    torch.testing.assert_close(found, exact, rtol=0, atol=0.05 * float(exact.abs().max()))


def test_ada_sise_keeps_the_feature_maps_above_otsus_threshold():
    """The threshold that separates the 256 levels best, by trying each."""
    weights = torch.cat([torch.tensor([-1.0, 0.0]), torch.linspace(0.01, 1, 100) ** 2])[None]
    levels = np.floor(255 * weights[0, 2:].double().numpy())

    def between(level: int) -> float:
        low, high = levels[levels <= level], levels[levels > level]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    best = max(range(int(levels.min()), int(levels.max())), key=between)
    kept = sys.modules["bench.methods.ada_sise"].above_otsu(weights)[0]
    assert kept.tolist() == [False, False, *(levels > best)]
    alike = torch.tensor([[0.5, 0.5, -1.0]])
    assert sys.modules["bench.methods.ada_sise"].above_otsu(alike).tolist() == [[True, True, False]]


def test_sise_leaves_out_feature_maps_below_its_threshold():
    problem = signal_problem(samples=2)
    found = explain(entry("sise", threshold=0.3), problem, task="test", seed=0)[0].double()
    expected = sise(problem, least_share=0.3)
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-4 * float(expected.max()))
    assert not torch.allclose(found, sise(problem), atol=0.01)
