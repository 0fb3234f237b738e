"""On how few features is an attribution concentrated? Few are easy to read, but need not be the right ones.

All metrics use absolute values, as their papers do, divided by their sum: scaling an attribution changes no score, adding a
constant does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.registry.decorators import metric


@metric(
    family="complexity",
    higher_is_better=True,
    cite="chalasani2020sparseness",
    label="sparseness (Gini index)",
    limits=(0, 1),
)
def sparseness(attribution: Tensor) -> Tensor:
    """Gini index of the absolute attributions: 0 if all are equal, 1 - 1/F if one of F features holds everything. (N,)

    About 1/3 for uniform random numbers.
    """
    values = attribution.flatten(1).double().abs().sort(1).values
    number = values.shape[1]
    weights = 2 * torch.arange(1, number + 1, device=values.device) - number - 1
    return (weights * values).sum(1) / (number * values.sum(1))


@metric(
    family="complexity",
    higher_is_better=False,
    cite="bhatt2020faithfulness",
    label="complexity (nats)",
    limits=(0, None),
)
def complexity(attribution: Tensor) -> Tensor:
    """Entropy of the shares of the absolute attribution in nats: 0 if one feature holds all, log F if all are equal. (N,)"""
    values = attribution.flatten(1).double().abs()
    return torch.special.entr(values / values.sum(1, keepdim=True)).sum(1)


@metric(
    family="complexity",
    higher_is_better=False,
    cite="nguyen2020quantitative",
    label="effective complexity (% of features)",
    limits=(0, 100),
)
def effective_complexity(attribution: Tensor, *, share: float = 0.9) -> Tensor:
    """Percentage of the features, highest first, that together hold a given share of the absolute attribution. (N,)

    The paper counts the features that are needed to keep the model's answer, which faithfulness metrics measure. Common
    practice counts attributions above a fixed threshold, which depends on their unit and counts all features of dense maps.
    """
    values = attribution.flatten(1).double().abs().sort(1, descending=True).values
    held = values.cumsum(1)
    # Less than the rounding of the sum may be missing.
    lacking = held < share * held[:, -1:] * (1 - 1e-12)
    enough = (lacking.sum(1) + 1).clamp_max(values.shape[1])
    return torch.where(held[:, -1] > 0, 100 * enough.double() / values.shape[1], torch.nan)
