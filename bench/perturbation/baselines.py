"""Baselines: the values that absent features take."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bench.core import vocabulary
from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.masking import blurred

BLUR = 10 / 224  # width of the blur over the longest side [fong2017meaningful]


def _zero(problem: Problem, _rng: SampleRng) -> Tensor:
    """Zeros: black in an image."""
    return problem.inputs.new_zeros(*problem.inputs.shape[:2], *(1 for _ in problem.shape))


def _mean(problem: Problem, _rng: SampleRng) -> Tensor:
    """The mean of each channel of the sample itself."""
    return problem.inputs.mean(tuple(range(2, problem.inputs.dim())), keepdim=True)


def _blur(problem: Problem, _rng: SampleRng) -> Tensor:
    """The sample blurred by a Gaussian."""
    return blurred(problem.inputs, BLUR * max(problem.shape))


def _noise(problem: Problem, rng: SampleRng) -> Tensor:
    """Draws that are uniform in the range of each channel of the sample."""
    axes = tuple(range(2, problem.inputs.dim()))
    low, high = problem.inputs.amin(axes, keepdim=True), problem.inputs.amax(axes, keepdim=True)
    return low + (high - low) * rng.uniform(problem.inputs.shape[1:])


def _background(problem: Problem, rng: SampleRng) -> Tensor:
    """One of the task's background inputs, drawn for each sample."""
    if problem.background is None:
        raise NotApplicable("the baseline 'background' needs background inputs, which the task does not have")
    return problem.background[(rng.uniform(()) * len(problem.background)).long()]


OWN_BASELINE = vocabulary.BASELINES[0]  # `problem.baseline`, the same for all samples
# The others, by name: the values of absent features of each sample, (N, C, *S), 1 for any axis of S.
BASELINES: dict[str, Callable[[Problem, SampleRng], Tensor]] = {
    "zero": _zero,
    "mean": _mean,
    "blur": _blur,
    "noise": _noise,
    "background": _background,
}
