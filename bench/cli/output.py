"""What the commands print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.api import Results, SweepResults
from bench.core.entries import Entry
from bench.core.files import write_csv
from bench.core.vocabulary import COSTS
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


def print_entries(entries: Mapping[str, Sequence[Entry]]) -> None:
    """Names, families, costs, summaries and sources of what is registered."""
    for kind, some in entries.items():
        width = max((len(one.name) for one in some), default=0)
        print(f"{kind}:" + (f" (cost: {_cost_classes()})" if kind == "methods" else ""))
        for one in some:
            cost = f"{one.cost or '-':<8}" if kind == "methods" else ""
            source = f" [{one.cite}]" if one.cite else ""
            print(f"  {one.name:<{width}}  {one.family:<12}  {cost}{one.summary}{source}")


def _cost_classes() -> str:
    limits = [f"{name} = at most {limit}" for name, limit in COSTS.items() if limit]
    return f"{', '.join(limits)} model queries a sample; slow = more, only in --profile full or when named"


def as_json(entry: Any) -> dict[str, Any]:
    """Every field of an entry."""
    fields = {"name": entry.name, "id": entry.id, "family": entry.family, "cite": entry.cite, "summary": entry.summary}
    fields |= {"params": dict(entry.params), "needs": sorted(entry.needs)}
    if entry.cost or entry.promises:
        fields |= {"cost": entry.cost, "promises": sorted(entry.promises)}
    for name in ("higher_is_better", "label", "limits", "profiles"):
        if hasattr(entry, name):
            value = getattr(entry, name)
            fields[name] = dict(value) if name == "profiles" else value
    return fields


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a table as CSV."""
    write_csv(table, path)
