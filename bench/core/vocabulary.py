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
    ORIGIN = "scores_from"
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
    OPPONENT, WIN_RATE, P_DIFFERENCE = "opponent", "win_rate", "p_difference"
    DIFFERENCE_LOW, DIFFERENCE_HIGH, N_LOST = "difference_low", "difference_high", "n_lost"
    # curves
    P_LOW, P_HIGH = "p_low", "p_high"


def mean_rank_by(family: str) -> tuple[str, str, str]:
    """The columns of the mean rank within a family of metrics, and of the ends of its interval."""
    return f"mean_rank_{family}", f"mean_rank_{family}_low", f"mean_rank_{family}_high"


MEANINGS = {  # of the columns of leaderboards/*.csv, agreement.csv and failures.csv
    "rank": "place among the complete methods, 1 is best; ties share the mean of their places. By mean_rank, or by mean",
    Column.RANK_LOW: "best rank that the tests leave open (simultaneous 95 % interval)",
    Column.RANK_HIGH: "worst rank that the tests leave open (simultaneous 95 % interval)",
    Column.TOP_GROUP: "yes: not significantly worse than the best method that is no control",
    Column.VS_RANDOM: "the overall rank against that of the random control: better, worse, or indistinguishable",
    Column.MEAN_RANK: "mean of the ranks on the samples by the metrics that count; each family of metrics counts once",
    f"{Column.MEAN_RANK}_<family>": "the same, by the metrics of one family",
    f"{Column.MEAN_RANK}_low, {Column.MEAN_RANK}_high": "95 % interval over samples",
    Column.N_REQUIRED_VS_BEST: "samples with which the test against the first of the board would find the difference with "
    "power 0.8; inf: the two are equal, no number would",
    "group": "methods that share a letter cannot be told apart",
    Column.N_SAMPLES: "samples with a score (of each input explained)",
    "status": "of a method: complete, incomplete, undefined, skipped, or not run; of a score: ok, or how many samples lack it",
    Column.OUTDATED: "yes: the score is by an older version of the method or metric; empty: the version in use is not known",
    Column.ORIGIN: "release file that the method's scores are from (`--beside`); empty: they were computed in this folder",
    "mean": "mean score over samples, in the unit that metrics.csv gives",
    f"{Column.MEAN_LOW}, {Column.MEAN_HIGH}": "95 % interval of the mean over samples",
    Column.P_VS_BEST: "p-value against the best method by this metric, Holm-corrected over all pairs",
    Column.P_VS_RANDOM: "p-value against the random control by this metric, Holm-corrected over the methods",
    Column.SUPERIORITY: "probability that the method is better than the random control on a sample; a tie counts half",
    "skill": "0: as the random control; 1: as the ground truth (localisation), elsewhere in standard deviations (Cohen's d)",
    f"{Column.SKILL_LOW}, {Column.SKILL_HIGH}": "95 % interval of the skill over samples",
    "conformance": "verdict of the checks on closed-form problems: pass, fail or untested; empty: not checked",
    Column.INFORMATIVE: "whether half of the methods are above the random control by this metric; empty: not asked",
    Column.SHARE_BEATS_RANDOM: "share of the methods that are significantly better than the random control by this metric",
    Column.P_MAJORITY_BEATS_RANDOM: "p-value of more than half of the methods being better than the random control on a sample",
    Column.EXCLUSION_REASON: "why the metric does not count in the rank; empty where it does, or ranks nothing",
    Column.RANK_WEIGHT: "weight of the metric in the mean rank of its family; 0: it does not count",
    Column.REDUNDANCY_GROUP: "first of the metrics whose scores correlate above 0.95; they share one weight",
    Column.P_FRIEDMAN: "p-value of Friedman's test that all methods are equal by this metric",
    Column.N_REQUIRED_TOP_TWO: "samples with which the test would tell the first two methods apart by this metric (power 0.8)",
    "tau": "Kendall's tau-b between two orders of the methods, controls left out",
    f"{Column.TAU_LOW}, {Column.TAU_HIGH}": "95 % interval of tau over samples",
    Column.TAU_CRITICAL: "absolute value of tau that unrelated orders of as many methods exceed in 5 % of all cases",
    Column.TRUTH_METRIC: "metric of the ground truth that tau compares with; mean rank: all of them together",
    "alpha": "Krippendorff's ordinal alpha of the ranks given by a family of metrics: 1 is agreement, 0 is chance",
    f"{Column.ALPHA_LOW}, {Column.ALPHA_HIGH}": "95 % interval of alpha over samples",
    Column.N_METHODS: "methods that are compared, controls left out",
    Column.N_METRICS: "metrics that are compared",
    Column.OPPONENT: "the method that the method of the row is compared with",
    f"{Column.METRIC_A}, {Column.METRIC_B}": "the two metrics that are compared",
    Column.WIN_RATE: "share of the scores by which the method is better than the opponent; a tie counts half",
    Column.P_DIFFERENCE: "p-value of the difference of the two mean ranks, Holm-corrected over all pairs",
    "note": "why there is no score",
}

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

UNINFORMATIVE, NO_RANDOM_SCORE, BEATS_ORACLE = "uninformative", "no_random_score", "beats_oracle"
EXCLUSION_REASONS = {  # why a metric does not count in the rank; the first two are verdicts of its checks
    "fail": "fails its checks",
    "untested": "not covered by any check",
    UNINFORMATIVE: "does not put half of the methods above the random control here",
    NO_RANDOM_SCORE: "has no score for the random control on some samples",
    BEATS_ORACLE: "scores a map above the ground truth itself",
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
# Inputs a sample that a metric asks the model about for each map, beside what it asks once for all methods. Only slow ones
# let the method explain again.
METRIC_COSTS = {"": 20, "fast": 20, "medium": 50, "slow": None}
PROMISES = {
    "complete": "attributions sum to the class's logit less that of the baseline",
    "null": "a feature that the model ignores gets zero",
    "linear": "on a linear model: weight times distance from the baseline",
    "class": "the map depends on the explained class",
}
# How a metric that asks the probe may perturb and read the model; the first of each is the default.
BASELINES = ("task", "zero", "mean", "blur", "noise", "background")  # what stands for an absent feature
OUTPUTS = ("softmax", "logit")  # of the explained class
# What a model's answers are: logits of classes that exclude each other, logits of labels that do not, or values (a regression).
SOFTMAX, SIGMOID, IDENTITY = MODEL_OUTPUTS = ("softmax", "sigmoid", "identity")
TOGETHER, SEPARATE = CHANNELS = (
    "together",
    "separate",
)  # an attribution has a value for each place, or for each channel of it
PROBABILITIES = (SOFTMAX, SIGMOID)  # of MODEL_OUTPUTS: those that give a class a probability
FEATURES = ("pixel", "patch64", "segment20")  # what is removed at once; any patchN and segmentN is allowed
VIEW = {"baseline": BASELINES, "output": OUTPUTS, "features": FEATURES}
FEATURES_PATTERN = r"pixel|(patch|segment)[1-9]\d*"
PROFILE_COSTS = {  # profile -> costs of the entries that take part without being named; "" is a cost that nobody stated
    "quick": ("", "fast"),
    "standard": ("", "fast", "medium"),
    "full": ("", "fast", "medium", "slow"),
}
PROFILES = tuple(PROFILE_COSTS)
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = FLOAT32, BFLOAT16 = ("float32", "bfloat16")  # that a model computes in; the first is the default
