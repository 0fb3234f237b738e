"""Small problems on which the laws of methods are checked: a signal, a grey and a colour image, none of them square."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from bench.core.problem import Problem

NAMES = ("a", "b", "c", "d")  # of the samples
CLASSES = 4
SIZES = {"signal": (1, 24), "grey image": (1, 10, 14), "colour image": (3, 14, 10)}
LOGITS = 3.0  # root mean square of the logits, so that no class is certain


class Blinkered(nn.Module):
    """A network that never sees the right half of its input (N, 3, H, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.pool, self.flatten, self.dense = nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.dense(self.flatten(self.pool(self.relu(self.conv(x[..., :4])))))
        return logits


@cache
def usual(kind: str) -> Problem:
    """A small network with two blocks, and all that a problem can have, for inputs of a kind (SIZES)."""
    shape = SIZES[kind]
    return _problem(lambda: _network(shape), shape, layers=("relu1", "relu2"), kind=kind)


@cache
def half_seen() -> Problem:
    """A problem whose model ignores the right half of its inputs (N, 3, 6, 8)."""
    return _problem(Blinkered, (3, 6, 8), layers=("relu",), kind="half seen")


@cache
def linear() -> Problem:
    """A linear model with a bias, on inputs (N, 3, 5, 6), whose baseline is not zero."""
    shape = (3, 5, 6)
    return _problem(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(90, CLASSES)), shape, kind="linear", baseline=(0.25, 0.5, 0.75)
    )


def _network(shape: tuple[int, ...]) -> nn.Module:
    convolution, pool = (nn.Conv1d, nn.AdaptiveAvgPool1d) if len(shape) == 2 else (nn.Conv2d, nn.AdaptiveAvgPool2d)
    second, dense = convolution(6, 2 * CLASSES, 3, padding=1), nn.Linear(2 * CLASSES, CLASSES)
    with torch.no_grad():  # two channels speak for each class, the others against it
        nn.init.constant_(second.get_parameter("bias"), 0.1)
        dense.weight.copy_(2.5 * torch.eye(CLASSES).repeat_interleave(2, 1) - 0.5 * torch.rand(CLASSES, 2 * CLASSES))
    return nn.Sequential(
        OrderedDict(
            conv1=convolution(shape[0], 6, 3, padding=1),
            relu1=nn.ReLU(),
            conv2=second,
            relu2=nn.ReLU(),
            pool=pool(1),
            flatten=nn.Flatten(),
            dense=dense,
        )
    )


def _inputs(number: int, shape: tuple[int, ...]) -> Tensor:
    """Coarse patterns from 0 to 1, each another."""
    mode = "linear" if len(shape) == 2 else "bilinear"
    coarse = torch.rand(number, shape[0], *(max(2, side // 3) for side in shape[1:]))
    return nn.functional.interpolate(coarse, size=shape[1:], mode=mode, align_corners=False)


def _problem(
    network: Callable[[], nn.Module],
    shape: tuple[int, ...],
    *,
    kind: str,
    layers: tuple[str, ...] = (),
    baseline: tuple[float, ...] = (),
) -> Problem:
    ones = (1,) * (len(shape) - 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = network().eval().requires_grad_(False)
        inputs, background = _inputs(len(NAMES), shape), _inputs(3, shape)
    with torch.no_grad():
        last = list(model.modules())[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(LOGITS / (model(inputs) - last.bias).square().mean().sqrt())
        targets = model(inputs).topk(2).indices[range(len(NAMES)), [0, 1] * (len(NAMES) // 2)]  # not all the same
    return Problem(
        model=model,
        inputs=inputs,
        sample_ids=NAMES,
        baseline=torch.tensor(baseline or (0.0,) * shape[0]).view(-1, *ones),
        layers=layers,
        top_k=0.3,
        fingerprint=kind,
        targets=targets,
        truth=inputs.mean(1) > 0.6,
        background=background,
        bounds=torch.tensor([0.0, 1.0]).view(2, 1, *ones).expand(2, shape[0], *ones).clone(),
        labels=targets,
        class_names=tuple(f"class {number}" for number in range(CLASSES)),
        batch_size=len(NAMES),
    )
