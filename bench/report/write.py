"""Writes what people read: leaderboards as CSV, Markdown and LaTeX, plots, the page. Everything is made from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bench import page, plots
from bench.analysis import sensitivity
from bench.analysis.metric_table import metric_facts
from bench.analysis.task_tables import Tables, joined
from bench.core.files import atomic, write_csv
from bench.core.progress import Progress
from bench.core.vocabulary import MEANINGS
from bench.engine.sweep import SweepPlan
from bench.report import build
from bench.report.build import Built
from bench.report.markup import latex, markdown
from bench.storage.scores import Store
from bench.validation.verdicts import VERDICTS_FILE, read_verdicts

Samples = dict[str, list[dict[str, Any]]]


def write(out: Path, progress: Progress, *, pictures: bool = True) -> Tables | None:
    """Writes all tables, pictures and the page of a results folder anew; returns the tables, None where nothing is scored.

    Without `pictures` plots/ stays as it is.
    """
    found: list[Tables] = []
    samples: Samples = {}
    for built in build.tasks(out, progress):
        _write_tables(out, built.task, built.tables)
        progress.update(build.STEPS - (_write_pictures(out, built, progress) if pictures else 0))
        samples[built.task] = page.samples(built.maps, built.tables.wide, built.rows)
        found.append(built.tables)
    if not found:
        return None
    everything = joined(found)
    write_csv(everything.wide, out / "leaderboard.csv")
    write_csv(everything.failures, out / "failures.csv")
    write_csv(everything.beliefs.alphas, out / "agreement.csv")
    write_csv(metric_facts(everything.metrics), out / "metrics.csv")
    write_csv(pd.DataFrame(list(MEANINGS.items()), columns=["column", "meaning"]), out / "columns.csv")
    _write_page(out, out / page.NAME, everything, samples, progress)
    return everything


def write_sweep(out: Path, sweep: SweepPlan) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Writes OUT/sweep/TASK: a CSV file for each table, statement.txt and sweep.png, from the scores in the store.

    Returns the tables by name, and the sentences of the statement.
    """
    plan, folder = sweep.plan, out / "sweep" / sweep.task.name
    rows = Store(out).read_asked(sweep.task, plan.methods, plan.metrics, seed=plan.seed, fingerprint=sweep.fingerprint)
    scores = sensitivity.collect(sweep, rows)
    tables, sentences = sensitivity.tables(scores), sensitivity.statement(scores)
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    _text("\n".join(sentences) + "\n", folder / "statement.txt")
    if tables["settings"]["rank"].notna().any():
        figure = plots.sweep(tables["settings"], tables["tau"], tables["factors"], sweep.task.name)
        plots.save(figure, folder / "sweep")
    return tables, sentences


def write_page(out: Path, path: Path, progress: Progress) -> None:
    """Only the page of a results folder, to that path: nothing in the folder changes, so that a run can go on in it."""
    found: list[Tables] = []
    samples: Samples = {}
    for built in build.tasks(out, progress):
        samples[built.task] = page.samples(built.maps, built.tables.wide, built.rows)
        found.append(built.tables)
        progress.update(build.STEPS)
    if found:
        _write_page(out, path, joined(found), samples, progress)


def _write_page(out: Path, path: Path, tables: Tables, samples: Samples, progress: Progress) -> None:
    progress.set_description_str(page.NAME)
    page.write(out, path, tables, samples, read_verdicts(out / VERDICTS_FILE))
    progress.update()


def _write_pictures(out: Path, built: Built, progress: Progress) -> int:
    """plots/ of one task; returns how many pictures there are."""
    count = 0
    for name, figure in plots.all_of_task(built.task, built.rows, built.tables, maps=built.maps):
        progress.set_description_str(f"{built.task} · {name}")
        plots.save(figure, out / "plots" / f"{built.task}_{name}")
        progress.update()
        count += 1
    return count


def _write_tables(out: Path, task: str, tables: Tables) -> None:
    """leaderboards/ of one task."""
    folder = out / "leaderboards"
    write_csv(tables.wide, folder / f"{task}.csv")
    for ending, form in (("md", markdown), ("tex", latex)):
        _text(form(tables.wide, tables.metrics), folder / f"{task}.{ending}")
    others = {
        "long": tables.long,
        "metrics": tables.metrics,
        "wins": tables.wins,
        "trust": tables.beliefs.trust,
        "agreement": tables.beliefs.agreement,
    }
    for name, table in others.items():
        write_csv(table, folder / f"{task}_{name}.csv")


def _text(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
