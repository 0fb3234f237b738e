"""Turns a user's model into one that the harness can explain: (N, C, *S) -> logits (N, K).

Each wrapper is a module of its own, so that traced networks and layer-wise methods see what it does.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import RequestError
from bench.core.hashing import digest, model_digest
from bench.core.model_checks import ASKED, check_weights, checked_logits
from bench.core.nearest import unknown
from bench.core.readouts import Readout, picked
from bench.core.vocabulary import CHANNELS, IDENTITY, MODEL_OUTPUTS, SIGMOID, SOFTMAX, TOGETHER


class Wrapper(nn.Module):
    """A module around a whole model."""

    model: nn.Module

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class ReadOut(Wrapper):
    """Takes from what a model returns the logits (N, K): by key, by place, or with a function."""

    def __init__(self, model: nn.Module, readout: Readout) -> None:
        super().__init__(model)
        self.readout = readout

    def forward(self, inputs: Tensor) -> Tensor:
        return picked(self.model(inputs), self.readout)


class Called(nn.Module):
    """A function as a model. Its weights are not known, so layer-wise methods cannot serve it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


class Column(Wrapper):
    """(N,) -> (N, 1): a single value of each sample as the only output."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs).unsqueeze(1)


class WithoutChannel(Wrapper):
    """(N, 1, ...) -> what the model makes of (N, ...): feature vectors, or channels that are features of their own."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs.squeeze(1))


def as_model(model: nn.Module | Callable[[Tensor], Tensor], readout: Readout | None = None) -> nn.Module:
    """A copy of the model in eval mode, with its readout. Raises RequestError for what cannot be called."""
    if not isinstance(model, nn.Module) and not callable(model):
        raise RequestError(f"the model is of type {type(model).__name__}; a torch.nn.Module, or a function, is needed")
    own = copy.deepcopy(model) if isinstance(model, nn.Module) else Called(model)
    return (own if readout is None else ReadOut(own, readout)).eval()


def separates(model: nn.Module, inputs: Tensor) -> bool:
    """Whether inputs as the harness arranges them, of that model, have channels that are features of their own."""
    return inputs.dim() > 3 and any(isinstance(part, WithoutChannel) for part in model.modules())


def wrapped(model: nn.Module) -> frozenset[str]:
    """The names of modules that are the whole of what a user gave, inside of what was wrapped around it."""
    names, name = set(), ""
    while isinstance(model, Wrapper):
        name, model = f"{name}.model".lstrip("."), model.model
        names.add(name)
    return frozenset(names)


def fingerprint(model: nn.Module, inputs: Tensor) -> str:
    """A hash of the model's structure and weights; where it holds functions, of what it answers too."""
    parts = [model_digest(model)]
    if any(isinstance(part, Called) or callable(getattr(part, "readout", None)) for part in model.modules()):
        with torch.no_grad():
            answers = model(inputs[:ASKED])
        parts += [f"{value:.4g}" for value in answers.flatten().tolist()]
    return digest(*parts) if len(parts) > 1 else parts[0]


def arranged(
    model: nn.Module, inputs: Tensor | np.ndarray, channels: str
) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The model for inputs as the harness arranges them, and what arranges them: (N, C, *S) -> inputs of the model.

    `inputs` as they were given: feature vectors (N, F) are arranged as (N, 1, F). `channels`: one of CHANNELS.
    """
    if channels not in CHANNELS:
        raise RequestError(unknown("channels", channels, CHANNELS))
    if np.ndim(inputs) == 2:
        return WithoutChannel(model).eval(), lambda values: values
    if channels == TOGETHER:
        return model, lambda values: values
    return WithoutChannel(model).eval(), lambda values: values.unsqueeze(1)


def fitted(model: nn.Module, inputs: Tensor, output: str) -> tuple[nn.Module, str, int]:
    """The model as one of logits (N, K), what these mean, and K.

    One logit of a class becomes the logits (0, z) of two classes. Raises RequestError for what is no such model.
    """
    if output not in MODEL_OUTPUTS:
        raise RequestError(unknown("output", output, MODEL_OUTPUTS))
    check_weights(model)
    if output != SOFTMAX and _is_column(model, inputs):
        model = Column(model).eval()
    answers = checked_logits(model, inputs, output)
    if output == SIGMOID and answers.shape[1] == 1:
        return two_logits(model, inputs[:ASKED]), SOFTMAX, 2
    return model, output, answers.shape[1]


def default_target(asked: str, output: str, classes: int) -> int | None:
    """The class that is explained in all samples where none is named; None: the one that the model predicts.

    `asked`, `output`: what the logits meant before and after `fitted`. One logit is for class 1: that of class 0 is always
    zero, and has no map. Of several values one must be named.
    """
    if asked == IDENTITY:
        if classes > 1:
            raise RequestError(
                f"the model returns {classes} values; name the one to explain: targets=0, or --target 0, for example"
            )
        return 0
    return 1 if asked != output else None


def _is_column(model: nn.Module, inputs: Tensor) -> bool:
    """Whether the model returns (N,)."""
    with torch.no_grad(), contextlib.suppress(Exception):
        return tuple(model(inputs[:2].clone()).shape) == (len(inputs[:2]),)
    return False


def two_logits(model: nn.Module, inputs: Tensor) -> nn.Module:
    """A model of one logit z (N, 1) as one of two logits (0, z): softmax of these gives the second class sigmoid(z).

    Where z comes from a dense layer, that layer gets a second row of zeros, so that the network keeps its form; elsewhere a
    dense layer with fixed weights follows it. `inputs`: two or more, on which the new model is compared with the old one.
    """
    with torch.no_grad():
        z = model(inputs)
    wanted = torch.cat([torch.zeros_like(z), z], dim=1)
    for name in [
        name for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and layer.out_features == 1
    ]:
        other = copy.deepcopy(model)
        parent, _, attribute = name.rpartition(".")
        if not name:
            return _widened(model)
        setattr(other.get_submodule(parent), attribute, _widened(other.get_submodule(name)))
        try:
            with torch.no_grad():
                found = other(inputs)
        except Exception:  # the layer is not the last: what follows cannot take two values
            continue
        if found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-5, atol=1e-6):
            return other
    last = nn.Linear(1, 2, bias=False).to(z)
    last.weight = nn.Parameter(torch.tensor([[0.0], [1.0]]).to(z), requires_grad=False)
    return nn.Sequential(model, last).eval()


def _widened(layer: nn.Module) -> nn.Linear:
    """A dense layer (.., F) -> (.., 1) with a row of zeros before its own."""
    assert isinstance(layer, nn.Linear)
    wide = nn.Linear(layer.in_features, 2, bias=layer.bias is not None).to(layer.weight)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([torch.zeros_like(layer.weight), layer.weight]))
        if layer.bias is not None:
            wide.bias.copy_(torch.cat([torch.zeros_like(layer.bias), layer.bias]))
    return wide.train(layer.training)
