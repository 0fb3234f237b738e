"""Does an explanation depend on the model and the class? It is compared with that of another class or of a random model.

Similarity is Spearman's correlation of the two signed maps, from -1 to 1. Lower is better: about 0 for a map that follows the
model, 1 for a map that ignores it. Both maps are made with the same random numbers, so a random map that ignores the model
scores 1 too. Noisy maps score well here without being right, so these metrics can show only that a method fails
[hedstrom2023sanity].

Random weights: each kernel, matrix and bias is drawn from a normal distribution with mean 0 and the same root mean square.
Normalisation layers are kept. The weights depend only on seed, task and layer, so all methods and samples get the same models.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.core.errors import NotApplicable
from bench.core.random import SampleRng
from bench.metrics.correlation import pearson
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

lower = functools.partial(metric, family="randomisation", higher_is_better=False, limits=(-1, 1), cost="slow")
NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


@lower(cite="sixt2020explanations", label="random logit (similarity)")
def random_logit(probe: Probe, attribution: Tensor, rng: SampleRng, explain: Explain) -> Tensor:
    """Similarity of the attribution to that of another class, drawn for each sample. (N,)"""
    classes = _classes(probe)
    if classes < 2:
        raise NotApplicable("random_logit needs a model with at least two classes, and this one has a single output")
    step = 1 + (rng.uniform(()) * (classes - 1)).long().clamp_max(classes - 2)
    return spearman(attribution, explain(probe.problem.inputs, 0, targets=(probe.targets + step) % classes))


@lower(cite="adebayo2018sanity", label="parameter randomisation, cascading (similarity)")
def mprt_cascading(probe: Probe, attribution: Tensor, explain: Explain, *, layers: int = 5) -> Tensor:
    """Similarity to the attributions of models that are randomised from the top down, averaged over depths. (N,)

    `layers`: at most so many depths, evenly spaced from the last layer to the first. Models for which the map is constant
    are left out.
    """
    names = weighted_layers(probe.problem.model)
    return _similarity(probe, attribution, explain, [names[: place + 1] for place in spread(len(names), layers)])


@lower(cite="adebayo2018sanity", label="parameter randomisation, independent (similarity)")
def mprt_independent(probe: Probe, attribution: Tensor, explain: Explain, *, layers: int = 5) -> Tensor:
    """Similarity to the attributions of models in which one layer is randomised, averaged over layers. (N,)

    `layers`: at most so many, evenly spaced. The first model is that of cascading randomisation.
    """
    names = weighted_layers(probe.problem.model)
    return _similarity(probe, attribution, explain, [[names[place]] for place in spread(len(names), layers)])


def spearman(one: Tensor, other: Tensor) -> Tensor:
    """Rank correlation of maps, ties averaged: (N, *S), (N, *S) -> (N,) float64; NaN where one is constant or infinite."""
    from scipy.stats import rankdata

    good = one.flatten(1).isfinite().all(1) & other.flatten(1).isfinite().all(1)
    ranks = [torch.from_numpy(rankdata(maps.flatten(1).cpu().numpy(), axis=1)) for maps in (one, other)]
    return pearson(*ranks).masked_fill(~good.cpu(), torch.nan)


def weighted_layers(model: nn.Module) -> list[str]:
    """Names of the modules with parameters, last to first, without normalisation layers; NotApplicable if there are none."""
    names = [
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) and not isinstance(module, NORMALISATIONS)
    ]
    if not names:
        raise NotApplicable("the model has no layer with weights to randomise (normalisation layers do not count)")
    return names[::-1]


def spread(number: int, most: int) -> list[int]:
    """Up to `most` evenly spaced indices from 0 to number - 1, both ends included."""
    most = min(number, most)
    return [round(place * (number - 1) / max(1, most - 1)) for place in range(most)]


def randomised(probe: Probe, layers: Sequence[str]) -> nn.Module:
    """A copy of the problem's model in which the weights of the named layers are random."""
    model = copy.deepcopy(probe.problem.model)
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name in layers:
            stream = probe.rng_of(f"random weights of {name}")
            for weights in modules[name].parameters(recurse=False):
                weights.copy_(stream.normal(weights.shape)[0] * weights.square().mean().sqrt())
    return model


def _similarity(probe: Probe, attribution: Tensor, explain: Explain, models: Sequence[Sequence[str]]) -> Tensor:
    """Mean over models, each given by its random layers, of the similarity of their maps to the attribution: (N,)."""
    inputs = probe.problem.inputs
    return torch.stack(
        [spearman(attribution, explain(inputs, 0, model=randomised(probe, layers))) for layers in models]
    ).nanmean(0)


def _classes(probe: Probe) -> int:
    """The number of the model's classes."""

    def ask() -> int:
        first = probe.take([0])
        return int(
            first.answers(first.problem.inputs[None], lambda logits, _: torch.full_like(logits, logits.shape[1])).max()
        )

    return probe.once(("classes",), ask)
