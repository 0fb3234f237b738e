"""The nouns of the harness. Every other module speaks in these and in nothing else.

Shapes: N samples, C channels, K classes, `*S` the spatial axes ((L,) for signals, (H, W) for images).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

PREDICTED = torch.empty(0, dtype=torch.int64)  # the targets of a problem whose model chooses the explained classes


@dataclass(frozen=True)
class Problem:
    """A model and the inputs on which its decisions are to be explained.

    Where a task gives no `targets` (or None) they are PREDICTED, a tensor of length 0: the classes that the model predicts
    are explained. The harness fills them in before any method or metric sees the problem.
    """

    model: nn.Module  # eval mode; (N, C, *S) -> logits (N, K)
    inputs: Tensor  # (N, C, *S)
    sample_ids: tuple[str, ...]  # (N,)
    baseline: Tensor  # (C, 1, ...): what "absent" means
    layers: tuple[str, ...]  # names of the block-end layers, first to last
    top_k: float  # share of the features that `drop`, `increase` and `topk_deletion` look at
    fingerprint: str  # of the weights, and of anything else the task knows to matter to all samples
    targets: Tensor = PREDICTED  # (N,) explained class
    truth: Tensor | None = None  # (N, *S) bool, where the evidence really is
    background: Tensor | None = None  # (B, C, *S) typical inputs, for methods that average over what might have been
    bounds: Tensor | None = None  # (2, C, 1, ...) lowest and highest value an input can have; None where there is none
    labels: Tensor | None = None  # (N,) true class, for captions only
    class_names: tuple[str, ...] = ()
    batch_size: int = 32  # how many inputs the model takes at once; changes speed and memory, never a result

    def __post_init__(self) -> None:
        if self.targets is None:
            object.__setattr__(self, "targets", PREDICTED)

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def shape(self) -> torch.Size:
        """The spatial axes *S, which an attribution has too."""
        return self.inputs.shape[2:]

    def take(self, rows: Sequence[int]) -> Problem:
        """The same problem with only the given rows, in the given order."""

        def of(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[list(rows)]

        return replace(
            self,
            inputs=self.inputs[list(rows)],
            sample_ids=tuple(self.sample_ids[row] for row in rows),
            targets=self.targets[list(rows)] if len(self.targets) else self.targets,
            truth=of(self.truth),
            labels=of(self.labels),
        )

    def shifted(self, shift: float) -> Problem:
        """The same problem with a constant added to all that is an input: inputs, baseline, background and bounds."""

        def of(values: Tensor | None) -> Tensor | None:
            return None if values is None else values + shift

        return replace(
            self,
            inputs=self.inputs + shift,
            baseline=self.baseline + shift,
            background=of(self.background),
            bounds=of(self.bounds),
        )
