"""Files of maps that come in and go out: what another program made, and what `bench attribute` writes.

A .npz file holds the arrays `sample_ids` (N,) and `maps` (N, *S), or one array for each sample, named by its id. A .safetensors
file holds one tensor for each sample. Both may hold the id of the task that the maps are of: as the array `task`, or in the
metadata. Nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from bench.core.errors import RequestError
from bench.core.files import atomic
from bench.core.nearest import unknown

SUFFIXES = (".npz", ".safetensors")
IDS, MAPS, TASK = TABLE = ("sample_ids", "maps", "task")  # arrays of a .npz file that holds all maps in one


class MapFile(NamedTuple):
    """What a file holds."""

    maps: dict[str, np.ndarray | Tensor]  # sample id -> map
    task: str = ""  # id of the task that they are of, where the file says it


def read(path: Path) -> MapFile:
    """The maps of a file, as they are. Raises RequestError for a file that cannot be read as maps of named samples."""
    if not path.is_file():
        flaw = "is a folder" if path.is_dir() else "does not exist"
        raise RequestError(f"maps file {path} {flaw}; the path of a .npz or .safetensors file is needed")
    if path.suffix not in SUFFIXES:
        raise RequestError(
            f"maps file {path} cannot be read; the name of a file of maps must end in .npz or .safetensors"
        )
    return _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)


def check_writable(path: Path) -> None:
    """Raises RequestError unless maps can be written under this name."""
    if path.suffix not in SUFFIXES:
        raise RequestError(f"maps cannot be written to {path}; its name must end in .npz or .safetensors")
    if path.is_dir() or not path.parent.is_dir():
        raise RequestError(f"maps cannot be written to {path}; the path of a file in an existing folder is needed")


def write(path: Path, sample_ids: Sequence[str], maps: Tensor, task: str = "") -> None:
    """Writes maps (N, *S) under the ids of their samples; `task`: the id of the task that they are of."""
    values = maps.detach().cpu().contiguous()
    with atomic(path) as part:
        if path.suffix == ".npz":
            arrays = {IDS: np.array(sample_ids, dtype=str), MAPS: values.numpy()} | (
                {TASK: np.array(task)} if task else {}
            )
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        else:
            from safetensors.torch import save_file

            rows = {name: values[row].clone() for row, name in enumerate(sample_ids)}
            save_file(rows, part, metadata={TASK: task} if task else None)


def _read_npz(path: Path) -> MapFile:
    arrays = _arrays(path)
    if not set(arrays) & {IDS, MAPS}:
        task = str(arrays.pop(TASK, ""))
        return MapFile(dict(arrays), task)
    for name in sorted(set(arrays) - set(TABLE)):
        raise RequestError(f"maps file {path}: {unknown('array', name, TABLE)}")
    for name in (IDS, MAPS):
        if name not in arrays:
            raise RequestError(
                f"maps file {path} has no array {name}; it needs both {IDS} and {MAPS}, or an array for each id"
            )
    ids, maps = arrays[IDS], arrays[MAPS]
    if ids.ndim != 1 or ids.dtype.kind not in "USiu" or maps.ndim < 2 or len(ids) != len(maps):
        raise RequestError(
            f"maps file {path}: {IDS} are {ids.dtype} of shape {ids.shape} and {MAPS} of shape {maps.shape}; one name for each "
            "of the maps (N, *S) is needed"
        )
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in ids.tolist()]
    repeated = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if repeated is not None:
        raise RequestError(f"maps file {path}: sample id '{repeated}' occurs twice; one map for each sample is needed")
    return MapFile(dict(zip(names, maps, strict=True)), str(arrays.get(TASK, "")))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file by name."""
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            raise RequestError(
                f"maps file {path} holds pickled objects, which are never loaded; save arrays of numbers, and "
                f"{IDS} as np.array(ids, dtype=str)"
            ) from error
        raise RequestError(f"maps file {path} is no whole .npz file ({error}); write it with numpy.savez") from error
    foreign = next((name for name, values in arrays.items() if not isinstance(values, np.ndarray)), None)
    if foreign is not None:
        raise RequestError(f"maps file {path}: '{foreign}' is no array; write the file with numpy.savez")
    return arrays


def _read_safetensors(path: Path) -> MapFile:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (it is no mapping)
            task = (stored.metadata() or {}).get(TASK, "")
    except (SafetensorError, OSError, ValueError) as error:
        raise RequestError(
            f"maps file {path} is no whole .safetensors file ({error}); write it with safetensors' save_file"
        ) from error
    return MapFile(tensors, task)
