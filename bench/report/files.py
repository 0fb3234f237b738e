"""The files of a report: the tables of each task and of all, and the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench import page
from bench.analysis.metric_table import metric_facts
from bench.analysis.task_tables import Tables
from bench.core.files import atomic, write_csv
from bench.core.vocabulary import MEANINGS
from bench.report.markup import latex, markdown
from bench.storage import exactness as stored
from bench.storage.scores import Store
from bench.validation.exactness import Standing, standings
from bench.validation.verdicts import VERDICTS_FILE, read_verdicts

FORMS = {"md": markdown, "tex": latex}
ENDINGS = (".csv", ".md", ".tex", "_long.csv", "_metrics.csv", "_wins.csv", "_trust.csv", "_agreement.csv")


def of_task(out: Path, task: str) -> list[Path]:
    """The files of one task in leaderboards/."""
    return [out / "leaderboards" / f"{task}{ending}" for ending in ENDINGS]


def write_task(out: Path, task: str, tables: Tables) -> None:
    """leaderboards/ of one task."""
    board, *markup, long, metrics, wins, trust, agreement = of_task(out, task)
    write_csv(tables.wide, board)
    for path in markup:
        write_text(FORMS[path.suffix[1:]](tables.wide, tables.metrics), path)
    write_csv(tables.long, long)
    write_csv(tables.metrics, metrics)
    write_csv(tables.wins, wins)
    write_csv(tables.beliefs.trust, trust)
    write_csv(tables.beliefs.agreement, agreement)


def write_all(out: Path, tables: Tables) -> None:
    """The tables of all tasks together."""
    write_csv(tables.wide, out / "leaderboard.csv")
    write_csv(tables.failures, out / "failures.csv")
    write_csv(tables.beliefs.alphas, out / "agreement.csv")
    write_csv(metric_facts(tables.metrics), out / "metrics.csv")
    write_csv(pd.DataFrame(list(MEANINGS.items()), columns=["column", "meaning"]), out / "columns.csv")


def write_page(out: Path, path: Path, tables: Tables, samples: Mapping[str, list[dict[str, Any]]]) -> None:
    """The page of a results folder; `samples`: task -> the samples that it shows."""
    page.write(out, path, tables, samples, read_verdicts(out / VERDICTS_FILE), exactness_of(out))


def exactness_of(out: Path) -> dict[str, dict[str, Standing]]:
    """Task -> method id -> what checks on the task's network found; those of a network that it had before are left out."""
    table, networks = stored.read(out), Store(out).fingerprints()
    return {task: standings(table, task, networks[task]) for task in sorted(set(table["task"]) & set(networks))}


def write_text(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
