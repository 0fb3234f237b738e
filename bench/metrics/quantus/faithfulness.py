"""Quantus's faithfulness group: does the model's answer depend on the features that an attribution puts first?"""

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
from bench.metrics.quantus.adapter import among_neighbours, as_inputs, as_maps, ask, batched, judge, numbers, step_of
from bench.metrics.quantus.models import Closed, Presence, Shades
from bench.perturbation.masking import ranks
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

higher = functools.partial(metric, family="faithfulness", higher_is_better=True)
lower = functools.partial(metric, family="faithfulness", higher_is_better=False)
ABSENT = {"perturb_baseline": 0.0}  # of a presence map


@higher(cite="bhatt2020faithfulness", label="faithfulness correlation (Quantus)", limits=(-1, 1))
def quantus_faithfulness_correlation(
    probe: Probe, attribution: Tensor, rng: SampleRng, *, subsets: int = 32, share: float = 0.2
) -> Tensor:
    """Pearson correlation, over random subsets of features, of attribution removed and p lost. (N,)"""
    size = max(1, int(share * probe.features))
    scorer = judge("FaithfulnessCorrelation", nr_runs=subsets, subset_size=size, **ABSENT)
    return _on_presence(scorer, probe, attribution, seeds=rng.seeds)


@higher(cite="alvarezmelis2018robust", label="faithfulness estimate (Quantus)", limits=(-1, 1), cost="slow")
def quantus_faithfulness_estimate(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """Pearson correlation, over about so many groups of features, of the attribution of a group and the p lost without it. (N,)

    Quantus groups features of like attribution.
    """
    scorer = judge("FaithfulnessEstimate", features_in_step=step_of(probe.features, steps), **ABSENT)
    return _on_presence(scorer, probe, attribution)


@higher(cite="nguyen2020quantitative", label="monotonicity correlation (Quantus)", limits=(-1, 1), cost="slow")
def quantus_monotonicity_correlation(
    probe: Probe, attribution: Tensor, rng: SampleRng, *, steps: int = 20, draws: int = 4
) -> Tensor:
    """Spearman correlation, over groups of features, of |attribution| and the mean squared change of p when redrawn. (N,)

    A group is redrawn by fading it by a random share towards the baseline, one share for all of it (Quantus's "uniform").
    """
    settings = {"features_in_step": step_of(probe.features, steps), "nr_samples": draws, "perturb_baseline": "uniform"}
    scorer = judge("MonotonicityCorrelation", abs=True, **settings)
    maps = as_maps(attribution)
    model = functools.partial(Shades, probe)
    return numbers(ask(scorer, np.ones_like(maps), maps, model=model, seeds=rng.seeds))


@higher(cite="ancona2018towards", label="sensitivity-n (Quantus)", limits=(-1, 1))
def quantus_sensitivity_n(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """Pearson correlation, over growing sets of the highest features, of attribution and p lost. (N,)

    Quantus pairs the p lost by all features removed so far with the attribution of the last ones alone. Its correlations
    are over the samples of a batch, so no sample has one of its own; here they are over the sets, the first 80 % of them.
    """

    def over_sets(a: Any, b: Any, **_: Any) -> np.ndarray:
        from scipy.stats import pearsonr

        return np.asarray(pearsonr(np.transpose(a), np.transpose(b), axis=1)[0])

    if not batched():
        raise NotApplicable("SensitivityN of Quantus 0.5 has no score of a sample's own")
    scorer = judge("SensitivityN", features_in_step=step_of(probe.features, steps), similarity_func=over_sets, **ABSENT)
    return _on_presence(scorer, probe, attribution, curve=attribution)


@higher(cite="arya2019one", label="monotonicity (Quantus)", limits=(0, 1))
def quantus_monotonicity(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """1 where p never falls while features are put on the baseline, lowest |attribution| first, else 0. (N,)

    What Quantus puts there is the baseline again, so nothing ever changes.
    """
    scorer = judge("Monotonicity", features_in_step=step_of(probe.features, steps), abs=True, **ABSENT)
    return _on_presence(scorer, probe, attribution)


@lower(cite="bach2015lrp", label="pixel flipping AUC (Quantus)", limits=(0, None), version=2)
def quantus_pixel_flipping(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """p while features are removed, highest first; mean of the area between neighbouring steps. (N,)"""
    step = step_of(probe.features, steps)
    scorer = judge("PixelFlipping", features_in_step=step, return_auc_per_sample=True, **ABSENT)
    # Quantus breaks ties arbitrarily: it is given the places in our order, highest first, and they have none.
    places = (probe.features - ranks(attribution)).view_as(attribution)
    return _on_presence(scorer, probe, places, curve=attribution) / (probe.features // step - 1)


@lower(cite="samek2017evaluating", label="region perturbation (Quantus)", limits=(-1, 1), cost="slow")
def quantus_region_perturbation(probe: Probe, attribution: Tensor, *, patches: int = 64) -> Tensor:
    """Mean of p(x) - p while at most so many patches are removed one by one, the highest first. (N,)

    Lower is better, says Quantus; p lost early is what the paper wants to be high.
    """
    size = patch_size(probe.problem.shape, patches)
    scorer = judge("RegionPerturbation", patch_size=size, regions_evaluation=patches, **ABSENT)
    return _mean_over_steps(scorer, probe, attribution)


@lower(cite="montavon2018methods", label="selectivity (Quantus)", limits=(0, 1), cost="slow")
def quantus_selectivity(probe: Probe, attribution: Tensor, *, patches: int = 64) -> Tensor:
    """Mean of p while at most so many patches are removed one by one, the one of highest sum first. (N,)"""
    scorer = judge("Selectivity", patch_size=patch_size(probe.problem.shape, patches), **ABSENT)
    return _mean_over_steps(scorer, probe, attribution)


@higher(cite="rieger2020irof", label="IROF (Quantus)", limits=(None, None), cost="slow")
def quantus_irof(probe: Probe, attribution: Tensor) -> Tensor:
    """Number of segments less the area under p / p(x) while they are removed, the one of highest mean first. (N,)

    Segments are Quantus's own, about 100 SLIC superpixels. Sample by sample: in a batch, those with fewer segments than
    others get steps down to zero.
    """
    problem, name = probe.problem, "IROF"
    _no_signals(problem, name)
    _no_colours(problem, name)
    absent = problem.baseline.unique()
    if len(absent) > 1:
        raise NotApplicable("Quantus's IROF takes one value for what is absent, not one per channel")
    scorer = judge(name, perturb_baseline=float(absent))
    return _on_inputs(scorer, probe, attribution, softmax=True)


@lower(cite="rong2022road", label="ROAD (Quantus)", limits=(0, 1), cost="slow")
def quantus_road(probe: Probe, attribution: Tensor, rng: SampleRng, *, levels: int = 5, noise: float = 0.01) -> Tensor:
    """Share of levels at which the class stays the model's first choice while the top features are imputed. (N,)

    Levels are the middles of equal parts. `noise` on imputed values is in the unit of the input. Sample by sample: Quantus
    averages over the samples of a batch.
    """
    _no_signals(probe.problem, "ROAD")
    _no_colours(probe.problem, "ROAD")
    scorer = judge("ROAD", percentages=[100 * (2 * level + 1) / (2 * levels) for level in range(levels)], noise=noise)
    return _on_inputs(scorer, probe, attribution, seeds=rng.seeds)


@lower(cite="yeh2019infidelity", label="infidelity (Quantus)", limits=(0, None), cost="slow")
def quantus_infidelity(probe: Probe, attribution: Tensor, *, patches: int = 64) -> Tensor:
    """Mean squared difference of attribution removed and p lost, while patches are removed in reading order. (N,)

    At most so many patches. The unit of the attribution has a part in it. Quantus pads what a size of patch does not
    divide, and then fails; the size taken divides both axes. It repeats its patches, and with them its answer, so it is
    asked for one round.
    """
    _no_signals(probe.problem, "Infidelity")
    height, width = probe.problem.shape
    sizes = [size for size in range(1, height + 1) if height % size == width % size == 0]
    few = [size for size in sizes if height * width <= patches * size**2]
    scorer = judge("Infidelity", perturb_patch_sizes=[min(few, default=sizes[-1])], n_perturb_samples=1, **ABSENT)
    return _on_presence(scorer, probe, attribution)


@higher(cite="dasgupta2022framework", label="sufficiency (Quantus)", limits=(0, 1), cost="slow")
def quantus_sufficiency(
    probe: Probe,
    attribution: Tensor,
    explain: Explain,
    *,
    samples: int = 8,
    radius: float = 0.25,
    threshold: float = 0.8,
) -> Tensor:
    """Share of noisy versions of the input of the same prediction, among those with an attribution like the input's. (N,)

    Quantus compares the samples of a batch with each other; a sample is compared with its noisy versions (uniform noise of
    +- `radius` of its range of values) instead, so that the score is its own. Alike: a standardised Euclidean distance of
    at most `threshold` of the largest (at 0.6, as in Quantus, no two are alike where features are many).
    """
    scorer = judge("Sufficiency", threshold=threshold)
    return among_neighbours(scorer, probe, attribution, explain, samples, radius)


def patch_size(shape: Sequence[int], patches: int) -> int:
    """Side of the smallest square patches (windows of a signal) of which so many cover the shape."""
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
    """Scores of a metric that is given presence maps; `curve`: the attribution whose deletion curve it walks along. (N,)"""
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
    """Scores of a metric that is given the inputs themselves, sample by sample; those by level are averaged. (N,)"""
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
        raise NotApplicable(f"Quantus's {name} cannot take signals")


def _no_colours(problem: Problem, name: str) -> None:
    if batched() and problem.inputs.shape[1] > 1:
        raise NotApplicable(f"Quantus's {name} cannot take several channels")
