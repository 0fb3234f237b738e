"""Quantus's robustness group: do similar inputs have similar explanations?

All except Continuity and Consistency use the noisy inputs of the harness's robustness metrics (uniform noise of +- `radius` of
the sample's range of values) through Quantus's `perturb_func`, so both share their explanations.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from bench.core.errors import NotApplicable
from bench.metrics.quantus.adapter import among_neighbours, ask_explaining, batched, judge, own_scale
from bench.metrics.quantus.models import Open
from bench.metrics.robustness import neighbours
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

lower = functools.partial(metric, family="robustness", higher_is_better=False, limits=(0, None), cost="slow")
SCALED: dict[str, Any] = {"normalise": True, "normalise_func": own_scale}
SAME_CLASS: dict[str, Any] = {"return_nan_when_prediction_changes": False}


@lower(cite="yeh2019infidelity", label="max-sensitivity (Quantus)", version=2)
def quantus_max_sensitivity(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest relative change of the attribution under uniform noise on the input. (N,)

    The largest of few draws is a lower bound.
    """
    return _under_noise("MaxSensitivity", probe, attribution, explain, samples, radius)


@lower(cite="yeh2019infidelity", label="average sensitivity (Quantus)")
def quantus_avg_sensitivity(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Mean relative change of the attribution under uniform noise on the input. (N,)"""
    return _under_noise("AvgSensitivity", probe, attribution, explain, samples, radius)


@lower(cite="alvarezmelis2018robust", label="local Lipschitz estimate (Quantus)")
def quantus_local_lipschitz_estimate(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest distance of two attributions over the distance of their inputs, over noisy inputs. (N,)

    Each map is divided by its largest absolute value. Quantus's default noise is Gaussian, with one standard deviation for all
    inputs.
    """
    return _under_noise("LocalLipschitzEstimate", probe, attribution, explain, samples, radius, **SCALED)


@lower(cite="agarwal2022rethinking", label="relative input stability (Quantus)")
def quantus_relative_input_stability(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest ratio of the relative changes of attribution and input, over noisy inputs. (N,)

        ||(e' - e) / e|| / ||(x' - x) / x||    feature by feature

    The explained class is kept even where the model predicts another class for the noisy input; Quantus leaves those out.
    """
    return _under_noise("RelativeInputStability", probe, attribution, explain, samples, radius, **SAME_CLASS)


@lower(cite="agarwal2022rethinking", label="relative output stability (Quantus)")
def quantus_relative_output_stability(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest relative change of the attribution per change of the logits, over noisy inputs. (N,)

    ||(e' - e) / e|| / ||h(x') - h(x)||    h: logits
    """
    return _under_noise("RelativeOutputStability", probe, attribution, explain, samples, radius, **SAME_CLASS)


@lower(cite="agarwal2022rethinking", label="relative representation stability (Quantus)")
def quantus_relative_representation_stability(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest ratio of the relative changes of attribution and layer outputs, over noisy inputs. (N,)

        ||(e' - e) / e|| / ||(L(x') - L(x)) / L(x)||    L: outputs of the problem's layers, or of all layers

    Otherwise as relative input stability.
    """
    problem, name = probe.problem, "RelativeRepresentationStability"
    hidden = [layer for layer in problem.layers if isinstance(problem.model.get_submodule(layer), nn.Sequential)]
    if hidden:
        raise NotApplicable(f"Quantus's {name} cannot read layers that are nn.Sequential ({', '.join(hidden)})")
    layers = [f"inner.{layer}" for layer in problem.layers] or None
    model = Open(problem, whole=True)
    return _under_noise(
        name, probe, attribution, explain, samples, radius, model=model, layer_names=layers, **SAME_CLASS
    )


@lower(cite="montavon2018methods", label="continuity (Quantus)")
def quantus_continuity(probe: Probe, attribution: Tensor, explain: Explain, *, steps: int = 8) -> Tensor:
    """Largest change of the absolute attribution per change of the input, over shifts along its last axis. (N,)

        ||e' - e||_1 / ||x' - x||_2

    Each map is divided by its largest value. Shifted-in values are the sample's lowest. `steps`: rounded to a number for which
    Quantus neither shifts by zero, where it would divide by zero, nor by more than the width.
    """
    if not batched():
        raise NotApplicable("Continuity of Quantus 0.5 gives curves and no score per sample; install quantus>=0.6")
    width = probe.problem.shape[-1]
    sizes = {n: (2 * width + 1) // n for n in range(1, 2 * width + 2)}
    possible = [n for n, size in sizes.items() if width % size and n * size <= 2 * width]
    if not possible:
        raise NotApplicable(f"Quantus's Continuity has no number of steps for inputs of width {width}")
    number = min(possible, key=lambda n: abs(n - steps))
    return ask_explaining(
        judge("Continuity", nr_steps=number, abs=True, **SCALED),
        probe,
        attribution,
        explain,
        draws=itertools.count(),
    )


@lower(cite="dasgupta2022framework", label="consistency (Quantus)")
def quantus_consistency(
    probe: Probe, attribution: Tensor, explain: Explain, *, samples: int = 8, radius: float = 0.25
) -> Tensor:
    """Share of noisy inputs with the same prediction among those with the same signs of the first 5 attributions. (N,)

    Signs are those of the signed attribution; absolute values, Quantus's default, all have the same. Each sample is compared
    with its noisy versions, as in sufficiency. Quantus states that lower is better; in the paper higher is better.
    """
    return among_neighbours(judge("Consistency"), probe, attribution, explain, samples, radius)


def _under_noise(
    name: str,
    probe: Probe,
    attribution: Tensor,
    explain: Explain,
    samples: int,
    radius: float,
    *,
    model: nn.Module | None = None,
    **settings: Any,
) -> Tensor:
    noisy = neighbours(probe, samples, radius).inputs
    scorer = judge(name, nr_samples=samples, perturb_func=one_after_the_other(noisy), **settings)
    return ask_explaining(scorer, probe, attribution, explain, draws=itertools.count(1), model=model)


def one_after_the_other(noisy: Tensor) -> Callable[..., np.ndarray]:
    """A Quantus `perturb_func` that returns given inputs (M, N, C, *S) in order, N or 1 of them per call."""
    waiting = iter(noisy.float().cpu().numpy().reshape(-1, noisy[0, 0].numel()))

    def perturb(arr: np.ndarray, **_: Any) -> np.ndarray:
        count = arr.size // noisy[0, 0].numel()
        return np.stack(list(itertools.islice(waiting, count))).reshape(arr.shape)

    return perturb
