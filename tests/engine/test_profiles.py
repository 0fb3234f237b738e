"""What the profiles take, and how much work that is: counted, so that no method, metric or task makes a run slow unseen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import image_problem
from test_runner import Silent

from bench.api.request import in_profile
from bench.core.vocabulary import CONTROLS, PROFILES, UNDEFINED
from bench.engine.plan import Plan
from bench.engine.runner import run
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.storage.scores import Store
from bench.task_tools.data import Data

pytestmark = pytest.mark.usefixtures("one_thread")


def taken(registry, profile):
    return in_profile(list(registry.values()), None, profile)[0]


def small_images():
    """A task of the HMT network on small tiles: the number of queries does not depend on the size of an input."""
    problem = image_problem(samples=2, batch_size=64)
    rows = {name: row for row, name in enumerate(problem.sample_ids)}

    def images(sample_ids):
        return problem.take([rows[name] for name in sample_ids])

    return replace(TASKS["tissue"], name="images", fn=images, samples=lambda: list(problem.sample_ids))


@pytest.mark.parametrize("registry", [TASKS, METHODS, METRICS], ids=["tasks", "methods", "metrics"])
def test_larger_profiles_take_more(registry):
    quick, standard, full = ({entry.name for entry in taken(registry, profile)} for profile in PROFILES)
    assert quick < standard <= full == set(registry)


def test_quick_takes_the_real_tasks_the_core_and_the_controls():
    assert {task.name for task in taken(TASKS, "quick")} == {"mnist1d", "tissue", "hmt"}
    names = {method.name for method in taken(METHODS, "quick")}
    assert names >= {"sise", "integrated_gradients", "smoothgrad", "grad_cam", "lrp_composite"}
    assert names >= {name for name, method in METHODS.items() if method.family == CONTROLS}
    assert {metric.name for metric in taken(METRICS, "quick")} >= {"drop", "increase", "deletion", "insertion"}


def test_quick_has_samples_enough_that_tests_can_tell_methods_apart():
    methods = len(taken(METHODS, "quick"))
    pairs = methods * (methods - 1) / 2
    for task in taken(TASKS, "quick"):
        # all samples agree: two outcomes of 2**n are as extreme
        assert 2 / 2 ** dict(task.profiles)["quick"] * pairs < 0.05, task.name


@pytest.mark.parametrize(("profile", "steps"), [("quick", 1450), ("standard", 2300)])
def test_steps_of_a_profile_are_bounded(profile, steps):
    assert len(taken(METHODS, profile)) * (1 + len(taken(METRICS, profile))) <= steps


@pytest.mark.parametrize(
    ("profile", "signals", "images"),
    # inputs through the model for each sample, forwards and backwards, a twentieth above what they are: of two samples, so
    # that the one which each method explains to measure its memory counts half
    [("quick", 1960, 2530), ("standard", 4110, 5190)],
)
def test_queries_of_a_profile_are_bounded(tmp_path, profile, signals, images):
    metrics = taken(METRICS, profile)
    asked = Plan(
        tasks=[TASKS["mnist1d"], small_images()],
        methods=taken(METHODS, profile),
        metrics=metrics,
        samples=lambda task: 2,
        data=Data(offline=True),
        device=torch.device("cpu"),
        batch_size=64,
    )
    outcome = run(asked, Store(tmp_path), Silent())
    assert not outcome.failed
    assert outcome.rows["ok"] > 0.8 * (outcome.rows.total() - outcome.rows[UNDEFINED])  # few are skipped
    found = {task: (work.forwards + work.backwards) / 2 for task, work in outcome.work.items()}
    assert 0.85 * signals < found["mnist1d"] <= signals, found
    assert 0.85 * images < found["images"] <= images, found
    planned = {task.name: dict(task.profiles)[profile] for task in taken(TASKS, profile)}
    by_kind = {"signal": signals, "image": images}
    total = sum(planned[name] * by_kind[TASKS[name].family] for name in planned if TASKS[name].family == "image")
    assert total <= {"quick": 81_000, "standard": 500_000}[profile], planned  # images take the time
