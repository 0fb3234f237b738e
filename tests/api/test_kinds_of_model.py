"""Models and inputs of every kind that users have: the right number, worked by hand or from a twin."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import bench
from bench.core.problem import Problem
from bench.engine.explain import why_skipped
from bench.registry.decorators import METHODS, METRICS

GENERATOR = torch.Generator().manual_seed(3)
SIGNALS = torch.rand(6, 3, 20, generator=GENERATOR)
IMAGES = torch.rand(6, 1, 12, 10, generator=GENERATOR)
MAP_METRICS = ["deletion", "insertion", "drop", "increase", "topk_deletion", "aopc_morf", "irof", "infidelity"]
SHARED = [
    "saliency",
    "integrated_gradients",
    "grad_cam",
    "lrp_epsilon",
    "occlusion",
    "sise",
    "rise[masks=40]",
    "random",
]


def head(classes: int, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, classes),
    ).eval()


def linear(weights: Tensor, bias: Tensor | None = None) -> nn.Sequential:
    """(N, C, *S) -> (N, K), the sum of weights (K, places) times values."""
    dense = nn.Linear(weights.shape[1], len(weights))
    with torch.no_grad():
        dense.weight.copy_(weights)
        dense.bias.copy_(torch.zeros(len(weights)) if bias is None else bias)
    return nn.Sequential(nn.Flatten(), dense).eval()


def scores(problem: Problem, methods: list[str], metrics: list[str]) -> pd.DataFrame:
    found = bench.evaluate(problem, methods=methods, metrics=metrics, batch_size=4, progress=False, device="cpu")
    return found.scores


# --- One logit


def test_one_logit_scores_as_its_twin_of_two():
    """The twin has the logits (0, z), which softmax turns into sigmoid(z)."""
    one, two = head(1), head(2)
    with torch.no_grad():
        for place in ("0", "3"):
            two.get_submodule(place).load_state_dict(one.get_submodule(place).state_dict())
        one[7].weight.mul_(20)
        two[7].weight.copy_(torch.cat([torch.zeros(1, 5), one[7].weight]))
        two[7].bias.copy_(torch.cat([torch.zeros(1), one[7].bias]))
    metrics = [*MAP_METRICS, "completeness", "random_logit", "max_sensitivity", "quantus_pixel_flipping"]
    found, wanted = (
        scores(problem, SHARED, metrics).set_index(["method_id", "metric_id", "sample_id"])
        for problem in (Problem.from_model(one, IMAGES, output="sigmoid"), Problem.from_model(two, IMAGES, targets=1))
    )
    assert len(found) == len(SHARED) * len(metrics) * len(IMAGES)
    assert (found["status"] == wanted["status"]).all()
    assert (found["status"] == "ok").mean() > 0.9
    assert (found["score"] - wanted["score"]).abs().max() < 1e-6


@pytest.mark.parametrize("column", [True, False], ids=["(N, 1)", "(N,)"])
def test_one_logit_by_hand(column):
    """z = 4 a - 2 b for two values: without a the probability is sigmoid(-2 b), without b sigmoid(4 a)."""
    a, b = 0.75, 0.5
    model = linear(torch.tensor([[4.0, -2.0]]))
    model = model if column else nn.Sequential(model, nn.Flatten(0))
    problem = Problem.from_model(model, torch.tensor([[[a, b]]]), targets=1, output="sigmoid", top_k=0.5)
    found = bench.score(problem, torch.tensor([[[2.0, 1.0]]])[:, 0], metrics=["drop", "topk_deletion", "deletion"])
    p = 1 / (1 + math.exp(-(4 * a - 2 * b)))
    without_a, without_b = 1 / (1 + math.exp(2 * b)), 1 / (1 + math.exp(-4 * a))
    assert found["topk_deletion"].iloc[0] == pytest.approx(100 * (p - without_a) / p, rel=1e-5)
    assert without_b > p  # so nothing is lost when only a is kept
    assert found["drop"].iloc[0] == pytest.approx(0, abs=1e-4)
    assert found["deletion"].iloc[0] == pytest.approx((p / 2 + without_a + 0.5 / 2) / 2, rel=1e-5)


# --- Labels that do not exclude each other, and values


def test_labels_have_probabilities_of_their_own():
    """Two labels, each with the logit of one value: the other value does not matter."""
    model = linear(torch.tensor([[3.0, 0.0], [0.0, 5.0]]))
    problem = Problem.from_model(model, torch.tensor([[[1.0, 0.2]]]), targets=0, output="sigmoid", top_k=0.5)
    found = bench.score(problem, torch.tensor([[2.0, 1.0]]), metrics=["topk_deletion", "deletion"])
    p = 1 / (1 + math.exp(-3))
    assert found["topk_deletion"].iloc[0] == pytest.approx(100 * (p - 0.5) / p, rel=1e-5)
    assert found["deletion"].iloc[0] == pytest.approx((p / 2 + 0.5 + 0.5 / 2) / 2, rel=1e-5)
    softmax = Problem.from_model(model, torch.tensor([[[1.0, 0.2]]]), targets=0, top_k=0.5)
    assert bench.score(softmax, torch.tensor([[2.0, 1.0]]), metrics=["deletion"])["deletion"].iloc[0] != pytest.approx(
        found["deletion"].iloc[0], rel=1e-3
    )
    assert softmax.fingerprint == problem.fingerprint  # the weights; that scores are kept apart is tested below


def test_values_of_a_regression_are_read_as_they_are():
    """f = 4 a - 2 b + 1: a has the highest attribution, so the deletion curve is f, 1 - 2 b, 1."""
    a, b = 0.75, 0.5
    model = linear(torch.tensor([[4.0, -2.0]]), torch.tensor([1.0]))
    problem = Problem.from_model(model, torch.tensor([[[a, b]]]), output="identity", top_k=0.5)
    assert problem.targets.tolist() == [0]
    maps = torch.tensor([[2.0, 1.0]])
    found = bench.score(problem, maps, metrics=["deletion", "insertion", "aopc_morf"])
    full, without_a = 4 * a - 2 * b + 1, 1 - 2 * b
    assert found["deletion"].iloc[0] == pytest.approx((full / 2 + without_a + 1 / 2) / 2)
    assert found["insertion"].iloc[0] == pytest.approx((1 / 2 + (1 + 4 * a) + full / 2) / 2)
    rows = scores(problem, ["gradient_x_input", "random"], ["drop", "increase", "irof", "completeness"])
    assert set(rows.loc[rows["metric"] != "completeness", "status"]) == {"skipped"}
    note = rows.loc[rows["metric"] == "drop", "note"].iloc[0]
    assert note == "drop needs a task with output 'softmax' or output 'sigmoid', and this one has output 'identity'"
    exact = rows[(rows["metric"] == "completeness") & (rows["method"] == "gradient_x_input")]
    assert exact["score"].iloc[0] == pytest.approx(0, abs=1e-6)


def test_scores_of_another_kind_of_output_are_kept_apart(tmp_path):
    model, fingerprints = linear(torch.eye(2) * 3), set()
    for output in ("softmax", "sigmoid", "identity"):
        problem = Problem.from_model(model, torch.rand(2, 1, 2), targets=0, output=output)
        found = bench.evaluate(problem, methods=["saliency"], metrics=["deletion"], out=tmp_path, progress=False)
        fingerprints.add(found.facts["tasks"]["model"]["fingerprint"])
    assert len(fingerprints) == 3


# --- What an answer is read out from


class Answers(nn.Module):
    """A model whose answer has another form."""

    def __init__(self, form: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.model, self.form = head(3), form

    def forward(self, x: Tensor) -> object:
        return self.form(self.model(x))


class Named:
    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


@pytest.mark.parametrize(
    ("form", "readout"),
    [
        (lambda z: (z, "hidden"), 0),
        (lambda z: {"loss": None, "logits": z}, "logits"),
        (Named, "logits"),
        (
            lambda z: z[:, :, None, None].expand(-1, -1, 4, 4),
            lambda z: z.mean((2, 3)),
        ),  # segmentation: mean over a region
        (lambda z: z[:, None].expand(-1, 7, -1), lambda z: z[:, -1]),  # a sequence: its last place
    ],
    ids=["tuple", "dict", "attribute", "segmentation", "sequence"],
)
def test_a_readout_gives_what_the_plain_model_gives(form, readout):
    plain, read = Problem.from_model(head(3), IMAGES), Problem.from_model(Answers(form), IMAGES, readout=readout)
    for method in ("integrated_gradients", "grad_cam"):
        assert torch.allclose(bench.attribute(read, method), bench.attribute(plain, method), atol=1e-6)
    assert read.layers == tuple(f"model.model.{name}" for name in plain.layers)


def test_functions_are_models_that_are_told_apart_by_their_answers():
    problem = Problem.from_model(lambda x: x.mean(2), SIGNALS)
    other = Problem.from_model(lambda x: 2 * x.mean(2), SIGNALS)
    assert problem.fingerprint != other.fingerprint
    assert problem.fingerprint == Problem.from_model(lambda x: x.mean(2), SIGNALS).fingerprint
    found = scores(problem, ["occlusion", "gradient_x_input"], ["deletion", "completeness"])
    assert set(found["status"]) == {"ok"}


# --- Shapes


@pytest.mark.parametrize("shape", [(1, 5, 6, 7), (3, 4, 4, 4), (2, 1, 5, 3)], ids=str)
def test_volumes(shape):
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv3d(shape[0], 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    inputs = torch.rand(3, *shape)
    truth = torch.zeros(3, *shape[1:], dtype=torch.bool)
    truth[:, :, 1:3] = True
    problem = Problem.from_model(model, inputs, truth=truth)
    methods = ["saliency", "integrated_gradients", "grad_cam", "sise", "rise[masks=20]", "edges", "oracle", "random"]
    metrics = ["deletion", "irof", "drop", "pointing_game", "localisation_auc", "completeness", "sparseness"]
    found = scores(problem, methods, metrics)
    assert "failed" not in set(found["status"])
    assert found.query("method == 'oracle' and metric == 'localisation_auc'")["score"].tolist() == [1.0] * 3
    assert bench.attribute(problem, "saliency").shape == (3, *shape[1:])


def test_feature_vectors_are_signals_of_one_channel():
    """A linear model: gradient x input is weight times value, and the deletion curve follows from the logits."""
    weights = torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, 1.0, -1.0]])
    model, values = nn.Linear(4, 2), torch.rand(5, 4)
    with torch.no_grad():
        model.weight.copy_(weights)
    problem = Problem.from_model(model, values.numpy(), targets=0, background=values[:3])
    assert problem.inputs.shape == (5, 1, 4)
    assert problem.background is not None
    assert problem.background.shape == (3, 1, 4)
    assert torch.allclose(bench.attribute(problem, "gradient_x_input"), weights[0] * values, atol=1e-6)
    found = scores(problem, ["gradient_x_input", "kernel_shap", "random"], ["deletion", "completeness"])
    assert found.query("metric == 'completeness' and method != 'random'")["score"].max() < 1e-4


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_networks(kind):
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.cell, self.dense = kind(3, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(self.cell(x.transpose(1, 2))[0][:, -1])

    found = scores(
        Problem.from_model(Recurrent(), SIGNALS),
        ["integrated_gradients", "occlusion", "lrp_epsilon", "sise", "random"],
        ["deletion", "completeness"],
    )
    assert "failed" not in set(found["status"])
    assert set(found.query("method in ('lrp_epsilon', 'sise')")["status"]) == {"skipped"}
    assert found.query("metric == 'completeness' and method == 'integrated_gradients'")["score"].max() < 0.05


@pytest.mark.parametrize("size", [(1, 9), (17, 8), (7, 31)], ids=str)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_odd_sizes_and_numbers_of_channels(size, channels):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    problem = Problem.from_model(model, torch.rand(3, channels, *size), baseline=[0.1] * channels)
    found = scores(problem, SHARED, ["deletion", "irof", "drop", "completeness"])
    assert "failed" not in set(found["status"])


# --- Channels of their own


def test_separate_channels_answer_which_channel_it_is():
    """Only channel 1 counts: with channels together each place is weighed, with separate ones each channel's place."""
    weights = torch.zeros(2, 3, 20)
    weights[0, 1] = torch.arange(1.0, 21)
    model = linear(weights.flatten(1))
    truth = torch.zeros(6, 3, 20, dtype=torch.bool)
    truth[:, 1] = True
    problem = Problem.from_model(
        model,
        SIGNALS,
        targets=0,
        channels="separate",
        baseline=[0.1, 0.2, 0.3],
        bounds=(0.0, 1.0),
        truth=truth,
        background=SIGNALS,
    )
    maps = bench.attribute(problem, "gradient_x_input")
    assert maps.shape == (6, 3, 20)
    assert torch.allclose(maps[:, 1], weights[0, 1] * (SIGNALS[:, 1] - 0.2), atol=1e-5)
    assert maps[:, [0, 2]].abs().max() == 0
    together = Problem.from_model(model, SIGNALS, targets=0, baseline=[0.1, 0.2, 0.3])
    assert torch.allclose(bench.attribute(together, "gradient_x_input"), maps.sum(1), atol=1e-5)
    # deletion of the only channel that counts is that of all places
    found, same = (
        bench.score(one, values, metrics=["topk_deletion[k=0.999]"])["topk_deletion[k=0.999]"]
        for one, values in ((problem, maps), (together, maps.sum(1)))
    )
    assert found.tolist() == pytest.approx(same.tolist(), abs=1.0)
    rows = scores(
        problem, ["oracle", "gradient_x_input", "expected_gradients", "random"], ["localisation_auc", "deletion"]
    )
    assert set(rows["status"]) == {"ok"}
    assert rows.query("method == 'oracle' and metric == 'localisation_auc'")["score"].tolist() == [1.0] * 6


