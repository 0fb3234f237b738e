"""A small real run for the page's tests, and the same with names that no careful person would give."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.cli.main import main

METHODS = ["random", "saliency", "input_magnitude", "oracle", "grad_cam", "constant"]
METRICS = ["drop", "deletion", "insertion", "energy_pointing_game", "sparseness", "seconds"]
SCRIPT = "<script>alert(1)</script>"  # takes the place of `saliency`
PICTURE = "<img src=x onerror=alert(2)>"  # in messages, descriptions, classes and sample ids
PLUGIN_FILE = "page_faulty.py"
PLUGIN = f'''"""{PICTURE} in a description."""

from bench.registry import method


@method(cite="{PICTURE}", family="{PICTURE}")
def faulty(problem):
    """Never works, {PICTURE}. -> (N, *S)"""
    raise ValueError("{PICTURE}</script><!--")
'''


def run(out: Path, plugin: Path) -> Path:
    """Signals and images with a truth, four samples of each, and a method that raises."""
    plugin.write_text(PLUGIN, encoding="utf-8")
    asked = ["run", "--task", "mnist1d", "planted_image", "--samples", "4", "--device", "cpu", "--plugins", str(plugin)]
    asked += ["--batch-size", "16", "--no-plots"]
    assert main([*asked, "--method", *METHODS, "faulty", "--metric", *METRICS, "--out", str(out)]) == 1
    return out


def make_hostile(out: Path) -> None:
    """Renames a method, classes and samples in the stored files, as if others had made them."""
    for path in out.glob("scores/*/method=*/*.parquet"):
        table = pq.ParquetFile(path).read()
        for name in ("method", "method_id", "sample_id"):
            table = _set(table, name, [_renamed(name, one) for one in table[name].to_pylist()])
        pq.write_table(table, path)
    for path in out.glob("maps/*/*.npz"):
        with np.load(path) as arrays:
            found = dict(arrays)
        for name in ("method_id", "sample_ids", "explained", "label"):
            if name in found:
                texts = [_renamed(name, str(one)) for one in np.atleast_1d(found[name])]
                found[name] = np.array(texts).reshape(found[name].shape)
        np.savez_compressed(path, **found)


def _renamed(field: str, text: str) -> str:
    return text.replace("saliency", SCRIPT) if field.startswith("method") else f"{PICTURE}{text}"


def _set(table: pa.Table, name: str, values: list[str]) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, type=pa.string()))


def block(page: str, name: str) -> object:
    """One of the page's JSON blocks."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])
