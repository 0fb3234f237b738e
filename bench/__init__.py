"""A benchmark harness that tells which attribution method to trust for a model, and how far."""

__version__ = "0.1.0"
