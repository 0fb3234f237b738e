"""Quantus's axiomatic group: does an attribution keep the promises that some methods make by definition?"""

from __future__ import annotations

import copy
import functools
import itertools
from typing import Any

import numpy as np
from torch import Tensor, nn

from bench.core.errors import NotApplicable
from bench.metrics.quantus.adapter import as_inputs, as_maps, ask, ask_explaining, batched, judge, numbers, own_scale
from bench.metrics.quantus.models import Closed, Presence
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

axiom = functools.partial(metric, family="axiom")


@axiom(cite="sundararajan2017ig", higher_is_better=True, label="completeness (Quantus)", limits=(0, 1))
def quantus_completeness(probe: Probe, attribution: Tensor) -> Tensor:
    """1 where the attributions sum exactly to the class's logit less that of the baseline, to the last bit, else 0. (N,)"""
    problem = probe.problem
    baseline = problem.baseline.expand(problem.inputs.shape[1:]).float().cpu().numpy().ravel()

    def absent(arr: np.ndarray, **_: Any) -> np.ndarray:
        return np.tile(baseline, arr.size // baseline.size).reshape(arr.shape)

    scorer = judge("Completeness", perturb_func=absent)
    maps, model = as_maps(attribution), Closed(problem)
    return numbers(ask(scorer, as_inputs(problem), maps, model=lambda _: model, classes=probe.targets))


@axiom(cite="nguyen2020quantitative", higher_is_better=False, label="non-sensitivity (Quantus)", limits=(0, None))
def quantus_non_sensitivity(
    probe: Probe, attribution: Tensor, *, eps: float = 1e-5, features: str = "patch64"
) -> Tensor:
    """Number of features of which one says that the model ignores them, |attribution| or p, and the other does not. (N,)

    p ignores a feature if it changes by less than `eps` without it; the attribution, if it has less than that share of the
    largest. Quantus takes features singly only; single pixels would be too many questions, so they are patches.
    """
    cells = probe.partition(features)
    maps = as_maps(cells.sums(attribution.abs()))
    settings = {"eps": eps, "abs": True, "normalise": True, "normalise_func": own_scale, "perturb_baseline": 0.0}
    once = {} if batched() else {"n_samples": 1}  # Quantus 0.5 asks the same question a hundred times
    scorer = judge("NonSensitivity", **settings, **once)
    model = functools.partial(Presence, probe, cells=cells)
    return numbers(ask(scorer, np.ones_like(maps), maps, model=model))


@axiom(
    cite="kindermans2019unreliability",
    higher_is_better=True,
    label="input invariance (Quantus)",
    limits=(0, 1),
    cost="slow",
)
def quantus_input_invariance(probe: Probe, attribution: Tensor, explain: Explain, *, shift: float = -1.0) -> Tensor:
    """1 where no attribution changes by more than 1e-4 when a constant is added to the input and the model takes it out. (N,)

    Methods that draw draw as they did before. Quantus does not shift the first value, nor the zeros that pad it.
    """
    model = copy.deepcopy(probe.problem.model).cpu()
    first = next(itertools.islice(model.modules(), 1, None), None)
    if not isinstance(first, nn.Conv1d | nn.Conv2d) or first.bias is None:
        raise NotApplicable("Quantus's InputInvariance takes models whose first module is a convolution with a bias")
    scorer = judge("InputInvariance", input_shift=shift)
    return ask_explaining(scorer, probe, attribution, explain, model=model)
