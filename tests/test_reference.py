"""The course's own numbers: its weights in these architectures must give its probabilities, SISE maps, drop and increase.

Tolerances are what float32 leaves: the course's TensorFlow code and this one add in different orders, and so do the
kernels of different CPUs.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import with_targets
from reference import shared, values, with_course_weights

from bench.analysis import metric_table
from bench.core.problem import Problem
from bench.engine.explain import explain_all
from bench.engine.score import score
from bench.metrics.faithfulness import drop, increase
from bench.network.device import keep_freed_memory
from bench.perturbation.probe import Probe
from bench.registry.decorators import METHODS, METRICS
from bench.task_tools.data import Data

SIZE = 224
FLOAT32 = (
    5e-6  # of a layer map or a probability; 1.6e-6 to 4.2e-6 were seen on three kinds of CPU, with one thread and two
)
GATE = 50  # how much fusing can multiply a difference: a gate of slope 100 / 4 lets a sum of up to 2 through


@pytest.fixture(scope="module")
def signals() -> Problem:
    """All 1000 test signals."""
    task = sys.modules["bench.tasks.mnist1d"]
    made = task.load()
    problem = Problem(
        model=with_course_weights(task.network(), "mnist1d"),
        inputs=torch.from_numpy(made["x_test"]),
        sample_ids=tuple(map(str, range(1000))),
        baseline=torch.zeros(1, 1),
        layers=("relu1", "relu2", "relu3"),
        top_k=0.30,
        fingerprint="",
    )
    return with_targets(problem, 250)


@pytest.fixture(scope="module")
def tiles() -> Problem:
    """The 16 test tiles of the reference maps, at the course's size."""
    keep_freed_memory()  # as a run does: without it half of the time goes to the system
    names = values("hmt_maps")["files"]
    inputs = hmt_inputs(names)
    problem = Problem(
        model=with_course_weights(sys.modules["bench.tasks.hmt"].network(), "hmt"),
        inputs=inputs,
        sample_ids=tuple(names),
        baseline=torch.zeros(3, 1, 1),
        layers=("pool1", "pool2"),
        top_k=0.90,
        fingerprint="",
    )
    return with_targets(problem, 8)


def hmt_inputs(names: np.ndarray) -> torch.Tensor:
    task = sys.modules["bench.tasks.hmt"]
    split = task.files(task.find(Data(shared("BENCH_DATA", "data"))))["test"]
    return task.prepare(task.read([name.removesuffix(".tif") for name in names], split, SIZE)[0])


def test_probabilities_mnist1d(signals):
    course = values("mnist1d_course_probabilities")
    found = signals.model(signals.inputs).softmax(1).numpy()
    np.testing.assert_allclose(found, course["probabilities"], atol=4e-5)
    assert (found.argmax(1) == course["labels"]).mean() == 0.877


def test_probabilities_hmt():
    course = values("hmt_course_probabilities")
    rows = np.arange(0, 496, 8)  # every eighth tile: 62 of all classes
    model = with_course_weights(sys.modules["bench.tasks.hmt"].network(), "hmt")
    batches = hmt_inputs(course["files"][rows]).split(8)
    found = torch.cat([model(batch).softmax(1) for batch in batches]).numpy()
    np.testing.assert_allclose(found, course["probabilities"][rows], atol=8e-6)


def test_sise_on_signals(signals):
    """Float32 adds to the course's rounding that of this CPU's kernels, which the fusion's gate makes greater."""
    course, sise = values("mnist1d_maps"), sys.modules["bench.methods.sise"]
    some = signals.take(range(32))
    assert (some.targets.numpy() == course["explained_class"]).all()
    np.testing.assert_allclose(sise.layer_maps(some)[:4].numpy(), course["sise_layer_maps_first4"], atol=FLOAT32)
    np.testing.assert_allclose(sise.sise(some).numpy(), course["sise_three_conv_layers"], atol=GATE * FLOAT32)
    np.testing.assert_allclose(sise.sise(some, blocks=1).numpy(), course["sise_last_conv"], atol=FLOAT32)


