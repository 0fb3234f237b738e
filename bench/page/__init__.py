"""The report page: one file that opens from disk, asks no network, and holds the boards with what they rest on.

Safe by construction: whatever users named (methods, classes, files, messages) goes in as JSON, whose `<` is escaped, and
comes out as text (textContent); the policy in the page's head lets run the page's own scripts, by their hashes, and nothing
else. The same store gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.task_tables import Tables
from bench.core.files import atomic
from bench.core.vocabulary import PROMISES
from bench.page import data, pictures, sources
from bench.page.pictures import samples

__all__ = ["html", "samples", "write"]
Samples = Mapping[str, list[dict[str, Any]]]
NAME = "report.html"
LARGEST = 10_000_000  # bytes of the file
FOLDER = Path(__file__).parent
LIBRARIES = {"vendor/d3.min.js": "vendor/d3.LICENSE", "vendor/plot.umd.min.js": "vendor/plot.LICENSE"}
SCRIPTS = ("dom.js", "grid.js", "charts.js", "board.js", "card.js", "samples.js", "views.js")


def write(out: Path, path: Path, tables: Tables, kept: Samples, checks: pd.DataFrame) -> None:
    """Writes the page of a results folder.

    `kept`: task -> what `samples` makes of its maps; `checks`: the conformance table.
    """
    facts = out / "run.json"
    run = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
    with atomic(path) as part:
        part.write_text(html(tables, kept, checks, run), encoding="utf-8", newline="\n")


def html(tables: Tables, kept: Samples, checks: pd.DataFrame, run: Mapping[str, Any]) -> str:
    """The page as text, smaller than LARGEST bytes: samples are left out until it is."""
    found = {task: kept.get(task, []) for task in _tasks(tables)}
    content = _content(tables, checks, run)
    content["samples"] = {task: {"there": len(of_task), "kept": 0} for task, of_task in found.items()}
    room = LARGEST - len(_page(content, {}).encode()) - 10_000
    shown = pictures.within(room, found)
    for task, of_task in shown.items():
        content["samples"][task]["kept"] = len(of_task)
    return _page(content, shown)


def _tasks(tables: Tables) -> list[str]:
    return sorted(tables.wide["task"].unique())


def _content(tables: Tables, checks: pd.DataFrame, run: Mapping[str, Any]) -> dict[str, Any]:
    """All that the page says, but the samples."""
    tasks = _tasks(tables)
    methods = sources.known(data.names(tables.wide["method"]), "method")
    metrics = sources.known(data.names([*tables.long["metric"], *checks["metric"]]), "metric")
    about = sources.known(tasks, "task")
    used = [*methods.values(), *about.values()]
    used += [entry for name, entry in metrics.items() if name in set(tables.long["metric"])]
    return {
        "run": data.plain(dict(run)),
        "order": tasks,
        "written": list(tables.written),
        "tasks": {
            task: {"board": data.board(task, tables), "beliefs": data.beliefs(task, tables.beliefs)} for task in tasks
        },
        "promises": dict(PROMISES),
        "about": {"methods": methods, "metrics": metrics, "tasks": about},
        "references": sources.bibliography(sources.cited([*used, *metrics.values()])),
        "used": sorted(sources.cited(used)),
        "failures": data.failures(tables.failures),
        "conformance": data.conformance(checks),
    }


def _page(content: Mapping[str, Any], samples: Mapping[str, Any]) -> str:
    """The template with everything put in its place."""
    scripts = [f"/*\n{_text(licence)}*/\n{_text(name)}" for name, licence in LIBRARIES.items()]
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


def _policy(scripts: list[str]) -> str:
    """Content-Security-Policy: these scripts by their hashes, the page's styles, pictures of its own; no network."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    others = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {others}"


def _block(name: str, content: Any) -> str:
    """JSON inside HTML: nothing in it can end the element that holds it."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
