"""From a results folder to the tables of a task. Everything a report shows is made from the store, here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import page, plots
from bench.analysis import score_matrix
from bench.analysis.task_tables import Tables, of_task
from bench.registry.decorators import METHODS, METRICS
from bench.storage.maps import MapStore
from bench.storage.scores import Store
from bench.validation.verdicts import verdict_by_id


class Facts(NamedTuple):
    """What tables hold beside scores."""

    verdicts: Mapping[str, str]  # id of a metric -> pass or fail
    left_out: Mapping[str, Sequence[str]]  # task -> the methods that the profile of its last run left out
    versions: Mapping[str, Mapping[str, int]]  # kind -> name -> the version that is registered now


class Built(NamedTuple):
    """What is made of one task of a results folder."""

    task: str
    fingerprint: str  # of the weights that the scores are of
    tables: Tables
    samples: list[dict[str, Any]]  # of the page
    pictures: tuple[str, ...]  # names of those that the tables allow


def facts(out: Path) -> Facts:
    """The facts of a results folder, as of now."""
    return Facts(verdict_by_id(out), Store(out).left_out("methods"), registered_versions())


def task(out: Path, name: str, known: Facts) -> Built | None:
    """One task of a results folder; None where it has no scores."""
    rows = score_matrix.current(Store(out).read(name))
    if not len(rows):
        return None
    tables = of_task(rows, verdicts=known.verdicts, left_out=known.left_out, versions=known.versions)
    fingerprint = str(rows["fingerprint"].iloc[0])
    maps = MapStore(out).read_current(name, fingerprint)
    samples = page.samples(maps, tables.wide, rows)
    return Built(name, fingerprint, tables, samples, tuple(plots.of_task(name, tables, maps=maps)))


def registered_versions() -> dict[str, dict[str, int]]:
    """The versions of the methods and metrics that are registered now: kind -> name -> version."""
    return {
        kind: {name: entry.version for name, entry in entries.items()}
        for kind, entries in (("method", METHODS), ("metric", METRICS))
    }
