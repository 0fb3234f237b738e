"""Quantus's axiomatic group: does an attribution satisfy axioms that some methods satisfy by definition?"""

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


@axiom(cite="sundararajan2017ig", higher_is_better=True, label="completeness (Quantus)", limits=(0, 1), cost="medium")
def quantus_completeness(probe: Probe, attribution: Tensor) -> Tensor:
    """1 where the attributions sum to the logit's difference from the baseline's, to the last bit, else 0. (N,)"""
    problem = probe.problem
    baseline = problem.baseline.expand(problem.inputs.shape[1:]).float().cpu().numpy().ravel()

    def absent(arr: np.ndarray, **_: Any) -> np.ndarray:
        return np.tile(baseline, arr.size // baseline.size).reshape(arr.shape)

    scorer = judge("Completeness", perturb_func=absent)
    maps, model = as_maps(attribution), Closed(problem)
    return numbers(ask(scorer, as_inputs(problem), maps, model=lambda _: model, classes=probe.targets))


@axiom(
    cite="nguyen2020quantitative",
    higher_is_better=False,
    label="non-sensitivity (Quantus)",
    limits=(0, None),
    cost="medium",
)
def quantus_non_sensitivity(
    probe: Probe, attribution: Tensor, *, eps: float = 1e-5, features: str = "patch64"
) -> Tensor:
    """Number of features that either |attribution| or p ignores, but not both. (N,)

    p ignores a feature if removing it changes p by less than `eps`. The attribution ignores it if it is less than that share
    of the largest. Quantus removes features one by one; single pixels would need too many queries, so patches are used.
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
    """1 where no attribution changes by more than 1e-4 when the model takes out a shift of the input, else 0. (N,)

    Random methods use the same random numbers. Quantus shifts neither the first value nor the zeros of the padding.
    """
    model = copy.deepcopy(probe.problem.model).cpu()
    first = next(itertools.islice(model.modules(), 1, None), None)
    if not isinstance(first, nn.Conv1d | nn.Conv2d) or first.bias is None:
        raise NotApplicable(
            "Quantus's InputInvariance needs a model whose first module is a 1-D or 2-D convolution with a bias"
        )
    scorer = judge("InputInvariance", input_shift=shift)
    return ask_explaining(scorer, probe, attribution, explain, model=model)
