"""The problem: a model and the inputs on which its decisions are explained.

Shapes: N samples, C channels, K classes, `*S` the spatial axes ((L,) for signals, (H, W) for images).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import RequestError
from bench.core.hashing import model_digest
from bench.core.layers import block_ends
from bench.core.own_model import (
    Values,
    as_baseline,
    as_bounds,
    as_inputs,
    as_layers,
    as_sample_ids,
    as_targets,
    as_truth,
    checked_logits,
)

PREDICTED = torch.empty(0, dtype=torch.int64)  # the targets of a problem whose model chooses the explained classes


@dataclass(frozen=True)
class Problem:
    """A model and the inputs on which its decisions are explained.

    Where a task gives no `targets` (or None) they are PREDICTED, a tensor of length 0: the classes that the model predicts
    are explained. The harness fills them in before any method or metric sees the problem.
    """

    model: nn.Module  # eval mode; (N, C, *S) -> logits (N, K)
    inputs: Tensor  # (N, C, *S)
    sample_ids: tuple[str, ...]  # (N,)
    baseline: Tensor  # (C, 1, ...): what "absent" means
    layers: tuple[str, ...]  # names of the block-end layers, first to last
    top_k: float  # share of the features that `drop`, `increase` and `topk_deletion` look at
    fingerprint: str  # hash of the weights, and of anything else that matters to all samples
    targets: Tensor = PREDICTED  # (N,) explained class
    truth: Tensor | None = None  # (N, *S) bool: where the evidence is
    background: Tensor | None = None  # (B, C, *S) typical inputs, for methods that average over baselines
    bounds: Tensor | None = None  # (2, C, 1, ...) lowest and highest value that an input can have; None: no limits
    labels: Tensor | None = None  # (N,) true class, for captions only
    class_names: tuple[str, ...] = ()
    batch_size: int = 32  # inputs that the model gets at once; changes speed and memory, never a result

    def __post_init__(self) -> None:
        if self.targets is None:
            object.__setattr__(self, "targets", PREDICTED)

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def shape(self) -> torch.Size:
        """The spatial axes *S, which are also those of an attribution."""
        return self.inputs.shape[2:]

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        inputs: Tensor | np.ndarray,
        targets: Tensor | np.ndarray | Sequence[int] | int | None = None,
        *,
        baseline: Values = 0.0,
        layers: Sequence[str] | None = None,
        truth: Tensor | np.ndarray | None = None,
        background: Tensor | np.ndarray | None = None,
        bounds: tuple[float, float] | None = None,
        labels: Tensor | np.ndarray | Sequence[int] | None = None,
        class_names: Sequence[str] = (),
        sample_ids: Sequence[object] | None = None,
        top_k: float = 0.3,
        batch_size: int = 32,
    ) -> Problem:
        """A problem from a model and inputs of one's own.

        Args:
            model: a classifier (N, C, *S) -> logits (N, K) with K >= 2. It is copied; the copy is put in eval mode.
            inputs: (N, C, L) signals or (N, C, H, W) images, floating point, as the model reads them.
            targets: (N,) the classes to explain, or one for all; by default those that the model predicts.
            baseline: what an absent feature is replaced with: a number, or one for each channel.
            layers: names of the modules whose outputs end the blocks, first to last; the last one serves the CAM family. Found
                from the model by default (`core.layers.block_ends`).
            truth: (N, *S) masks of where the evidence really is; they add localisation metrics and the control `oracle`.
            background: (B, C, *S) typical inputs, for methods that average over references.
            bounds: lowest and highest value that an input can have.
            labels: (N,) true classes, for captions only.
            class_names: names of the classes, for captions.
            sample_ids: names of the samples; by default their numbers.
            top_k: share of the features, between 0 and 1, that `drop`, `increase` and `topk_deletion` look at.
            batch_size: how many inputs the model takes at once where no other size is asked for.

        Raises:
            RequestError: a value has a shape, type or range that cannot be used; the message says what is needed.
        """
        values = as_inputs(inputs)
        if not isinstance(model, nn.Module):
            raise RequestError(f"the model is of type {type(model).__name__}; a torch.nn.Module is needed")
        if not 0 < top_k < 1:
            raise RequestError(f"top_k is {top_k}; a share of the features between 0 and 1 is needed")
        own = copy.deepcopy(model).eval()
        first = next(own.parameters(), values)
        values = values.to(first.dtype) if first.is_floating_point() else values
        logits = checked_logits(own, values[:1].to(first.device))
        found = block_ends(own, values[:1].to(first.device)) if layers is None else as_layers(layers, own)
        return cls(
            model=own,
            inputs=values,
            sample_ids=as_sample_ids(sample_ids, len(values)),
            baseline=as_baseline(baseline, values),
            layers=found,
            top_k=top_k,
            fingerprint=model_digest(own),
            targets=PREDICTED if targets is None else as_targets(targets, logits, len(values)),
            truth=None if truth is None else as_truth(truth, values),
            background=None if background is None else as_inputs(background, "background inputs"),
            bounds=None if bounds is None else as_bounds(bounds, values),
            labels=None if labels is None else torch.as_tensor(labels),
            class_names=tuple(class_names),
            batch_size=batch_size,
        )

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
