"""Finds a task's files: in the user's folder, in the cache, or by a checked download. No file is left incomplete."""

from __future__ import annotations

import os
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import BenchError, DataMissing


@dataclass(frozen=True)
class Download:
    """A file on the web, with its checksum."""

    url: str
    sha256: str
    megabytes: int
    licence: str


@dataclass(frozen=True)
class Data:
    """Where data may come from, as the user chose; given to tasks that have an argument `data`."""

    folder: Path | None = None  # --data or BENCH_DATA
    offline: bool = False

    def places(self, name: str) -> Iterator[Path]:
        """Folders that may hold the data set `name`, in the order in which they are tried."""
        if self.folder is not None:
            yield self.folder / name
            yield self.folder
        yield cache() / name


def cache() -> Path:
    """The cache folder: BENCH_CACHE, or that of the user."""
    if os.environ.get("BENCH_CACHE"):
        return Path(os.environ["BENCH_CACHE"])
    import pooch

    return Path(pooch.os_cache("attribution-bench"))


def fetch(download: Download, name: str, *, offline: bool = False) -> Path:
    """Downloads and unpacks a zip into the cache, and returns the folder that holds its content.

    Raises DataMissing where there is no network, BenchError where the file arrived corrupt.
    """
    import pooch
    import requests

    target = cache() / name
    if target.is_dir():
        return target
    if offline:
        raise DataMissing(f"{name} is not on this machine, and downloads are off (--offline)")
    try:
        archive = pooch.retrieve(
            download.url,
            known_hash=f"sha256:{download.sha256}",
            fname=download.url.rsplit("/", 1)[-1].split("?")[0],
            path=cache(),
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=20),
        )
    except requests.exceptions.RequestException as error:
        raise DataMissing(
            f"{name} cannot be downloaded: {download.url} is not reachable ({type(error).__name__})"
        ) from error
    except ValueError as error:
        raise BenchError(
            f"{name}: the file from {download.url} is incomplete or changed (its sha256 differs); try again"
        ) from error
    extract(Path(archive), target)
    Path(archive).unlink()
    return target


def extract(archive: Path, target: Path) -> None:
    """Unpacks a zip file into a new folder, which appears only when complete. Members outside the folder are refused."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                inside = (part / member.filename).resolve().is_relative_to(part.resolve())
                is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
                if not inside or is_link:
                    raise BenchError(f"{archive}: '{member.filename}' points outside the archive; nothing was unpacked")
            zipped.extractall(part)
        part.rename(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise BenchError(f"{archive} is not a complete zip file ({error}); delete it and try again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_rgb(path: Path, size: tuple[int, int], stored: tuple[int, int]) -> np.ndarray:
    """An RGB image of `stored` (height, width) as uint8 (*size, 3).

    Resized with Pillow's bilinear filter if `size` differs. Raises BenchError if the file is truncated, not RGB, or has
    another size.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Pillow warns of a damaged file and then raises
            image.load()
            if image.mode != "RGB":
                raise BenchError(f"{path}: the image has mode {image.mode}; RGB is needed")
            if image.size != stored[::-1]:
                raise BenchError(
                    f"{path}: the image has {image.width}x{image.height} pixels; {stored[1]}x{stored[0]} are needed"
                )
            if size != stored:
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            return np.asarray(image, dtype=np.uint8)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise BenchError(f"{path} is not a complete image ({error})") from error


def interleaved(labels: Sequence[int]) -> list[int]:
    """Row numbers in an order in which every prefix is balanced over the classes."""
    seen: dict[int, int] = {}
    turn = []
    for label in labels:
        turn.append(seen.get(label, 0))
        seen[label] = turn[-1] + 1
    return sorted(range(len(labels)), key=lambda row: (turn[row], labels[row], row))
