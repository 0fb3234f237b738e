"""SISE: semantic input sampling for explanation [sattarzadeh2021sise].

Of each block's feature maps, those with a positive mean gradient of the class probability p are kept, scaled to [0, 1] and used
as masks m_i on the input x. A mask is weighted by the probability that remains:

    layer map = sum_i  p(x * m_i) * m_i / sum(m_i)

The layer maps, scaled to [0, 1], are fused from the first block to the last: the next map is added, and only positions above
its Otsu threshold are kept. Values lie in [0, number of blocks]; never negative.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.core.outputs import score
from bench.core.problem import Problem
from bench.network.gradients import activations
from bench.perturbation.masking import scaled, upsample
from bench.registry.decorators import method

EPSILON = 1e-6
STEEPNESS = 100  # of the sigmoid that stands for the binary Otsu mask


@method(
    cite="sattarzadeh2021sise", family="perturbation", needs={"layers"}, cost="medium", core=True, promises={"class"}
)
def sise(problem: Problem, *, threshold: float = 0.0, blocks: int | None = None) -> Tensor:
    """Feature maps as masks, weighted by the class probability that they preserve, fused over blocks. -> (N, *S)

    `threshold`: share of a block's highest mean gradient that a feature map must exceed. `blocks`: how many of the last
    blocks are used, all by default.
    """

    def above(weights: Tensor) -> Tensor:
        return weights > threshold * weights.amax(1, keepdim=True)

    return fused(layer_maps(problem, keep=above, blocks=blocks))


def fused(maps: Tensor) -> Tensor:
    """The blocks' maps (N, blocks, *S), fused from the first to the last: (N, *S)."""
    total = maps[:, 0]
    for layer in range(1, maps.shape[1]):
        total = fuse(total, maps[:, layer])
    return total


def positive(weights: Tensor) -> Tensor:
    """Feature maps with a positive mean gradient: mean gradients (N, K) -> (N, K) bool."""
    return weights > 0


def layer_maps(problem: Problem, *, keep: Callable[[Tensor], Tensor] = positive, blocks: int | None = None) -> Tensor:
    """One map per block, each min-max scaled: (N, blocks, *S) float64. `keep` chooses the feature maps."""
    layers = problem.layers if blocks is None else problem.layers[-blocks:]
    per_layer: list[list[Tensor]] = [[] for _ in layers]
    for rows in torch.arange(len(problem)).split(problem.batch_size):
        part = problem.take(rows.tolist())
        for maps, (features, gradients) in zip(per_layer, _block_outputs(part, layers), strict=True):
            maps.append(_layer_map(part, features, gradients, keep))
    return torch.stack([torch.cat(maps) for maps in per_layer], dim=1)


def fuse(low: Tensor, high: Tensor) -> Tensor:
    """Adds a block's map to the fusion of the earlier blocks, and applies the block's Otsu mask. (N, *S) each."""
    shape = (-1,) + (1,) * (high.dim() - 1)
    limits = torch.tensor([_otsu(one) for one in high.cpu().numpy()], dtype=high.dtype, device=high.device)
    return (low + high) * torch.sigmoid((high - limits.view(shape)) * STEEPNESS)


def _block_outputs(problem: Problem, layers: tuple[str, ...]) -> list[tuple[Tensor, Tensor]]:
    """Feature maps of each block and the gradient of the explained class's probability with respect to them."""
    with torch.enable_grad(), activations(problem.model, layers) as seen:
        inputs = problem.inputs.detach().clone().requires_grad_()
        chosen = score(problem.model(inputs), problem.targets, problem.output).sum()
        gradients = torch.autograd.grad(chosen, [seen[name] for name in layers])
        return [(seen[name].detach(), gradient) for name, gradient in zip(layers, gradients, strict=True)]


@torch.no_grad()
def _layer_map(problem: Problem, features: Tensor, gradients: Tensor, keep: Callable[[Tensor], Tensor]) -> Tensor:
    kept = keep(gradients.flatten(2).mean(2)).nonzero()  # pairs (sample, feature map)
    total = problem.inputs.new_zeros((len(problem), *problem.shape), dtype=torch.float64)
    for pairs in kept.split(problem.batch_size):
        sample, channel = pairs.unbind(1)
        masks = scaled(upsample(features[sample, channel].unsqueeze(1), problem.shape), EPSILON)
        masked = problem.baseline + masks * (problem.inputs[sample] - problem.baseline)
        remains = score(problem.model(masked), problem.targets[sample], problem.output).double()
        masks = masks[:, 0].double()
        share = remains / (masks.flatten(1).sum(1) + EPSILON)
        total.index_add_(0, sample, masks * share.view(-1, *(1,) * len(problem.shape)))
    return scaled(total)


def _otsu(one: np.ndarray) -> float:
    """Otsu's threshold [otsu1979] of a map in [0, 1], raised by half where fewer than a tenth of the pixels lie above that."""
    levels = np.round(256 * one)
    histogram = np.bincount(levels.astype(int).ravel(), minlength=257).astype(float)
    values = np.arange(len(histogram))
    below, sums = histogram.cumsum(), (histogram * values).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    threshold = float(np.nan_to_num(between).argmax() + 1)  # the first level of the upper class
    raised = round(1.5 * threshold)
    return (1.5 * threshold if (levels > raised).mean() < 0.1 else threshold) / 256
