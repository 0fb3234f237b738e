"""Explains a single input: a sample of a task, or a file of the user."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from bench.core.entries import Entry, Task
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.core.outputs import predicted, scores
from bench.core.problem import PREDICTED, Problem
from bench.core.vocabulary import IDENTITY, SOFTMAX
from bench.engine import sandbox
from bench.engine.explain import bisect_failures, explain, why_skipped
from bench.engine.plan import Plan, answerable, load
from bench.registry.decorators import call
from bench.task_tools.data import Data

ARRAY_SUFFIXES = (".npy", ".csv")  # values as they are; any other file is read as an image


@dataclass(frozen=True)
class Explanation:
    """A method's attribution of the input."""

    method: str
    attribution: np.ndarray | None  # (*S); None where there is none
    seconds: float
    note: str  # why there is none


def problem(
    task: Task, *, sample: str, file: Path | None, target: str | None, data: Data, device: torch.device
) -> Problem:
    """A task's problem of a single sample, or of the user's file, with the class to explain.

    Raises RequestError for a sample, a class or a file that the task cannot take.
    """
    ids: list[str] = call(task.samples, {"data": data})
    chosen = ids[0] if file else _sample(task, sample, ids)
    plan = Plan(tasks=[task], methods=[], metrics=[], samples=lambda _: 1, data=data, device=device)
    problem = answerable(load(task, [chosen], plan))
    if file:
        problem = _with_input(problem, file, task)
    targets = problem.targets
    if target is not None:
        targets = torch.tensor([_class(task, target, problem)], device=problem.inputs.device)
    elif not len(targets):
        targets = predicted(_logits(problem))
    return replace(problem, targets=targets)


def explained(method: Entry, problem: Problem, *, task: Task, seed: int) -> Explanation:
    """A method's attribution of a problem of a single sample; an error becomes its note."""
    missing = why_skipped(method, problem)
    results, failures = bisect_failures(
        [] if missing else [[0]], lambda rows: explain(method, problem, task=task.id, seed=seed)
    )
    if not results:
        return Explanation(method.name, None, float("nan"), missing or failures[0][1])
    _, (attribution, meter) = results[0]
    ((status, note),) = sandbox.map_status(attribution)
    shown = attribution[0].float().cpu().numpy() if status == "ok" else None
    return Explanation(method.name, shown, meter.seconds, note)


def caption(problem: Problem, task: Task) -> str:
    """The input, the class explained with its probability, and the predicted and true class where they differ."""
    target, logits = int(problem.targets[0]), _logits(problem)
    p, best = scores(logits, problem.output)[0], int(predicted(logits)[0])
    text = f"{task.name} · {problem.sample_ids[0]}: {_name(problem, target)} "
    if problem.output == IDENTITY:
        return text + f"({p[target]:.4g})"
    text += f"(p = {p[target]:.2f})"
    if best != target and problem.output == SOFTMAX:
        text += f"; the model says {_name(problem, best)} (p = {p[best]:.2f})"
    if problem.labels is not None and int(problem.labels[0]) != target:
        text += f"; true: {_name(problem, int(problem.labels[0]))}"
    return text


@torch.no_grad()
def _logits(problem: Problem) -> torch.Tensor:
    return problem.model(problem.inputs)


def _name(problem: Problem, number: int) -> str:
    return problem.class_names[number] if number < len(problem.class_names) else str(number)


def _sample(task: Task, asked: str, ids: list[str]) -> str:
    if asked in ids:
        return asked
    if asked.isdecimal() and int(asked) < len(ids):
        return ids[int(asked)]
    raise RequestError(
        f"unknown sample '{asked}' of {task.name} (allowed: 0 to {len(ids) - 1}, or an id, for example '{ids[0]}')"
    )


def _class(task: Task, asked: str, problem: Problem) -> int:
    number = _logits(problem).shape[1]
    if asked in problem.class_names:
        return problem.class_names.index(asked)
    if asked.isdecimal() and int(asked) < number:
        return int(asked)
    if not problem.class_names:
        raise RequestError(f"unknown class '{asked}' of {task.name} (allowed: 0 to {number - 1})")
    raise RequestError(
        f"{unknown('class', asked, problem.class_names, of=task.name)}; or a number from 0 to {number - 1}"
    )


def _with_input(problem: Problem, file: Path, task: Task) -> Problem:
    """The problem with the user's input, without the sample's truth and label."""
    if not file.is_file():
        raise RequestError(f"--input {file}: no such file; an image, or values as .npy or .csv, is needed")
    shape = tuple(problem.inputs.shape[1:])
    values = _values(file, shape, task) if file.suffix in ARRAY_SUFFIXES else _image(file, shape, task, problem.bounds)
    inputs = torch.from_numpy(values).to(problem.inputs)[None]
    return replace(problem, inputs=inputs, sample_ids=(file.name,), truth=None, labels=None, targets=PREDICTED)


def _values(file: Path, shape: tuple[int, ...], task: Task) -> np.ndarray:
    try:
        found = np.load(file) if file.suffix == ".npy" else np.loadtxt(file, delimiter=",", ndmin=2)
        values = np.asarray(found, dtype=np.float32)
    except (ValueError, TypeError, EOFError, OSError, BadZipFile) as error:
        raise RequestError(f"--input {file}: cannot be read as numbers ({error})") from error
    if values.size != np.prod(shape) or values.squeeze().shape != np.empty(shape).squeeze().shape:
        raise RequestError(f"--input {file}: its shape is {values.shape}; {task.name} takes {shape}")
    if not np.isfinite(values).all():
        raise RequestError(f"--input {file}: not all values are finite; replace them")
    return values.reshape(shape)


def _image(file: Path, shape: tuple[int, ...], task: Task, bounds: torch.Tensor | None) -> np.ndarray:
    """The middle of an image, scaled to the task's size and to its range of values (0 to 1 where it states none)."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    mode: Any = {1: "L", 3: "RGB"}.get(shape[0])
    if len(shape) != 3 or mode is None:
        raise RequestError(
            f"--input {file}: {task.name} takes values of shape {shape} as {' or '.join(ARRAY_SUFFIXES)}, not an image"
        )
    try:
        with Image.open(file) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
                image = Image.fromarray((np.asarray(image, dtype=float) / 257).clip(0, 255).round().astype(np.uint8))
            elif image.mode == "F":
                raise RequestError(
                    f"--input {file}: an image of floating-point values has no known range; store it as .npy"
                )
            image = image.convert(mode)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(
            f"--input {file}: truncated or not an image ({error}); an image, .npy or .csv is needed"
        ) from error
    fitted = ImageOps.fit(image, (shape[2], shape[1]), Image.Resampling.BILINEAR)
    values = np.asarray(fitted, dtype=np.float32).reshape(shape[1], shape[2], -1) / 255
    low, high = (0.0, 1.0) if bounds is None else bounds.flatten(1).cpu().numpy()
    return np.moveaxis(low + values * (np.asarray(high) - low), -1, 0).astype(np.float32)
