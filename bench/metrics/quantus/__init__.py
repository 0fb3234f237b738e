"""Metrics of the Quantus library [hedstrom2023quantus], one file per group. Importing this package registers them all.

Each calls a class of Quantus and has the direction that Quantus states. Differences from Quantus's defaults are listed here
and in the docstrings:

- Parameters fit the task: numbers of steps, patches and noisy inputs, sizes that divide the input, the task's baseline.
- Faithfulness metrics get a presence map instead of the input: ones of shape (N, 1, *S). The model sees the input where
  the map is 1 and the task's baseline where it is 0. So a feature is a pixel with all its channels (Quantus flips single
  channel values on RGB), and a removed feature takes the task's baseline (Quantus's "black" is the minimum of the sample).
  They use p of the explained class. ROAD and IROF need the values of the input, and get the input.
- Random numbers are seeded per sample (Quantus has no seed, or one for the batch), so a score does not depend on the batch
  or on earlier runs, and all methods get the same draws. Metrics that mix the samples of a batch are called per sample.
- Absolute values are taken only where the metric's definition requires them. Maps are normalised only where the score would
  otherwise depend on their unit; each map is then divided by its largest absolute value (Quantus uses that of the batch).

Errors in Quantus's formulas are kept. The conformance checks show which of these metrics to trust.
"""

from __future__ import annotations

from bench.metrics.quantus import (  # noqa: F401
    axiomatic,
    complexity,
    faithfulness,
    localisation,
    randomisation,
    robustness,
)
