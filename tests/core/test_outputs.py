"""What a model's answers mean: known values, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.core import outputs
from bench.core.adapt import two_logits
from bench.core.vocabulary import MODEL_OUTPUTS

LOGITS = torch.tensor([[0.0, math.log(3)], [math.log(9), 0.0]])


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("softmax", [[0.25, 0.75], [0.9, 0.1]]),
        ("sigmoid", [[0.5, 0.75], [0.9, 0.5]]),  # 3 / (1 + 3), 9 / (1 + 9)
        ("identity", [[0.0, math.log(3)], [math.log(9), 0.0]]),
    ],
)
def test_scores_by_hand(output, expected):
    assert outputs.scores(LOGITS, output).tolist() == [pytest.approx(row) for row in expected]
    targets = torch.tensor([1, 1])
    assert outputs.score(LOGITS, targets, output).tolist() == pytest.approx([row[1] for row in expected])
    both = outputs.score_and_logit(LOGITS, targets, output)
    assert both.dtype == torch.float64
    assert both[:, 1].tolist() == pytest.approx([math.log(3), 0.0])


def test_what_a_model_decides():
    logits = torch.tensor([[2.0, 0.5, -1.0], [-3.0, -1.0, -2.0]])
    targets = torch.tensor([1, 1])
    assert outputs.predicted(logits).tolist() == [0, 1]
    assert outputs.decides_for(logits, targets, "softmax").tolist() == [False, True]
    assert outputs.decides_for(logits, targets, "sigmoid").tolist() == [True, False]  # each label has its own logit
    other = torch.tensor([[2.0, -1.0, 9.0], [-3.0, -0.5, -2.0]])
    assert outputs.same_decision(logits, other, targets, "softmax").tolist() == [False, True]
    assert outputs.same_decision(logits, other, targets, "sigmoid").tolist() == [False, True]
    assert outputs.same_decision(logits, other, targets, "identity").tolist() == [True, True]


class Squeezed(nn.Module):
    """A dense layer whose only value is brought into another form: no second value fits."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.dense(x).view(len(x), 1)


@pytest.mark.parametrize("bias", [True, False])
def test_one_logit_becomes_two_in_the_layer_that_it_comes_from(bias):
    model, x = (
        nn.Sequential(nn.Linear(4, 1), nn.Tanh(), nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1, bias=bias)),
        torch.rand(5, 4),
    )
    twin = two_logits(model, x)
    z = model(x)
    assert torch.equal(twin(x), torch.cat([torch.zeros_like(z), z], 1))
    assert [type(part) for part in twin] == [type(part) for part in model]  # layer-wise methods see the same network
    assert (twin[4].out_features, twin[0].out_features, model[4].out_features) == (2, 1, 1)
    assert torch.equal(two_logits(nn.Linear(4, 1), x).weight[0], torch.zeros(4))


def test_one_logit_becomes_two_behind_a_model_that_cannot_be_widened():
    model, x = Squeezed(), torch.rand(5, 4)
    twin = two_logits(model, x)
    assert torch.allclose(twin(x), torch.cat([torch.zeros(5, 1), model(x)], 1))
    assert twin[0] is model


@pytest.mark.parametrize("z", [-30.0, -1.5, 0.0, 2.0, 30.0])
def test_the_second_class_of_two_logits_has_the_sigmoid_of_the_one(z):
    two = outputs.scores(torch.tensor([[0.0, z]], dtype=torch.float64), "softmax")[0, 1]
    assert float(two) == pytest.approx(sigmoid(z), rel=1e-12)
    assert set(MODEL_OUTPUTS) == {"softmax", "sigmoid", "identity"}
