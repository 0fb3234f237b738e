"""What a model's answers (B, K) say about a class: its logit, and its score p, which is what most metrics read.

    softmax     classes that exclude each other: p = softmax of the logits
    sigmoid     labels that do not, each with its own logit: p = sigmoid of that logit
    identity    values, of a regression: p is the value itself

Scores are in the model's own precision, so that a rise too small for the model to represent is none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.vocabulary import IDENTITY, SOFTMAX


def scores(logits: Tensor, output: str) -> Tensor:
    """p of every class: (B, K) -> (B, K)."""
    if output == SOFTMAX:
        return logits.softmax(1)
    return logits if output == IDENTITY else logits.sigmoid()


def score(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    """p of the given classes: (B, K), (B,) -> (B,)."""
    return of_class(scores(logits, output), targets)


def score_and_logit(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    """p and logit of the given classes: (B, K), (B,) -> (B, 2) float64."""
    return torch.stack([score(logits, targets, output).double(), of_class(logits, targets).double()], dim=1)


def of_class(values: Tensor, targets: Tensor) -> Tensor:
    """The values of the given classes: (B, K), (B,) -> (B,)."""
    return values.gather(1, targets[:, None])[:, 0]


def predicted(logits: Tensor) -> Tensor:
    """The class that the model chooses, or its label of highest logit: (B, K) -> (B,)."""
    return logits.argmax(1)


def decides_for(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    """Whether the class is the model's first choice, or the label is more likely than not: (B, K), (B,) -> (B,) bool."""
    return predicted(logits) == targets if output == SOFTMAX else of_class(logits, targets) > 0


def same_decision(one: Tensor, other: Tensor, targets: Tensor, output: str) -> Tensor:
    """Whether two answers decide alike: for the same class, or both for or both against the label. (B, K) each -> (B,) bool.

    Values of a regression decide nothing, and so never differ.
    """
    if output == IDENTITY:
        return torch.ones(len(one), dtype=torch.bool, device=one.device)
    if output == SOFTMAX:
        return predicted(one) == predicted(other)
    return decides_for(one, targets, output) == decides_for(other, targets, output)
