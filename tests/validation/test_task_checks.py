"""Checks of tasks and metrics of one's own: each mistake is found by its step, with the way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.core.entries import Metric, Task
from bench.core.errors import DataMissing
from bench.core.problem import Problem
from bench.registry.decorators import METRICS, TASKS
from bench.task_tools.data import Data
from bench.validation.metric_checks import check_metric
from bench.validation.task_checks import STEPS, check_task

IDS = [f"s{number}" for number in range(6)]
PROFILES = (("quick", 2), ("standard", 4), ("full", None))


def model(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(80, 3))


def inputs(sample_ids: tuple[str, ...]) -> torch.Tensor:
    signals = torch.rand(6, 1, 20, generator=torch.Generator().manual_seed(0))
    return signals[[int(name[1:]) for name in sample_ids]]


def sound(sample_ids):
    return Problem.from_model(model(), inputs(sample_ids), sample_ids=sample_ids)


def centred(sample_ids):
    values = inputs(sample_ids)
    return Problem.from_model(model(), values - values.mean(), sample_ids=sample_ids)


def drawn(sample_ids):
    noise = torch.rand(len(sample_ids), 1, 20)
    return Problem.from_model(model(), noise, sample_ids=sample_ids)


def untrained(sample_ids):
    fresh = model(int(torch.randint(1, 10**6, ())))
    return Problem.from_model(fresh, inputs(sample_ids), sample_ids=sample_ids)


def mixed_up(sample_ids):
    return Problem.from_model(model(), inputs(sample_ids), sample_ids=sample_ids[::-1])


def elsewhere(sample_ids):
    raise DataMissing("the data of this task is not on this machine")


def typo(sample_ids):
    return inputs(sample_ids).frobnicate()


def task(fn: Callable[..., Problem], *, samples=lambda: IDS, profiles=PROFILES) -> Task:
    return Task(fn.__name__, fn, "signal", "", 1, (), ("sample_ids",), samples=samples, profiles=profiles)


def steps(one: Task) -> dict[str, tuple[str, str]]:
    found = list(check_task(one, Data(None, True)))
    assert [finding.law for finding in found] == list(STEPS)
    return {finding.law: (finding.verdict, finding.note) for finding in found}


@pytest.mark.parametrize("one", [task(sound), TASKS["mnist1d"]], ids=["own", "mnist1d"])
def test_a_sound_task_passes_every_step(one):
    assert set(steps(one).values()) == {("pass", "")}


@pytest.mark.parametrize(
    ("one", "step", "words"),
    [
        (task(sound, samples=lambda: []), "samples", "samples() gave none; a list of the ids of all samples is needed"),
        (task(sound, samples=lambda: 6), "samples", "samples() gave int; a list of the ids"),
        (task(sound, samples=lambda: [1, 2]), "samples", "samples() gave 1; every id must be a text, for example '1'"),
        (task(sound, samples=lambda: ["a", "b", "a"]), "samples", "samples() gave 'a' twice; every sample needs an id"),
        (task(sound, profiles=PROFILES[:1]), "profiles", "profiles= lacks standard, full"),
        (task(sound, profiles=(("quick", 0), *PROFILES[1:])), "profiles", "profile quick takes 0 samples; at least 1"),
        (task(mixed_up), "loads", "it was asked for samples ['s0', 's1', 's2']"),
        (task(typo), "loads", "it raised AttributeError: 'Tensor' object has no attribute 'frobnicate'"),
        (task(centred), "subset", "sample 's2' alone is another than beside others"),
        (task(drawn), "subset", "must not depend on which samples are asked for"),
        (task(untrained), "subset", "a sample, the weights, baseline and background must not depend"),
    ],
)
def test_a_mistake_is_found_by_its_step(one, step, words):
    verdict, note = steps(one)[step]
    assert verdict == "fail"
    assert words in note


def test_a_problem_that_changes_from_call_to_call_is_found_where_subsets_agree():
    calls = []

    def third_time(sample_ids):
        calls.append(sample_ids)
        return Problem.from_model(model(int(len(calls) > 2)), inputs(sample_ids), sample_ids=sample_ids)

    found = steps(task(third_time))
    assert found["subset"] == ("pass", "")
    assert found["repeat"] == (
        "fail",
        "the model or its settings differ when the task is asked twice; fix the seed, or load stored weights",
    )
    assert found["runs"] == ("skipped", "not asked, since `repeat` fails")


def test_a_task_without_its_data_is_skipped():
    found = steps(task(elsewhere))
    assert found["loads"] == ("skipped", "the data of this task is not on this machine")
    assert found["runs"] == ("skipped", "not asked, since `loads` is skipped")


# --- metrics


def by_batch(probe, attribution):
    """p without the top half, times the number of samples."""
    p = probe.p_without_top(attribution, probe.counts([0.5]))[:, 0]
    return p * len(p)


def one_number(probe, attribution):
    """The mean over all samples."""
    return attribution.mean()


def metric(fn, **fields) -> Metric:
    given = {"family": "faithfulness", "higher_is_better": False} | fields
    return Metric(fn.__name__, fn, cite="", version=1, params=(), injected=("probe", "attribution"), **given)


def verdicts(one: Metric) -> dict[str, tuple[str, str]]:
    return {finding.law: (finding.verdict, finding.note) for finding in check_metric(one)}


def test_a_metric_with_the_wrong_direction_fails_by_its_order_alone():
    found = verdicts(replace(METRICS["deletion"], higher_is_better=True))
    assert found["order"][0] == "fail"
    assert "the scores run against the stated direction (higher is better)" in found["order"][1]
    assert "check `higher_is_better`, `family` and the sign" in found["order"][1]
    assert found["batch"] == found["runs"] == ("pass", "")


def test_a_metric_that_looks_at_the_batch_fails_by_it():
    found = verdicts(metric(by_batch))
    assert found["batch"][0] == "fail"
    assert "a sample's score depends on the other samples" in found["batch"][1]
    assert found["order"][0] == "pass"


def test_a_metric_that_gives_one_number_for_all_does_not_run():
    found = verdicts(metric(one_number))
    assert found["runs"][0] == "fail"
    assert "return a tensor of scores (N,), or of curves" in found["runs"][1]
    assert found["order"] == ("skipped", "not asked, since `runs` fails")


def test_a_cost_has_no_check():
    assert {verdict for verdict, _ in verdicts(METRICS["seconds"]).values()} == {"skipped"}
