"""Metrics of the Quantus library [hedstrom2023quantus], called so that its known faults cannot reach a leaderboard.

- Faithfulness metrics are given a presence map instead of the input: ones of shape (N, 1, *S), behind which the model
  sees the input where the map is 1 and the task's baseline where it is 0. So a feature is a pixel with all its channels
  (Quantus flips single channel values on RGB), and absent means the task's baseline (Quantus's "black" is the minimum of
  the sample).
- Draws are seeded per sample (Quantus has no seed), so a score does not depend on the batch or on what ran before, and
  all methods meet the same draws.
- Nothing is normalised or made absolute unless the metric's definition says so (Quantus's defaults differ from metric to
  metric).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from bench.masking import ranks
from bench.probe import Probe
from bench.registry import Explain, metric
from bench.seeding import SampleRng

PLAIN = {"normalise": False, "abs": False, "disable_warnings": True, "return_aggregate": False}


class Presence(nn.Module):
    """Presence maps (N, 1, *S) -> p of each sample's explained class (N, 1); row i is about sample i.

    Maps that lack the highest features of `attribution`, if given, are points of its deletion curve: the probe knows them.
    """

    def __init__(self, probe: Probe, attribution: Tensor | None = None) -> None:
        super().__init__()
        self.probe, self.attribution = probe, attribution
        self.rows = torch.arange(len(probe.problem))
        self.places = None if attribution is None else ranks(attribution).view_as(attribution)

    def forward(self, presence: Tensor) -> Tensor:
        problem = self.probe.problem
        present = presence[:, 0].to(problem.inputs.device) > 0.5
        if self.attribution is not None and self.places is not None:
            absent = (~present).flatten(1).sum(1)
            if torch.equal(present, self.places >= absent.view(-1, *(1,) * len(problem.shape))):
                return self.probe.removed(self.attribution, absent[:, None].cpu())
        return self.probe.masked(present, self.rows)[:, None]


@metric(
    family="faithfulness",
    higher_is_better=True,
    cite="bhatt2020faithfulness",
    label="faithfulness correlation (Quantus)",
    limits=(-1, 1),
)
def quantus_faithfulness_correlation(
    probe: Probe, attribution: Tensor, rng: SampleRng, *, subsets: int = 32, share: float = 0.2
) -> Tensor:
    """Pearson correlation, over random subsets of features, of attribution removed and p lost. (N,)"""
    import quantus

    size = max(1, int(share * probe.features))
    judge = quantus.FaithfulnessCorrelation(nr_runs=subsets, subset_size=size, perturb_baseline=0.0, **PLAIN)
    with _choices_per_sample(rng.seeds):
        scores = _on_presence(judge, Presence(probe), attribution)
    return torch.tensor(scores, dtype=torch.float64)


@metric(
    family="faithfulness",
    higher_is_better=False,
    cite="bach2015lrp",
    label="pixel flipping AUC (Quantus)",
    limits=(0, None),
    version=2,
)
def quantus_pixel_flipping(probe: Probe, attribution: Tensor, *, steps: int = 20) -> Tensor:
    """p while features are removed, highest first; mean of the area between neighbouring steps. (N,)"""
    import quantus

    # Quantus takes steps of equal size only: the nearest number of steps that divides the features.
    number = min((n for n in range(2, probe.features + 1) if probe.features % n == 0), key=lambda n: abs(n - steps))
    step = probe.features // number
    judge = quantus.PixelFlipping(features_in_step=step, perturb_baseline=0.0, return_auc_per_sample=True, **PLAIN)
    # Quantus breaks ties arbitrarily: it is given the places in our order, highest first, and they have none.
    places = (probe.features - ranks(attribution)).view_as(attribution)
    areas = _on_presence(judge, Presence(probe, attribution), places)
    return torch.tensor(areas, dtype=torch.float64) / (number - 1)


@metric(
    family="robustness",
    higher_is_better=False,
    cite="yeh2019infidelity",
    label="max-sensitivity (Quantus)",
    limits=(0, None),
    cost="slow",
)
def quantus_max_sensitivity(
    probe: Probe, attribution: Tensor, rng: SampleRng, explain: Explain, *, samples: int = 3, radius: float = 0.05
) -> Tensor:
    """Largest relative change of the attribution under uniform noise on the input. (N,)

    `radius`: of the noise, as a share of the sample's range of values. The largest of few draws is a lower bound.
    """
    import quantus

    problem = probe.problem
    axes = tuple(range(1, problem.inputs.dim()))
    spread = radius * (problem.inputs.amax(axes, keepdim=True) - problem.inputs.amin(axes, keepdim=True))
    draws = iter(range(1, samples + 1))

    def perturb(arr: np.ndarray, **_: Any) -> np.ndarray:
        noise = spread * (2 * rng.uniform(problem.inputs.shape[1:]) - 1)
        return arr + noise.flatten(1).cpu().numpy()

    def explain_func(inputs: np.ndarray, **_: Any) -> np.ndarray:
        return _expanded(explain(torch.from_numpy(inputs), next(draws)))

    judge = quantus.MaxSensitivity(nr_samples=samples, perturb_func=perturb, **PLAIN)
    x = problem.inputs.cpu().contiguous().numpy()
    y = np.zeros(len(x), dtype=int)
    with _quiet():
        scores = judge(
            model=problem.model,
            x_batch=x,
            y_batch=y,
            a_batch=_expanded(attribution),
            explain_func=explain_func,
            channel_first=True,
            batch_size=len(x),
        )
    return torch.tensor(np.asarray(scores), dtype=torch.float64)


@metric(
    family="complexity",
    higher_is_better=True,
    cite="chalasani2020sparseness",
    label="sparseness (Quantus)",
    limits=(0, 1),
)
def quantus_sparseness(attribution: Tensor) -> Tensor:
    """Gini index of the absolute attributions. (N,)"""
    import quantus

    return _of_map(quantus.Sparseness(**PLAIN | {"abs": True}), attribution)


@metric(
    family="complexity",
    higher_is_better=False,
    cite="bhatt2020faithfulness",
    label="complexity (Quantus)",
    limits=(0, None),
)
def quantus_complexity(attribution: Tensor) -> Tensor:
    """Entropy (nats) of the absolute attributions' shares. (N,)"""
    import quantus

    return _of_map(quantus.Complexity(**PLAIN | {"abs": True}), attribution)


