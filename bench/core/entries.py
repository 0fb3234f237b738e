"""What is registered: tasks, methods and metrics."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # names are listed and checked without waiting for torch
    import torch
    from torch import Tensor, nn

from bench.core.vocabulary import MODEL_OUTPUTS, PROFILE_COSTS

# Families of what is never registered.
GIVEN = "given maps"  # that were made elsewhere, in place of a method's
OWN_MODELS = "own model"  # a user's own problem, in place of a task


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
    cost: str = ""  # one of COSTS, "" where its author did not say
    core: bool = False  # takes part in profile quick, whatever it costs
    promises: frozenset[str] = frozenset()  # of a method: some of PROMISES
    outputs: tuple[str, ...] = MODEL_OUTPUTS  # the kinds of model output that it can serve

    @property
    def settings(self) -> tuple[tuple[str, Any], ...]:
        """The settings that are part of the id, in this order."""
        return self.params

    @property
    def id(self) -> str:
        """For example `smoothgrad@1[samples=32,sigma=0.15]`."""
        inside = ",".join(f"{key}={value}" for key, value in self.settings)
        return f"{self.name.split('[')[0]}@{self.version}" + (f"[{inside}]" if inside else "")

    def in_profile(self, profile: str) -> bool:
        """Whether the profile takes the entry where it is not named."""
        return self.core or self.cost in PROFILE_COSTS[profile]

    @property
    def summary(self) -> str:
        """The first sentence of the docstring, without the shape that may end it."""
        text = " ".join((self.fn.__doc__ or "").split())
        sentence = re.split(r"(?<!\.)\. ", text)[0].rstrip(".")  # "k = 0 ... L" is no end
        return re.sub(r"\s*(-> )?\(N\b[^()]*\)$", "", sentence)


@dataclass(frozen=True)
class Task(Entry):
    """A problem to explain. `samples(data)` lists the ids of all its samples, most representative first."""

    samples: Callable[..., list[str]] = list
    profiles: tuple[tuple[str, int | None], ...] = ()  # samples per profile; None is all of them
    recipe: Callable[..., Recipe] | None = None
    weights: str | None = None  # stem in tasks/weights/


@dataclass(frozen=True)
class Metric(Entry):
    """A number per sample that says how good an attribution is.

    `view` holds the settings of the perturbation (vocabulary.VIEW) that differ from the defaults, for example
    `(("baseline", "blur"),)`: the metric's own code is the same, the probe that it asks is another.
    """

    higher_is_better: bool = True
    label: str = ""  # with unit, as an axis names it
    limits: tuple[float | None, float | None] = (None, None)
    view: tuple[tuple[str, str], ...] = ()
    views: frozenset[str] = frozenset()  # the settings of vocabulary.VIEW that its scores follow; others are refused

    @property
    def settings(self) -> tuple[tuple[str, Any], ...]:
        """Hyper-parameters, then the settings of the view; so the id of a plain metric does not depend on views."""
        return self.params + self.view
