"""Quantus's faithfulness group: does the model's answer depend on the features with the highest attributions?"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.core.vocabulary import PROBABILITIES, SOFTMAX
from bench.metrics.quantus.adapter import among_neighbours, as_inputs, as_maps, ask, batched, judge, numbers, step_of
from bench.metrics.quantus.models import Closed, Presence, Shades
from bench.perturbation.masking import ranks
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

higher = functools.partial(metric, family="faithfulness", higher_is_better=True)
lower = functools.partial(metric, family="faithfulness", higher_is_better=False)
ABSENT = {"perturb_baseline": 0.0}  # of a presence map


@higher(cite="bhatt2020faithfulness", label="faithfulness correlation (Quantus)", limits=(-1, 1), cost="medium")
def quantus_faithfulness_correlation(
    probe: Probe, attribution: Tensor, rng: SampleRng, *, subsets: int = 32, share: float = 0.2
) -> Tensor:
    """Pearson correlation, over random subsets of the features, of their attribution and the loss of p without them. (N,)"""
    size = max(1, int(share * probe.features))
    scorer = judge("FaithfulnessCorrelation", nr_runs=subsets, subset_size=size, **ABSENT)
    return _on_presence(scorer, probe, attribution, seeds=rng.seeds)


@higher(cite="alvarezmelis2018robust", label="faithfulness estimate (Quantus)", limits=(-1, 1), cost="slow")
def quantus_faithfulness_estimate(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """Pearson correlation, over about `steps` groups of features, of their attribution and the loss of p without them. (N,)

    Quantus groups features of similar attribution.
    """
    scorer = judge("FaithfulnessEstimate", features_in_step=step_of(probe.features, steps), **ABSENT)
    return _on_presence(scorer, probe, attribution)


@higher(cite="nguyen2020quantitative", label="monotonicity correlation (Quantus)", limits=(-1, 1), cost="slow")
def quantus_monotonicity_correlation(
    probe: Probe, attribution: Tensor, rng: SampleRng, *, steps: int = 20, draws: int = 4
) -> Tensor:
    """Spearman correlation, over groups of features, of |attribution| and the mean squared change of p when redrawn. (N,)

    A group is redrawn by moving it towards the baseline by one random share (Quantus's "uniform").
    """
    settings = {"features_in_step": step_of(probe.features, steps), "nr_samples": draws, "perturb_baseline": "uniform"}
    scorer = judge("MonotonicityCorrelation", abs=True, **settings)
    maps = as_maps(attribution)
    model = functools.partial(Shades, probe)
    return numbers(ask(scorer, np.ones_like(maps), maps, model=model, seeds=rng.seeds))


@higher(cite="ancona2018towards", label="sensitivity-n (Quantus)", limits=(-1, 1))
def quantus_sensitivity_n(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """Pearson correlation, over growing sets of the top features, of attribution and loss of p. (N,)

    Quantus pairs the loss of p over all features removed so far with the attribution of the last group only. It correlates
    over the samples of a batch, which gives no score per sample; here the correlation is over the sets, the first 80 % of
    them.
    """

    def over_sets(a: Any, b: Any, **_: Any) -> np.ndarray:
        from scipy.stats import pearsonr

        return np.asarray(pearsonr(np.transpose(a), np.transpose(b), axis=1)[0])

    if not batched():
        raise NotApplicable("SensitivityN of Quantus 0.5 gives no score per sample; install quantus>=0.6")
    scorer = judge("SensitivityN", features_in_step=step_of(probe.features, steps), similarity_func=over_sets, **ABSENT)
    return _on_presence(scorer, probe, attribution, curve=attribution)


@higher(cite="arya2019one", label="monotonicity (Quantus)", limits=(0, 1))
def quantus_monotonicity(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """1 where p never falls while features are added to the baseline, lowest |attribution| first, else 0. (N,)

    What Quantus puts there is the baseline again, so nothing ever changes.
    """
    scorer = judge("Monotonicity", features_in_step=step_of(probe.features, steps), abs=True, **ABSENT)
    return _on_presence(scorer, probe, attribution)


@lower(cite="bach2015lrp", label="pixel flipping AUC (Quantus)", limits=(0, None), version=2)
def quantus_pixel_flipping(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """Area under p while features are removed, highest attribution first. (N,)"""
    step = step_of(probe.features, steps)
    scorer = judge("PixelFlipping", features_in_step=step, return_auc_per_sample=True, **ABSENT)
    # Quantus breaks ties arbitrarily, so it gets the ranks, which have none.
    places = (probe.features - ranks(attribution)).view_as(attribution)
    return _on_presence(scorer, probe, places, curve=attribution) / (probe.features // step - 1)


@lower(cite="samek2017evaluating", label="region perturbation (Quantus)", limits=(-1, 1), cost="slow")
def quantus_region_perturbation(probe: Probe, attribution: Tensor, *, patches: int = 64) -> Tensor:
    """Mean loss of p while at most `patches` patches are removed one by one, highest attribution first. (N,)

    Quantus states that lower is better; in the paper higher is better.
    """
    size = patch_size(probe.problem.shape, patches)
    scorer = judge("RegionPerturbation", patch_size=size, regions_evaluation=patches, **ABSENT)
    return _mean_over_steps(scorer, probe, attribution)


@lower(cite="montavon2018methods", label="selectivity (Quantus)", limits=(0, 1), cost="slow")
def quantus_selectivity(probe: Probe, attribution: Tensor, *, patches: int = 64) -> Tensor:
    """Mean of p while at most `patches` patches are removed one by one, highest sum of attribution first. (N,)"""
    scorer = judge("Selectivity", patch_size=patch_size(probe.problem.shape, patches), **ABSENT)
    return _mean_over_steps(scorer, probe, attribution)


@higher(cite="rieger2020irof", label="IROF (Quantus)", limits=(None, None), cost="slow", outputs=PROBABILITIES)
def quantus_irof(probe: Probe, attribution: Tensor) -> Tensor:
    """Number of segments less the area under p / p(x) while they are removed, highest mean attribution first. (N,)

    The segments are Quantus's: about 100 SLIC superpixels. Computed per sample: in a batch, samples with fewer segments than
    others get extra steps of value zero.
    """
    problem, name = probe.problem, "IROF"
    _no_signals(problem, name)
    _no_colours(problem, name)
    absent = problem.baseline.unique()
    if len(absent) > 1:
        raise NotApplicable("Quantus's IROF needs a baseline of one value; this task has one value per channel")
    scorer = judge(name, perturb_baseline=float(absent))
    return _on_inputs(scorer, probe, attribution, softmax=True)


@lower(cite="rong2022road", label="ROAD (Quantus)", limits=(0, 1), cost="slow", outputs=(SOFTMAX,))
def quantus_road(probe: Probe, attribution: Tensor, rng: SampleRng, *, levels: int = 5, noise: float = 0.01) -> Tensor:
    """Share of levels at which the explained class stays the model's first choice when the top features are imputed. (N,)

    Levels are the midpoints of equal parts. `noise`: added to imputed values, in the unit of the input. Computed per sample:
    Quantus averages over the samples of a batch.
    """
    _no_signals(probe.problem, "ROAD")
    _no_colours(probe.problem, "ROAD")
    scorer = judge("ROAD", percentages=[100 * (2 * level + 1) / (2 * levels) for level in range(levels)], noise=noise)
    return _on_inputs(scorer, probe, attribution, seeds=rng.seeds)


@lower(cite="yeh2019infidelity", label="infidelity (Quantus)", limits=(0, None), cost="slow")
def quantus_infidelity(probe: Probe, attribution: Tensor, *, patches: int = 64) -> Tensor:
    """Mean squared difference between attribution removed and loss of p, patch by patch in reading order. (N,)

    `patches`: the largest number of patches. The score depends on the unit of the attribution. Quantus fails on inputs that
    the patch size does not divide, so a size is chosen that divides both axes. It repeats the same patches, so one round
    is enough.
    """
    _no_signals(probe.problem, "Infidelity")
    height, width = probe.problem.shape
    sizes = [size for size in range(1, height + 1) if height % size == width % size == 0]
    few = [size for size in sizes if height * width <= patches * size**2]
    scorer = judge("Infidelity", perturb_patch_sizes=[min(few, default=sizes[-1])], n_perturb_samples=1, **ABSENT)
    return _on_presence(scorer, probe, attribution)


@higher(cite="dasgupta2022framework", label="sufficiency (Quantus)", limits=(0, 1), cost="slow", outputs=(SOFTMAX,))
def quantus_sufficiency(
    probe: Probe,
    attribution: Tensor,
    explain: Explain,
    *,
    samples: int = 8,
    radius: float = 0.25,
    threshold: float = 0.8,
) -> Tensor:
    """Share of noisy inputs with the same prediction among those with a similar attribution. (N,)

    Quantus compares the samples of a batch with each other. Here each sample is compared with its noisy versions (uniform
    noise of +- `radius` of its range of values), which gives a score per sample. Similar: a standardised Euclidean distance
    of at most `threshold` of the largest (with Quantus's 0.6 no two maps of many features are similar).
    """
    scorer = judge("Sufficiency", threshold=threshold)
    return among_neighbours(scorer, probe, attribution, explain, samples, radius)


def patch_size(shape: Sequence[int], patches: int) -> int:
    """Side of the smallest square patches (windows of a signal) of which at most `patches` cover the shape."""
    sides = range(1, max(shape) + 1)
    return next(side for side in sides if math.prod(-(-length // side) for length in shape) <= patches)


def _on_presence(
    scorer: Any,
    probe: Probe,
    attribution: Tensor,
    *,
    curve: Tensor | None = None,
    seeds: Sequence[int] | None = None,
) -> Tensor:
    """Scores of a metric on presence maps; `curve`: the attribution whose deletion curve it follows. (N,)"""
    return numbers(_steps_on_presence(scorer, probe, attribution, curve=curve, seeds=seeds))


def _steps_on_presence(
    scorer: Any, probe: Probe, attribution: Tensor, *, curve: Tensor | None = None, seeds: Sequence[int] | None = None
) -> list[Any]:
    maps = as_maps(attribution)
    model = functools.partial(Presence, probe, attribution=curve)
    return ask(scorer, np.ones_like(maps), maps, model=model, seeds=seeds)


def _mean_over_steps(scorer: Any, probe: Probe, attribution: Tensor) -> Tensor:
    return numbers([np.mean(steps) for steps in _steps_on_presence(scorer, probe, attribution)])


def _on_inputs(
    scorer: Any, probe: Probe, attribution: Tensor, *, softmax: bool = False, seeds: Sequence[int] | None = None
) -> Tensor:
    """Scores of a metric on the inputs, computed per sample; scores by level are averaged. (N,)"""
    problem = probe.problem
    found = ask(
        scorer,
        as_inputs(problem),
        as_maps(attribution),
        model=lambda rows: Closed(problem, softmax=softmax),
        classes=probe.targets,
        seeds=seeds,
        alone=True,
    )
    return numbers([np.mean([*one.values()]) if isinstance(one, dict) else one for one in found])


def _no_signals(problem: Problem, name: str) -> None:
    if len(problem.shape) != 2:
        raise NotApplicable(f"Quantus's {name} needs images; this task has signals")


def _no_colours(problem: Problem, name: str) -> None:
    if batched() and problem.inputs.shape[1] > 1:
        raise NotApplicable(f"Quantus's {name} needs inputs with one channel; this task has several")
