"""A score key and the record of its scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.core.hashing import digest


@dataclass(frozen=True)
class ScoreKey:
    """One (task, method, metric, seed). The key hashes exactly what can change its scores."""

    task: str  # ids
    method: str
    metric: str
    seed: int
    fingerprint: str  # of the task: weights, baseline, layers, top_k

    @property
    def key(self) -> str:
        return digest(self.task, self.method, self.metric, self.seed, self.fingerprint)[:16]


@dataclass(frozen=True)
class Record:
    """The outcome of a cell on some samples; arrays run over the samples."""

    cell: ScoreKey
    sample_ids: tuple[str, ...]
    sample_digests: tuple[str, ...]  # of each sample's own input, target and truth: a changed image is a new question
    scores: np.ndarray  # (N,) float64; NaN unless status is ok
    status: tuple[str, ...]  # (N,) of STATUSES
    note: tuple[str, ...]  # (N,) why, when not ok
    features: int  # of a sample
    seconds: float  # spent on this record, the explanation not included
    environment: str
    curves: np.ndarray | None = None  # (N, steps + 1), when the metric is the area under a curve
