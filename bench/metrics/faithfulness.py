"""Does the model's answer depend on the features with the highest attributions?

p is the probability of the explained class, or the value itself where the model's output is one (`core.outputs`). A removed
feature takes the task's baseline. `features` names the units that are removed together: `pixel`, `patch64` (a grid of at most
64 equal cells) or `segment20` (about 20 superpixels).

With F features, d_k is p without the k highest (deletion, "most relevant first"), i_k is p with only the k highest
(insertion; read backwards it is "least relevant first"). d_0 = i_F = p(x).
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from bench.core.vocabulary import PROBABILITIES
from bench.metrics.correlation import pearson, ranked
from bench.perturbation.probe import Probe
from bench.registry.decorators import metric

ERASER_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
VIEWS = ("baseline", "output")  # read through the probe, whatever it replaces features with and reads of the model
ALL = (*VIEWS, "features")
lower = functools.partial(metric, family="faithfulness", higher_is_better=False, views=VIEWS)
higher = functools.partial(metric, family="faithfulness", higher_is_better=True, views=VIEWS)


@lower(
    cite="chattopadhay2018gradcampp",
    label="drop (%)",
    limits=(0, 100),
    views=(*VIEWS, "features"),
    outputs=PROBABILITIES,
)
def drop(probe: Probe, attribution: Tensor, *, k: float | None = None) -> Tensor:
    """Percentage of the class's probability p that is lost when only the top k features are kept; 0 where p rises. (N,)"""
    return _percent((probe.full - _kept(probe, attribution, k)).clamp_min(0), probe.full)


@higher(
    cite="chattopadhay2018gradcampp",
    label="increase (%)",
    limits=(0, 100),
    views=(*VIEWS, "features"),
    outputs=PROBABILITIES,
)
def increase(probe: Probe, attribution: Tensor, *, k: float | None = None) -> Tensor:
    """100 where the class's probability p rises when only the top k features are kept, else 0. (N,)

    The mean over samples is a percentage of samples. A rise within the rounding of float32 (1e-6) may differ between machines.
    """
    return 100 * (_kept(probe, attribution, k) > probe.full).double()


@higher(
    cite="samek2017evaluating",
    label="top-k deletion (%)",
    limits=(None, 100),
    views=(*VIEWS, "features"),
    outputs=PROBABILITIES,
)
def topk_deletion(probe: Probe, attribution: Tensor, *, k: float | None = None) -> Tensor:
    """Percentage of the class's probability p that is lost when the top k features are removed. (N,)

    Negative where p rises.
    """
    counts = probe.counts([probe.problem.top_k if k is None else k])
    return _percent(probe.full - probe.p_without_top(attribution, counts)[:, 0], probe.full)


@lower(cite="petsiuk2018rise", label="deletion AUC", limits=(0, 1), version=2)
def deletion(probe: Probe, attribution: Tensor, *, steps: int = 20, features: str = "pixel") -> Tensor:
    """The class's probability p while features are removed, highest attribution first. (N, steps + 1)

    The score is the area under this curve.
    """
    return probe.deletion(attribution, steps, features=features)


@higher(cite="petsiuk2018rise", label="insertion AUC", limits=(0, 1), version=2)
def insertion(probe: Probe, attribution: Tensor, *, steps: int = 20, features: str = "pixel") -> Tensor:
    """The class's probability p while features are added to the baseline, highest attribution first. (N, steps + 1)

    The score is the area under this curve.
    """
    return probe.insertion(attribution, steps, features=features)


@lower(cite="bach2015lrp", label="pixel flipping AUC", limits=(0, 1))
def pixel_flipping(probe: Probe, attribution: Tensor, *, steps: int = 20, features: str = "pixel") -> Tensor:
    """Area under p while features are removed, highest attribution first, without the point of the full input. (N,)"""
    return _mean_height(probe.deletion(attribution, steps, features=features)[:, 1:])


@higher(cite="samek2017evaluating", label="AOPC, most relevant first", limits=(-1, 1))
def aopc_morf(probe: Probe, attribution: Tensor, *, steps: int = 20, features: str = "pixel") -> Tensor:
    """Mean loss of p while features are removed, highest attribution first: most relevant first. (N,)"""
    return probe.full - probe.deletion(attribution, steps, features=features).mean(1)