def test_sise_on_tiles(tiles):
    """In float64 what differs is the course's own rounding; float32 adds that of this CPU's kernels."""
    course, layer = values("hmt_maps"), values("hmt_sise_layer_maps")
    sise = sys.modules["bench.methods.sise"]
    rows = [tiles.sample_ids.index(name) for name in layer["files"]]
    assert (tiles.targets.numpy() == course["explained_class"]).all()
    exact = replace(
        tiles, model=deepcopy(tiles.model).double(), inputs=tiles.inputs.double(), baseline=tiles.baseline.double()
    )
    for problem, fused, single in ((exact, 3e-5, 2e-6), (tiles, GATE * FLOAT32, FLOAT32)):
        layers = sise.layer_maps(problem)
        np.testing.assert_allclose(sise.fused(layers).numpy(), course["sise_two_pool_layers"], atol=fused)
        np.testing.assert_allclose(layers[rows].numpy(), layer["maps"], atol=single)


@pytest.mark.parametrize("name", ["sise_three_conv_layers", "sise_last_conv", "random"])
def test_drop_and_increase_on_signals(signals, name):
    check_drop_and_increase(signals.take(range(32)), "mnist1d", name)


@pytest.mark.parametrize("name", ["sise_two_pool_layers", "random"])
def test_drop_and_increase_on_tiles(tiles, name):
    check_drop_and_increase(tiles, "hmt", name)


def test_the_course_table_for_sise_at_the_last_layer(signals):
    """To the table's last digit, or to one sample of 1000: whether a feature map has a positive mean gradient, or a feature is
    the twelfth, may hang on the last bit, and some kinds of CPU sum otherwise than the course's."""
    maps = sys.modules["bench.methods.sise"].sise(signals, blocks=1)
    probe = Probe(signals)
    for metric, told in ((drop, 13.717), (increase, 37.5)):
        assert metric(probe, maps).mean().item() == pytest.approx(told, abs=100 / len(signals) + 5e-4)


def informative(problem: Problem, methods: list[str]) -> dict[str, str]:
    """What the leaderboard says of drop and increase, given these methods beside the random control."""
    probe, lines = Probe(problem), []
    for name in [*methods, "random"]:
        explained = explain_all(METHODS[name], problem, task="course", seed=0)
        for metric in ("drop", "increase"):
            found = score(METRICS[metric], METHODS[name], probe, explained, task="course", seed=0)
            lines += [
                {"method": name, "method_family": METHODS[name].family, "metric": metric, "score": one, "status": was}
                | {"higher_is_better": METRICS[metric].higher_is_better, "sample_id": sample}
                for one, was, sample in zip(found.values, found.status, problem.sample_ids, strict=True)
            ]
    about = {"task": "course", "metric_family": "faithfulness", "label": "", "metric_id": "", "method_id": ""}
    table = metric_table.metric_table(metric_table.long_table(pd.DataFrame(lines).assign(**about)))
    return dict(zip(table["metric"], table["informative"], strict=True))


def test_at_09_of_a_tile_drop_and_increase_tell_no_method_from_noise_and_at_03_of_a_signal_they_do(tiles, signals):
    """The course's two methods, at the share of features that the course keeps."""
    methods = ["sise", "grad_cam"]
    assert informative(tiles, methods) == {"drop": "no", "increase": "no"}
    assert informative(signals.take(range(200)), methods) == {"drop": "yes", "increase": "yes"}


TOSSED = {("mnist1d", "sise_three_conv_layers"): 4, ("mnist1d", "sise_last_conv"): 4}  # of 32 samples


def check_drop_and_increase(problem: Problem, task: str, name: str) -> None:
    """Columns: drop, increase, probability, probability masked, threshold, features kept."""
    course = values(f"{task}_drop_increase")[name]
    maps = torch.from_numpy(np.broadcast_to(values(f"{task}_maps")[name], (len(problem), *problem.shape)).copy())
    probe = Probe(problem)
    np.testing.assert_allclose(drop(probe, maps).numpy() / 100, course[:, 0], atol=FLOAT32)
    tossed = np.abs(course[:, 2] - course[:, 3]) < 1e-6  # a rise within rounding is a coin toss
    assert tossed.sum() == TOSSED.get((task, name), 0)
    assert ((increase(probe, maps).numpy() / 100 == course[:, 1]) | tossed).all()
    assert (course[:, 5] == int(problem.top_k * probe.features)).all()
    np.testing.assert_allclose(probe.full.numpy(), course[:, 2], atol=FLOAT32)
    np.testing.assert_allclose(
        probe.p_with_top(maps, probe.counts([problem.top_k]))[:, 0].numpy(), course[:, 3], atol=FLOAT32
    )
