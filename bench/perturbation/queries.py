"""What is asked of the model and what is read of its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Make = Callable[[slice, Tensor], Tensor]  # which queries, and the rows of their samples -> inputs (B, C, *S)
Read = Callable[[Tensor, Tensor], Tensor]  # logits (B, K), rows of their samples -> what is wanted of them (B, ...)
OUTPUTS = ("softmax", "logit")  # of the explained class: what is read of an answer, and in this order kept of each


@dataclass
class Tally:
    """How many queries the model answered, and how many were answered from memory instead."""

    asked: int = 0
    shared: int = 0


def _probability(logits: Tensor, targets: Tensor) -> Tensor:
    """Softmax in the model's own precision, so that a rise too small for the model to tell is none. (B, K), (B,) -> (B,)"""
    return logits.softmax(1).gather(1, targets[:, None])[:, 0].double()


def outputs_of(logits: Tensor, targets: Tensor) -> Tensor:
    """OUTPUTS of the given classes: (B, K), (B,) -> (B, 2)."""
    return torch.stack([_probability(logits, targets), logits.gather(1, targets[:, None])[:, 0].double()], dim=1)


def prediction(logits: Tensor, _rows: Tensor) -> Tensor:
    """The class that the model chooses, and OUTPUTS of it: (B, 3)."""
    chosen = logits.argmax(1)
    return torch.cat([chosen.double()[:, None], outputs_of(logits, chosen)], dim=1)
