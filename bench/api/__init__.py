"""The public functions, each loaded with the libraries it needs when it is first used. The command line calls only these."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api.attribution import attribute, score
    from bench.api.authoring import check_methods, check_plugins
    from bench.api.evaluation import evaluate
    from bench.api.exactness import check_model
    from bench.api.explanation import Explanations, explain
    from bench.api.judging import Comparison, check, compare
    from bench.api.listing import list_methods, list_metrics, list_tasks
    from bench.api.own_data import arrays, image_folder
    from bench.api.packing import pack
    from bench.api.results import Results
    from bench.api.scaffold import init, new
    from bench.api.sweeping import SweepResults, sweep
    from bench.api.task_models import TaskEvaluation, evaluate_model, fetch, train

__all__ = [
    "Comparison",
    "Explanations",
    "Results",
    "SweepResults",
    "TaskEvaluation",
    "arrays",
    "attribute",
    "check",
    "check_methods",
    "check_model",
    "check_plugins",
    "compare",
    "evaluate",
    "evaluate_model",
    "explain",
    "fetch",
    "image_folder",
    "init",
    "list_methods",
    "list_metrics",
    "list_tasks",
    "new",
    "pack",
    "score",
    "sweep",
    "train",
]

_MODULES = {
    "attribution": ("attribute", "score"),
    "authoring": ("check_methods", "check_plugins"),
    "evaluation": ("evaluate",),
    "exactness": ("check_model",),
    "explanation": ("Explanations", "explain"),
    "judging": ("Comparison", "check", "compare"),
    "listing": ("list_methods", "list_metrics", "list_tasks"),
    "own_data": ("arrays", "image_folder"),
    "packing": ("pack",),
    "results": ("Results",),
    "scaffold": ("init", "new"),
    "sweeping": ("SweepResults", "sweep"),
    "task_models": ("TaskEvaluation", "evaluate_model", "fetch", "train"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"bench.api.{module}"), name)
    raise AttributeError(f"module 'bench.api' has no attribute '{name}'")
