"""Quantus's randomisation group: does the explanation change when the model or the class does?

Quantus puts random weights into the model; its seed is the same for all samples. Methods that draw draw as they did for the
attribution itself, so that only the model differs.
"""

from __future__ import annotations

import functools
import itertools

from torch import Tensor

from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.metrics.quantus.adapter import ask_explaining, batched, judge
from bench.metrics.quantus.models import Open, answers
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

randomised = functools.partial(metric, family="randomisation", cost="slow")


@randomised(cite="adebayo2018sanity", higher_is_better=False, label="MPRT (Quantus)", limits=(-1, 1))
def quantus_mprt(probe: Probe, attribution: Tensor, explain: Explain, *, layer_order: str = "top_down") -> Tensor:
    """Spearman correlation of the signed attribution before and after layers are randomised, one more at a time, averaged. (N,)

    Quantus's average has the model as it was among them. `layer_order`: top_down, bottom_up or independent.
    """
    scorer = judge("MPRT", layer_order=layer_order, return_average_correlation=True)
    return ask_explaining(scorer, probe, attribution, explain, model=_layered(probe.problem, "MPRT"))


@randomised(cite="hedstrom2023sanity", higher_is_better=False, label="smooth MPRT (Quantus)", limits=(-1, 1))
def quantus_smooth_mprt(
    probe: Probe, rng: SampleRng, attribution: Tensor, explain: Explain, *, samples: int = 3
) -> Tensor:
    """MPRT, bottom layer first, of explanations that are each averaged over so many inputs, all but one of them noisy. (N,)

    Noise is Gaussian, of 0.1 of the sample's range of values.
    """
    scorer = judge("SmoothMPRT", nr_samples=samples, return_average_correlation=True)
    return ask_explaining(
        scorer,
        probe,
        None,
        explain,
        draws=itertools.cycle(range(samples)),
        model=_layered(probe.problem, "SmoothMPRT"),
        seeds=rng.seeds,
    )


@randomised(cite="hedstrom2023sanity", higher_is_better=True, label="efficient MPRT (Quantus)", limits=(-1, None))
def quantus_efficient_mprt(probe: Probe, attribution: Tensor, explain: Explain, *, bins: int = 100) -> Tensor:
    """Relative rise of the entropy of the attribution's histogram when all layers are randomised. (N,)"""
    scorer = judge("EfficientMPRT", complexity_func_kwargs={"n_bins": bins})
    model = _layered(probe.problem, "EfficientMPRT")
    return ask_explaining(scorer, probe, attribution, explain, model=model, softmax=True)


@randomised(cite="sixt2020explanations", higher_is_better=False, label="random logit (Quantus)", limits=(-1, 1))
def quantus_random_logit(probe: Probe, attribution: Tensor, rng: SampleRng, explain: Explain) -> Tensor:
    """Structural similarity, in reading order, of the attributions of the class and of a random other. (N,)"""
    if not batched():
        raise NotApplicable("RandomLogit of Quantus 0.5 explains sample by sample")
    classes = answers(probe.problem, probe.problem.inputs[:1]).shape[1]
    if classes < 2:
        raise NotApplicable("there is no other class")
    return ask_explaining(judge("RandomLogit", num_classes=classes), probe, attribution, explain, seeds=rng.seeds)


def _layered(problem: Problem, name: str) -> Open:
    if not any(hasattr(module, "reset_parameters") for module in problem.model.modules()):
        raise NotApplicable(f"Quantus's {name} finds no layer here that it could randomise")
    return Open(problem)
