"""Quantus's randomisation group: does the explanation change when the model or the class does?

Quantus randomises the model's weights with one seed for all samples. Random methods use the same random numbers as for the
attribution, so that only the model differs.
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
    """Spearman correlation of the attribution before and after layers are randomised one by one, averaged over steps. (N,)

    Quantus's average includes the original model. `layer_order`: top_down, bottom_up or independent.
    """
    scorer = judge("MPRT", layer_order=layer_order, return_average_correlation=True)
    return ask_explaining(scorer, probe, attribution, explain, model=_layered(probe.problem, "MPRT"))


@randomised(cite="hedstrom2023sanity", higher_is_better=False, label="smooth MPRT (Quantus)", limits=(-1, 1))
def quantus_smooth_mprt(
    probe: Probe, rng: SampleRng, attribution: Tensor, explain: Explain, *, samples: int = 3
) -> Tensor:
    """MPRT from the first layer to the last, with attributions averaged over `samples` noisy inputs. (N,)

    Noise is Gaussian with a standard deviation of 0.1 of the sample's range of values; one of the inputs has none.
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
    """Structural similarity of the attributions of the explained class and of another, drawn at random. (N,)"""
    if not batched():
        raise NotApplicable("RandomLogit of Quantus 0.5 explains one sample at a time; install quantus>=0.6")
    classes = answers(probe.problem, probe.problem.inputs[:1]).shape[1]
    if classes < 2:
        raise NotApplicable("RandomLogit needs a model with at least two classes, and this one has a single output")
    return ask_explaining(judge("RandomLogit", num_classes=classes), probe, attribution, explain, seeds=rng.seeds)


def _layered(problem: Problem, name: str) -> Open:
    if not any(hasattr(module, "reset_parameters") for module in problem.model.modules()):
        raise NotApplicable(f"Quantus's {name} needs a layer with `reset_parameters`, and the model has none")
    return Open(problem)
