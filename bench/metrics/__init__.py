"""The metrics, one file per family. Importing this package registers them all."""

from bench.metrics import cost, faithfulness, quantus  # noqa: F401
