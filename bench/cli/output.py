"""What the commands print."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.task_tables import Tables
from bench.api import Results, SweepResults
from bench.core.errors import BenchWarning
from bench.core.files import write_csv
from bench.engine.plan import Outcome
from bench.page import NAME as PAGE
from bench.report.terminal import board_text, closing_text
from bench.storage.release import Release

MOST_FAILURES = 10  # lines; the others are counted


@contextmanager
def notes_as_lines() -> Iterator[None]:
    """Prints what a user should know of a request as lines, not as Python's warnings."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, BenchWarning):
            print(f"bench: {message}", file=sys.stderr)
        else:
            shown(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", BenchWarning)
        warnings.showwarning = show
        yield


def print_run(results: Results, seconds: float, *, verbose: bool) -> None:
    """What the boards leave out, what is missing and why, and where the results are."""
    outcome = results.outcome
    assert outcome is not None
    print(f"\n{closing_text(results.folder)}")
    for task, reason in outcome.skipped_tasks.items():
        print(f"skipped {task}: {reason}")
    _print_failures(outcome)
    if outcome.stopped:
        amounts = [f"{task} {facts['samples']} of {facts['asked']}" for task, facts in outcome.tasks.items()]
        print(f"the budget is used up; samples scored: {', '.join(amounts)}; the same command goes on from there")
    if verbose:
        _print_costs(outcome)
    written = ", ".join(f"{count} {status}" for status, count in sorted(outcome.rows.items())) or "none"
    print(f"{seconds:.0f} s; new scores: {written}; kept: {outcome.kept}; model queries: {outcome.queries}")
    if (results.folder / PAGE).is_file():
        print(f"results are in {results.folder}; page: {results.folder / PAGE}")
    else:
        print(f"results are in {results.folder}: run.json")


def print_board(tables: Tables, out: Path) -> None:
    """The leaderboard of a task, above a progress bar if there is one."""
    from tqdm.auto import tqdm

    tqdm.write(board_text(tables, out))


def _print_failures(outcome: Outcome) -> None:
    for task, reason in outcome.failed_tasks.items():
        print(f"FAILED {task}: {reason}")
    for (task, method, reason), count in outcome.failures.most_common(MOST_FAILURES):
        print(f"FAILED {task} · {method}: {reason} ({count} scores)")
    more = len(outcome.failures) - MOST_FAILURES
    if more > 0:
        print(f"FAILED for {more} more reasons: see failures.csv")


def _print_costs(outcome: Outcome) -> None:
    for task, work in outcome.work.items():
        alone = (
            "the bare model was not timed, since the batch size was given"
            if work.pace is None
            else "the bare model was not timed, since the task failed"
            if not work.floor
            else f"the model alone needs {work.floor:.0f} s for these in batches of {work.batch_size}: ratio "
            f"{work.seconds / work.floor:.2f}"
        )
        print(
            f"{task}: {work.seconds:.0f} s for {work.forwards} model queries, {work.backwards} of them with a gradient; "
            f"{alone}"
        )
    print(f"queries by metrics: {outcome.tally.asked} asked, {outcome.tally.shared} answered from memory")


def print_sweep(found: SweepResults, profile: str, seconds: float) -> None:
    """The tables and sentences of a sweep, and where the results are."""
    print(found)
    print("\n".join(found.statements))
    _print_failures(found.outcome)
    if found.left_out:
        print(f"left out by profile {profile} (name them, or use another profile): {', '.join(found.left_out)}")
    print(
        f"{seconds:.0f} s; {found.settings} settings, {found.samples} samples, {len(found.methods)} methods; "
        f"new scores: {found.outcome.rows.total()}, kept: {found.outcome.kept}; model queries: {found.outcome.tally.asked}"
    )
    print(
        f"results are in {found.folder}: {', '.join(f'{name}.csv' for name in found.tables)}, statement.txt, sweep.png"
    )


def print_packed(file: Release) -> None:
    """What a release file holds."""
    for name, facts in file.tasks.items():
        of = f" of {facts.samples_scored}" if facts.samples < facts.samples_scored else ""
        print(f"{name}: {facts.samples}{of} samples, {len(facts.methods)} methods, {len(facts.metrics)} metrics")
    print(f"{file.name}: {len(file.content) / 1e6:.2f} MB; costs and curves are left out")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a table as CSV."""
    write_csv(table, path)
