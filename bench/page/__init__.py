"""The report page: one HTML file with the results, which opens from disk and needs no network.

Safe by construction: names, messages and other data go in as JSON with `<` escaped and come out as text (textContent); the
Content-Security-Policy in the head runs the scripts of the page, by their hashes, and nothing else. The same store gives
the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from bench.analysis.task_tables import Tables
from bench.core.files import atomic
from bench.core.vocabulary import CONTROLS, PROMISES
from bench.page import data, pictures, sources
from bench.page.pictures import samples
from bench.validation.exactness import Standing

__all__ = ["html", "samples", "write"]
Samples = Mapping[str, list[dict[str, Any]]]
Standings = Mapping[str, Mapping[str, Standing]]
NAME = "report.html"
MAX_BYTES = 10_000_000  # of the file
RESERVE = 10_000  # bytes for the counts of samples, which are filled in last
FOLDER = Path(__file__).parent
LIBRARIES = {  # -> the licences of what is in it
    "d3.min.js": ("d3", "d3-ease"),
    "plot.umd.min.js": ("plot", "interval-tree-1d", "binary-search-bounds", "isoformat"),
}
SCRIPTS = (
    *("dom.js", "tooltip.js", "grid.js", "csv.js", "charts.js", "pictures.js", "standing.js", "columns.js", "board.js"),
    *("card.js", "samples.js", "overview.js", "agreement.js", "conformance.js", "missing.js", "cite.js", "main.js"),
)  # in the order in which they run


def write(
    out: Path, path: Path, tables: Tables, samples: Samples, verdicts: pd.DataFrame, exactness: Standings
) -> None:
    """Writes the page of a results folder to `path`.

    `samples`: task -> what `bench.page.samples` makes of its maps; `verdicts`: the conformance table; `exactness`: task ->
    method id -> what checks on the task's network found.
    """
    run_file = out / "run.json"
    run = json.loads(run_file.read_text(encoding="utf-8")) if run_file.is_file() else {}
    with atomic(path) as part:
        part.write_text(html(tables, samples, verdicts, run, exactness), encoding="utf-8", newline="\n")


def html(
    tables: Tables,
    samples: Samples,
    verdicts: pd.DataFrame,
    run: Mapping[str, Any],
    exactness: Standings = MappingProxyType({}),
) -> str:
    """The page as text, at most MAX_BYTES: samples that do not fit are left out, and counted."""
    stored = {task: samples.get(task, []) for task in _tasks(tables)}
    content = _content(tables, verdicts, run, exactness)
    content["samples"] = {task: {"stored": len(items), "included": 0} for task, items in stored.items()}
    budget = MAX_BYTES - len(_page(content, {}).encode()) - RESERVE
    included = pictures.within(budget, stored)
    for task, items in included.items():
        content["samples"][task]["included"] = len(items)
    return _page(content, included)


def _tasks(tables: Tables) -> list[str]:
    return sorted(tables.wide["task"].unique())


def _content(tables: Tables, verdicts: pd.DataFrame, run: Mapping[str, Any], exactness: Standings) -> dict[str, Any]:
    """Everything on the page except the samples."""
    tasks = _tasks(tables)
    scored = set(tables.long["metric"])
    descriptions = {
        "methods": sources.descriptions(data.names(tables.wide["method"]), "method"),
        "metrics": sources.descriptions(data.names([*tables.long["metric"], *verdicts["metric"]]), "metric"),
        "tasks": sources.descriptions(tasks, "task"),
    }
    used = [*descriptions["methods"].values(), *descriptions["tasks"].values()]
    used += [entry for name, entry in descriptions["metrics"].items() if name in scored]
    controls = tables.wide.loc[tables.wide["method_family"] == CONTROLS, "method"]
    return {
        "run": data.plain(dict(run)),
        "tasks": tasks,
        "written": list(tables.written),
        "boards": {task: data.board(task, tables) for task in tasks},
        "exactness": {task: data.exactness(exactness.get(task, {})) for task in tasks},
        "agreement": {task: data.agreement_of(task, tables.beliefs) for task in tasks},
        "promises": dict(PROMISES),
        "descriptions": descriptions,
        "references": sources.bibliography(sources.cited([*used, *descriptions["metrics"].values()])),
        "cited": sorted(sources.cited(used)),
        "missing": data.missing(tables.failures, controls),
        "conformance": data.conformance(verdicts),
    }


def _page(content: Mapping[str, Any], samples: Mapping[str, Any]) -> str:
    """The template, filled in."""
    scripts = [_library(name, licences) for name, licences in LIBRARIES.items()]
    scripts.append('"use strict";\n{\n' + "\n".join(_text(f"parts/{name}") for name in SCRIPTS) + "\n}")
    blocks = [_block("content", content)]
    blocks += [_block(f"samples-{number}", samples[task]) for number, task in enumerate(samples)]
    parts = {
        "policy": _policy(scripts),
        "style": _text("page.css"),
        "data": "\n".join(blocks),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _text("page.html"))


def _library(name: str, licences: Iterable[str]) -> str:
    """A vendored script after the texts of its licences, which have to stay with every copy."""
    texts = "\n".join(_text(f"vendor/{licence}.LICENSE") for licence in licences)
    return f"/*\n{texts}*/\n{_text(f'vendor/{name}')}"


def _policy(scripts: list[str]) -> str:
    """Content-Security-Policy: these scripts by their hashes, inline styles, embedded pictures, no network."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    others = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {others}"


def _block(name: str, content: Any) -> str:
    """JSON in an element of its own, which no text inside can close."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
