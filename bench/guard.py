"""The harness trusts nobody: what a plug-in leaves behind is found, undone and reported (law 2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.core import ContractError, Problem

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def unchanged(problem: Problem) -> Iterator[None]:
    """Raises ContractError when the block changes inputs, weights, modes or hooks, after putting them back."""
    model, inputs = problem.model, problem.inputs.detach().clone()
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    modes = {name: module.training for name, module in model.named_modules()}
    gradients = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    hooks = _hooks(model)
    try:
        yield
    finally:
        broken = [
            *_restore_tensors(problem, inputs, state),
            *_restore_flags(model, modes, gradients),
            *_restore_hooks(model, hooks),
        ]
    if broken:
        raise ContractError(f"it {'; '.join(broken)}")


def checked(attribution: Any, problem: Problem) -> Tensor:
    """The attribution, detached, if it is a floating tensor (N, *S); else raises ContractError."""
    wanted = (len(problem), *problem.shape)
    if not isinstance(attribution, Tensor):
        raise ContractError(f"it returned {type(attribution).__name__}, a tensor of shape {wanted} is needed")
    if tuple(attribution.shape) != wanted:
        raise ContractError(f"it returned shape {tuple(attribution.shape)}, {wanted} is needed")
    if not attribution.is_floating_point():
        raise ContractError(f"it returned {attribution.dtype}, a floating type is needed")
    return attribution.detach().to(problem.inputs.device)


def flaws(attribution: Tensor) -> list[tuple[str, str]]:
    """Per sample ("ok", ""), or "undefined" and why its attribution says nothing: (N, *S) -> N pairs."""
    flat = attribution.flatten(1)
    finite = flat.isfinite().all(1).tolist()
    varied = (flat.amax(1) > flat.amin(1)).tolist()
    return [
        ("undefined", "the attribution is not finite")
        if not good
        else ("ok", "")
        if differs
        else ("undefined", "the attribution is constant")
        for good, differs in zip(finite, varied, strict=True)
    ]


def _restore_tensors(problem: Problem, inputs: Tensor, state: dict[str, Tensor]) -> list[str]:
    broken = []
    if not torch.equal(problem.inputs.detach(), inputs):
        problem.inputs.data.copy_(inputs)
        broken.append("changed its inputs")
    if problem.inputs.requires_grad or problem.inputs.grad is not None:
        problem.inputs.requires_grad_(False).grad = None
        broken.append("left a gradient on its inputs")
    now = problem.model.state_dict()
    changed = [name for name in state if name not in now or not torch.equal(now[name], state[name])]
    if changed or set(now) - set(state):
        problem.model.load_state_dict(state, strict=False)
        broken.append(f"changed the weights {', '.join(changed[:3]) or 'by adding some'}")
    return broken


def _restore_flags(model: nn.Module, modes: dict[str, bool], gradients: dict[str, bool]) -> list[str]:
    broken = []
    moved = [name or "the model" for name, module in model.named_modules() if module.training != modes.get(name)]
    if moved:
        for name, module in model.named_modules():
            module.training = modes.get(name, False)
        broken.append(f"changed the mode of {', '.join(moved[:3])}")
    flipped = [name for name, p in model.named_parameters() if p.requires_grad != gradients.get(name)]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(gradients.get(name, False))
        parameter.grad = None
    if flipped:
        broken.append(f"changed requires_grad of {', '.join(flipped[:3])}")
    return broken


def _hooks(model: nn.Module) -> dict[tuple[str, str], set[int]]:
    return {(name, kind): set(getattr(module, kind)) for name, module in model.named_modules() for kind in HOOKS}


def _restore_hooks(model: nn.Module, known: dict[tuple[str, str], set[int]]) -> list[str]:
    left = []
    for name, module in model.named_modules():
        for kind in HOOKS:
            for extra in set(getattr(module, kind)) - known.get((name, kind), set()):
                del getattr(module, kind)[extra]
                left.append(name or "the model")
    return [f"left a hook on {', '.join(sorted(set(left))[:3])}"] if left else []
