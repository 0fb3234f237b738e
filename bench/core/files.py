"""Files that are whole or absent, and Python files as they are now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a path beside the given one to write to; it takes the given name only when the block ends well."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """A table with six digits a figure; the same table gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")


def home(kind: str) -> Path:
    """The project's own plug-in folder: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def module_spec(name: str, path: Path) -> ModuleSpec | None:
    """What `importlib` needs to run a user's file; None if its name does not end in .py.

    The file itself is compiled. Python's compiled copy would stay in use after an edit within the same second that keeps
    the file's size.
    """
    return spec_from_file_location(name, path, loader=_Uncached(name, str(path))) if path.suffix == ".py" else None


class _Uncached(SourceFileLoader):
    """Neither reads nor writes compiled copies: without a file's time, Python has nothing to compare them with."""

    def path_stats(self, path: str) -> dict[str, float]:
        raise OSError(f"the time of {path} does not matter")
