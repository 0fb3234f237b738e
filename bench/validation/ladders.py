"""Which maps a metric must score better than which, and the columns of the table of verdicts."""

from __future__ import annotations

import re
from itertools import pairwise

ALL_KINDS = ("linear", "additive", "gate", "AND/OR", "live patch")  # of closed-form problems
SIGNED = ("exact", "noisy(0.1)", "noisy(1)", "random", "negated")
# Family, or metric with a ladder of its own -> maps, best first, and the kinds of problems on which they have this order.
LADDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "faithfulness": (SIGNED, ALL_KINDS),
    "localisation": (SIGNED, ALL_KINDS),
    "axiom": (("exact", "noisy(1)"), ALL_KINDS),
    # Only where the exact map is sparse.
    "complexity": (("exact", "noisy(0.1)", "noisy(1)"), ("gate", "AND/OR", "live patch")),
    "robustness": (("exact", "noisy(0.1)", "noisy(1)", "random"), ALL_KINDS),
    # Only where a layer with a bias reads the input.
    "input_invariance": (("exact", "from zero"), ("linear", "live patch")),
    "randomisation": (("exact", "half model", "model-free"), ALL_KINDS),
}
LENIENT = ("exact", "noisy(0.1)")  # the better need not win, it must not lose: so little noise may make no difference
STEPS = tuple(dict.fromkeys(pair for ladder, _ in LADDERS.values() for pair in pairwise(ladder)))


def step_column(better: str, worse: str) -> str:
    """The column of a step of a ladder: `exact_vs_noisy_0_1`."""
    return "_vs_".join(re.sub(r"\W+", "_", name).strip("_") for name in (better, worse))


STEP_LABELS = {step_column(better, worse): f"{better} > {worse}" for better, worse in STEPS}  # column -> heading
CHANGE_LABELS = {"times_10": "times 10", "plus_1": "plus 1", "absolute": "absolute"}  # changes of a map, likewise
COLUMNS = [
    *("metric", "metric_id", "family", "verdict", "failure_reasons", "uses_sign", "input_shapes"),
    *STEP_LABELS,
    *("batch", *CHANGE_LABELS, "seconds"),
]
# Names in tables of version 0.1, and values that had other words.
OLD_COLUMNS_OF_TEXT = {"why": "failure_reasons", "sign": "uses_sign", "takes": "input_shapes"}
OLD_COLUMNS = OLD_COLUMNS_OF_TEXT | {label: column for column, label in (STEP_LABELS | CHANGE_LABELS).items()}
OLD_USES_SIGN = {"counts": "yes", "ignored": "no"}
