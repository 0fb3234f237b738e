"""The maps that pictures are made from: a few samples of each task with the attributions of every method.

`maps/task=NAME/inputs.npz` holds the samples, `maps/task=NAME/method=NAME-HASH.npz` one method's maps of them. This is the only
module that reads or writes these files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from bench.core.display import in_unit_range
from bench.core.entries import Entry
from bench.core.files import atomic
from bench.core.hashing import digest
from bench.core.problem import Problem

GALLERY_SIZE = 6  # samples of each task
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class MapStore:
    """The folder `maps/` of a results folder."""

    results: Path

    def write_inputs(self, task: Entry, problem: Problem, targets: Tensor, probability: Tensor) -> None:
        """Stores the samples of `problem`, with the classes explained (N,) and their probabilities (N,)."""
        labels = targets if problem.labels is None else problem.labels
        classes = 1 + int(max(targets.max(), labels.max()))
        names = np.array([*problem.class_names, *map(str, range(len(problem.class_names), classes))])
        arrays = _identity(problem) | {
            "inputs": in_unit_range(problem.inputs, problem.bounds).cpu().contiguous().numpy(),
            "explained": names[targets.cpu().numpy()],
            "label": names[labels.cpu().numpy()],
            "probability": probability.cpu().numpy(),
            "baseline": in_unit_range(problem.baseline, problem.bounds).cpu().numpy(),
        }
        if problem.truth is not None:
            arrays["truth"] = problem.truth.cpu().numpy()
        self._write(task, "inputs", arrays)

    def write_maps(self, task: Entry, method: Entry, problem: Problem, attribution: Tensor) -> None:
        """Stores a method's attributions (N, *S) of the samples of `problem`."""
        arrays = {"maps": attribution.float().cpu().numpy(), "method_id": np.array(method.id)}
        self._write(task, f"method={method.name}-{digest(method.id)[:8]}", _identity(problem) | arrays)

    def read(self, task: str) -> dict[str, Arrays]:
        """File name without suffix -> arrays, for everything stored of a task."""
        found: dict[str, Arrays] = {}
        for path in sorted(self._folder(task).glob("*.npz")):
            with np.load(path, allow_pickle=False) as arrays:
                found[path.stem] = dict(arrays)
        return found

    def read_current(self, task: str, fingerprint: str) -> dict[str, Arrays]:
        """As `read`, without maps of other weights, or of other samples than the stored inputs; empty without inputs."""
        stored = self.read(task)
        if "inputs" not in stored:
            return {}
        wanted = (fingerprint, stored["inputs"]["sample_ids"].tolist())
        return {
            name: arrays
            for name, arrays in stored.items()
            if (str(arrays["fingerprint"]), arrays["sample_ids"].tolist()) == wanted
        }

    def _folder(self, task: str) -> Path:
        return self.results / "maps" / f"task={task}"

    def _write(self, task: Entry, name: str, arrays: Arrays) -> None:
        path = self._folder(task.name) / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _identity(problem: Problem) -> dict[str, np.ndarray]:
    """What maps and inputs must agree on to be shown together."""
    return {"sample_ids": np.array(problem.sample_ids), "fingerprint": np.array(problem.fingerprint)}
