"""Metrics of the Quantus library [hedstrom2023quantus], one file per group. Importing this package registers them all.

Each calls Quantus's class, and goes up or down as Quantus says. What differs from Quantus's defaults, here and in the
docstrings:

- Parameters fit the task: numbers of steps, of patches and of noisy inputs, sizes that divide the input, the task's baseline.
- Faithfulness metrics are given a presence map instead of the input: ones of shape (N, 1, *S), behind which the model
  sees the input where the map is 1 and the task's baseline where it is 0. So a feature is a pixel with all its channels
  (Quantus flips single channel values on RGB), and absent means the task's baseline (Quantus's "black" is the minimum of
  the sample). They read p of the explained class. ROAD and IROF look at the values of the input, and are given that.
- Draws are seeded per sample (Quantus has no seed, or one for the batch), so a score does not depend on the batch or on
  what ran before, and all methods meet the same draws. What mixes the samples of a batch is called sample by sample.
- Nothing is made absolute unless the metric's definition says so, or normalised, unless that is needed for a score that
  does not depend on the unit of the attribution; then each map is over its own largest absolute value (Quantus takes the
  largest of a batch).

Faults of its formulas stay as they are: conformance tells which metrics to believe.
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