@lower(cite="samek2017evaluating", label="AOPC, least relevant first", limits=(-1, 1))
def aopc_lerf(probe: Probe, attribution: Tensor, *, steps: int = 20, features: str = "pixel") -> Tensor:
    """Mean loss of p while features are removed, lowest attribution first: least relevant first. (N,)

    The curve is the insertion curve, read backwards.
    """
    return probe.full - probe.insertion(attribution, steps, features=features).mean(1)


@higher(cite="schulz2020iba", label="area between perturbation curves", limits=(-1, 1))
def abpc(probe: Probe, attribution: Tensor, *, steps: int = 20, features: str = "pixel") -> Tensor:
    """Mean gap between p with the lowest and p with the highest attributions removed first. (N,)

    Equals AOPC (MoRF) - AOPC (LeRF).
    """
    gone = probe.deletion(attribution, steps, features=features).mean(1)
    return probe.insertion(attribution, steps, features=features).mean(1) - gone


@higher(cite="deyoung2020eraser", label="comprehensiveness", limits=(-1, 1))
def comprehensiveness(probe: Probe, attribution: Tensor, *, features: str = "pixel") -> Tensor:
    """Mean loss of p when the top 0, 1, 5, 10, 20 and 50 % of the features are removed. (N,)

    High if everything that matters is among the top features.
    """
    counts = probe.counts(ERASER_SHARES, features=features)
    return _mean_with_zero(probe.full[:, None] - probe.p_without_top(attribution, counts, features=features))


@lower(cite="deyoung2020eraser", label="sufficiency", limits=(-1, 1))
def sufficiency(probe: Probe, attribution: Tensor, *, features: str = "pixel") -> Tensor:
    """Mean loss of p when only the top 1, 5, 10, 20, 50 and 100 % of the features are kept. (N,)

    Low if the top features are enough.
    """
    counts = probe.counts(ERASER_SHARES, features=features)
    return _mean_with_zero(probe.full[:, None] - probe.p_with_top(attribution, counts, features=features))


@higher(cite="samek2017evaluating", label="region perturbation (AOPC)", limits=(-1, 1), cost="medium")
def region_perturbation(probe: Probe, attribution: Tensor, *, steps: int = 10, features: str = "patch64") -> Tensor:
    """Mean loss of p while patches are removed, highest attribution first. (N,)"""
    return aopc_morf(probe, attribution, steps=steps, features=features)


@lower(cite="montavon2018methods", label="selectivity AUC", limits=(0, 1), cost="medium")
def selectivity(probe: Probe, attribution: Tensor, *, steps: int = 10, features: str = "patch64") -> Tensor:
    """The class's probability p while patches are removed, highest attribution first. (N, steps + 1)

    The score is the area under this curve.
    """
    return probe.deletion(attribution, steps, features=features)


@higher(
    cite="rieger2020irof", label="IROF (area over the curve)", limits=(None, 1), cost="medium", outputs=PROBABILITIES
)
def irof(probe: Probe, attribution: Tensor, *, features: str = "segment20") -> Tensor:
    """Area above p / p(x) while segments are removed one by one, highest mean attribution first. (N,)"""
    cells = probe.partition(features)
    counts = torch.arange(cells.most + 1).expand(len(attribution), -1)
    lost = 1 - probe.p_without_top(attribution, counts, features=features) / probe.full[:, None]
    widths = (torch.arange(cells.most, device=lost.device) < cells.counts[:, None]) / cells.counts[:, None]
    return ((lost[:, 1:] + lost[:, :-1]) / 2 * widths).sum(1)


@lower(cite="rong2022road", label="ROAD (accuracy)", limits=(0, 1), views=(), outputs=PROBABILITIES)
def road(probe: Probe, attribution: Tensor, *, levels: int = 5, noise: float = 0.01) -> Tensor:
    """Share of levels at which the explained class stays the model's first choice when the top features are imputed. (N,)

    Levels are the middles of equal parts: 10, 30, 50, 70 and 90 % of the features.
    """
    shares = [(2 * level + 1) / (2 * levels) for level in range(levels)]
    return probe.top1_after_imputation(attribution, probe.counts(shares), noise).mean(1)


@higher(cite="bhatt2020faithfulness", label="faithfulness correlation", limits=(-1, 1))
def faithfulness_correlation(
    probe: Probe, attribution: Tensor, *, subsets: int = 32, share: float = 0.2, features: str = "patch64"
) -> Tensor:
    """Pearson correlation, over random subsets of the features, of their attribution and the loss of p without them. (N,)"""
    return pearson(*_removed_and_lost(probe, attribution, features, share, subsets))


