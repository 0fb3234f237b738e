"""MNIST-1D: ten digit shapes drawn as signals of 40 points, moved, scaled, sheared and buried in noise.

The data is made by its authors' own generator [greydanus2020mnist1d], so it needs no network; 4000 signals train and
1000 test the network. A feature is one time step, and an absent one is 0, the mean of the data.
"""

from __future__ import annotations

import functools
from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor, nn

from bench.core import Problem, Recipe
from bench.data import interleaved, numpy_state_kept
from bench.registry import task
from bench.weights import shipped

CLASSES = tuple("0123456789")


def network(*, batch_norm: bool = False) -> nn.Sequential:
    """(N, 1, 40) -> logits (N, 10): three convolutions of 25 filters, then one dense layer."""
    layers: list[tuple[str, nn.Module]] = []
    for i, (channels, width) in enumerate([(1, 5), (25, 3), (25, 3)], start=1):
        layers.append((f"conv{i}", nn.Conv1d(channels, 25, width, padding=width // 2)))
        if batch_norm:
            layers.append((f"norm{i}", nn.BatchNorm1d(25)))
        layers.append((f"relu{i}", nn.ReLU()))
    layers += [("flatten", nn.Flatten()), ("dense", nn.Linear(25 * 40, 10))]
    return nn.Sequential(OrderedDict(layers))


@functools.cache
def load() -> dict[str, np.ndarray]:
    """The official data set (seed 42), without a trace in the global random state."""
    from mnist1d.data import make_dataset

    with numpy_state_kept():
        made = make_dataset()
    return {
        "x": made["x"].astype(np.float32)[:, None],
        "y": made["y"].astype(np.int64),
        "x_test": made["x_test"].astype(np.float32)[:, None],
        "y_test": made["y_test"].astype(np.int64),
    }


def samples() -> list[str]:
    """Ids of the test signals, every prefix balanced over the classes."""
    return [f"test/{row:04d}" for row in interleaved(load()["y_test"].tolist())]


def augment(signals: Tensor, rng: torch.Generator) -> Tensor:
    """Rolls each signal by up to two steps, scales it by up to 15 % and adds a little noise."""
    steps = torch.arange(signals.shape[-1])
    shift = torch.randint(-2, 3, (len(signals), 1), generator=rng)
    rolled = signals[:, 0].gather(1, (steps + shift) % len(steps))[:, None]
    scale = 1 + 0.3 * (torch.rand(len(signals), 1, 1, generator=rng) - 0.5)
    return rolled * scale + 0.05 * torch.randn(signals.shape, generator=rng)


def recipe() -> Recipe:
    made = {name: torch.from_numpy(values) for name, values in load().items()}
    return Recipe(
        network=lambda: network(batch_norm=True),
        train=(made["x"], made["y"]),
        test=(made["x_test"], made["y_test"]),
        class_names=CLASSES,
        prepare=lambda stored: stored,
        augment=augment,
        epochs=150,
        batch_size=100,
        learning_rate=1e-2,
        weight_decay=5e-2,
        label_smoothing=0.05,
    )


@task(
    cite="greydanus2020mnist1d",
    family="signal",
    samples=samples,
    profiles={"quick": 128, "standard": 1000, "full": 1000},
    recipe=recipe,
    weights="mnist1d",
)
def mnist1d(sample_ids: tuple[str, ...]) -> Problem:
    """Digits as signals of 40 points: which time steps decide the class."""
    made, rows = load(), [int(name.split("/")[1]) for name in sample_ids]
    model, fingerprint = shipped("mnist1d", network())
    return Problem(
        model=model,
        inputs=torch.from_numpy(made["x_test"][rows]),
        sample_ids=sample_ids,
        baseline=torch.zeros(1, 1),
        layers=("relu1", "relu2", "relu3"),
        top_k=0.30,
        fingerprint=fingerprint,
        labels=torch.from_numpy(made["y_test"][rows]),
        class_names=CLASSES,
        background=torch.from_numpy(made["x"][interleaved(made["y"].tolist())[: len(CLASSES)]]),
    )
