"""How Quantus is asked: quietly, leaving no trace, for scores that belong to a sample.

Written for Quantus 0.6, which works on batches. Older releases (0.5) work on one sample after the other; they are called so.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from bench.cells import Cells
from bench.core import Problem
from bench.data import numpy_state_kept
from bench.masking import ranks
from bench.metrics.robustness import neighbours
from bench.probe import Probe
from bench.registry import Explain

PLAIN = {"normalise": False, "abs": False, "disable_warnings": True, "return_aggregate": False}
ModelOf = Callable[[list[int]], nn.Module]  # rows of samples -> the model that Quantus asks about them


# --- what Quantus is given ----------------------------------------------------------------------------------------------


class Presence(nn.Module):
    """Presence maps (M, 1, *S) -> p of each sample's explained class (M, 1); map m is about sample rows[m].

    Maps that lack the highest features of `attribution`, if given, are points of its deletion curve: the probe knows them.
    With `cells`, maps are (M, 1, cells), and a cell is present or absent as one.
    """

    def __init__(
        self, probe: Probe, rows: Sequence[int] = (), *, attribution: Tensor | None = None, cells: Cells | None = None
    ) -> None:
        super().__init__()
        rows = rows or range(len(probe.problem))
        whole = len(rows) == len(probe.problem)
        self.probe, self.rows = probe, torch.tensor(list(rows), device=probe.problem.inputs.device)
        self.attribution = attribution if whole else None
        self.places = ranks(attribution).view_as(attribution) if whole and attribution is not None else None
        self.cells = None if cells is None else cells.take(self.rows)

    def forward(self, presence: Tensor) -> Tensor:
        problem = self.probe.problem
        present = presence.to(problem.inputs.device).flatten(1) > 0.5
        if self.cells is not None and self.cells.labels is not None:
            present = self.cells.spread(present)
        present = present.view(-1, *problem.shape)
        if self.attribution is not None and self.places is not None:
            absent = (~present).flatten(1).sum(1)
            if torch.equal(present, self.places >= absent.view(-1, *(1,) * len(problem.shape))):
                return self.probe.removed(self.attribution, absent[:, None].cpu()).cpu()
        return self.probe.masked(present, self.rows)[:, None].cpu()


class Shades(nn.Module):
    """Maps (M, 1, *S) -> p (M, 1), as Presence, for shades between: 0 is the task's baseline, 1 the input. Not remembered."""

    def __init__(self, probe: Probe, rows: Sequence[int]) -> None:
        super().__init__()
        self.problem = probe.problem.take(rows)

    def forward(self, shades: Tensor) -> Tensor:
        problem = self.problem
        x = problem.baseline + shades.to(problem.inputs) * (problem.inputs - problem.baseline)
        assert problem.targets is not None
        return answers(problem, x).softmax(1).gather(1, problem.targets[:, None]).cpu()


class Closed(nn.Module):
    """The problem's model: (M, C, *S) -> logits, or probabilities, (M, K) on the CPU.

    Its layers are hidden, or Quantus would take a softmax among them away.
    """

    def __init__(self, problem: Problem, *, softmax: bool = False) -> None:
        super().__init__()
        self.problem, self.softmax = problem, softmax

    def forward(self, x: Tensor) -> Tensor:
        logits = answers(self.problem, x.to(self.problem.inputs).view(-1, *self.problem.inputs.shape[1:]))
        return (logits.softmax(1) if self.softmax else logits).cpu()


class Open(nn.Module):
    """A copy of the problem's model whose layers Quantus can see: (M, C, *S) -> logits (M, K) on the CPU."""

    def __init__(self, problem: Problem, *, whole: bool = False) -> None:
        """`whole`: takes all inputs at once, for hooks that must see them together."""
        super().__init__()
        self.inner = copy.deepcopy(problem.model)
        self.device, self.batch_size = problem.inputs.device, len(problem) if whole else problem.batch_size

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.inner(part) for part in x.to(self.device).split(self.batch_size)]).cpu()


def answers(problem: Problem, x: Tensor) -> Tensor:
    """Logits of other inputs, in batches that suit the model: (M, C, *S) -> (M, K)."""
    with torch.no_grad():
        return torch.cat([problem.model(part) for part in x.split(problem.batch_size)])


