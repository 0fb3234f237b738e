"""Does an attribution point to where the evidence is known to be?

The ground truth is a mask T of the features that hold the evidence. Most of these metrics use only the order of the
attributions, so negative values simply rank low; each docstring says which. If T is empty or covers everything, the score is
undefined.

Chance level: the mean score of attributions that are independent of T, such as the random control. It is T's share of the
features in all of these metrics except `localisation_auc`, where it is 1/2 for any T. So the scores of the others compare
methods on the same samples, but not tasks. T itself, used as an attribution, gets the best score in each.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from bench.perturbation.masking import count
from bench.perturbation.probe import Probe
from bench.registry.decorators import metric

localisation = functools.partial(metric, family="localisation", higher_is_better=True, limits=(0, 1), needs={"truth"})


@localisation(cite="zhang2016excitation", label="pointing game (hits)")
def pointing_game(probe: Probe, attribution: Tensor) -> Tensor:
    """1 where the highest attribution lies in the ground truth, else 0; ties count by their share inside. (N,)

    Negative values rank low. Chance: T's share of the features. The paper's margin of 15 pixels, made for bounding boxes, is
    not used.
    """
    maps, truth = _flat(probe, attribution)
    return _defined(_hits(maps, truth, torch.ones_like(truth[:, 0], dtype=torch.int64)), truth)


@localisation(cite="wang2020scorecam", label="energy-based pointing game")
def energy_pointing_game(probe: Probe, attribution: Tensor) -> Tensor:
    """Share of the positive attribution that lies in the ground truth. (N,)

    Negative values count as 0, as after the ReLU of the paper's maps. A map without positive values scores 0. Chance: T's
    share of the features.
    """
    maps, truth = _flat(probe, attribution)
    positive = maps.double().clamp_min(0)
    total = positive.sum(1)
    return _defined(torch.where(total > 0, (positive * truth).sum(1) / total, 0), truth)


@localisation(cite="arras2022clevrxai", label="relevance mass accuracy")
def relevance_mass_accuracy(probe: Probe, attribution: Tensor) -> Tensor:
    """Positive attribution in the ground truth over the positive attribution of all features. (N,)

    The paper first pools channels to values of at least 0; for an attribution summed over channels that leaves the positive
    part ("sum,pos"). This is the energy-based pointing game under another name. Chance: T's share of the features.
    """
    return energy_pointing_game(probe, attribution)


@localisation(cite="arras2022clevrxai", label="relevance rank accuracy")
def relevance_rank_accuracy(probe: Probe, attribution: Tensor) -> Tensor:
    """Share of the ground truth T that is among the |T| features of highest attribution. (N,)

    Negative values rank low; ties at the limit count by their share inside. Chance: T's share of the features.
    """
    maps, truth = _flat(probe, attribution)
    size = truth.sum(1)
    return _defined(_hits(maps, truth, size) / size, truth)


@localisation(cite="theiner2022geolocation", label="top-k intersection")
def top_k_intersection(probe: Probe, attribution: Tensor, *, k: float = 0.1) -> Tensor:
    """Share of the top k features, at least one, that lies in the ground truth. (N,)

    Negative values rank low; ties at the limit count by their share inside. Chance: T's share of the features. Where k is
    larger than that share, even T itself scores only the ratio of the two. The paper's k is 1000 pixels.
    """
    maps, truth = _flat(probe, attribution)
    size = max(1, count(k, maps.shape[1]))
    return _defined(_hits(maps, truth, torch.full_like(truth[:, 0], size, dtype=torch.int64)) / size, truth)


@localisation(cite="fawcett2006roc", label="localisation AUC")
def localisation_auc(probe: Probe, attribution: Tensor) -> Tensor:
    """Area under the ROC curve of the attribution as a classifier of features inside the ground truth. (N,)

    Negative values rank low; ties count half. Chance: 1/2 for any T.
    """
    maps, truth = _flat(probe, attribution)
    ordered = maps.sort(1).values
    lower, upto = (torch.searchsorted(ordered, maps, right=right) for right in (False, True))
    inside, outside = truth.sum(1), (~truth).sum(1)
    # Twice the ranks of the features inside (mean ranks for ties), less their lowest possible sum.
    wins = ((lower + upto + 1) * truth).sum(1) - inside * (inside + 1)
    return _defined(wins / (2 * inside * outside).double(), truth)


@localisation(cite="fawcett2006roc", label="localisation average precision")
def localisation_average_precision(probe: Probe, attribution: Tensor) -> Tensor:
    """Mean, over the features in the ground truth, of the precision among all that are as high or higher. (N,)

    Negative values rank low. Chance: about T's share of the features. For small T it is more informative than the AUC, which
    hardly changes when a few features outside have high attributions.
    """
    maps, truth = _flat(probe, attribution)
    ordered, order = maps.sort(1)
    lower = torch.searchsorted(ordered, maps)
    inside_upto = torch.nn.functional.pad(truth.gather(1, order).cumsum(1), (1, 0))
    inside = truth.sum(1, keepdim=True)
    precision = (inside - inside_upto.gather(1, lower)).double() / (maps.shape[1] - lower)
    return _defined((precision * truth).sum(1) / inside[:, 0], truth)


def _flat(probe: Probe, attribution: Tensor) -> tuple[Tensor, Tensor]:
    """Attribution and truth by feature: (N, F), (N, F) bool."""
    assert probe.problem.truth is not None
    return attribution.flatten(1).contiguous(), probe.problem.truth.flatten(1).bool()


def _hits(maps: Tensor, truth: Tensor, size: Tensor) -> Tensor:
    """How many of the `size` highest features lie in the truth: (N, F), (N, F), (N,) -> (N,) float64.

    Ties at the limit count by their share inside, which is the mean over all ways to break them.
    """
    edge = maps.sort(1, descending=True).values.gather(1, size[:, None].clamp_min(1) - 1)
    above, tied = maps > edge, maps == edge
    left = size - above.sum(1)
    return (above & truth).sum(1) + left * (tied & truth).sum(1).double() / tied.sum(1)


def _defined(scores: Tensor, truth: Tensor) -> Tensor:
    """NaN where the truth is empty or everything: (N,), (N, F) -> (N,)."""
    return torch.where(truth.any(1) & ~truth.all(1), scores, torch.nan)
