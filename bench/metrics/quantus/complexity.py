"""Quantus's complexity group: is an attribution concentrated on few features? All use absolute values, as Quantus does."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from torch import Tensor

from bench.metrics.quantus.adapter import as_maps, ask, judge, numbers, own_scale
from bench.registry.decorators import metric

SCALED = {"normalise": True, "normalise_func": own_scale}
of_map = functools.partial(metric, family="complexity")


@of_map(higher_is_better=True, cite="chalasani2020sparseness", label="sparseness (Quantus)", limits=(0, 1), version=2)
def quantus_sparseness(attribution: Tensor) -> Tensor:
    """Gini index of the absolute attributions. (N,)

    Quantus adds 1e-7 to each value, so maps are scaled first.
    """
    return _scored("Sparseness", attribution, **SCALED)


@of_map(higher_is_better=False, cite="bhatt2020faithfulness", label="complexity (Quantus)", limits=(0, None))
def quantus_complexity(attribution: Tensor) -> Tensor:
    """Entropy of the shares of the absolute attribution, in nats. (N,)"""
    return _scored("Complexity", attribution)


@of_map(higher_is_better=False, cite="nguyen2020quantitative", label="effective complexity (Quantus)", limits=(0, None))
def quantus_effective_complexity(attribution: Tensor, *, eps: float = 0.1) -> Tensor:
    """Number of features whose absolute attribution exceeds `eps` of the largest. (N,)

    Quantus's default of 1e-5 counts all features of any attribution that is not exactly sparse.
    """
    return _scored("EffectiveComplexity", attribution, eps=eps, **SCALED)


def _scored(name: str, attribution: Tensor, **settings: Any) -> Tensor:
    scorer = judge(name, abs=True, **settings)
    maps = as_maps(attribution)
    return numbers(ask(scorer, np.ones_like(maps), maps))
