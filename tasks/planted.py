"""Planted models: trained networks that provably use one patch of their input and nothing else.

A window before the network replaces everything outside the patch by the baseline. The patch keeps its position, and the rest
cannot change the output, so the patch is the `truth` by construction [rao2022towards]. It lies off the centre, so that
maps that favour the middle fail. The truth says where evidence can be; not every pixel of the patch needs to be evidence. Often
only a small part of a digit or structure is visible, so the predicted class is explained and not the label.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from types import EllipsisType

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.core.hashing import model_digest
from bench.core.problem import PREDICTED, Problem
from bench.registry.decorators import task
from bench.tasks import mnist1d, tissue

STEPS = (slice(2, 18),)  # of a signal of 40
STRIP = (slice(0, 30), slice(0, 80))  # of a tile of 80x80; made of whole cells of `patch64`


class Window(nn.Module):
    """Keeps a patch of the input and puts `fill` everywhere else: (N, C, *S) -> (N, C, *S)."""

    def __init__(self, patch: tuple[slice, ...], shape: torch.Size, fill: float) -> None:
        super().__init__()
        self.patch, self.fill = patch, fill
        sides = [(part.start, length - part.stop) for part, length in zip(patch, shape, strict=True)]
        self.margins = tuple(margin for side in reversed(sides) for margin in side)  # last axis first, as `pad` wants

    def forward(self, values: Tensor) -> Tensor:
        seen: tuple[EllipsisType | slice, ...] = (..., *self.patch)
        return functional.pad(values[seen], self.margins, value=self.fill)

    def extra_repr(self) -> str:
        return f"{self.patch}, {self.fill}"


def planted(problem: Problem, patch: tuple[slice, ...]) -> Problem:
    """The problem with a model that sees only the patch. Patch and baseline are the same for all channels."""
    fill = float(problem.baseline.flatten()[0])
    model = nn.Sequential(OrderedDict(window=Window(patch, problem.shape, fill), network=problem.model)).eval()
    truth = torch.zeros(len(problem), *problem.shape, dtype=torch.bool)
    inside: tuple[EllipsisType | slice, ...] = (..., *patch)
    truth[inside] = True
    return replace(
        problem,
        model=model,
        layers=tuple(f"network.{layer}" for layer in problem.layers),
        top_k=float(truth[0].double().mean()),
        fingerprint=model_digest(model),
        targets=PREDICTED,
        truth=truth,
    )


@task(
    cite="rao2022towards",
    family="signal",
    samples=mnist1d.samples,
    profiles={"quick": 64, "standard": 200, "full": None},
    cost="medium",
)
def planted_signal(sample_ids: tuple[str, ...]) -> Problem:
    """Digits as signals for a network that sees 16 of the 40 time steps: which steps can decide the class."""
    return planted(mnist1d.mnist1d(sample_ids), STEPS)


@task(
    cite="rao2022towards",
    family="image",
    samples=tissue.samples,
    profiles={"quick": 16, "standard": 24, "full": None},
    cost="medium",
)
def planted_image(sample_ids: tuple[str, ...]) -> Problem:
    """Synthetic tissue for a network that sees the upper 30 of 80 rows: which pixels can decide the class."""
    return planted(tissue.tissue(sample_ids), STRIP)
