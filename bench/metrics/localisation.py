"""Does an attribution point to where the evidence is known to be?

The truth is a mask T of the places that hold the evidence. Only the order of an attribution counts in most of these
metrics, so negative values are merely low ones; each says so, or says otherwise. Where T is empty or covers everything
there is nothing to find, and the score is undefined.

Chance is what an attribution scores on average that does not know where T is, such as the random control. It is T's share
of the features in all of these metrics but `localisation_auc`, where it is 1/2 whatever the size of T. So scores of the
others compare methods on the same samples, and do not compare tasks. T itself, as an attribution, scores best in each.
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
    """1 where the highest attribution lies in the truth, else 0; of several that are equally high, their share inside. (N,)

    Negative values are low ones. Chance: T's share of the features. The paper's margin of 15 pixels, made for bounding
    boxes, is not granted.
    """
    maps, truth = _flat(probe, attribution)
    return _defined(_hits(maps, truth, torch.ones_like(truth[:, 0], dtype=torch.int64)), truth)


@localisation(cite="wang2020scorecam", label="energy-based pointing game")
def energy_pointing_game(probe: Probe, attribution: Tensor) -> Tensor:
    """Share of the positive attribution that lies in the truth. (N,)

    Negative values count as 0, as after the ReLU of the paper's maps; a map without a positive value has nothing inside and
    scores 0. Chance: T's share of the features.
    """
    maps, truth = _flat(probe, attribution)
    positive = maps.double().clamp_min(0)
    total = positive.sum(1)
    return _defined(torch.where(total > 0, (positive * truth).sum(1) / total, 0), truth)


@localisation(cite="arras2022clevrxai", label="relevance mass accuracy")
def relevance_mass_accuracy(probe: Probe, attribution: Tensor) -> Tensor:
    """Relevance in the truth over all relevance. (N,)

    The paper pools channels to values of at least 0 first; of an attribution whose channels are summed up, that leaves the
    positive part ("sum,pos"). This is the energy-based pointing game under its other name. Chance: T's share of the features.
    """
    return energy_pointing_game(probe, attribution)


@localisation(cite="arras2022clevrxai", label="relevance rank accuracy")
def relevance_rank_accuracy(probe: Probe, attribution: Tensor) -> Tensor:
    """Share of the truth that is among the |T| highest features. (N,)

    Negative values are low ones; ties at the edge count by their share inside. Chance: T's share of the features.
    """
    maps, truth = _flat(probe, attribution)
    size = truth.sum(1)
    return _defined(_hits(maps, truth, size) / size, truth)


@localisation(cite="theiner2022geolocation", label="top-k intersection")
def top_k_intersection(probe: Probe, attribution: Tensor, *, k: float = 0.1) -> Tensor:
    """Share of the top k of the features, of one at least, that lies in the truth. (N,)

    Negative values are low ones; ties at the edge count by their share inside. Chance: T's share of the features. Where k
    is more than that share, even T itself scores only the one over the other. The paper's k is 1000 pixels.
    """
    maps, truth = _flat(probe, attribution)
    size = max(1, count(k, maps.shape[1]))
    return _defined(_hits(maps, truth, torch.full_like(truth[:, 0], size, dtype=torch.int64)) / size, truth)


@localisation(cite="fawcett2006roc", label="localisation AUC")
def localisation_auc(probe: Probe, attribution: Tensor) -> Tensor:
    """Chance that a feature in the truth has a higher attribution than one outside, ties at half: the ROC's area. (N,)

    Negative values are low ones. Chance: 1/2, whatever the size of T.
    """
    maps, truth = _flat(probe, attribution)
    ordered = maps.sort(1).values
    lower, upto = (torch.searchsorted(ordered, maps, right=right) for right in (False, True))
    inside, outside = truth.sum(1), (~truth).sum(1)
    # Twice the ranks, with ties at their mean, of what is inside, less what they would be if nothing was below.
    wins = ((lower + upto + 1) * truth).sum(1) - inside * (inside + 1)
    return _defined(wins / (2 * inside * outside).double(), truth)


@localisation(cite="fawcett2006roc", label="localisation average precision")
def localisation_average_precision(probe: Probe, attribution: Tensor) -> Tensor:
    """Mean, over the features in the truth, of the share inside among all that are as high or higher. (N,)

    Negative values are low ones. Chance: about T's share of the features. For small T it tells more than the AUC, which
    hardly notices a few features of high attribution that lie outside.
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
    """How many of the so many highest features lie in the truth: (N, F), (N, F), (N,) -> (N,) float64.

    Ties at the edge of what still belongs to the highest count by their share inside: that is what any order of them gives
    on average, and no order decides.
    """
    edge = maps.sort(1, descending=True).values.gather(1, size[:, None].clamp_min(1) - 1)
    above, tied = maps > edge, maps == edge
    left = size - above.sum(1)
    return (above & truth).sum(1) + left * (tied & truth).sum(1).double() / tied.sum(1)


def _defined(scores: Tensor, truth: Tensor) -> Tensor:
    """NaN where the truth is empty or everything: (N,), (N, F) -> (N,)."""
    return torch.where(truth.any(1) & ~truth.all(1), scores, torch.nan)
