"""The words that more than one room uses: columns, statuses, families, controls, factors, levels."""

from __future__ import annotations


class Column:
    """Columns of result tables whose names this harness made up; MEANINGS says what each holds.

    Plain words (task, method, metric, rank, mean, tau) and the columns of the store stand for themselves.
    """

    # a method on a task
    N_SAMPLES = "n_samples"
    RANK_LOW, RANK_HIGH = "rank_low", "rank_high"
    TOP_GROUP = "top_group"
    VS_RANDOM = "vs_random"
    MEAN_RANK, MEAN_RANK_LOW, MEAN_RANK_HIGH = "mean_rank", "mean_rank_low", "mean_rank_high"
    N_REQUIRED_VS_BEST = "n_required_vs_best"
    OUTDATED = "outdated"
    # a method on a metric
    MEAN_LOW, MEAN_HIGH = "mean_low", "mean_high"
    P_VS_BEST, P_VS_RANDOM = "p_vs_best", "p_vs_random"
    SUPERIORITY = "superiority"
    SKILL_LOW, SKILL_HIGH = "skill_low", "skill_high"
    # a metric on a task
    INFORMATIVE = "informative"
    SHARE_BEATS_RANDOM, P_MAJORITY_BEATS_RANDOM = "share_beats_random", "p_majority_beats_random"
    MIN_ATTAINABLE_P = "min_attainable_p"
    EXCLUSION_REASON, REDUNDANCY_GROUP, RANK_WEIGHT = "exclusion_reason", "redundancy_group", "rank_weight"
    P_FRIEDMAN = "p_friedman"
    N_REQUIRED_TOP_TWO = "n_required_top_two"
    # agreement of metrics
    METRIC_A, METRIC_B, TRUTH_METRIC = "metric_a", "metric_b", "truth_metric"
    TAU_LOW, TAU_HIGH, TAU_CRITICAL = "tau_low", "tau_high", "tau_critical"
    ALPHA_LOW, ALPHA_HIGH = "alpha_low", "alpha_high"
    N_METHODS, N_METRICS = "n_methods", "n_metrics"
    # method against method, before against after
    OPPONENT, WIN_RATE = "opponent", "win_rate"
    DIFFERENCE_LOW, DIFFERENCE_HIGH, N_LOST = "difference_low", "difference_high", "n_lost"
    # curves
    P_LOW, P_HIGH = "p_low", "p_high"


def mean_rank_by(family: str) -> tuple[str, str, str]:
    """The columns of the mean rank within a family of metrics, and of the ends of its interval."""
    return f"mean_rank_{family}", f"mean_rank_{family}_low", f"mean_rank_{family}_high"


YES, NO = "yes", "no"
BETTER, WORSE, INDISTINGUISHABLE = "better", "worse", "indistinguishable"

# Statuses of a score, and of a method on a board.
OK, UNDEFINED, SKIPPED, FAILED = STATUSES = ("ok", "undefined", "skipped", "failed")
COMPLETE, INCOMPLETE, NOT_RUN = "complete", "incomplete", "not run"

# Families of metrics. Those that ask whether a map is true rank methods.
FAITHFULNESS, LOCALISATION, COST = "faithfulness", "localisation", "cost"
RANKING_FAMILIES = (FAITHFULNESS, LOCALISATION)
FAMILY_ORDER = (FAITHFULNESS, LOCALISATION, "randomisation", "robustness", "axiom", "complexity", COST)

RANDOM, ORACLE = "random", "oracle"  # methods
CONTROLS = "control"  # the family of methods that explain nothing

LEVEL = 0.95  # of confidence intervals; tests are at 1 - LEVEL

EXCLUSION_REASONS = {  # why a metric does not count in the rank
    "fail": "fails its checks",
    "untested": "not covered by any check",
    "uninformative": "does not put half of the methods above the random control here",
    "no_random_score": "has no score for the random control on some samples",
    "beats_oracle": "scores a map above the ground truth itself",
}

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
# How a metric that asks the probe may perturb and read the model; the first of each is the default.
BASELINES = ("task", "zero", "mean", "blur", "noise", "background")  # what stands for an absent feature
OUTPUTS = ("softmax", "logit")  # of the explained class
FEATURES = ("pixel", "patch64", "segment20")  # what is removed at once; any patchN and segmentN is allowed
VIEW = {"baseline": BASELINES, "output": OUTPUTS, "features": FEATURES}
FEATURES_PATTERN = r"pixel|(patch|segment)[1-9]\d*"
