"""A problem from a model of one's own: what is found, what is accepted, and what is refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.core.layers import block_ends
from bench.core.problem import Problem


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


INPUTS = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_last_module_of_each_spatial_size_ends_a_block():
    assert block_ends(network(), INPUTS) == ("1", "4")  # 8 x 8, then 4 x 4; the pooled 1 x 1 is no feature map


def test_the_outermost_of_nested_modules_ends_the_block():
    model = nn.Sequential()
    model.add_module("stem", nn.Conv2d(3, 4, 3, padding=1))
    model.add_module("body", nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)))
    assert block_ends(model, INPUTS) == ("stem", "body")


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(192, 3)),  # no feature maps
        nn.Sequential(nn.LayerNorm(8), nn.Flatten(), nn.Linear(192, 3)),
    ],
)
def test_a_network_keeps_its_hooks_and_may_have_no_feature_maps(model):
    found = block_ends(model, INPUTS)
    assert set(found) <= {"0"}
    assert all(not module._forward_hooks for module in model.modules())


def test_torchvision_networks_have_their_stages():
    from torchvision.models import resnet18

    ends = block_ends(resnet18(weights=None).eval(), torch.zeros(1, 3, 64, 64))
    assert ends == ("relu", "layer1", "layer2", "layer3", "layer4")


def test_fields_are_made_from_what_is_given():
    problem = Problem.from_model(
        network(),
        INPUTS.numpy(),
        targets=2,
        baseline=[0.1, 0.2, 0.3],
        truth=np.ones((5, 1, 8, 8)),
        bounds=(0.0, 1.0),
        sample_ids="abcde",
    )
    assert problem.layers == ("1", "4")
    assert problem.targets.tolist() == [2] * 5
    assert problem.baseline.shape == (3, 1, 1)
    assert problem.baseline.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert problem.truth is not None
    assert problem.truth.shape == (5, 8, 8)
    assert problem.bounds is not None
    assert problem.bounds.shape == (2, 3, 1, 1)
    assert problem.sample_ids == ("a", "b", "c", "d", "e")


def test_the_users_model_is_left_as_it_was():
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    bench.evaluate(
        Problem.from_model(model, INPUTS),
        methods=["saliency", "random"],
        metrics=["drop"],
        batch_size=4,
        progress=False,
    )
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model[0].weight.is_contiguous()


def test_float64_inputs_of_a_float32_model_become_float32():
    assert Problem.from_model(network(), INPUTS.double().numpy()).inputs.dtype == torch.float32


class Tupled(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x.mean((2, 3)),)


class Dropping(nn.Module):
    """Calls dropout in its forward pass, where eval mode does not reach it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.5).mean((2, 3))


class Counting(nn.Module):
    """Changes a buffer with every call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x.mean((2, 3)) + self.calls


BROKEN = network()
with torch.no_grad():
    BROKEN[7].weight[0, 0] = torch.nan


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"inputs": torch.rand(3, 8)}, r"inputs are torch.float32 of shape \(3, 8\); .*\(N, C, L\) or \(N, C, H, W\)"),
        ({"inputs": (INPUTS * 255).byte()}, "inputs are torch.uint8 .*floating-point values"),
        ({"inputs": INPUTS / 0}, "inputs hold 960 values that are not finite .for example inf.; replace them"),
        ({"model": lambda x: x}, "the model is of type function; a torch.nn.Module is needed"),
        ({"model": Tupled()}, "the model returns tuple; one tensor of logits"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(192, 1))}, r"returns the shape \(1, 1\).*two or more classes"),
        ({"model": nn.Conv2d(3, 2, 1)}, r"returns the shape \(1, 2, 8, 8\) for one input"),
        ({"model": BROKEN}, "the model's logits hold nan; check its weights"),
        ({"targets": 3}, "target 3 is not a class of the model; classes 0 to 2 are allowed"),
        ({"targets": [0, 1]}, r"shape \(2,\); 5 class numbers are needed"),
        ({"targets": [0.5] * 5}, "5 class numbers are needed"),
        ({"baseline": torch.zeros(4)}, r"baseline has the shape \(4,\); a number, or one for each of the 3 channels"),
        (
            {"truth": torch.ones(5, 3, 8, 8)},
            r"truth has the shape \(5, 3, 8, 8\); a mask of shape \(5, 8, 8\) is needed",
        ),
        ({"truth": torch.full((5, 8, 8), 0.5)}, "truth holds the value 0.5; a mask of 0 and 1 is needed"),
        ({"bounds": (0.0, 0.5)}, "bounds are 0.0 and 0.5, and inputs go from"),
        ({"sample_ids": ["a", "b", "a", "c", "d"]}, "sample id 'a' occurs twice"),
        ({"sample_ids": ["a"]}, "1 sample_ids were given for 5 inputs"),
        ({"layers": ["conv1"]}, r"unknown layer 'conv1' of the model .allowed: 0, 1, 2, 3, 4, 5, 6, 7."),
        ({"top_k": 30}, "top_k is 30; a share of the features between 0 and 1 is needed"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(given, sentence):
    with pytest.raises(bench.BenchError, match=sentence):
        Problem.from_model(**({"model": network(), "inputs": INPUTS} | given))
