"""The classes of a user's samples: names or numbers become rows of the model's output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bench.core.errors import RequestError
from bench.core.nearest import unknown


def class_file(path: Path) -> list[str]:
    """The names in a text file, one a line, in the order of the model's outputs."""
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"--classes {path}: cannot be read ({type(error).__name__}); a text file with a name a line is needed"
        ) from error
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise RequestError(f"--classes {path}: {twice} is listed twice; every output needs a name of its own")
    return names


def class_numbers(
    labels: Mapping[str, str] | None, source: str, classes: Path | None, outputs: int, *, numbers: bool
) -> tuple[dict[str, int] | None, tuple[str, ...]]:
    """Sample id -> class number, and the names of the classes, in the order of the model's outputs.

    `labels`: sample id -> name or, where `numbers` are allowed, the number of an output. Names without a file of classes are
    numbered in alphabetical order, as torchvision and timm do. Raises RequestError where they do not match the outputs, or
    where these two would order them differently.
    """
    names = [] if classes is None else class_file(classes)
    if classes is not None and len(names) != outputs:
        raise RequestError(
            f"--classes {classes}: it holds {len(names)} names, the model has {outputs} outputs; a name for each is needed"
        )
    if labels is None:
        return None, tuple(names)
    if numbers and all(map(_is_number, labels.values())) and not set(labels.values()) <= set(names):
        return {sample: _in_range(int(label), sample, source, outputs) for sample, label in labels.items()}, tuple(
            names
        )
    names = names or _ordered(set(labels.values()), source, outputs)
    for label in labels.values():
        if label not in names:
            raise RequestError(unknown("class", label, names, of=f"--classes {classes}"))
    return {sample: names.index(label) for sample, label in labels.items()}, tuple(names)


def _ordered(found: set[str], source: str, outputs: int) -> list[str]:
    """The names in the order of the model's outputs."""
    names = sorted(found)
    if len(names) != outputs:
        raise RequestError(
            f"{source} hold {len(names)} classes, the model has {outputs} outputs; name these in their order with "
            "--classes FILE, one a line"
        )
    by_number = sorted(names, key=lambda name: [int(part) if part.isdecimal() else part for part in _parts(name)])
    if by_number != names:
        raise RequestError(
            f"the order of {source} is not certain: {_start(names)} (torchvision) or {_start(by_number)} (timm); name the "
            "model's outputs in their order with --classes FILE, one a line"
        )
    return names


def _start(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name.lower())


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+", text) is not None


def _in_range(label: int, sample: str, source: str, outputs: int) -> int:
    if not 0 <= label < outputs:
        raise RequestError(
            f"{source}: label {label} of {sample} is no output of the model; 0 to {outputs - 1} are allowed"
        )
    return label
