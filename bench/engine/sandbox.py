"""Runs plug-ins without trusting them: what they change is detected, undone and reported."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import ContractError
from bench.core.problem import Problem

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def isolated(problem: Problem) -> Problem:
    """A copy of the problem, its model and its tensors, so that changes to them affect nobody else."""
    return replace(
        problem,
        model=copy.deepcopy(problem.model),
        inputs=problem.inputs.detach().clone(),
        baseline=problem.baseline.clone(),
        targets=problem.targets.clone(),
        truth=None if problem.truth is None else problem.truth.clone(),
        background=None if problem.background is None else problem.background.clone(),
        bounds=None if problem.bounds is None else problem.bounds.clone(),
    )


Parts = list[tuple[nn.Module, dict[str, tuple[Any, dict[Any, Any] | None]]]]


class ModelSnapshot:
    """What a model is before plug-ins work with it."""

    def __init__(self, model: nn.Module) -> None:
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.traits, self.parts = _traits(model), _parts(model)


class Snapshot:
    """What a problem and its model are before plug-ins work with them. `model`: a snapshot of the model, if there is one."""

    def __init__(self, problem: Problem, model: ModelSnapshot | None = None) -> None:
        tensors = {name: getattr(problem, name) for name in ("inputs", "baseline", "targets", "truth")}
        self.tensors = {name: value.detach().clone() for name, value in tensors.items() if value is not None}
        self.model = model or ModelSnapshot(problem.model)


@contextmanager
def unchanged(problem: Problem, before: Snapshot | None = None) -> Iterator[None]:
    """Raises ContractError when the block changes the problem, or the global state of torch, NumPy or Python.

    Model, tensors and global state are restored first. `before`: a snapshot of the problem, if there is one.
    """
    before, global_state = before or Snapshot(problem), _GlobalState()
    try:
        yield
    finally:
        broken = [
            *_restore_tensors(problem, before.tensors),
            *_differing_traits(problem.model, before.model.traits),
            *_changed_weights(problem.model, before.model.state),
            *global_state.restore(),
        ]
        if broken:
            _restore_model(before.model.parts, problem.model, before.model.state)
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
    exact = attribution.dtype if attribution.dtype == torch.float64 else torch.float32
    return attribution.detach().to(problem.inputs.device, exact, copy=True)  # a copy: the method may reuse its buffer


def map_status(attribution: Tensor) -> list[tuple[str, str]]:
    """Per sample ("ok", ""), or "undefined" and the reason: (N, *S) -> N pairs."""
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


def _restore_tensors(problem: Problem, kept: dict[str, Tensor]) -> list[str]:
    broken = []
    for name, value in kept.items():
        now = getattr(problem, name)
        if not torch.equal(now.detach(), value):
            now.data.copy_(value)
            broken.append(f"changed its {name}")
    if problem.inputs.requires_grad or problem.inputs.grad is not None:
        problem.inputs.requires_grad_(False).grad = None
        broken.append("left a gradient on its inputs")
    return broken


def _changed_weights(model: nn.Module, state: dict[str, Tensor]) -> list[str]:
    now = model.state_dict()
    changed = [
        name
        for name in sorted(set(state) | set(now))
        if name not in now or name not in state or not _same(now[name], state[name])
    ]
    if changed:
        return [f"changed the weights {', '.join(changed[:3])}"]
    return []


def _parts(model: nn.Module) -> Parts:
    """Every attribute of every module, and what its dictionaries (hooks, children, parameters) hold."""
    return [
        (module, {k: (v, dict(v) if isinstance(v, dict) else None) for k, v in vars(module).items()})
        for module in model.modules()
    ]


def _restore_model(parts: Parts, model: nn.Module, state: dict[str, Tensor]) -> None:
    """Restores a model in place; handles of hooks refer to these dictionaries, so they are kept."""
    for module, attributes in parts:
        vars(module).clear()
        for name, (value, content) in attributes.items():
            if content is not None:
                value.clear()
                value.update(content)
            vars(module)[name] = value
    for name, tensor in model.state_dict(keep_vars=True).items():
        tensor.data = state[name].clone()


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _traits(model: nn.Module) -> dict[str, dict[str, object]]:
    """All of a model but its weights, by module: kind, mode, hooks, plain settings, and which parameters need a gradient."""
    return {
        name: {
            "the kind": type(module),
            "the mode": module.training,
            "a hook": tuple(tuple(getattr(module, kind)) for kind in HOOKS),
            "the settings": {k: v for k, v in vars(module).items() if isinstance(v, (int, float, str, tuple))},
            "the forward function": vars(module).get("forward"),
            "requires_grad": tuple(p.requires_grad for p in module.parameters(recurse=False)),
        }
        for name, module in model.named_modules()
    }


def _differing_traits(model: nn.Module, before: dict[str, dict[str, object]]) -> list[str]:
    after = _traits(model)
    if set(after) != set(before):
        return [f"added or removed the modules {', '.join(sorted(set(after) ^ set(before))[:3])}"]
    broken: list[str] = []
    for trait in ("the kind", "the mode", "a hook", "the settings", "the forward function", "requires_grad"):
        names = [name or "the model" for name in before if before[name][trait] != after[name][trait]]
        if names and not (trait == "the settings" and any("the mode" in text for text in broken)):
            verb = "left" if trait == "a hook" else "changed"
            broken.append(f"{verb} {trait} {'on' if trait == 'a hook' else 'of'} {', '.join(names[:3])}")
    return broken


class _GlobalState:
    """The global state that a plug-in could change."""

    def __init__(self) -> None:
        self.grad, self.dtype = torch.is_grad_enabled(), torch.get_default_dtype()
        self.hooks = _global_hooks()
        self.torch, self.numpy, self.python = torch.get_rng_state(), np.random.get_state(), random.getstate()

    def restore(self) -> list[str]:
        """Restores everything; returns what was changed."""
        broken = []
        if (torch.is_grad_enabled(), torch.get_default_dtype()) != (self.grad, self.dtype):
            torch.set_grad_enabled(self.grad)
            torch.set_default_dtype(self.dtype)
            broken.append("changed torch's global grad mode or default dtype")
        if _global_hooks() != self.hooks:
            broken.append("left a global module hook")
        drew = []
        if not torch.equal(torch.get_rng_state(), self.torch):
            torch.set_rng_state(self.torch)
            drew.append("torch")
        if not all(map(np.array_equal, np.random.get_state(), self.numpy)):
            np.random.set_state(self.numpy)
            drew.append("NumPy")
        if random.getstate() != self.python:
            random.setstate(self.python)
            drew.append("Python")
        if drew:
            broken.append(f"drew from the global random state of {' and '.join(drew)}; draw from `rng` instead")
        return broken


def _global_hooks() -> tuple[tuple[int, ...], ...]:
    module = torch.nn.modules.module
    return tuple(tuple(getattr(module, f"_global{kind}", ())) for kind in HOOKS)
