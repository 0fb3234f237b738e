"""The registries, and how entries are chosen from them."""

from bench.registry.decorators import Explain, method, metric, task

__all__ = ["Explain", "method", "metric", "task"]
