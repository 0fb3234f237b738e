"""Writes all that people read of a results folder at once. Everything is made from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bench import page, plots
from bench.analysis import sensitivity
from bench.analysis.task_tables import Tables, joined
from bench.core.files import write_csv
from bench.core.progress import Progress
from bench.engine.sweep import SweepPlan
from bench.report import files, kept
from bench.report.writer import Writer
from bench.storage.scores import Store


def write(
    out: Path, progress: Progress, *, pictures: bool = True, svg: bool = False, workers: int = 0
) -> Tables | None:
    """Writes tables, pictures and the page of a results folder; returns the tables, None where nothing is scored.

    Without `pictures` plots/ stays as it is. `svg`: each picture as SVG too. `workers`: processes that draw.
    Raises BenchError after the rest is written where one of these dies.
    """
    with Writer(out, pictures=pictures, svg=svg, workers=workers) as writer:
        tables = writer.close(progress)
    writer.check()
    return tables


def write_sweep(out: Path, sweep: SweepPlan) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Writes OUT/sweep/TASK: a CSV file for each table, statement.txt, sweep.png and sweep.svg, from the scores in the store.

    Returns the tables by name, and the sentences of the statement.
    """
    plan, folder = sweep.plan, out / "sweep" / sweep.task.name
    rows = Store(out).read_asked(sweep.task, plan.methods, plan.metrics, seed=plan.seed, fingerprint=sweep.fingerprint)
    scores = sensitivity.collect(sweep, rows)
    tables, sentences = sensitivity.tables(scores), sensitivity.statement(scores)
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    files.write_text("\n".join(sentences) + "\n", folder / "statement.txt")
    if tables["settings"]["rank"].notna().any():
        figure = plots.sweep(tables["settings"], tables["tau"], tables["factors"], sweep.task.name)
        plots.save(figure, folder / "sweep", svg=True)
    return tables, sentences


def write_page(out: Path, path: Path, progress: Progress) -> None:
    """Only the page of a results folder, to that path: nothing in the folder changes, so that a run can go on in it."""
    found: list[Tables] = []
    samples: dict[str, list[dict[str, Any]]] = {}
    for built in kept.tasks(out, progress):
        samples[built.task] = built.samples
        found.append(built.tables)
    if found:
        progress.set_description_str(page.NAME)
        files.write_page(out, path, joined(found), samples)
        progress.update()
