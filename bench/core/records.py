"""A score key and the record of its scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.core.hashing import digest


@dataclass(frozen=True)
class ScoreKey:
    """What scores are about: all that can change them but the sample."""

    task: str  # ids
    method: str
    metric: str
    seed: int
    fingerprint: str  # of the task: weights, baseline, layers, top_k

    @property
    def hash(self) -> str:
        """A short name of the key."""
        return digest(self.task, self.method, self.metric, self.seed, self.fingerprint)[:16]

    @property
    def stem(self) -> str:
        """What file names begin with: the same for all metrics."""
        return digest(self.task, self.method, self.seed, self.fingerprint)[:16]


@dataclass(frozen=True)
class Record:
    """Scores of some samples; arrays run over the samples."""

    key: ScoreKey
    sample_ids: tuple[str, ...]
    sample_digests: tuple[
        str, ...
    ]  # of each sample's input, target and truth: scores of a changed input are computed again
    scores: np.ndarray  # (N,) float64; NaN unless status is ok
    status: tuple[str, ...]  # (N,) of STATUSES
    note: tuple[str, ...]  # (N,) why, when not ok
    features: int  # of a sample
    seconds: float  # spent on this record, the explanation not included
    environment: str
    curves: np.ndarray | None = None  # (N, steps + 1), when the metric is the area under a curve
