"""Arrays that a user stores as .npy files: inputs, labels and truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.core.errors import RequestError
from bench.task_tools.own_network import short


def array(path: Path, option: str) -> np.ndarray:
    """The array of a .npy file, read when it is used. Raises RequestError for any other file; no pickle is loaded."""
    if not path.is_file():
        raise RequestError(f"--{option} {path}: no such file; an array as .npy is needed")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:
        raise RequestError(
            f"--{option} {path}: not a complete .npy file of numbers ({short(error)}); numpy.save(FILE, array) writes one"
        ) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        kind = values.dtype if isinstance(values, np.ndarray) else "an archive of arrays"
        raise RequestError(f"--{option} {path}: it holds {kind}; one array of numbers is needed, as numpy.save writes")
    return values


def labels(path: Path, samples: int) -> np.ndarray:
    """The class numbers (N,); (N, 1) and whole numbers as floats are accepted."""
    values = array(path, "labels")
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.shape != (samples,):
        raise RequestError(
            f"--labels {path}: its shape is {values.shape}; one class number for each of the {samples} inputs is needed"
        )
    whole = np.asarray(values, dtype=np.float64)
    wrong = whole[whole != np.floor(whole)]
    if len(wrong):
        raise RequestError(f"--labels {path}: it holds {wrong[0]:g}; class numbers 0, 1, 2, ... are needed")
    return whole.astype(np.int64)
