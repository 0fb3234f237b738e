"""Encodes inputs and maps for the page as small pictures in text, within a budget of bytes.

The page holds two pictures of each map. `order`: the step of the deletion curve at which each feature is removed
(bench/perturbation/masking.py), exact, so that the page can draw every perturbed input from the input and the baseline.
`map`: the signed attribution for display, in few levels and at most `MAP_SIZE` positions along an axis.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from bench.page.data import plain
from bench.perturbation.masking import even_counts, ranks

Maps = Mapping[str, Mapping[str, np.ndarray]]  # of one task, as the store keeps them
LEVELS = 15  # of attribution, on either side of zero
MAP_SIZE = 80  # positions along an axis of a displayed map
INPUT_SIZE = 240  # positions along an axis of an input; larger ones are subsampled
STEPS = 20  # of the curves
CURVES = ("deletion", "insertion")


def samples(maps: Maps, wide: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The stored samples of one task: input, facts and, per method, `map`, `order` and the curves of p."""
    if "inputs" not in maps:
        return []
    by_id = {str(arrays["method_id"]): arrays["maps"] for arrays in maps.values() if "maps" in arrays}
    methods = zip(wide["method"], wide["method_id"], strict=True)
    by_method = {str(name): by_id[method_id] for name, method_id in methods if method_id in by_id}
    sample_ids = [str(sample_id) for sample_id in maps["inputs"]["sample_ids"]]
    curves = _curves(rows, sample_ids)
    return [
        _sample(maps["inputs"], number, sample_id)
        | {
            "methods": {
                name: _map(arrays[number])
                | {key: curves[key, name, sample_id] for key in CURVES if (key, name, sample_id) in curves}
                for name, arrays in by_method.items()
            }
        }
        for number, sample_id in enumerate(sample_ids)
    ]


def within(budget: int, tasks: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """As many samples of each task as fit into `budget` bytes, in rounds: the first of each task, the second, and so on.

    Within a round the smallest come first, so that a task of large images does not displace several others.
    """
    sizes = {task: [len(json.dumps(sample)) + 2 for sample in samples] for task, samples in tasks.items()}
    counts = dict.fromkeys(tasks, 0)
    for turn in range(max(map(len, tasks.values()), default=0)):
        candidates = [task for task in tasks if counts[task] == turn < len(tasks[task])]
        for task in sorted(candidates, key=lambda task: sizes[task][turn]):
            if sizes[task][turn] <= budget:
                counts[task] += 1
                budget -= sizes[task][turn]
    return {task: samples[: counts[task]] for task, samples in tasks.items()}


def steps_of(attribution: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """The step of the deletion curve at which each feature is removed, from 1: (*S) -> (*S) uint8."""
    position = ranks(torch.from_numpy(attribution.astype(np.float32))[None])[0].numpy()
    counts = even_counts(steps, position.size).numpy()
    return np.searchsorted(counts, position, side="right").astype(np.uint8).reshape(attribution.shape)


def signed(attribution: np.ndarray) -> np.ndarray:
    """The attribution scaled to the 99.5th percentile of |a|, in levels 0 to 2 * LEVELS, zero at LEVELS: (*S) uint8."""
    limit = np.percentile(np.abs(attribution), 99.5) or np.abs(attribution).max() or 1.0
    return np.rint(np.clip(attribution / limit, -1, 1) * LEVELS + LEVELS).astype(np.uint8)


def _sample(inputs: Mapping[str, np.ndarray], number: int, sample_id: str) -> dict[str, Any]:
    """One stored input with its facts, baseline and ground truth."""
    x = inputs["inputs"][number]
    image = x.ndim == 3
    baseline = np.asarray(inputs.get("baseline", np.zeros(len(x)))).reshape(len(x), -1)[:, 0]
    sample = {"id": sample_id, "probability": plain(inputs["probability"][number]), "shape": list(x.shape[1:])}
    sample |= {key: str(inputs[key][number]) for key in ("explained", "label")}
    sample |= (
        _image(x, baseline) if image else {"signal": [plain(channel) for channel in x], "baseline": plain(baseline)}
    )
    sample["baseline_known"] = "baseline" in inputs  # stores of early versions lack it
    if "truth" in inputs:
        sample["truth"] = _encoded(_subsampled(inputs["truth"][number].astype(np.uint8)), image)
    return sample


def _map(attribution: np.ndarray) -> dict[str, Any]:
    """The pictures of one map (*S); none where it is constant or not finite."""
    if not np.isfinite(attribution).all() or np.ptp(attribution) == 0:
        return {}
    image = attribution.ndim == 2
    averaged = _averaged(attribution) if image else attribution
    return {"map": _encoded(signed(averaged), image), "order": _encoded(_subsampled(steps_of(attribution)), image)}


def _image(x: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
    """An image (C, H, W) and its baseline in bytes: 0 is the lowest value, or 0.0; 255 is the highest, or 1.0."""
    low, high = min(0.0, float(x.min())), max(1.0, float(x.max()))
    pixels = _bytes(_subsampled(x), low, high)
    rgb = pixels[0] if len(pixels) != 3 else np.moveaxis(pixels, 0, -1)
    return {"image": _encoded(np.ascontiguousarray(rgb), True), "baseline": _bytes(baseline, low, high).tolist()}


def _bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((np.clip(values, low, high) - low) / (high - low) * 255).astype(np.uint8)


def _subsampled(values: np.ndarray) -> np.ndarray:
    """Every n-th position of an image larger than INPUT_SIZE, (..., H, W); signals are unchanged."""
    n = -(-max(values.shape[-2:]) // INPUT_SIZE) if values.ndim > 1 else 1
    return values[..., ::n, ::n] if n > 1 else values


def _averaged(attribution: np.ndarray) -> np.ndarray:
    """Means over square blocks, at most MAP_SIZE along an axis: (H, W) -> (h, w)."""
    n = -(-max(attribution.shape) // MAP_SIZE)
    if n == 1:
        return attribution
    rows, columns = (np.arange(0, size, n) for size in attribution.shape)
    sums = np.add.reduceat(np.add.reduceat(attribution.astype(np.float64), rows, 0), columns, 1)
    counts = np.add.reduceat(np.add.reduceat(np.ones_like(attribution, dtype=np.float64), rows, 0), columns, 1)
    return np.asarray(sums / counts)


def _encoded(values: np.ndarray, image: bool) -> str:
    """Bytes as base64: of a PNG for images, which browsers decode; of the values for signals."""
    if not image:
        return base64.b64encode(values.tobytes()).decode()
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _curves(rows: pd.DataFrame, sample_ids: list[str]) -> dict[tuple[str, str, str], list[float]]:
    """(metric, method, sample) -> p at each step of the deletion and insertion curves."""
    used = rows[rows["metric"].isin(CURVES) & rows["sample_id"].isin(sample_ids) & rows["curve"].notna()]
    keys = zip(used["metric"], used["method"], used["sample_id"], strict=True)
    return {key: [round(float(p), 4) for p in curve] for key, curve in zip(keys, used["curve"], strict=True)}
