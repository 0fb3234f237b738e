"""Conformance verdicts on disk: what is known of a metric, and what has to be checked again."""

from __future__ import annotations

import inspect
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bench.core.entries import Metric
from bench.core.files import atomic
from bench.core.hashing import digest
from bench.core.progress import Progress
from bench.engine.loading import load_all
from bench.registry.decorators import METRICS
from bench.validation.conformance import COLUMNS, FEW, check, judged

VERDICTS_FILE = "conformance.csv"  # in a results folder
SHIPPED_VERDICTS = Path(__file__).with_name(VERDICTS_FILE)  # what was found of the project's own metrics


def read_verdicts(path: Path) -> pd.DataFrame:
    """A table that was written before; empty where there is none."""
    texts = ["metric", "metric_id", "code", *COLUMNS[2:7]]
    if not path.is_file():
        return pd.DataFrame(columns=[*texts, *COLUMNS[7:]])
    return pd.read_csv(path, dtype=dict.fromkeys(texts, str)).fillna(dict.fromkeys(texts, ""))


def verdict_by_id(out: Path) -> dict[str, str]:
    """Id of a metric -> pass or fail, as far as a results folder tells."""
    table = read_verdicts(out / VERDICTS_FILE)
    return dict(zip(table["metric_id"], table["verdict"], strict=True))


def up_to_date(
    metrics: Iterable[Metric], out: Path, progress: Progress, *, plugins: Sequence[Path] = (), fresh: bool = False
) -> pd.DataFrame:
    """The table of these metrics, in which those are checked that neither `out` nor the package knows; kept in `out`.

    What is known of a metric holds for its code and, where it calls Quantus, for that version. Many are checked by several
    processes, which load `plugins` themselves.
    """
    asked = judged(metrics)
    before = pd.concat(
        [read_verdicts(out / VERDICTS_FILE), read_verdicts(SHIPPED_VERDICTS)], ignore_index=True
    ).drop_duplicates(["metric_id", "code"])
    lines = {} if fresh else {(line["metric_id"], line["code"]): line for line in before.to_dict("records")}
    lacking = [metric for metric in asked if (metric.id, code_hash(metric)) not in lines]
    progress.total = len(lacking)
    progress.refresh()
    for metric, row in _checked(lacking, plugins):
        progress.set_description_str(f"checked {metric.name}")
        lines[metric.id, code_hash(metric)] = row
        progress.update()
    found = pd.DataFrame([lines[metric.id, code_hash(metric)] | {"code": code_hash(metric)} for metric in asked])
    found = found.reindex(columns=["metric", "metric_id", "code", *COLUMNS[2:]])
    rest = read_verdicts(out / VERDICTS_FILE)
    whole = pd.concat([found, rest[~rest["metric_id"].isin(found["metric_id"])]], ignore_index=True)
    out.mkdir(parents=True, exist_ok=True)
    with atomic(out / VERDICTS_FILE) as part:
        whole.to_csv(part, index=False, float_format="%.4g", lineterminator="\n")
    return found


def _checked(metrics: list[Metric], plugins: Sequence[Path]) -> Iterator[tuple[Metric, dict[str, object]]]:
    """Each metric with its line of the table, as they come."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if len(metrics) < FEW or cores < 2:
        yield from ((metric, check(metric).row()) for metric in metrics)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, context, initializer=_start_worker, initargs=(tuple(plugins),)) as pool:
        asked = {pool.submit(_check_by_name, metric.name, metric.params): metric for metric in metrics}
        for done in as_completed(asked):
            yield asked[done], done.result()


def _start_worker(plugins: tuple[Path, ...]) -> None:
    """In a process of its own: one thread, and the registries filled."""
    torch.set_num_threads(1)
    load_all(plugins)


def _check_by_name(name: str, params: tuple[tuple[str, Any], ...]) -> dict[str, object]:
    return check(replace(METRICS[name.split("[")[0]], name=name, params=params)).row()


def code_hash(metric: Metric) -> str:
    """A hash of the function that a metric is, and the version of Quantus where it calls that."""
    source = inspect.getsource(metric.fn)
    library = f"quantus {version('quantus')}" if "quantus" in metric.fn.__module__ else ""
    return digest(source, library)[:12]
