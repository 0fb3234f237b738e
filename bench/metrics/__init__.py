"""The metrics, one file per family. Importing this package registers them all."""

from __future__ import annotations

from bench.metrics import (  # noqa: F401
    axioms,
    complexity,
    cost,
    faithfulness,
    localisation,
    quantus,
    randomisation,
    robustness,
)
