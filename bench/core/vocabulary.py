"""The words that more than one room uses: names of columns, statuses, families, controls."""

from __future__ import annotations

OPTIONAL_FIELDS = (
    "layers",
    "targets",
    "truth",
    "labels",
    "class_names",
    "background",
    "bounds",
)  # a task may leave them empty
# Inputs a sample that a method sends through the model, forwards or backwards, on the shipped tasks.
COSTS = {"fast": 10, "medium": 400, "slow": None}
PROMISES = {
    "complete": "attributions sum to the class's logit less that of the baseline",
    "null": "a feature that the model ignores gets zero",
    "linear": "on a linear model: weight times distance from the baseline",
    "class": "another class gets another map",
}
STATUSES = ("ok", "undefined", "skipped", "failed")
RANKING_FAMILIES = ("faithfulness", "localisation")
RANDOM, ORACLE, CONTROLS = "random", "oracle", "control"  # two methods, and the family of those that explain nothing
EXCLUSION_REASONS = {  # why a metric has no vote
    "fail": "fails its checks",
    "untested": "not judged by any check",
    "uninformative": "cannot tell half of the methods from the random control here",
    "no_random_score": "has no score for the random control on some samples",
    "beats_oracle": "puts another map above the truth itself",
}
FAMILY_ORDER = ("faithfulness", "localisation", "randomisation", "robustness", "axiom", "complexity", "cost")
# How a metric that asks the probe may perturb and read the model; the first of each is the default.
BASELINES = ("task", "zero", "mean", "blur", "noise", "background")  # what stands for an absent feature
OUTPUTS = ("softmax", "logit")  # of the explained class
FEATURES = ("pixel", "patch64", "segment20")  # what is removed at once; any patchN and segmentN is allowed
VIEW = {"baseline": BASELINES, "output": OUTPUTS, "features": FEATURES}
FEATURES_PATTERN = r"pixel|(patch|segment)[1-9]\d*"
