"""Inputs and maps to what a browser draws: small pictures as text, within a budget of bytes.

For each map the page holds two pictures. `order`: at which step of the deletion curve (bench/masking.py) a feature is removed,
exactly, so that the page can draw every perturbed input from the input, the baseline and this. `map`: the attribution
itself, signed, in few levels and not more than `COARSE` places along an axis, for the eye.
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
COARSE = 80  # places along an axis of the map that is shown
FINE = 240  # along an axis of the input; larger ones are thinned
STEPS = 20


def samples(maps: Maps, wide: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The kept samples of one task, each with input, facts, and per method `map`, `order` and the curves of p."""
    if "inputs" not in maps:
        return []
    by_id = {str(arrays["method_id"]): arrays["maps"] for arrays in maps.values() if "maps" in arrays}
    shown = [
        (str(name), by_id[one]) for name, one in zip(wide["method"], wide["method_id"], strict=True) if one in by_id
    ]
    ids = [str(name) for name in maps["inputs"]["sample_ids"]]
    curves = _curves(rows, ids)
    return [_sample(maps["inputs"], number, name, shown, curves) for number, name in enumerate(ids)]


def within(budget: int, tasks: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """As many samples of each task as fit, taken in turn: the first of each task, the second of each, and so on.

    Within a turn the smallest come first, so that one task of large images does not take the place of several others.
    """
    sizes = {task: [len(json.dumps(one)) + 2 for one in of_task] for task, of_task in tasks.items()}
    counts = dict.fromkeys(tasks, 0)
    for turn in range(max(map(len, tasks.values()), default=0)):
        waiting = [task for task in tasks if counts[task] == turn < len(tasks[task])]
        for task in sorted(waiting, key=lambda task: sizes[task][turn]):
            if sizes[task][turn] <= budget:
                counts[task] += 1
                budget -= sizes[task][turn]
    return {task: of_task[: counts[task]] for task, of_task in tasks.items()}


def steps_of(attribution: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """At which step of the deletion curve a feature is removed, from 1: (*S) -> (*S) uint8."""
    place = ranks(torch.from_numpy(attribution.astype(np.float32))[None])[0].numpy()
    counts = even_counts(steps, place.size).numpy()
    return np.searchsorted(counts, place, side="right").astype(np.uint8).reshape(attribution.shape)


def signed(attribution: np.ndarray) -> np.ndarray:
    """The attribution over its 99.5th percentile, in whole levels from 0 to 2 * LEVELS, LEVELS for zero: (*S) uint8."""
    limit = np.percentile(np.abs(attribution), 99.5) or np.abs(attribution).max() or 1.0
    return np.rint(np.clip(attribution / limit, -1, 1) * LEVELS + LEVELS).astype(np.uint8)


def _sample(
    inputs: Mapping[str, np.ndarray],
    number: int,
    name: str,
    shown: list[tuple[str, np.ndarray]],
    curves: Mapping[tuple[str, str, str], Any],
) -> dict[str, Any]:
    one = inputs["inputs"][number]
    image = one.ndim == 3
    facts = {key: str(inputs[key][number]) for key in ("explained", "label")}
    baseline = np.asarray(inputs.get("baseline", np.zeros(len(one)))).reshape(len(one), -1)[:, 0]
    picture = (
        _image(one, baseline) if image else {"signal": [plain(channel) for channel in one], "baseline": plain(baseline)}
    )
    found = (
        {"id": name, "probability": plain(inputs["probability"][number]), "shape": list(one.shape[1:])}
        | facts
        | picture
    )
    found["baseline_known"] = "baseline" in inputs  # older stores do not hold it
    if "truth" in inputs:
        found["truth"] = _packed(_thinned(inputs["truth"][number].astype(np.uint8)), image)
    found["methods"] = {
        method: _map(arrays[number], image)
        | {key: curves[key, method, name] for key in ("deletion", "insertion") if (key, method, name) in curves}
        for method, arrays in shown
    }
    return found


def _map(attribution: np.ndarray, image: bool) -> dict[str, Any]:
    if not np.isfinite(attribution).all() or np.ptp(attribution) == 0:
        return {}
    coarse = _coarse(attribution) if image else attribution
    return {"map": _packed(signed(coarse), image), "order": _packed(_thinned(steps_of(attribution)), image)}


def _image(one: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
    """An image (C, H, W) in bytes, from black at its lowest value (0, if none is lower) to white, and the baseline likewise."""
    low, high = min(0.0, float(one.min())), max(1.0, float(one.max()))
    pixels = _bytes(_thinned(one), low, high)
    rgb = pixels[0] if len(pixels) != 3 else np.moveaxis(pixels, 0, -1)
    blank = _bytes(baseline, low, high)
    return {"image": _packed(np.ascontiguousarray(rgb), True), "baseline": [int(value) for value in blank]}


def _bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((np.clip(values, low, high) - low) / (high - low) * 255).astype(np.uint8)


def _thinned(values: np.ndarray) -> np.ndarray:
    """Every k-th place of an image that is larger than FINE, (..., H, W); signals stay as they are."""
    k = -(-max(values.shape[-2:]) // FINE) if values.ndim > 1 else 1
    return values[..., ::k, ::k] if k > 1 else values


def _coarse(attribution: np.ndarray) -> np.ndarray:
    """Means over blocks, at most COARSE along an axis: (H, W) -> (h, w)."""
    k = -(-max(attribution.shape) // COARSE)
    if k == 1:
        return attribution
    lines, columns = (np.arange(0, size, k) for size in attribution.shape)
    sums = np.add.reduceat(np.add.reduceat(attribution.astype(np.float64), lines, 0), columns, 1)
    ones = np.add.reduceat(np.add.reduceat(np.ones_like(attribution, dtype=np.float64), lines, 0), columns, 1)
    return np.asarray(sums / ones)


def _packed(values: np.ndarray, image: bool) -> str:
    """Bytes as text: a PNG where there are two axes (browsers unpack it), base64 alone for signals."""
    if not image:
        return base64.b64encode(values.tobytes()).decode()
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _curves(rows: pd.DataFrame, ids: list[str]) -> dict[tuple[str, str, str], Any]:
    """(metric, method, sample) -> p at each step, of the curves over single features."""
    own = rows[rows["metric"].isin(["deletion", "insertion"]) & rows["sample_id"].isin(ids) & rows["curve"].notna()]
    keys = zip(own["metric"], own["method"], own["sample_id"], strict=True)
    return {key: [round(float(p), 4) for p in curve] for key, curve in zip(keys, own["curve"], strict=True)}
