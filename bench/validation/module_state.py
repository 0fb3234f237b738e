"""What a plug-in file keeps between calls: the values of its module's own names, and the caches of its functions."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from bench.core.problem import Problem
from bench.validation.source import source_of


class ModuleState:
    """The data of the file that a function stands in, as it is now. Names that the file imports are not its own."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn, self._values = fn, getattr(fn, "__globals__", {})
        module = getattr(fn, "__module__", "")
        self._imported = set(source_of(module).imports) if module in sys.modules else set(self._values)
        self._before: dict[str, Any] = {}
        for name, value in self._own().items():
            try:
                self._before[name] = copy.deepcopy(value)
            except Exception:  # cannot be copied, so it cannot be put back
                continue
        self._attributes = dict(vars(fn)) if hasattr(fn, "__dict__") else {}

    def put_back(self) -> list[str]:
        """Puts the data back, empties the caches of the file's functions, and returns the names that had changed."""
        now = self._own()
        changed = [name for name, value in self._before.items() if name not in now or not same(now[name], value)]
        for name in changed:
            self._values[name] = copy.deepcopy(self._before[name])
        new = [name for name in now if name not in self._before and _is_data(now[name])]
        for name in new:
            del self._values[name]
        return [*changed, *new, *self._attributes_put_back(), *self._caches_emptied()]

    def _own(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self._values.items()
            if not name.startswith("__") and name not in self._imported and _is_data(value)
        }

    def _attributes_put_back(self) -> list[str]:
        now = vars(self._fn) if self._attributes or getattr(self._fn, "__dict__", None) else {}
        changed = [name for name, value in now.items() if not same(value, self._attributes.get(name))]
        for name in changed:
            del now[name]
        now.update(self._attributes)
        return [f"{self._fn.__name__}.{name}" for name in changed]

    def _caches_emptied(self) -> list[str]:
        """Of functions that keep their answers (functools.cache)."""
        used = []
        for name, value in self._values.items():
            if name not in self._imported and hasattr(value, "cache_info") and value.cache_info().currsize:
                value.cache_clear()
                used.append(name)
        return used


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, tensors and arrays inside containers included."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (Tensor, np.ndarray)):
        return one.shape == other.shape and bool((one == other).all())
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    by_identity = getattr(type(one), "__eq__", None) is object.__eq__
    return same(vars(one), vars(other)) if by_identity and hasattr(one, "__dict__") else bool(one == other)


def _is_data(value: Any) -> bool:
    return not (
        isinstance(value, (ModuleType, Problem))
        or inspect.isroutine(value)
        or inspect.isclass(value)
        or callable(value)
    )