@higher(cite="ancona2018towards", label="sensitivity-n", limits=(-1, 1))
def sensitivity_n(
    probe: Probe, attribution: Tensor, *, subsets: int = 32, sizes: int = 4, features: str = "patch64"
) -> Tensor:
    """Faithfulness correlation averaged over several subset sizes n. (N,)

    `sizes`: 4 stands for 1/5, 2/5, 3/5 and 4/5 of the features. Sizes at which p never changes are left out.
    """
    found = [pearson(*removed) for removed in _all_sizes(probe, attribution, features, sizes, subsets)]
    return torch.stack(found).nanmean(0)


@lower(cite="yeh2019infidelity", label="infidelity", limits=(0, None))
def infidelity(
    probe: Probe, attribution: Tensor, *, subsets: int = 32, sizes: int = 4, features: str = "patch64"
) -> Tensor:
    """Mean squared difference between the attribution of random subsets, best scaled, and the loss of p. (N,)

    The subsets are those of sensitivity-n. The scale is the best one of at least 0 (Yeh et al., section 3): without it the
    unit of the attribution would decide, and with a negative one an attribution would be as good as its opposite.
    """
    parts = _all_sizes(probe, attribution, features, sizes, subsets)
    removed, lost = (torch.cat(values, dim=1) for values in zip(*parts, strict=True))
    scale = (removed * lost).sum(1) / removed.square().sum(1)
    return (scale.clamp_min(0)[:, None] * removed - lost).square().mean(1)


@higher(cite="alvarezmelis2018robust", label="faithfulness estimate", limits=(-1, 1))
def faithfulness_estimate(probe: Probe, attribution: Tensor, *, features: str = "patch64") -> Tensor:
    """Pearson correlation, over single features, of the attribution and the loss of p without the feature. (N,)"""
    cells = probe.partition(features)
    lost = probe.full[:, None] - probe.leave_one_out(features)
    return pearson(cells.sums(attribution.double()), lost)


@higher(cite="nguyen2020quantitative", label="monotonicity correlation", limits=(-1, 1), views=("output",))
def monotonicity_correlation(probe: Probe, attribution: Tensor, *, draws: int = 2, features: str = "patch64") -> Tensor:
    """Spearman correlation, over single features, of |attribution| and the mean squared change of p when redrawn. (N,)

    Values are redrawn uniformly from the sample's range. The sign of an attribution does not matter.
    """
    cells = probe.partition(features)
    change = (probe.resampled_one(features, draws) - probe.full[:, None, None]).square().mean(2)
    return pearson(ranked(cells.sums(attribution.double()).abs(), change), ranked(change, change))


def _kept(probe: Probe, attribution: Tensor, k: float | None) -> Tensor:
    """p with only the top k, by default the task's, of the features: (N,)."""
    return probe.p_with_top(attribution, probe.counts([probe.problem.top_k if k is None else k]))[:, 0]


def _percent(lost: Tensor, full: Tensor) -> Tensor:
    """Percentage of the full input's answer; NaN where that is not positive, as with logits. (N,), (N,) -> (N,)"""
    return 100 * lost / full.where(full > 0, torch.nan)


def _mean_height(curves: Tensor) -> Tensor:
    """Mean height of curves with even steps, by the trapezoid rule: (N, M) -> (N,)."""
    return torch.trapezoid(curves, dim=1) / (curves.shape[1] - 1) if curves.shape[1] > 1 else curves[:, 0]


def _mean_with_zero(losses: Tensor) -> Tensor:
    """Mean over the given shares and over the share 0, at which nothing is lost: (N, B) -> (N,) [deyoung2020eraser, eq. 4]."""
    return losses.sum(1) / (losses.shape[1] + 1)


def _all_sizes(
    probe: Probe, attribution: Tensor, features: str, sizes: int, subsets: int
) -> list[tuple[Tensor, Tensor]]:
    shares = [(size + 1) / (sizes + 1) for size in range(sizes)]
    return [_removed_and_lost(probe, attribution, features, share, subsets) for share in shares]


def _removed_and_lost(
    probe: Probe, attribution: Tensor, features: str, share: float, subsets: int
) -> tuple[Tensor, Tensor]:
    """Attribution in each random subset, and p lost without it: (N, subsets) each."""
    masks, p = probe.subsets(features, share, subsets)
    sums = probe.partition(features).sums(attribution.double())
    return torch.einsum("ndf,nf->nd", masks.double(), sums), probe.full[:, None] - p
