"""The problem: a model and the inputs on which its decisions are explained.

Shapes: N samples, C channels, K classes, `*S` the spatial axes ((L,) for signals, (H, W) for images).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.adapt import arranged, as_model, default_target, fingerprint, fitted, wrapped
from bench.core.layers import block_ends
from bench.core.nearest import SHOWN_AT_MOST
from bench.core.own_model import (
    Values,
    as_background,
    as_baseline,
    as_bounds,
    as_inputs,
    as_layers,
    as_sample_ids,
    as_signals,
    as_targets,
    as_truth,
    check_top_k,
)
from bench.core.readouts import Readout
from bench.core.vocabulary import SOFTMAX, TOGETHER

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
    output: str = SOFTMAX  # one of MODEL_OUTPUTS: what the logits mean, see `core.outputs`

    def __post_init__(self) -> None:
        if self.targets is None:
            object.__setattr__(self, "targets", PREDICTED)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __repr__(self) -> str:
        """One line, of what is known without asking the model."""
        parts = [f"{len(self)} input{'s' * (len(self) != 1)} of {tuple(self.inputs.shape[1:])}"]
        parts += [f"{len(self.class_names)} classes"] if self.class_names else []
        parts += [f"output={self.output!r}", f"explains {_classes(self.targets.unique().tolist())}"]
        return f"Problem({', '.join(parts)}{', with truth' if self.truth is not None else ''})"

    @property
    def shape(self) -> torch.Size:
        """The spatial axes *S, which are also those of an attribution."""
        return self.inputs.shape[2:]

    @classmethod
    def from_model(
        cls,
        model: nn.Module | Callable[[Tensor], Tensor],
        inputs: Tensor | np.ndarray,
        targets: Tensor | np.ndarray | Sequence[int] | int | None = None,
        *,
        output: str = SOFTMAX,
        readout: Readout | None = None,
        channels: str = TOGETHER,
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
            model: (N, C, *S) -> logits (N, K). It is copied; the copy is put in eval mode. A function is accepted too, but
                serves no method that looks into a network.
            inputs: (N, C, L) signals, (N, C, H, W) images, (N, C, D, H, W) volumes or (N, F) feature vectors, floating point,
                as the model reads them. Feature vectors become signals of one channel.
            targets: (N,) the classes to explain, or one for all; by default those that the model predicts, and class 1 of a
                model of one logit.
            output: what the logits mean. "softmax": classes that exclude each other. "sigmoid": labels that do not, or one
                logit (N, 1) or (N,), which is read as that of class 1 of two. "identity": values, of a regression.
            readout: what to take from an answer that is no tensor (N, K): a key, a place, or a function of the answer.
            channels: "together": an attribution has a value for each place. "separate": one for each channel and place; maps
                and truth are then (N, C, *S). Methods that need feature maps are skipped.
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
        given = as_model(model, readout)
        values = as_inputs(as_signals(inputs))
        check_top_k(top_k)
        first = next((weight for weight in given.parameters() if weight.is_floating_point()), values)
        values = values if first.is_meta else values.to(first.dtype)
        arrangement, form = arranged(given, inputs, channels)
        shown = form(values)
        here = "cpu" if first.is_meta else first.device
        own, kind, classes = fitted(arrangement, shown.to(here), output)
        found = block_ends(own, shown[:1].to(here), wrapped(own)) if layers is None else as_layers(layers, own)
        explained = default_target(output, kind, classes) if targets is None else targets
        return cls(
            model=own,
            inputs=shown,
            sample_ids=as_sample_ids(sample_ids, len(values)),
            baseline=form(as_baseline(baseline, values)[None])[0],
            layers=found,
            top_k=top_k,
            fingerprint=fingerprint(own, shown.to(here)),
            targets=PREDICTED if explained is None else as_targets(explained, classes, len(values)),
            truth=None if truth is None else as_truth(truth, shown),
            background=None if background is None else form(as_background(as_signals(background), values)),
            bounds=None if bounds is None else form(as_bounds(bounds, values)),
            labels=None if labels is None else as_targets(labels, classes, len(values), "label"),
            class_names=tuple(class_names),
            batch_size=batch_size,
            output=kind,
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


def _classes(targets: Sequence[int]) -> str:
    """The explained classes in words."""
    if not targets:
        return "the predicted classes"
    if len(targets) == 1:
        return f"class {targets[0]}"
    return f"classes {', '.join(map(str, targets[:SHOWN_AT_MOST]))}{', ...' if len(targets) > SHOWN_AT_MOST else ''}"
