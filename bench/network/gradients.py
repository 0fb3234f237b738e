"""Activations and gradients of named layers. No hook outlives its use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn

from bench.core.errors import BenchError, NotApplicable
from bench.core.nearest import unknown
from bench.core.problem import Problem


@contextmanager
def activations(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yields a dict that each forward pass fills with the outputs of the named layers, (N, C, *S) each.

    The outputs stay part of the autograd graph. Raises BenchError if the model has no such layer.
    """
    modules = dict(model.named_modules())
    for name in layers:
        if name not in modules:
            raise BenchError(unknown("layer", name, filter(None, modules), of="the model"))
    seen: dict[str, Tensor] = {}

    def keep(name: str):  # type: ignore[no-untyped-def]
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            seen[name] = output
            return output.clone() if isinstance(output, Tensor) else output  # the next layer may work in place

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def gradient(problem: Problem, inputs: Tensor | None = None) -> Tensor:
    """d logit of the explained class / d input, at the problem's inputs or at other inputs (N, C, *S) of its samples."""
    at = (problem.inputs if inputs is None else inputs).detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(chosen(problem, problem.model(at)).sum(), at)
    return slope


def gradients(problem: Problem, points: Iterable[Tensor]) -> Iterator[Tensor]:
    """The gradient at each of several points (N, C, *S), as many in one batch as `batch_size` allows: (N, C, *S) each."""
    left = iter(points)
    while together := list(islice(left, at_once(problem))):
        yield from gradient(repeated(problem, len(together)), torch.cat(together)).split(len(problem))


def at_once(problem: Problem) -> int:
    """How many times the problem's inputs fit into one batch; at least 1."""
    return max(1, problem.batch_size // max(1, len(problem)))


def repeated(problem: Problem, times: int) -> Problem:
    """All samples, repeated `times` times, one round after another."""
    return problem.take([*range(len(problem))] * times)


def features(problem: Problem, layer: int = -1) -> tuple[Tensor, Tensor]:
    """Outputs of a block (N, C, *s) and the logits (N, K). Raises NotApplicable if it gives no maps."""
    name = problem.layers[layer]
    with activations(problem.model, [name]) as seen:
        logits = problem.model(problem.inputs)
    return _over_space(problem, name, seen[name]), logits


def features_and_slopes(problem: Problem, layer: int = -1) -> tuple[Tensor, Tensor]:
    """Outputs of a block and the gradient of the class's logit with respect to them: two (N, C, *s)."""
    name = problem.layers[layer]
    with torch.enable_grad(), activations(problem.model, [name]) as seen:
        logit = chosen(problem, problem.model(problem.inputs.detach().clone().requires_grad_()))
        maps = _over_space(problem, name, seen[name])
        (slope,) = torch.autograd.grad(logit.sum(), maps)
    return maps.detach(), slope


def _over_space(problem: Problem, layer: str, maps: Tensor) -> Tensor:
    if not isinstance(maps, Tensor) or maps.dim() != problem.inputs.dim():
        raise NotApplicable(
            f"layer {layer} gives no feature maps: its output does not have the axes (N, C, *spatial) of an input"
        )
    return maps


def chosen(problem: Problem, logits: Tensor) -> Tensor:
    """The logit, or probability, of the explained class: (N, K) -> (N,)."""
    return logits.gather(1, problem.targets[:, None])[:, 0]
