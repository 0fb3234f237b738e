"""The nouns of the harness. Every other module speaks in these and in nothing else.

Shapes: N samples, C channels, K classes, `*S` the spatial axes ((L,) for signals, (H, W) for images).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class BenchError(Exception):
    """An error whose message tells the user what is wrong and the way out."""


class RequestError(BenchError):
    """The request itself is wrong (an unknown name, a bad option): exit code 2."""


class DataMissing(BenchError):
    """The data of a task is not on this machine and cannot be fetched: the task is skipped."""


class NotApplicable(BenchError):
    """A task cannot serve a plug-in (no pooled features, an operation without a rule, ...): status `skipped`."""


class ContractError(BenchError):
    """A plug-in broke a promise of the harness (shape, hooks, weights, ...): status `failed`."""


@dataclass(frozen=True)
class Problem:
    """A model and the inputs on which its decisions are to be explained.

    `targets` None means "what the model predicts"; the runner fills it in before any method sees the problem.
    """

    model: nn.Module  # eval mode; (N, C, *S) -> logits (N, K)
    inputs: Tensor  # (N, C, *S)
    sample_ids: tuple[str, ...]  # (N,)
    baseline: Tensor  # (C, 1, ...): what "absent" means
    layers: tuple[str, ...]  # names of the block-end layers, first to last
    top_k: float  # share of the features that `drop`, `increase` and `topk_deletion` look at
    fingerprint: str  # of the weights, and of anything else the task knows to matter to all samples
    targets: Tensor | None = None  # (N,) explained class
    truth: Tensor | None = None  # (N, *S) bool, where the evidence really is
    background: Tensor | None = None  # (B, C, *S) typical inputs, for methods that average over what might have been
    bounds: Tensor | None = None  # (2, C, 1, ...) lowest and highest value an input can have; None where there is none
    labels: Tensor | None = None  # (N,) true class, for captions only
    class_names: tuple[str, ...] = ()
    batch_size: int = 32  # how many inputs the model takes at once; changes speed and memory, never a result

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
            targets=of(self.targets),
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


@dataclass(frozen=True)
class Recipe:
    """How a task's model is trained and on what it is tested. Inputs may be uint8; `prepare` makes them floats."""

    network: Callable[[], nn.Module]  # fresh network, batch norm included; it is folded away after training
    train: tuple[Tensor, Tensor]  # inputs (N, C, *S), labels (N,)
    test: tuple[Tensor, Tensor]
    class_names: tuple[str, ...]
    prepare: Callable[[Tensor], Tensor]  # stored inputs -> what the model reads
    augment: Callable[[Tensor, torch.Generator], Tensor]  # prepared batch -> training batch
    epochs: int
    batch_size: int
    learning_rate: float  # peak of the one-cycle schedule
    weight_decay: float
    label_smoothing: float
    average_decay: float = 0.99  # of the exponential moving average of the weights, per step
    bfloat16: bool = False  # autocast while training; weights are always stored and used in float32


@dataclass(frozen=True)
class Entry:
    """A registered function. What can change its results is in its id, and nothing else is."""

    name: str  # with the settings that differ from the defaults, if any: `smoothgrad[samples=8]`
    fn: Callable[..., Any]
    family: str
    cite: str
    version: int
    params: tuple[tuple[str, Any], ...]  # hyper-parameters: arguments with a default
    injected: tuple[str, ...]  # arguments without one: what the harness hands over, by name
    needs: frozenset[str] = frozenset()  # optional fields of Problem it cannot do without
    cost: str = ""  # one of COSTS, "" where its author did not say; slow ones run in profile `full`, or when named
    promises: frozenset[str] = frozenset()  # of a method: some of PROMISES

    @property
    def id(self) -> str:
        """For example `smoothgrad@1[samples=32,sigma=0.15]`."""
        inside = ",".join(f"{key}={value}" for key, value in self.params)
        return f"{self.name.split('[')[0]}@{self.version}" + (f"[{inside}]" if inside else "")

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        text = " ".join((self.fn.__doc__ or "").split())
        return text.split(". ")[0].rstrip(".")


@dataclass(frozen=True)
class Task(Entry):
    """A problem to explain. `samples(data)` lists the ids of all its samples, most representative first."""

    samples: Callable[..., list[str]] = list
    profiles: tuple[tuple[str, int | None], ...] = ()  # samples per profile; None is all of them
    recipe: Callable[..., Recipe] | None = None
    weights: str | None = None  # stem in tasks/weights/


@dataclass(frozen=True)
class Metric(Entry):
    """A number per sample that says how good an attribution is."""

    higher_is_better: bool = True
    label: str = ""  # with unit, as an axis names it
    limits: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Cell:
    """One (task, method, metric, seed). The key hashes exactly what can change its scores."""

    task: str  # ids
    method: str
    metric: str
    seed: int
    fingerprint: str  # of the task: weights, baseline, layers, top_k

    @property
    def key(self) -> str:
        return digest(self.task, self.method, self.metric, self.seed, self.fingerprint)[:16]


OPTIONAL = (
    "layers",
    "targets",
    "truth",
    "labels",
    "class_names",
    "background",
    "bounds",
)  # a task may leave them empty
# Inputs a sample that a method sends through the model, forwards or backwards, on the shipped tasks.
COSTS = {"fast": 10, "medium": 400, "slow": None}
PROMISES = {
    "complete": "attributions sum to the class's logit less that of the baseline",
    "null": "a feature that the model ignores gets zero",
    "linear": "on a linear model: weight times distance from the baseline",
    "class": "another class gets another map",
}
STATUSES = ("ok", "undefined", "skipped", "failed")


@dataclass(frozen=True)
class Record:
    """The outcome of a cell on some samples; arrays run over the samples."""

    cell: Cell
    sample_ids: tuple[str, ...]
    sample_digests: tuple[str, ...]  # of each sample's own input, target and truth: a changed image is a new question
    scores: np.ndarray  # (N,) float64; NaN unless status is ok
    status: tuple[str, ...]  # (N,) of STATUSES
    note: tuple[str, ...]  # (N,) why, when not ok
    features: int  # of a sample
    seconds: float  # spent on this record, the explanation not included
    environment: str
    curves: np.ndarray | None = None  # (N, steps + 1), when the metric is the area under a curve


def digest(*parts: object) -> str:
    """A stable hash of texts, numbers, bytes, arrays and tensors (hex, 32 digits)."""
    return _hash(parts).hexdigest()


def digests(same: Iterable[object], last: Iterable[object]) -> list[str]:
    """`digest(*same, one)` for each one of the last, the rest hashed once."""
    start = _hash(same)
    return [_hash([one], start.copy()).hexdigest() for one in last]


def _hash(parts: Iterable[object], h: hashlib.blake2b | None = None) -> hashlib.blake2b:
    h = h or hashlib.blake2b(digest_size=16)
    for part in parts:
        _absorb(h, part)
    return h


def _absorb(h: hashlib.blake2b, part: object) -> None:
    if isinstance(part, Tensor):
        part = part.detach().cpu().contiguous().numpy()
    if isinstance(part, np.ndarray):
        h.update(f"{part.dtype}{part.shape}".encode())
        part = np.ascontiguousarray(part).tobytes()
    data = part if isinstance(part, bytes) else repr(part).encode()
    h.update(len(data).to_bytes(8, "little"))
    h.update(data)


def model_digest(model: nn.Module) -> str:
    """A hash of a model's structure and of every weight and buffer."""
    state = model.state_dict()
    return digest(str(model), *(part for name in sorted(state) for part in (name, state[name])))
