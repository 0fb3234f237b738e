"""What the commands print."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.engine.plan import Outcome


def cost_classes() -> str:
    """What the words for cost mean."""
    from bench.core.vocabulary import COSTS

    limits = [f"{name} at most {limit}" for name, limit in COSTS.items() if limit]
    return f"{', '.join(limits)} model queries a sample; slow: more, only in --profile full or when named"


def print_outcome(outcome: Outcome, seconds: float, out: Path, tables: Any) -> None:
    from bench.report.terminal import boards_text

    print(boards_text(tables, out))
    for name, why in outcome.skipped_tasks.items():
        print(f"skipped {why if why.startswith(name) else f'{name}: {why}'}")
    for name, why in outcome.failed_tasks.items():
        print(f"FAILED {name}: {why}")
    for (task, method, why), count in outcome.failures.most_common(10):
        print(f"FAILED {task} · {method}: {why} ({count} rows)")
    written = ", ".join(f"{count} {status}" for status, count in sorted(outcome.rows.items())) or "none"
    for name, work in outcome.work.items():
        print(
            f"{name}: {work.seconds:.0f} s for {work.forwards} model queries, {work.backwards} of them with a gradient; the "
            f"bare model needs {work.floor:.0f} s for these in batches of {work.pace.batch_size}: "
            f"measured / floor {work.seconds / work.floor:.2f}"
        )
    print(
        f"{seconds:.0f} s; rows written: {written}; already there: {outcome.kept}; "
        f"model queries: {outcome.queries} (metrics asked {outcome.tally.asked}, shared {outcome.tally.shared})"
    )
    there = "report.html, leaderboard.csv, leaderboards/, plots/, failures.csv, run.json"
    print(f"results are in {out}: {there if (out / 'leaderboard.csv').is_file() else 'run.json'}")


def progress_bar(**settings: Any) -> Any:
    from tqdm import tqdm

    terminal = sys.stderr.isatty()  # a log file gets a line every ten seconds instead of a moving bar
    bar = tqdm(unit=settings.pop("unit", "step"), dynamic_ncols=True, mininterval=0.1 if terminal else 10, **settings)
    bar.set_description_str = partial(bar.set_description_str, refresh=terminal)
    return bar


def as_json(entry: Any) -> dict[str, Any]:
    fields = {"name": entry.name, "id": entry.id, "family": entry.family, "cite": entry.cite, "summary": entry.summary}
    fields |= {"params": dict(entry.params), "needs": sorted(entry.needs)}
    if entry.cost or entry.promises:
        fields |= {"cost": entry.cost, "promises": sorted(entry.promises)}
    for name in ("higher_is_better", "label", "limits", "profiles"):
        if hasattr(entry, name):
            value = getattr(entry, name)
            fields[name] = dict(value) if name == "profiles" else value
    return fields
