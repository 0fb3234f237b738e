"""Planted models see their patch and nothing else, and every method says so that promises to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import with_targets
from test_methods import NOT_ON_SIGNALS, SAYS_NOTHING, every_method

from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.engine.explain import explain
from bench.engine.sandbox import map_status
from bench.network.gradients import features
from bench.perturbation.probe import Probe
from bench.registry.decorators import TASKS

PLANTED = {"planted_signal": ("mnist1d", (slice(2, 18),)), "planted_image": ("tissue", (slice(0, 30), slice(0, 80)))}
both_tasks = pytest.mark.parametrize("name", PLANTED)


def planted(name: str, samples: int = 3) -> Problem:
    return with_targets(TASKS[name].fn(tuple(TASKS[name].samples()[:samples])), samples)


@both_tasks
def test_a_planted_model_is_the_trained_one_on_a_patch_around_which_there_is_nothing(name):
    problem, (task, patch) = planted(name), PLANTED[name]
    own = TASKS[task].fn(problem.sample_ids)
    cut = own.baseline.expand_as(own.inputs).clone()
    cut[(..., *patch)] = own.inputs[(..., *patch)]
    assert torch.equal(problem.inputs, own.inputs)
    torch.testing.assert_close(problem.model(problem.inputs), own.model(cut))
    expected = torch.zeros(3, *problem.shape)
    expected[(..., *patch)] = 1
    assert torch.equal(problem.truth, expected.bool())
    assert problem.top_k == pytest.approx(expected.mean().item(), rel=1e-6)
    assert problem.fingerprint != own.fingerprint


@both_tasks
def test_nothing_outside_the_patch_changes_an_answer(name):
    problem = planted(name)
    rng = torch.Generator().manual_seed(0)
    elsewhere = 9 * torch.randn(problem.inputs.shape, generator=rng)
    changed = torch.where(problem.truth[:, None], problem.inputs, elsewhere)
    assert torch.equal(problem.model(changed), problem.model(problem.inputs))
    changed = torch.where(problem.truth[:, None], elsewhere, problem.inputs)
    assert (problem.model(changed) - problem.model(problem.inputs)).abs().amax(1).min() > 0.1


@both_tasks
@every_method
def test_every_method_explains_planted_models_or_says_why_not(method, name, one_thread):
    problem = planted(name, 1)
    if method.name in NOT_ON_SIGNALS and len(problem.shape) == 1:
        with pytest.raises(NotApplicable, match="global average pooling"):
            explain(method, problem, task="test", seed=0)
        return
    maps, _ = explain(method, problem, task="test", seed=0)
    assert map_status(maps)[0][0] == ("undefined" if method.name in SAYS_NOTHING else "ok")
    if "null" in method.promises:
        assert maps[problem.truth].abs().max() > 0
        # sums over orders leave rounding where a model is asked in batches; the others leave exactly nothing
        allowed = 1e-5 * maps.abs().max() if method.family == "perturbation" else 0
        assert maps[~problem.truth].abs().max() <= allowed


@both_tasks
def test_planted_patches_are_whole_cells_of_the_methods_grid(name):
    problem = planted(name)
    cells = Probe(problem).partition("patch64")
    assert (cells.labels is None) == (name == "planted_signal")  # 40 steps are 40 cells
    labels = torch.arange(40) if cells.labels is None else cells.labels[0]
    assert set(labels[problem.truth[0]].tolist()).isdisjoint(labels[~problem.truth[0]].tolist())


@both_tasks
def test_feature_maps_of_planted_models_are_where_the_trained_ones_are(name):
    problem, (task, patch) = planted(name), PLANTED[name]
    own = TASKS[task].fn(problem.sample_ids)
    cut = own.baseline.expand_as(own.inputs).clone()
    cut[(..., *patch)] = own.inputs[(..., *patch)]
    expected, _ = features(with_targets(replace(own, inputs=cut), 3))
    found, _ = features(problem)
    torch.testing.assert_close(found, expected)
