"""Does an explanation depend on what it explains? It is compared with that of another class, or of a random model.

Similarity is Spearman's correlation of the two signed maps, from -1 to 1: lower is better, and about 0 is what a map gives
that follows the model wholly. Both maps are made with the same random numbers, so a map that ignores the model has 1 even
where it is random. A map that is noisy by nature looks better here than it is, so these say only what fails
[hedstrom2023sanity].

Random weights: each kernel, matrix and bias is drawn from a normal distribution of mean 0 that keeps its root mean square;
normalisation layers stay as they are. They depend on seed, task and layer alone: all methods and samples meet the same models.
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
    """Similarity to the explanation of another class, drawn for each sample. (N,)"""
    classes = _classes(probe)
    if classes < 2:
        raise NotApplicable("the model tells no classes apart")
    step = 1 + (rng.uniform(()) * (classes - 1)).long().clamp_max(classes - 2)
    return spearman(attribution, explain(probe.problem.inputs, 0, targets=(probe.targets + step) % classes))


@lower(cite="adebayo2018sanity", label="parameter randomisation, cascading (similarity)")
def mprt_cascading(probe: Probe, attribution: Tensor, explain: Explain, *, layers: int = 5) -> Tensor:
    """Similarity to the explanations of models that are random from the top down to a layer, averaged over layers. (N,)

    `layers`: how many of them, evenly spaced from the last to the first, where the model has more. One where the map
    becomes constant does not count.
    """
    names = weighted_layers(probe.problem.model)
    return _similarity(probe, attribution, explain, [names[: place + 1] for place in spread(len(names), layers)])


@lower(cite="adebayo2018sanity", label="parameter randomisation, independent (similarity)")
def mprt_independent(probe: Probe, attribution: Tensor, explain: Explain, *, layers: int = 5) -> Tensor:
    """Similarity to the explanations of models of which one layer is random, averaged over layers. (N,)

    `layers`: as in cascading randomisation, whose first model is the same.
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
    """Names of the modules that hold weights of their own, last to first; normalisation layers aside.

    Raises NotApplicable where there are none.
    """
    names = [
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) and not isinstance(module, NORMALISATIONS)
    ]
    if not names:
        raise NotApplicable("the model has no weights to randomise")
    return names[::-1]


def spread(number: int, most: int) -> list[int]:
    """Up to `most` even places in 0 ... number - 1, both ends included."""
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
    """How many classes the model tells apart."""

    def ask() -> int:
        first = probe.take([0])
        return int(
            first.answers(first.problem.inputs[None], lambda logits, _: torch.full_like(logits, logits.shape[1])).max()
        )

    return probe.once(("classes",), ask)
