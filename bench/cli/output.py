"""What the commands print."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.api import Results, SweepResults
from bench.core.files import write_csv
from bench.engine.plan import Outcome
from bench.page import NAME as PAGE

MOST_FAILURES = 10  # lines; the others are counted


def print_run(results: Results, seconds: float, *, verbose: bool) -> None:
    """The boards, what is missing and why, and where the results are."""
    outcome = results.outcome
    assert outcome is not None
    print(results)
    for task, reason in outcome.skipped_tasks.items():
        print(f"skipped {task}: {reason}")
    _print_failures(outcome)
    if verbose:
        _print_costs(outcome)
    written = ", ".join(f"{count} {status}" for status, count in sorted(outcome.rows.items())) or "none"
    print(f"{seconds:.0f} s; new scores: {written}; kept: {outcome.kept}; model queries: {outcome.queries}")
    if (results.folder / PAGE).is_file():
        print(f"results are in {results.folder}; page: {results.folder / PAGE}")
    else:
        print(f"results are in {results.folder}: run.json")


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
        print(
            f"{task}: {work.seconds:.0f} s for {work.forwards} model queries, {work.backwards} of them with a "
            "gradient; the model "
            f"alone needs {work.floor:.0f} s for these in batches of {work.pace.batch_size}: ratio "
            f"{work.seconds / work.floor:.2f}"
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


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a table as CSV."""
    write_csv(table, path)
