"""Calls Quantus without warnings and side effects, for scores per sample.

Written for Quantus 0.6, which works on batches. Older releases (0.5) are called with one sample at a time.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.problem import Problem
from bench.core.random import numpy_state_kept
from bench.metrics.quantus.draws import draws_per_sample
from bench.metrics.quantus.models import Closed, ModelOf, Open
from bench.metrics.robustness import neighbours
from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain

PLAIN = {"normalise": False, "abs": False, "disable_warnings": True, "return_aggregate": False}


def as_maps(attribution: Tensor) -> np.ndarray:
    """(N, *S) -> NumPy (N, 1, *S) float32, a copy: Quantus works in place."""
    return attribution.detach().float().cpu().numpy().copy()[:, None]


def as_inputs(problem: Problem) -> np.ndarray:
    """NumPy (N, C, *S) float32, a copy."""
    return problem.inputs.float().cpu().numpy().copy()


def own_scale(a: np.ndarray, **_: Any) -> np.ndarray:
    """Divides each map by its largest absolute value, for Quantus's `normalise_func`: (N, ...) -> (N, ...)."""
    largest = np.abs(a).max(axis=tuple(range(1, a.ndim)), keepdims=True)
    return a / np.where(largest > 0, largest, 1)


def step_of(features: int, steps: int) -> int:
    """Number of features per step, for about `steps` steps of equal size, which Quantus requires."""
    number = min((n for n in range(1, features + 1) if features % n == 0), key=lambda n: (n == 1, abs(n - steps)))
    return features // number


def release() -> tuple[int, ...]:
    """Quantus's version, (0, 6) for example."""
    import quantus

    return tuple(int(part) for part in quantus.__version__.split(".")[:2])


def batched() -> bool:
    """Whether the installed Quantus works on whole batches."""
    return release() >= (0, 6)


def judge(name: str, **settings: Any) -> Any:
    """A Quantus metric without normalisation, absolute values, warnings and means over samples, unless `settings` say so."""
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
    """The result of a Quantus metric for each sample: (N, C, *S), (N, 1, *S) -> N results. Not for those that explain again.

    `alone`: one call per sample instead of one for all; the default depends on the version of Quantus. `seeds`: one per
    sample, for the metric's random numbers. `batches`: further arrays for the metric.
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
    """Scores (N,) of a Quantus metric that explains again, all samples at once.

    `attribution` None: the metric also explains the inputs itself. `draws`: draw numbers of the explanations; by default 0,
    that of the attribution.
    """
    import quantus

    problem, asked = probe.problem, model or Closed(probe.problem)
    explain_func = explainer(probe, explain, draws or itertools.repeat(0), original=asked)
    drawn = nullcontext() if seeds is None else draws_per_sample(seeds)
    # SmoothMPRT ignores `explain_func` and calls Quantus's `explain`
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
    """The method as Quantus's `explain_func`: (model, inputs (N, ...), targets (N,)) -> (N, 1, ...), all samples at once."""

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
    """Scores of a metric that compares the samples of a batch; each sample gets a batch of its noisy versions. (N,)"""
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


@contextmanager
def quiet() -> Iterator[None]:
    """Turns off Quantus's warnings and its checks of the maps, and undoes its side effects.

    The warnings compare inputs at each step. The checks turn maps into Python lists and reject maps that are all negative;
    the harness has checked them already. Quantus reseeds torch and NumPy, and keeps every model in a cache.
    """
    from quantus.helpers import asserts, warn
    from quantus.helpers.model.pytorch_model import PyTorchModel

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(patch.object(warn, "warn_perturbation_caused_no_change", lambda **_: None))
        stack.enter_context(patch.object(asserts, "assert_attributions", lambda *_, **__: None))
        stack.enter_context(numpy_state_kept())
        # a search for unused devices would take longer than some metrics
        devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        stack.enter_context(torch.random.fork_rng(devices))
        for name in ("_get_last_softmax_layer_index", "_get_model_with_linear_top"):
            stack.callback(getattr(PyTorchModel, name).cache_clear)
        yield
