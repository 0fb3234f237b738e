"""The course's weights in this project's architectures, and the values its own code gave with them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[1]


def shared(variable: str, default: str) -> Path:
    """A folder beside the checkout, or where the environment says; the test is skipped where it is absent."""
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / default)
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} here: set {variable} to a folder that holds it")
    return folder


def values(name: str) -> dict[str, np.ndarray]:
    with np.load(shared("BENCH_REFERENCE", "reference") / f"{name}.npz") as arrays:
        return dict(arrays)


def with_course_weights(network: nn.Module, task: str) -> nn.Module:
    """Loads the course's TensorFlow weights; kernels are [width..., in, out] and the 1-D flatten is channels-last."""
    course = values(f"{task}_course_weights")
    names = list(dict.fromkeys(key.split("/")[0] for key in course))
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear))]
    for name, layer in zip(names, layers, strict=True):
        kernel = torch.from_numpy(course[f"{name}/kernel"])
        if isinstance(layer, nn.Linear) and task == "mnist1d":
            kernel = kernel.reshape(40, 25, 10).permute(2, 1, 0).reshape(10, 1000)
        else:
            kernel = kernel.permute(kernel.dim() - 1, kernel.dim() - 2, *range(kernel.dim() - 2))
        layer.weight.data.copy_(kernel)
        layer.bias.data.copy_(torch.from_numpy(course[f"{name}/bias"]))
    return network.eval().requires_grad_(False)
