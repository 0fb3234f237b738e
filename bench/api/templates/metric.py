"""TITLE: what the metric measures, in a sentence [source]."""

import torch

import bench
from bench.perturbation.probe import Probe

# cite              key of the source in a bibliography, or ""
# family            decides how the metric is checked and which rank it enters: "faithfulness", "localisation",
#                   "randomisation", "robustness", "axiom", "complexity"
# higher_is_better  the direction of the scores
# label             how axes name it, with the unit
# limits            lowest and highest score, None where there is no limit
# outputs           kinds of model output that it can read, by default all: ("softmax", "sigmoid", "identity")
# needs             fields of the problem that may be missing and without which it cannot work: "truth", "layers", ...


@bench.metric(cite="", family="faithfulness", higher_is_better=False, label="p without the top half", limits=(0, 1))
def my_metric(probe: Probe, attribution: torch.Tensor, *, share: float = 0.5) -> torch.Tensor:
    """p when the share of the features with the highest attribution is removed. (N,)"""
    # attribution  (N, *S), one map for each sample
    # probe        asks the model; every answer is shared with the other metrics. docs/add-a-metric.md lists its questions
    #
    # Arguments with a default, such as `share`, are settings: `my_metric[share=0.25]`.
    # Other arguments that are handed over by name: rng, explain, cost.
    counts = probe.counts([share])  # (N, 1): how many features that is
    # Return scores (N,), or curves (N, steps + 1) from nothing to everything perturbed.
    return probe.p_without_top(attribution, counts)[:, 0]
