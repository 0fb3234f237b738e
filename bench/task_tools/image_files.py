"""The image files of a user's folder, and the classes that folders or a CSV give them."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import RequestError
from bench.task_tools.data import interleaved
from bench.task_tools.own_network import short

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm")
NOT_DATA = ("__MACOSX", "Thumbs.db", "desktop.ini")  # beside hidden files


@dataclass(frozen=True)
class Folder:
    """The image files of a folder by sample id, which is the file's name inside it, and what is known of them."""

    path: Path
    files: Mapping[str, Path]
    labels: Mapping[str, str] | None  # sample id -> class, as written; None where no class is known
    source: str  # of the labels, for messages
    numbers: bool  # may labels be numbers of the model's outputs?
    left_out: Sequence[str]  # names of files that are no images

    def first(self, samples: int | None) -> list[str]:
        """Sample ids, every prefix balanced over the classes."""
        names = sorted(self.files)
        if self.labels is not None:
            order = sorted(set(self.labels.values()))
            names = [names[row] for row in interleaved([order.index(self.labels[name]) for name in names])]
        return names[:samples]


def listed(folder: Path, labels: Path | None = None) -> Folder:
    """The images of a folder: those of a CSV, of class folders, or, without classes, all of it."""
    if not folder.is_dir():
        raise RequestError(f"--images {folder}: no such folder; a folder with images is needed")
    if labels is not None:
        return _of_csv(folder, labels)
    found = [Path(where, name) for where, _, names in os.walk(folder, followlinks=True) for name in names]
    relative = sorted(path.relative_to(folder) for path in found)
    kept = [one for one in relative if not any(part.startswith(".") or part in NOT_DATA for part in one.parts)]
    images = [one for one in kept if one.suffix.lower() in SUFFIXES]
    left_out = [str(one) for one in kept if one.suffix.lower() not in SUFFIXES]
    if not images:
        raise RequestError(
            f"--images {folder}: none of its {len(kept)} files is an image; {', '.join(SUFFIXES)} are allowed"
        )
    deep = next((one for one in images if len(one.parts) > 2), None)
    if deep is not None:
        raise RequestError(
            f"--images {folder}: {deep.as_posix()} lies deeper than a class folder; images must lie in FOLDER/CLASS/ or FOLDER/"
        )
    loose = [one for one in images if len(one.parts) == 1]
    if loose and len(loose) < len(images):
        raise RequestError(
            f"--images {folder}: {loose[0]} lies beside class folders; move it into one, or name all files and their "
            "classes in a CSV (--labels)"
        )
    files = {one.as_posix(): folder / one for one in images}
    classes = None if loose else {name: name.split("/")[0] for name in files}
    return Folder(folder, files, classes, f"the class folders of {folder}", False, left_out)


def _of_csv(folder: Path, path: Path) -> Folder:
    """The images and classes that a CSV with the columns `file` and `label` lists."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(
            f"--labels {path}: cannot be read ({short(error)}); a CSV with the columns file and label is needed"
        ) from error
    if not {"file", "label"} <= set(columns):
        raise RequestError(
            f"--labels {path}: its columns are {', '.join(columns) or 'none'}; file and label are needed, separated by a comma"
        )
    names = [(row["file"] or "").strip().replace("\\", "/") for row in rows]
    if not names:
        raise RequestError(f"--labels {path}: it lists no file; a row with file and label is needed for each image")
    empty = next((name for name, row in zip(names, rows, strict=True) if not (row["label"] or "").strip()), None)
    if empty is not None:
        raise RequestError(f"--labels {path}: {empty} has no label; every row needs one")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise RequestError(f"--labels {path}: {twice} is listed twice; list every file once")
    files = {name: folder / name for name in names}
    missing = [name for name, file in files.items() if not name or not file.is_file()]
    if missing:
        raise RequestError(
            f"--labels {path}: {some(missing, len(names), 'file')} not in {folder}; names relative to that folder are needed"
        )
    classes = {name: row["label"].strip() for name, row in zip(names, rows, strict=True)}
    return Folder(folder, files, classes, f"--labels {path}", True, [])


def some(names: Sequence[str], of: int, what: str) -> str:
    """`2 of 40 files are (a.png, b.png)`, for a sentence that goes on."""
    shown = ", ".join(names[:2]) + (", ..." if len(names) > 2 else "")
    return f"{len(names)} of {of} {what}s {'is' if len(names) == 1 else 'are'} ({shown})"
