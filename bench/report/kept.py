"""What a report has made before, so that nothing is made again from the same scores.

`.cache/report/TASK.json` holds the tables of a task and the samples of the page; `.cache/report/pictures.json` says from
what each picture was drawn. Both are known by a key of everything that they are made from: names, sizes and times of the
score files and maps, verdicts, versions, and the code and libraries that make tables and pictures. Numbers are written
with all their digits, so that tables read back are equal to the tables made. The folder can be deleted at any time.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bench
from bench.analysis import agreement
from bench.analysis.task_tables import Tables, joined
from bench.core.files import atomic
from bench.core.hashing import digest
from bench.core.progress import Progress
from bench.report import build
from bench.report.build import Built, Facts
from bench.storage.scores import Store

LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "seaborn", "scikit-posthocs", "pillow")
FRAMES = tuple(name for name in Tables._fields if name not in ("beliefs", "written"))


def key(out: Path, task: str, known: Facts) -> str:
    """Changes whenever a table or picture of the task could."""
    mark = out / "scores" / f"task={task}" / "current.json"
    files = sorted([*score_files(out, task), *(out / "maps" / f"task={task}").glob("*.npz")])
    facts = (sorted(known.verdicts.items()), list(known.left_out.get(task, ())), _sorted(known.versions))
    return digest(mark.read_bytes(), list(_states(out, files)), facts, _code())


def score_files(out: Path, task: str) -> Iterable[Path]:
    """The files that hold the scores of a task."""
    return (out / "scores" / f"task={task}").glob("method=*/*.parquet")


def _states(out: Path, files: Iterable[Path]) -> Iterable[tuple[str, int, int]]:
    for path in files:
        state = path.stat()
        yield path.relative_to(out).as_posix(), state.st_size, state.st_mtime_ns


def _sorted(versions: Any) -> list[Any]:
    return [(kind, sorted(names.items())) for kind, names in sorted(versions.items())]


@lru_cache(maxsize=1)
def _code() -> str:
    """A hash of the package and of the libraries that make tables and pictures."""
    package = Path(bench.__file__).parent
    sources = [(path.relative_to(package).as_posix(), path.read_bytes()) for path in sorted(package.rglob("*.py"))]
    return digest(sources, [version(name) for name in LIBRARIES])


def read(out: Path, task: str, known: str) -> Built | None:
    """What was kept of a task under that key; None where there is nothing."""
    content = _json(_folder(out) / f"{task}.json")
    if content.get("key") != known:
        return None
    frames = {name: _frame(content["tables"][name]) for name in FRAMES}
    beliefs = agreement.Tables(*(_frame(content["beliefs"][name]) for name in agreement.Tables._fields))
    tables = Tables(**frames, beliefs=beliefs, written=tuple(content["written"]))
    return Built(task, content["fingerprint"], tables, content["samples"], tuple(content["pictures"]))


def write(out: Path, built: Built, known: str) -> None:
    """Keeps what was made of a task."""
    tables = built.tables
    content = {
        "key": known,
        "fingerprint": built.fingerprint,
        "written": list(tables.written),
        "pictures": list(built.pictures),
        "tables": {name: _plain(getattr(tables, name)) for name in FRAMES},
        "beliefs": {name: _plain(getattr(tables.beliefs, name)) for name in agreement.Tables._fields},
        "samples": built.samples,
    }
    _write_json(content, _folder(out) / f"{built.task}.json")


def drawn(out: Path) -> dict[str, dict[str, Any]]:
    """Name of a picture's file, without its ending -> the `key` it was drawn under, and whether as `svg` too."""
    return _json(_folder(out) / "pictures.json")


def write_drawn(out: Path, pictures: dict[str, dict[str, Any]]) -> None:
    _write_json(pictures, _folder(out) / "pictures.json")


def tasks(out: Path, progress: Progress) -> Iterator[Built]:
    """Each task that has scores, as it was kept or else made now. One at a time: the scores of one are in memory."""
    known, names = build.facts(out), Store(out).tasks()
    progress.total = len(names) + 1
    for name in names:
        progress.set_description_str(f"{name} · tables")
        built = read(out, name, key(out, name, known)) or build.task(out, name, known)
        if built is not None:
            yield built
        progress.update()
        gc.collect()


def tables(out: Path, progress: Progress) -> Tables | None:
    """The tables of all tasks of a results folder; None where nothing has been scored."""
    found = [built.tables for built in tasks(out, progress)]
    return joined(found) if found else None


def _folder(out: Path) -> Path:
    return out / ".cache" / "report"


def _json(path: Path) -> dict[str, Any]:
    """What the file holds; nothing where it is absent or torn."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(content: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8", newline="\n")


def _plain(table: pd.DataFrame) -> list[list[Any]]:
    """Name, type and values of each column."""
    return [[name, str(column.dtype), [_value(one) for one in column.tolist()]] for name, column in table.items()]


def _value(one: Any) -> Any:
    return one.item() if isinstance(one, np.generic) else one


def _frame(columns: list[list[Any]]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values, dtype=kind) for name, kind, values in columns})