def _choices_per_sample(seeds: Sequence[int]) -> AbstractContextManager[object]:
    """Lets `np.random.choice` draw for each sample from a stream of its own.

    Quantus draws for one sample of a batch after the other, from NumPy's global stream: the n-th call is about sample n.
    """
    streams = itertools.cycle([np.random.RandomState(seed % 2**32) for seed in seeds])
    return patch.object(np.random, "choice", lambda *args, **kwargs: next(streams).choice(*args, **kwargs))


def _on_presence(judge: Any, model: Presence, attribution: Tensor) -> list[float]:
    """Runs a Quantus metric on presence maps, in one batch."""
    maps = _expanded(attribution)
    with _quiet():
        return list(
            judge(
                model=model.eval(),
                x_batch=np.ones_like(maps),
                y_batch=np.zeros(len(maps), dtype=int),
                a_batch=maps,
                channel_first=True,
                softmax=False,
                batch_size=len(maps),
            )
        )


def _of_map(judge: Any, attribution: Tensor) -> Tensor:
    """Runs a Quantus metric that looks at the map alone."""
    maps = _expanded(attribution)
    with _quiet():
        scores = judge(
            model=None,
            x_batch=np.ones_like(maps),
            y_batch=np.zeros(len(maps), dtype=int),
            a_batch=maps,
            channel_first=True,
            batch_size=len(maps),
        )
    return torch.tensor(np.asarray(scores), dtype=torch.float64)


def _expanded(attribution: Tensor) -> np.ndarray:
    """(N, *S) -> NumPy (N, 1, *S), contiguous float32."""
    return np.ascontiguousarray(attribution.float().cpu().numpy())[:, None]


@contextmanager
def _quiet() -> Iterator[None]:
    """Quantus without its warnings, and without its checks of the maps, which the harness has checked already.

    Its warning compares inputs at each step; its check turns maps into Python lists and refuses those that are all negative.
    """
    from quantus.helpers import asserts, warn

    unchanged = patch.object(warn, "warn_perturbation_caused_no_change", lambda **_: None)
    attributions = patch.object(asserts, "assert_attributions", lambda *_, **__: None)
    with warnings.catch_warnings(), unchanged, attributions:
        warnings.simplefilter("ignore")
        yield
