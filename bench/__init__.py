"""A benchmark harness that tells which attribution method to trust for a model, and how far.

import bench

problem = bench.Problem.from_model(model, inputs)
result = bench.evaluate(problem, methods=["grad_cam", "lrp*", "random"])
print(result.leaderboard)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# OpenMP's threads wait for each other by spinning, by default for so long that beside other busy processes small models run up
# to thirty times slower. 10,000 rounds are as fast as the default on a quiet machine, to within 5 % (3,000 made batches of
# signals 20 % slower, of 32 70 %), and bounded on a crowded one. It is read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if TYPE_CHECKING:
    from bench.api import (
        Results,
        arrays,
        attribute,
        check,
        check_methods,
        check_model,
        check_plugins,
        compare,
        evaluate,
        explain,
        image_folder,
        list_methods,
        list_metrics,
        list_tasks,
        score,
    )
    from bench.core.errors import BenchError, NotApplicable
    from bench.core.problem import Problem
    from bench.registry import method, metric, task

__all__ = [
    "BenchError",
    "NotApplicable",
    "Problem",
    "Results",
    "arrays",
    "attribute",
    "check",
    "check_methods",
    "check_model",
    "check_plugins",
    "compare",
    "evaluate",
    "explain",
    "image_folder",
    "list_methods",
    "list_metrics",
    "list_tasks",
    "method",
    "metric",
    "score",
    "task",
]

# Loaded when they are first used, so that `import bench` does not wait for torch.
_MODULES = dict.fromkeys(__all__, "bench.api") | {
    "BenchError": "bench.core.errors",
    "NotApplicable": "bench.core.errors",
    "Problem": "bench.core.problem",
    "method": "bench.registry",
    "metric": "bench.registry",
    "task": "bench.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
