"""Does the model's answer depend on the features that an attribution puts first?

p is the softmax probability of the explained class; an absent feature takes the task's baseline. Definitions of drop and
increase: [chattopadhay2018gradcampp], with a hard mask that keeps a share k of the features.
"""

from __future__ import annotations

from torch import Tensor

from bench.probe import Probe
from bench.registry import metric


@metric(
    family="faithfulness",
    higher_is_better=False,
    cite="chattopadhay2018gradcampp",
    label="drop (%)",
    limits=(0, 100),
)
def drop(probe: Probe, attribution: Tensor, *, k: float | None = None) -> Tensor:
    """Percentage of p lost when only the top k of the features is kept, 0 where p rises. (N,)"""
    kept = probe.kept(attribution, probe.problem.top_k if k is None else k)
    return 100 * (probe.full - kept).clamp_min(0) / probe.full


@metric(
    family="faithfulness",
    higher_is_better=True,
    cite="chattopadhay2018gradcampp",
    label="increase (%)",
    limits=(0, 100),
)
def increase(probe: Probe, attribution: Tensor, *, k: float | None = None) -> Tensor:
    """100 where p rises when only the top k of the features is kept, else 0; the mean is a percentage of samples. (N,)

    A rise within the rounding of float32 (1e-6) is a coin toss between machines.
    """
    kept = probe.kept(attribution, probe.problem.top_k if k is None else k)
    return 100 * (kept > probe.full).double()


@metric(
    family="faithfulness",
    higher_is_better=True,
    cite="samek2017evaluating",
    label="top-k deletion (%)",
    limits=(None, 100),
)
def topk_deletion(probe: Probe, attribution: Tensor, *, k: float | None = None) -> Tensor:
    """Percentage of p lost when the top k of the features is removed; negative where p rises. (N,)"""
    removed = probe.removed(attribution, probe.problem.top_k if k is None else k)
    return 100 * (probe.full - removed) / probe.full


@metric(
    family="faithfulness",
    higher_is_better=False,
    cite="petsiuk2018rise",
    label="deletion AUC",
    limits=(0, 1),
)
def deletion(probe: Probe, attribution: Tensor, *, steps: int = 32) -> Tensor:
    """p while features are removed, highest first; the score is the area under the curve. (N, steps + 1)"""
    return probe.deletion(attribution, steps)


@metric(
    family="faithfulness",
    higher_is_better=True,
    cite="petsiuk2018rise",
    label="insertion AUC",
    limits=(0, 1),
)
def insertion(probe: Probe, attribution: Tensor, *, steps: int = 32) -> Tensor:
    """p while features are put back on the baseline, highest first; the score is the area under the curve. (N, steps + 1)"""
    return probe.insertion(attribution, steps)