# Where a place's neighbours count, a channel is no neighbour of the end of the one before it; or features are no part of the
# question (time, random weights by the names of modules).
OF_NEIGHBOURS = {"explanation_continuity", "irof", "road", "mprt_cascading", "mprt_independent", "seconds"}


class Unfolded(nn.Module):
    """A model of (N, 1, 3 * 20) that is one of (N, 3, 20): the channels one after the other."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, signals: Tensor) -> Tensor:
        return self.model(signals.view(len(signals), 3, 20))


def test_separate_channels_score_as_one_long_signal_of_them_does():
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Conv1d(3, 6, 5, padding=2), nn.ReLU(), nn.Conv1d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4)
    ).eval()
    metrics = [name for name in bench.list_metrics() if "quantus" not in name and name not in OF_NEIGHBOURS]
    methods = ["gradient_x_input", "integrated_gradients"]
    ids = [f"s{row}" for row in range(6)]
    separate = Problem.from_model(model, SIGNALS, channels="separate", sample_ids=ids)
    long = Problem.from_model(Unfolded(model), SIGNALS.reshape(6, 1, 60), sample_ids=ids)
    one, other = (
        part[part["status"] == "ok"].set_index(["method", "metric", "sample_id"])["score"].sort_index()
        for part in (scores(separate, methods, metrics), scores(long, methods, metrics))
    )
    shared = one.index.intersection(other.index)
    assert len(shared) >= 2 * 6 * 25  # at least 25 metrics serve both
    pd.testing.assert_series_equal(one[shared], other[shared], rtol=1e-4, atol=1e-5)


def test_methods_of_feature_maps_are_skipped_where_channels_are_separate():
    problem = Problem.from_model(head(3), IMAGES, channels="separate")
    rows = scores(problem, ["grad_cam", "sise", "saliency"], ["deletion"])
    assert rows.groupby("method", observed=True)["status"].agg(set).to_dict() == {
        "grad_cam": {"skipped"},
        "saliency": {"ok"},
        "sise": {"skipped"},
    }
    reasons = set(rows.loc[rows["method"] != "saliency", "note"])
    way_out = "needs one map for all channels; leave channels='separate' out"
    assert reasons == {f"grad_cam {way_out}", f"sise {way_out}"}
    logit = Problem.from_model(head(1), IMAGES, channels="separate", output="sigmoid")
    metric = METRICS["relative_representation_stability"]
    assert why_skipped(metric, logit) == f"relative_representation_stability {way_out}"


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.dense = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.lstm(x.transpose(1, 2))[0][:, -1])


@pytest.mark.parametrize(
    "problem",
    [
        lambda: Problem.from_model(Recurrent(), SIGNALS[:, :1].expand(-1, 2, -1)),
        lambda: Problem.from_model(nn.Linear(4, 3), IMAGES[:, 0, 0, :4]),
    ],
    ids=["recurrent", "feature vectors"],
)
def test_methods_of_feature_maps_say_so_where_a_model_has_none(problem):
    reason = "layers with feature maps, and none were found in this model; name them with layers="
    assert why_skipped(METHODS["grad_cam"], problem()) == f"grad_cam needs {reason}"


# --- Precision


def test_a_model_in_float64_is_computed_in_float64():
    problem = Problem.from_model(head(3).double(), IMAGES)
    assert problem.inputs.dtype == torch.float64
    found = scores(problem, SHARED, MAP_METRICS)
    assert "failed" not in set(found["status"])
    single = scores(Problem.from_model(head(3), IMAGES), ["saliency"], ["deletion"])
    assert np.allclose(
        found.query("method == 'saliency' and metric == 'deletion'")["score"], single["score"], atol=1e-4
    )


def test_nothing_is_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Problem.from_model(head(1), IMAGES, output="sigmoid")
        Problem.from_model(head(1), IMAGES.requires_grad_(), output="identity")
    IMAGES.requires_grad_(False)
