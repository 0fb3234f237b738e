"""Quantus's localisation group: does an attribution point to where the evidence is known to be?

Undefined if the truth is empty.
"""

from __future__ import annotations

import functools
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import NotApplicable
from bench.metrics.quantus.adapter import as_maps, ask, judge, numbers, own_scale
from bench.metrics.quantus.models import Presence
from bench.perturbation.masking import count
from bench.perturbation.probe import Probe
from bench.registry.decorators import metric

found = functools.partial(metric, family="localisation", higher_is_better=True, needs={"truth"})


@found(cite="zhang2016excitation", label="pointing game (Quantus)", limits=(0, 1))
def quantus_pointing_game(probe: Probe, attribution: Tensor) -> Tensor:
    """1 where the highest attribution, or one of several equally high, lies in the ground truth, else 0. (N,)"""
    return _scored("PointingGame", probe, attribution)


@found(cite="theiner2022geolocation", label="top-k intersection (Quantus)", limits=(0, 1))
def quantus_top_k_intersection(probe: Probe, attribution: Tensor, *, k: float | None = None) -> Tensor:
    """Share of the top `k` of the features, by default the task's top_k, that lies in the ground truth. (N,)"""
    number = count(probe.problem.top_k if k is None else k, probe.features)
    return _scored("TopKIntersection", probe, attribution, k=min(max(1, number), probe.features - 1))


@found(cite="arras2022clevrxai", label="relevance mass accuracy (Quantus)")
def quantus_relevance_mass_accuracy(probe: Probe, attribution: Tensor) -> Tensor:
    """Signed attribution in the ground truth over the signed attribution of all features. (N,)

    The latter may be close to 0, so the score has no limits.
    """
    return _scored("RelevanceMassAccuracy", probe, attribution)


@found(cite="arras2022clevrxai", label="relevance rank accuracy (Quantus)", limits=(0, 1))
def quantus_relevance_rank_accuracy(probe: Probe, attribution: Tensor) -> Tensor:
    """Share of the |T| features of highest attribution that lies in the ground truth T. (N,)"""
    return _scored("RelevanceRankAccuracy", probe, attribution)


@found(cite="kohlbrenner2020towards", label="attribution localisation (Quantus)", limits=(0, 1))
def quantus_attribution_localisation(probe: Probe, attribution: Tensor) -> Tensor:
    """Absolute attribution in the ground truth over the absolute attribution of all features. (N,)"""
    return _scored("AttributionLocalisation", probe, attribution, abs=True)


@found(cite="fawcett2006roc", label="localisation AUC (Quantus)", limits=(0, 1))
def quantus_auc(probe: Probe, attribution: Tensor) -> Tensor:
    """Area under the ROC curve of the attribution as a classifier of features inside the ground truth. (N,)"""
    from quantus.metrics.localisation import auc as module

    with patch.object(module, "roc_curve", roc_curve), patch.object(module, "auc", trapezoid):
        return _scored("AUC", probe, attribution)


def roc_curve(y_true: np.ndarray, y_score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """scikit-learn's `roc_curve` of (F,) bool and (F,) numbers, without its checks, which take ten times as long.

    Returns false positive rates, true positive rates and thresholds; points inside a straight line are left out.
    """
    order = np.argsort(-y_score, kind="stable")
    score, hit = y_score[order], y_true[order]
    ends = np.append(np.flatnonzero(score[1:] != score[:-1]), len(score) - 1)  # of runs of equal scores
    hits = np.cumsum(hit)[ends]
    misses = 1 + ends - hits
    if len(ends) > 2:
        corners = np.r_[True, (np.diff(misses, 2) != 0) | (np.diff(hits, 2) != 0), True]
        hits, misses, ends = hits[corners], misses[corners], ends[corners]
    with np.errstate(invalid="ignore"):  # no feature inside, or none outside
        fpr, tpr = (np.append(0, n) / n[-1] for n in (misses, hits))
    return fpr, tpr, np.append(np.inf, score[ends])


def trapezoid(x: np.ndarray, y: np.ndarray) -> float:
    """scikit-learn's `auc` of a curve that never turns back, without its checks."""
    return float(((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum())


@found(cite="arias2022focus", label="Focus (Quantus)", limits=(0, 1))
def quantus_focus(probe: Probe, attribution: Tensor) -> Tensor:
    """Share of the positive attribution that lies in the quadrants of the explained class. (N,)

    For 2x2 mosaics, whose truth consists of quadrants. Undefined for other samples.
    """
    quadrants = mosaic(_truth(probe))
    if quadrants is None:
        raise NotApplicable(
            "Quantus's Focus needs 2x2 mosaics; the truth of this task does not consist of whole quadrants"
        )
    maps = as_maps(attribution)
    scorer = judge("Focus", normalise=True, normalise_func=own_scale)
    model = functools.partial(Presence, probe)  # required, but never called
    scores = numbers(ask(scorer, np.ones_like(maps), maps, model=model, custom_batch=np.nan_to_num(quadrants)))
    return scores.masked_fill(torch.from_numpy(np.isnan(quadrants).any(1)), torch.nan)


def mosaic(truth: Tensor) -> np.ndarray | None:
    """Which quadrants (upper left, upper right, lower left, lower right) are true: (N, H, W) -> (N, 4) of 0 and 1.

    NaN for a sample whose truth is not made of whole quadrants; None where that holds for all.
    """
    if truth.dim() != 3 or min(truth.shape[1:]) < 2:
        return None
    height, width = truth.shape[1] // 2, truth.shape[2] // 2
    parts = [half for rows in truth.tensor_split([height], 1) for half in rows.tensor_split([width], 2)]
    every = torch.stack([part.flatten(1).all(1) for part in parts], dim=1)
    some = torch.stack([part.flatten(1).any(1) for part in parts], dim=1)
    whole = (every == some).all(1) & some.any(1)
    if not whole.any():
        return None
    return every.double().masked_fill(~whole[:, None], torch.nan).cpu().numpy()


def _truth(probe: Probe) -> Tensor:
    truth = probe.problem.truth
    assert truth is not None
    return truth


def _scored(name: str, probe: Probe, attribution: Tensor, **settings: Any) -> Tensor:
    maps, truth = as_maps(attribution), _truth(probe)
    scorer = judge(name, normalise=True, normalise_func=own_scale, **settings)
    masks = truth.cpu().numpy()[:, None].astype(int)
    scores = numbers(ask(scorer, np.ones_like(maps), maps, s_batch=masks))
    return scores.masked_fill(~truth.flatten(1).any(1).cpu(), torch.nan)
