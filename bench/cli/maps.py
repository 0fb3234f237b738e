"""Files of maps on the command line: those that are read, and those that are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.errors import RequestError
from bench.storage.map_files import SUFFIXES


def by_name(texts: Sequence[str] | None) -> dict[str, str] | None:
    """`NAME=FILE` -> NAME: FILE. Raises RequestError for another form, or a name that stands twice."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise RequestError(
                f"--maps {text}: a name and a file are needed, NAME=FILE, for example radiologist=maps.npz"
            )
        if name in found:
            raise RequestError(f"--maps {text}: '{name}' is given twice; give each file a name of its own")
        found[name] = file
    return found or None


def files_for(methods: Sequence[str], path: Path) -> dict[str, Path]:
    """Method -> the file that its maps are written to; the folder is made. Raises RequestError for one file for several."""
    if path.suffix in SUFFIXES:
        if len(methods) > 1:
            raise RequestError(
                f"-o {path} is one file, and {len(methods)} methods are asked for; the path of a folder is needed, which gets "
                "a file for each"
            )
        return {methods[0]: path}
    if path.suffix and not path.is_dir():
        raise RequestError(
            f"-o {path} is neither a folder nor a file of maps; its name must end in .npz or .safetensors"
        )
    path.mkdir(parents=True, exist_ok=True)
    return {name: path / f"{name}.npz" for name in methods}
