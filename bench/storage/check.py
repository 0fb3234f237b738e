"""Checks, before anything is written, that every file of a results folder has the form that this version reads.

A folder of another version is read where its files have this form. Otherwise nothing is changed, and the error names the file,
the version that wrote it where run.json holds it, and the command that makes the file again.
"""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.storage import exactness, run_facts
from bench.storage.parts import SCHEMA, read

MARK_FIELDS = ("task_id", "fingerprint")
VERSIONED = ("method_id", "metric_id")
MAP_FIELDS = ("sample_ids", "fingerprint")


def check_folder(folder: Path) -> None:
    """Raises BenchError for the first file of facts, checks, scores or maps in a results folder that cannot be read."""
    run_facts.read(folder)
    exactness.read(folder)
    for pattern, flaw_of in (
        ("scores/task=*/current.json", _flaw_of_mark),
        ("scores/task=*/method=*/*.parquet", _flaw_of_scores),
        ("maps/task=*/*.npz", _flaw_of_maps),
    ):
        for path in sorted(folder.glob(pattern)):
            flaw = flaw_of(path)
            if flaw:
                command = f"python -m bench run {_options(path.relative_to(folder))}"
                raise run_facts.unreadable(path, flaw, folder, command)


def _flaw_of_mark(path: Path) -> str:
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "it is not JSON"
    missing = [name for name in MARK_FIELDS if not isinstance(mark, dict) or not isinstance(mark.get(name), str)]
    return f"it has no {missing[0]}" if missing else ""


def _flaw_of_scores(path: Path) -> str:
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return "it is not a whole parquet file"
    schema = metadata.schema.to_arrow_schema()
    missing = [name for name in SCHEMA.names if name not in schema.names]
    if missing:
        return f"it has no column {missing[0]}"
    foreign = [name for name in schema.names if name not in SCHEMA.names]
    if foreign:
        return f"its column {foreign[0]} is not known"
    other = [name for name in SCHEMA.names if schema.field(name).type != SCHEMA.field(name).type]
    if other:
        return f"its column {other[0]} is {schema.field(other[0]).type}, not {SCHEMA.field(other[0]).type}"
    return _flaw_of_ids(path)


def _flaw_of_ids(path: Path) -> str:
    """Ids of methods and metrics hold their version, `name@2`."""
    table = read(path, list(VERSIONED), VERSIONED)
    for name in VERSIONED:
        for value in table[name].combine_chunks().dictionary.to_pylist():
            if not re.search(r"@\d", value):
                return f"its {name} '{value}' has no version"
    return ""


def _flaw_of_maps(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return "it is not a whole .npz file"
    with zipfile.ZipFile(path) as arrays:
        missing = [name for name in MAP_FIELDS if f"{name}.npy" not in arrays.namelist()]
    return f"it has no array {missing[0]}" if missing else ""


def _options(path: Path) -> str:
    """`--task NAME --method NAME`, as far as the folders of a path inside a results folder name them."""
    parts = (part.partition("=") for part in path.parent.parts)
    return " ".join(f"--{kind} {shlex.quote(name)}" for kind, equals, name in parts if equals)
