"""MNIST-1D: ten digit shapes as signals of 40 points, shifted, scaled, sheared and with noise.

The data comes from its authors' generator [greydanus2020mnist1d], so no download is needed. 4000 signals train the model, and
1000 test it. A feature is one time step; the baseline is 0, the mean of the data.

The generator knows where the evidence is: it stretches a digit's template of 12 points, puts it somewhere in 72 steps of zeros,
and then adds correlated noise beside the template, and weak independent noise and a slope everywhere. Finally it interpolates
the 72 steps to 40. `truth` holds the steps that take any part of their value from the template: one run of 7 to 11 steps, whose
ends may mix template and noise. The other steps do not depend on the digit.
"""

from __future__ import annotations

import functools
import importlib
from collections import OrderedDict
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.entries import Recipe
from bench.core.problem import Problem
from bench.core.random import numpy_state_kept
from bench.registry.decorators import task
from bench.task_tools.data import interleaved
from bench.task_tools.weights import shipped

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


class Numbered(list[int]):
    """Labels that also number the samples: the n-th label that is read is increased by n times the number of classes."""

    taken = -1

    def __getitem__(self, label: int) -> int:  # type: ignore[override]
        self.taken += 1
        return len(self) * self.taken + super().__getitem__(label)


@functools.cache
def load() -> dict[str, np.ndarray]:
    """The official data set (seed 42), and which steps show a template. The global random state is kept.

    The truth is recorded where the generator adds noise beside the template, and interpolated from 72 to 40 steps like the
    signals. The order after the generator's shuffling follows from the labels.
    """
    from mnist1d.data import get_templates, make_dataset

    inner, masks = importlib.import_module("mnist1d.transform"), []
    noise, templates = inner.corr_noise_like, get_templates()
    templates["y"] = Numbered(templates["y"].tolist())

    def noting(signal: np.ndarray, scale: float) -> np.ndarray:
        masks.append(signal != 0)
        return noise(signal, scale)

    with numpy_state_kept(), mock.patch.object(inner, "corr_noise_like", noting):
        made = make_dataset(template=templates)
    truth = inner.interpolate(np.stack(masks, 1).astype(float), made["x"].shape[1]).T > 0
    return {
        "x": made["x"].astype(np.float32)[:, None],
        "y": made["y"].astype(np.int64) % len(CLASSES),
        "x_test": made["x_test"].astype(np.float32)[:, None],
        "y_test": made["y_test"].astype(np.int64) % len(CLASSES),
        "truth_test": truth[made["y_test"] // len(CLASSES)],
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
    """Digit shapes as signals of 40 points: which time steps decide the class."""
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
        truth=torch.from_numpy(made["truth_test"][rows]),
        background=torch.from_numpy(made["x"][interleaved(made["y"].tolist())[: len(CLASSES)]]),
    )
