"""`bench.toml`: the settings of a run in a file. It is read into the values of the command line's own options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.core.vocabulary import CHANNELS, DEVICES, MODEL_OUTPUTS, PRECISIONS, PROFILES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "bench.toml"
NAMES = ("task", "method", "metric")  # options that `run --all` takes from no file


def chosen(given: Path | None) -> Path | None:
    """The file to read: the one that was given, else that of the current folder, if there is one."""
    if given is not None and not given.is_file():
        raise RequestError(f"--config {given}: no such file; `python -m bench init` writes one")
    return given or (Path(NAME) if Path(NAME).is_file() else None)


def read(path: Path) -> dict[str, Any]:
    """Option of `run` -> value. Raises RequestError for an unknown key, and for a value of another type than is needed."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise RequestError(f"{path} cannot be read as TOML: {error}; correct that line") from error
    values = {}
    for key, value in content.items():
        if key not in KEYS:
            raise RequestError(unknown("key", key, KEYS, of=str(path), listing="python -m bench init --to example"))
        option, needed, take = KEYS[key]
        taken = take(value, path.parent)
        if taken is None:
            raise RequestError(f"{path}: {key} is {_shown(value)}; {needed} is needed")
        values[option] = taken
    return values


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


# Each takes a value of the file and the file's folder, and returns the option's value, or None where it is of another type.


def _texts(value: Any, _folder: Path) -> list[str] | None:
    texts = [value] if isinstance(value, str) else value
    good = isinstance(texts, list) and texts and all(isinstance(text, str) and text.strip() for text in texts)
    return texts if good else None


def _paths(value: Any, folder: Path) -> list[Path] | None:
    return [] if value == [] else [folder / text for text in _texts(value, folder) or []] or None


def _maps(value: Any, folder: Path) -> list[str] | None:
    good = isinstance(value, dict) and value and all(_path(file, folder) for file in value.values())
    return [f"{name}={folder / file}" for name, file in value.items()] if good else None


def _path(value: Any, folder: Path) -> Path | None:
    return folder / value if isinstance(value, str) and value else None


def _model(value: Any, folder: Path) -> str | None:
    if not (isinstance(value, str) and value.strip()):
        return None
    return value if value.startswith("timm:") else str(folder / value)


def _key(value: Any, _folder: Path) -> str | int | None:
    return value if (isinstance(value, str) and value) or (type(value) is int and value >= 0) else None


def _values(value: Any, _folder: Path) -> list[str] | None:
    values = value if isinstance(value, list) else [value]
    good = values and all(type(one) in (int, float) or (isinstance(one, str) and one) for one in values)
    return [str(one) for one in values] if good else None


def _share(value: Any, _folder: Path) -> float | None:
    return value if type(value) is float and 0 < value < 1 else None


def _text(value: Any, _folder: Path) -> str | None:
    return value if isinstance(value, str) and value else None


def _beside(value: Any, folder: Path) -> str | Path | None:
    return value if value == "reference" else _path(value, folder)


def _number(least: int) -> Callable[[Any, Path], int | None]:
    return lambda value, _: value if type(value) is int and least <= value < 2**63 else None


def _choice(allowed: tuple[str, ...]) -> Callable[[Any, Path], str | None]:
    return lambda value, _: value if value in allowed else None


def _duration(value: Any, _folder: Path) -> str | None:
    return str(value) if isinstance(value, str) or (type(value) in (int, float) and value > 0) else None


def _switch(value: Any, _folder: Path) -> bool | None:
    return value if isinstance(value, bool) else None


_FILE, _FOLDER = "the path of a file, as text,", "the path of a folder, as text,"
_LIST = "a name, or a list of names, such as"
KEYS: dict[str, tuple[str, str, Callable[[Any, Path], Any]]] = {  # key -> option, what is needed, how it is taken
    "tasks": ("task", f'{_LIST} ["mnist1d"],', _texts),
    "methods": ("method", f'{_LIST} ["grad_cam", "smoothgrad[samples=8]"],', _texts),
    "metrics": ("metric", f'{_LIST} ["drop", "deletion"],', _texts),
    "maps": ("maps", 'a table of names and files, such as {radiologist = "maps.npz"},', _maps),
    "beside": ("beside", 'the path of a release file or a results folder, or "reference",', _beside),
    "profile": ("profile", f"one of {', '.join(PROFILES)}", _choice(PROFILES)),
    "samples": ("samples", "a whole number of at least 1", _number(1)),
    "budget": ("budget", 'a duration such as "10m"', _duration),
    "precision": ("precision", f"one of {', '.join(PRECISIONS)}", _choice(PRECISIONS)),
    "seed": ("seed", "a whole number of at least 0", _number(0)),
    "device": ("device", f"one of {', '.join(DEVICES)}", _choice(DEVICES)),
    "batch_size": ("batch_size", "a whole number of at least 1", _number(1)),
    "out": ("out", _FOLDER, _path),
    "data": ("data", _FOLDER, _path),
    "offline": ("offline", "true or false", _switch),
    "plugins": ("plugins", 'a list of files or folders, such as ["my_method.py"],', _paths),
    "images": ("images", _FOLDER, _path),
    "masks": ("masks", _FOLDER, _path),
    "size": ("size", "a whole number of at least 1", _number(1)),
    "inputs": ("inputs", _FILE, _path),
    "truth": ("truth", _FILE, _path),
    "model": ("model", '"timm:NAME" or "FILE.py:FUNCTION"', _model),
    "weights": ("weights", _FILE, _path),
    "labels": ("labels", _FILE, _path),
    "classes": ("classes", _FILE, _path),
    "output": ("model_output", f"one of {', '.join(MODEL_OUTPUTS)}", _choice(MODEL_OUTPUTS)),
    "readout": ("readout", "a key, as text, or a whole number of at least 0", _key),
    "channels": ("channels", f"one of {', '.join(CHANNELS)}", _choice(CHANNELS)),
    "baseline": ("model_baseline", "a colour, as text, a number, or a list of numbers,", _values),
    "top_k": ("top_k", "a share between 0 and 1", _share),
    "target": ("model_target", "a whole number of at least 0", _number(0)),
    "name": ("name", "a name, as text,", _text),
}