def as_maps(attribution: Tensor) -> np.ndarray:
    """(N, *S) -> NumPy (N, 1, *S) float32, a copy: Quantus works in place."""
    return attribution.detach().float().cpu().numpy().copy()[:, None]


def as_inputs(problem: Problem) -> np.ndarray:
    """NumPy (N, C, *S) float32, a copy."""
    return problem.inputs.float().cpu().numpy().copy()


def own_scale(a: np.ndarray, **_: Any) -> np.ndarray:
    """Each map over its own largest absolute value, for Quantus's `normalise_func`: (N, ...) -> (N, ...)."""
    largest = np.abs(a).max(axis=tuple(range(1, a.ndim)), keepdims=True)
    return a / np.where(largest > 0, largest, 1)


def step_of(features: int, steps: int) -> int:
    """Features that go at once, for about so many steps: Quantus takes steps of equal size only."""
    number = min((n for n in range(1, features + 1) if features % n == 0), key=lambda n: (n == 1, abs(n - steps)))
    return features // number


# --- asking -------------------------------------------------------------------------------------------------------------


def release() -> tuple[int, ...]:
    """Quantus's version, (0, 6) for example."""
    import quantus

    return tuple(int(part) for part in quantus.__version__.split(".")[:2])


def batched() -> bool:
    """Does this Quantus work on whole batches?"""
    return release() >= (0, 6)


def judge(name: str, **settings: Any) -> Any:
    """A Quantus metric. Nothing is normalised, made absolute, warned of or averaged over samples unless asked for."""
    import quantus

    return getattr(quantus, name)(**PLAIN | settings)


def ask(
    scorer: Any,
    x: np.ndarray,
    maps: np.ndarray,
    *,
    model: ModelOf | None = None,
    classes: Tensor | None = None,
    seeds: Sequence[int] | None = None,
    alone: bool | None = None,
    **batches: np.ndarray,
) -> list[Any]:
    """What a Quantus metric that does not explain again answers for each sample: (N, C, *S), (N, 1, *S) -> N answers.

    `alone`: one call per sample, or one for all of them; by default as this Quantus works. `seeds`: one per sample, for what
    the metric draws. `batches`: other arrays that it reads.
    """
    y = np.zeros(len(x), dtype=int) if classes is None else classes.cpu().numpy()
    by_sample = not batched() if alone is None else alone
    parts = [[row] for row in range(len(x))] if by_sample else [list(range(len(x)))]
    found: list[Any] = []
    with quiet():
        for rows in parts:
            with nullcontext() if seeds is None else draws_per_sample([seeds[row] for row in rows]):
                answer = scorer(
                    model=None if model is None else model(rows).eval(),
                    x_batch=x[rows],
                    y_batch=y[rows],
                    a_batch=maps[rows],
                    channel_first=True,
                    softmax=False,
                    batch_size=len(rows),
                    **{name: values[rows] for name, values in batches.items()},
                )
            found.extend([answer] if isinstance(answer, dict) else answer)
    return found


def ask_explaining(
    scorer: Any,
    probe: Probe,
    attribution: Tensor | None,
    explain: Explain,
    *,
    draws: Iterator[int] | None = None,
    model: nn.Module | None = None,
    softmax: bool = False,
    seeds: Sequence[int] | None = None,
) -> Tensor:
    """Scores (N,) of a Quantus metric that explains again: all samples at once.

    `attribution` None: it explains the inputs itself as well. `draws`: the numbers of the draws of the explanations, by
    default always 0, that of the attribution itself.
    """
    import quantus

    problem, asked = probe.problem, model or Closed(probe.problem)
    explain_func = explainer(probe, explain, draws or itertools.repeat(0), original=asked)
    drawn = nullcontext() if seeds is None else draws_per_sample(seeds)
    # SmoothMPRT takes no notice of the `explain_func` it is given, and calls Quantus's own
    with quiet(), drawn, patch.object(quantus, "explain", explain_func):
        scores = scorer(
            model=asked.eval(),
            x_batch=as_inputs(problem),
            y_batch=probe.targets.cpu().numpy(),
            a_batch=None if attribution is None else as_maps(attribution),
            explain_func=explain_func,
            channel_first=True,
            softmax=softmax,
            batch_size=len(problem),
        )
    return numbers(scores)


