"""The registries, and how entries are chosen from them."""

from bench.registry.decorators import METHODS, METRICS, TASKS, Explain, method, metric, task

__all__ = ["METHODS", "METRICS", "TASKS", "Explain", "method", "metric", "task"]
