"""A setting of the view changes the scores of the metrics that take it, and is refused by all others."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import signal_problem

from bench.core.errors import RequestError
from bench.core.vocabulary import VIEW
from bench.engine.explain import explain_all
from bench.engine.score import score
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS
from bench.registry.selection import with_params

CHANGED = {"baseline": "noise", "output": "logit", "features": "patch4"}
TAKEN = [(name, setting) for name, metric in METRICS.items() for setting in sorted(metric.views)]
REFUSED = [
    (name, setting)
    for name, metric in METRICS.items()
    for setting in VIEW
    if setting not in metric.views and setting not in dict(metric.params)
]


@pytest.fixture(scope="module")
def maps():
    problem = signal_problem(samples=64, batch_size=64)  # `increase` is 0 on most of them
    probe = Probe(problem, names=(0, "mnist1d@1"))
    return probe, explain_all(METHODS["random"], probe.problem, task="mnist1d@1", seed=0)


@pytest.mark.parametrize(("name", "setting"), TAKEN)
def test_a_setting_that_a_metric_takes_changes_its_scores(maps, name, setting):
    probe, made = maps
    share = "k=0.8," if "k" in dict(METRICS[name].params) else ""
    plain = with_params(METRICS[name], share.strip(",")) if share else METRICS[name]
    other = with_params(METRICS[name], f"{share}{setting}={CHANGED[setting]}")
    before, after = (score(one, METHODS["random"], probe, made, task="mnist1d@1", seed=0) for one in (plain, other))
    assert set(after.status) <= {"ok", "undefined"}, after.note
    assert not np.array_equal(before.values, after.values, equal_nan=True)


@pytest.mark.parametrize(("name", "setting"), REFUSED)
def test_a_setting_that_a_metric_does_not_follow_is_refused(name, setting):
    with pytest.raises(RequestError, match=f"unknown setting '{setting}' of {name}"):
        with_params(METRICS[name], f"{setting}={CHANGED[setting]}")


def test_the_metrics_of_curves_take_them():
    assert {"deletion", "insertion", "drop"} <= {name for name, _ in TAKEN}
    assert ("road", "baseline") in REFUSED
    assert ("quantus_irof", "baseline") in REFUSED