def explainer(
    probe: Probe, explain: Explain, draws: Iterator[int], *, original: nn.Module
) -> Callable[..., np.ndarray]:
    """The method as Quantus's `explain_func`: (model, inputs (N, ...), targets (N,)) -> (N, 1, ...), of all samples at once."""

    def explain_func(model: nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: Any) -> np.ndarray:
        problem = probe.problem
        x = torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32)).view_as(problem.inputs)
        x = x.to(problem.inputs)
        other = None if model is original else model.inner if isinstance(model, Open) else model
        other = None if other is None else other.to(x.device)
        maps = explain(x, next(draws), model=other, targets=torch.from_numpy(np.asarray(targets)))
        return as_maps(maps).reshape(len(inputs), 1, *np.shape(inputs)[2:])

    return explain_func


def among_neighbours(
    scorer: Any, probe: Probe, attribution: Tensor, explain: Explain, samples: int, radius: float
) -> Tensor:
    """Scores of a metric that compares the samples of a batch: each sample in a batch of its own noisy versions. (N,)"""
    problem, near = probe.problem, neighbours(probe, samples, radius).inputs
    maps = [attribution, *(explain(inputs, draw) for draw, inputs in enumerate(near, start=1))]
    crowds = torch.stack([problem.inputs, *near], dim=1).float().cpu().numpy()
    pairs = zip(crowds, torch.stack(maps, dim=1), strict=True)
    return numbers(
        [ask(scorer, x, as_maps(judged), model=lambda _: Closed(problem), alone=False)[0] for x, judged in pairs]
    )


def numbers(scores: Sequence[Any]) -> Tensor:
    """Scores of the samples as a tensor (N,) float64."""
    return torch.tensor([float(score) for score in scores], dtype=torch.float64)


# --- without a trace ----------------------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """Quantus without its warnings, without its checks of the maps, which the harness has checked already, and without a trace.

    Its warning compares inputs at each step; its check turns maps into Python lists and refuses those that are all negative.
    It reseeds torch and NumPy, and keeps each model that it was ever given in a cache.
    """
    from quantus.helpers import asserts, warn
    from quantus.helpers.model.pytorch_model import PyTorchModel

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(patch.object(warn, "warn_perturbation_caused_no_change", lambda **_: None))
        stack.enter_context(patch.object(asserts, "assert_attributions", lambda *_, **__: None))
        stack.enter_context(numpy_state_kept())
        # looking for devices that nobody uses takes longer than many a metric
        devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        stack.enter_context(torch.random.fork_rng(devices))
        for name in ("_get_last_softmax_layer_index", "_get_model_with_linear_top"):
            stack.callback(getattr(PyTorchModel, name).cache_clear)
        yield


@contextmanager
def draws_per_sample(seeds: Sequence[int]) -> Iterator[None]:
    """Lets the functions by which Quantus draws from NumPy draw for each sample from a stream of its own.

    Quantus draws for all samples of a batch at once, or, by `choice`, for one after the other: the n-th call is about sample n.
    """
    streams = [np.random.RandomState(seed % 2**32) for seed in seeds]
    turns = itertools.cycle(streams)

    def stacked(name: str, size: Any, *args: Any, **kwargs: Any) -> Any:
        shape = tuple(np.atleast_1d(() if size is None else size).astype(int))
        if len(streams) == 1:
            return getattr(streams[0], name)(*args, size=size, **kwargs)
        return np.stack([getattr(stream, name)(*args, size=shape[1:], **kwargs) for stream in streams])

    fakes: dict[str, Any] = {
        "choice": lambda *args, **kwargs: next(turns).choice(*args, **kwargs),
        "uniform": lambda low=0.0, high=1.0, size=None: stacked("uniform", size, low, high),
        "randint": lambda low, high=None, size=None: stacked("randint", size, low, high),
        "randn": lambda *shape: stacked("normal", shape),
        "seed": lambda *_: None,
    }
    with patch.multiple(np.random, **fakes):
        yield
