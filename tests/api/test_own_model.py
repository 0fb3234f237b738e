"""A problem from a model of one's own: what is found, what is accepted, and what is refused with a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.core.entries import Task
from bench.core.errors import RequestError
from bench.core.layers import block_ends
from bench.core.problem import Problem
from bench.registry.decorators import TASKS


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
        truth=np.eye(8)[None, None].repeat(5, 0),
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


def with_weight(value: float) -> nn.Sequential:
    model = network()
    with torch.no_grad():
        model[7].weight[0, 0] = value
    return model


class Returning(nn.Module):
    """A model whose logits are put into another form."""

    def __init__(self, form: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: torch.Tensor) -> object:
        return self.form(x.mean((2, 3)))


class Stubborn(nn.Module):
    """Has a part that stays in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.drop.train()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def last(module: nn.Module) -> nn.Sequential:
    """The network with one more module at its end."""
    return nn.Sequential(*network(), module)


EMPTY = torch.zeros(5, 8, 8)
WRONG = {  # case -> what is given, and the sentence
    "a table of numbers": ({"inputs": torch.rand(3)}, r"inputs are torch.float32 of shape \(3,\); .*\(N, C, H, W\)"),
    "no samples": ({"inputs": INPUTS[:0]}, "with at least one sample"),
    "text": ({"inputs": "tile.png"}, "inputs are of type str; a tensor or a NumPy array is needed"),
    "bytes": ({"inputs": (INPUTS * 255).byte()}, "inputs are torch.uint8 .*floating-point values"),
    "infinite inputs": (
        {"inputs": INPUTS / 0},
        "inputs hold 960 values that are not finite .for example inf.; replace",
    ),
    "inputs of another size": (
        {"inputs": INPUTS[:, :2]},
        r"cannot take inputs of shape \(4, 2, 8, 8\): RuntimeError",
    ),
    "a path as model": ({"model": "net.pt"}, "the model is of type str; a torch.nn.Module, or a function, is needed"),
    "a weight that is nan": ({"model": with_weight(torch.nan)}, "weight '7.weight' is not finite .1 of 18 values"),
    "an infinite weight": ({"model": with_weight(torch.inf)}, "weight '7.weight' .*for example inf.; load or train"),
    "a division by zero": ({"model": Returning(lambda z: z / 0)}, "logits hold inf; check its weights and the range"),
    "float16": ({"model": network().half()}, "weight '0.weight' is float16, .*model.float()"),
    "bfloat16": ({"model": network().bfloat16()}, "weight '0.weight' is bfloat16"),
    "the meta device": ({"model": network().to("meta")}, "weight '0.weight' is on the meta device .*load the weights"),
    "train mode": ({"model": Stubborn()}, "module 'drop' stays in train mode after model.eval()"),
    "an answer with a key logits": (
        {"model": Returning(lambda z: {"features": z, "logits": z})},
        r"for example readout='logits' \(--readout logits\)$",
    ),
    "an answer with one value of that form": (
        {"model": Returning(lambda z: {"maps": z[..., None], "ids": z.long(), "out put": z})},
        r"for example readout='out put' \(--readout 'out put'\)$",
    ),
    "an answer with two values of that form": (
        {"model": Returning(lambda z: {"first": z, "second": z})},
        r"for example readout='first' \(--readout first\)$",
    ),
    "an object with logits": ({"model": Returning(lambda z: SimpleNamespace(x=z, logits=z))}, "readout='logits'"),
    "a name for a place": (
        {"model": Returning(lambda z: (z,)), "readout": "logits"},
        "is a tuple of 1, and readout='logits' is no place in it; a number below 1 is needed, for example readout=0",
    ),
    "a place for a name": (
        {"model": Returning(lambda z: SimpleNamespace(logits=z)), "readout": 0},
        "unknown attribute '0' of the model's answer .allowed: logits.$",
    ),
    "a tuple": ({"model": Returning(lambda z: (z,))}, "the model returns tuple; .*readout=0"),
    "a dictionary": ({"model": Returning(lambda z: {"out": z})}, r"with the keys \['out'\]; .*readout='out'"),
    "an object": ({"model": Returning(lambda z: bench)}, "returns module; .*readout=lambda answer: answer.logits"),
    "nothing": ({"model": Returning(lambda z: None)}, "the model returns NoneType; one tensor of logits"),
    "one value each": (
        {"model": Returning(lambda z: z[:, 0])},
        r"shape \(4,\) for 4 inputs; .*output='sigmoid' for the logit",
    ),
    "one logit": ({"model": Returning(lambda z: z[:, :1])}, "whose softmax is always 1; give output='sigmoid' where"),
    "maps": ({"model": nn.Conv2d(3, 2, 1)}, r"shape \(4, 2, 8, 8\) .*readout=lambda answer: answer.mean\(\(2, 3\)\)"),
    "a sequence": ({"model": Returning(lambda z: z[:, None])}, r"shape \(4, 1, 3\) for 4 inputs.*answer.mean\(2\)"),
    "samples first merged": ({"model": Returning(lambda z: z.view(2, -1))}, r"shape \(2, 6\) for 4 inputs"),
    "a softmax": (
        {"model": last(nn.Softmax(1))},
        "returns probabilities .values in .0, 1. that sum to 1. where logits",
    ),
    "a softmax in forward": ({"model": Returning(lambda z: z.softmax(1))}, "returns probabilities"),
    "a sigmoid": (
        {"model": last(nn.Sigmoid())},
        ".0, 1. whatever it is asked, .*before the sigmoid, with output",
    ),
    "labels behind a sigmoid": ({"model": last(nn.Sigmoid()), "output": "sigmoid"}, "before the sigmoid"),
    "dropout in forward": (
        {"model": Dropping()},
        r"two answers to the same input; .*F.dropout needs training=self.training",
    ),
    "a counter": ({"model": Counting()}, "gives two answers to the same input"),
    "a mean over the batch": (
        {"model": Returning(lambda z: z - z.mean(0))},
        "depends on the other inputs of the batch",
    ),
    "an unknown output": ({"output": "sigmoids"}, "unknown output 'sigmoids'; did you mean 'sigmoid'"),
    "an unknown arrangement": ({"channels": "separated"}, "unknown channels 'separated'; did you mean 'separate'"),
    "several values": ({"output": "identity"}, "the model returns 3 values; name the one to explain: targets=0"),
    "two values": (
        {"model": Returning(lambda z: z[:, :2]), "output": "identity"},
        "the model returns 2 values; name the one to explain",
    ),
    "a class too many": ({"targets": 3}, "target 3 is not a class of the model; classes 0 to 2 are allowed"),
    "a class below zero": ({"targets": [0, 1, -1, 0, 0]}, "target -1 is not a class of the model"),
    "too few targets": ({"targets": [0, 1]}, r"shape \(2,\); 5 class numbers are needed"),
    "targets that are shares": ({"targets": [0.5] * 5}, "targets are torch.float32 .*5 class numbers are needed"),
    "targets that are flags": ({"targets": [True] * 5}, "5 class numbers are needed"),
    "a label too many": ({"labels": [0, 1, 2, 3, 0]}, "label 3 is not a class of the model"),
    "a baseline of other channels": (
        {"baseline": torch.zeros(4)},
        r"baseline has the shape \(4,\); a number, or one for",
    ),
    "a baseline for each pixel": ({"baseline": torch.zeros(3, 8, 8)}, r"baseline has the shape \(3, 8, 8\)"),
    "a baseline in words": (
        {"baseline": "black"},
        "baseline is of type str; a number, or one for each of the 3 channels",
    ),
    "a baseline that is nan": ({"baseline": float("nan")}, "baseline holds nan; finite values are needed"),
    "truth of each channel": (
        {"truth": torch.ones(5, 3, 8, 8)},
        r"truth has the shape \(5, 3, 8, 8\); a mask of shape",
    ),
    "truth of shares": ({"truth": EMPTY + 0.5}, "truth holds the value 0.5; a mask of 0 and 1 is needed"),
    "truth everywhere": ({"truth": EMPTY + 1}, "truth marks all of the input in every sample"),
    "truth nowhere": ({"truth": EMPTY}, "truth marks nothing in every sample"),
    "background of another size": (
        {"background": INPUTS[:, :, :4]},
        r"have the shape \(5, 3, 4, 8\); \(B, 3, 8, 8\)",
    ),
    "infinite background": ({"background": INPUTS / 0}, "background inputs hold 960 values that are not finite"),
    "bounds that inputs exceed": ({"bounds": (0.0, 0.5)}, "bounds are 0.0 and 0.5, and inputs go from"),
    "bounds in the wrong order": (
        {"bounds": (1.0, 0.0)},
        "the lowest and the highest value that an input can have are",
    ),
    "a single bound": ({"bounds": 1.0}, "bounds are 1.0; two numbers are needed"),
    "an id twice": ({"sample_ids": ["a", "b", "a", "c", "d"]}, "sample id 'a' occurs twice"),
    "too few ids": ({"sample_ids": ["a"]}, "1 sample_ids were given for 5 inputs"),
    "a layer that is not there": (
        {"layers": ["conv1"]},
        r"unknown layer 'conv1' of the model .allowed: 0, 1, 2, 3, 4, 5, 6, 7.",
    ),
    "top_k in percent": ({"top_k": 30}, "top_k is 30; a share of the features between 0 and 1 is needed"),
    "top_k of nothing": ({"top_k": 0}, "top_k is 0; a share"),
    "top_k of all": ({"top_k": 1.0}, "top_k is 1.0; a share"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_refused_with_a_sentence(case):
    given, sentence = WRONG[case]
    with pytest.raises(RequestError, match=sentence):
        Problem.from_model(**({"model": network(), "inputs": INPUTS} | given))


def test_inputs_that_require_a_gradient_are_detached():
    inputs = INPUTS.clone().requires_grad_()
    problem = Problem.from_model(network(), inputs)
    assert not problem.inputs.requires_grad
    found = bench.evaluate(problem, methods=["saliency"], metrics=["drop", "deletion"], progress=False)
    assert set(found.scores["status"]) == {"ok"}


# --- Problems that are not made by `from_model` are checked as well, before anything is computed


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model": with_weight(torch.nan)}, "weight '7.weight' is not finite .1 of 18 values"),
        ({"model": last(nn.Softmax(1)).eval()}, "returns probabilities"),
        ({"model": Returning(lambda z: (z,)).eval(), "layers": ()}, "the model returns tuple"),
        ({"model": Stubborn().eval(), "layers": ()}, "module 'drop' stays in train mode"),
        ({"inputs": INPUTS / 0}, "inputs hold 960 values that are not finite"),
        ({"inputs": INPUTS[:3]}, "3 inputs were given for 5 sample_ids"),
        ({"sample_ids": ("a", "b", "c", "d", "b")}, "sample id 'b' occurs twice"),
        ({"baseline": 0.0}, r"baseline has the type float; a tensor of shape \(3, 1, 1\)"),
        ({"baseline": torch.zeros(3)}, r"baseline has the shape \(3,\); a tensor of shape \(3, 1, 1\)"),
        ({"baseline": torch.full((3, 1, 1), torch.nan)}, "baseline holds values that are not finite"),
        ({"bounds": torch.tensor([0.0, 1.0])}, r"bounds have the shape \(2,\); \(2, 3, 1, 1\) is needed"),
        ({"bounds": torch.ones(2, 3, 1, 1)}, "bounds are not in order"),
        ({"baseline": torch.zeros(2, 1, 1)}, r"baseline has the shape \(2, 1, 1\); a tensor of shape \(3, 1, 1\)"),
        ({"background": INPUTS[0]}, r"background has the shape \(3, 8, 8\); \(B, 3, 8, 8\) is needed"),
        (
            {"truth": torch.ones(5, 1, 8, 8, dtype=torch.bool)},
            r"bool of shape \(5, 1, 8, 8\); bool of shape \(5, 8, 8\)",
        ),
        ({"truth": torch.ones(5, 8, 8)}, "truth is float32 of shape"),
        ({"targets": torch.tensor([0, 1, 2, 99, 0])}, "target 99 is not a class of the model; classes 0 to 2"),
        ({"layers": ("3", "conv9")}, "unknown layer 'conv9' of the model"),
        ({"top_k": 30}, "top_k is 30; a share"),
        ({"output": "regression"}, "unknown output 'regression'"),
    ],
)
@pytest.mark.parametrize("way", ["evaluate", "attribute", "score", "explain", "a task"])
def test_every_way_in_checks_the_problem(changed, sentence, way, monkeypatch):
    good = Problem.from_model(network(), INPUTS, sample_ids="abcde")
    problem = replace(good, **changed)
    ways = {
        "evaluate": lambda: bench.evaluate(problem, methods=["random"], metrics=["drop"], progress=False),
        "attribute": lambda: bench.attribute(problem, "random"),
        "score": lambda: bench.score(problem, torch.rand(5, 8, 8), metrics=["drop"]),
        "explain": lambda: bench.explain(problem, methods=["random"], progress=False),
    }
    if way != "a task":
        with pytest.raises(RequestError, match=sentence):
            ways[way]()
        return

    def broken(sample_ids: tuple[str, ...]) -> Problem:
        return good.take([0]) if len(sample_ids) == 1 else problem

    entry = Task("broken", broken, "", "", 1, (), ("sample_ids",), samples=lambda: list(problem.sample_ids))
    monkeypatch.setitem(TASKS, "broken", replace(entry, profiles=(("standard", None),)))
    found = bench.evaluate(task=["broken"], methods=["random"], metrics=["drop"], progress=False)
    assert found.scores.empty  # nothing is scored beside it
    assert re.search(sentence, found.facts["failed_tasks"]["broken"])
