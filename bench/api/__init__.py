"""The public functions. The command line calls only these."""

from bench.api.attribution import Explanations, attribute, explain, score
from bench.api.evaluation import evaluate
from bench.api.judging import Comparison, check, compare
from bench.api.listing import list_methods, list_metrics, list_tasks
from bench.api.results import Results
from bench.api.sweeping import SweepResults, sweep
from bench.api.task_models import TaskEvaluation, evaluate_model, fetch, train

__all__ = [
    "Comparison",
    "Explanations",
    "Results",
    "SweepResults",
    "TaskEvaluation",
    "attribute",
    "check",
    "compare",
    "evaluate",
    "evaluate_model",
    "explain",
    "fetch",
    "list_methods",
    "list_metrics",
    "list_tasks",
    "score",
    "sweep",
    "train",
]
