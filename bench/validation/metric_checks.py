"""The conformance of a metric as findings: is its order right, and does a score depend on its own sample alone?"""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.entries import Metric
from bench.validation.conformance import check, judged
from bench.validation.method_checks import FAIL, PASS, SKIPPED, Finding

STEPS = {
    "runs": "gives scores on signals, grey and colour images",
    "order": "ranks maps of known quality: the exact one above noisy ones, these above random ones, the negated one last",
    "batch": "gives a sample the same score alone, beside others and in any order",
}
WAYS_OUT = {
    "runs": "return a tensor of scores (N,), or of curves (N, steps + 1)",
    "order": "check `higher_is_better`, `family` and the sign; a metric that fails has no rank weight",
    "batch": "score each sample on its own, and draw random numbers from `rng` only",
}


def check_metric(metric: Metric) -> Iterator[Finding]:
    """One finding per step (STEPS)."""
    if not judged([metric]):
        note = f"no check covers family '{metric.family}'; such metrics are shown and have no rank weight"
        yield from (Finding("metric", metric.name, name, SKIPPED, note) for name in STEPS)
        return
    verdict = check(metric)
    faults: dict[str, list[str]] = {name: [] for name in STEPS}
    for fault in verdict.faults:
        named = "runs" if fault.startswith("fails on ") else "batch" if "depends on" in fault else "order"
        faults[named].append(fault)
    for name, found in faults.items():
        if found:
            yield Finding("metric", metric.name, name, FAIL, f"{'; '.join(found)}; {WAYS_OUT[name]}")
        elif verdict.input_shapes:
            yield Finding("metric", metric.name, name, PASS)
        else:
            note = "not asked, since `runs` fails" if faults["runs"] else "skipped on every problem with a known answer"
            yield Finding("metric", metric.name, name, SKIPPED, note)
