"""Maps that pictures are made from: only those of the same samples and weights are shown together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import signal_problem

from bench.registry.decorators import METHODS, TASKS
from bench.storage.maps import MapStore

TASK, METHOD = TASKS["mnist1d"], METHODS["saliency"]


@pytest.mark.parametrize(
    ("change", "shown"),
    [({}, True), ({"sample_ids": ("a", "b")}, False), ({"fingerprint": "other"}, False)],
    ids=["the same", "samples", "weights"],
)
def test_only_maps_of_the_stored_inputs_are_current(tmp_path, change, shown):
    problem, store = replace(signal_problem(samples=2), fingerprint="weights"), MapStore(tmp_path)
    store.write_inputs(TASK, problem, problem.targets, torch.tensor([0.5, 0.25]))
    maps = torch.rand(2, 40)
    store.write_maps(TASK, METHOD, replace(problem, **change), maps)
    current = store.read_current(TASK.name, "weights")
    assert ("inputs" in current, len(current)) == (True, 1 + shown)
    if shown:
        (arrays,) = [arrays for name, arrays in current.items() if name != "inputs"]
        np.testing.assert_array_equal(arrays["maps"], maps.numpy())
    assert not [name for name in store.read_current(TASK.name, "other") if name == "inputs"]


def test_classes_have_names_even_beyond_those_that_a_task_gives(tmp_path):
    problem, store = replace(signal_problem(samples=2), class_names=("zero", "one")), MapStore(tmp_path)
    problem = replace(problem, targets=torch.tensor([1, 3]), labels=torch.tensor([0, 2]))
    store.write_inputs(TASK, problem, problem.targets, torch.tensor([0.5, 0.25]))
    inputs = store.read(TASK.name)["inputs"]
    assert (inputs["explained"].tolist(), inputs["label"].tolist()) == (["one", "3"], ["zero", "2"])
