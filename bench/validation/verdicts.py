"""Conformance verdicts on disk. A metric is checked again when its code, or code that it reaches, has changed."""

from __future__ import annotations

import multiprocessing
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
from bench.core.processes import can_spawn, processors
from bench.core.progress import Progress
from bench.engine.loading import load_all
from bench.registry.decorators import METRICS
from bench.storage.run_facts import unreadable
from bench.validation.conformance import check, judged
from bench.validation.ladders import COLUMNS, OLD_COLUMNS, OLD_COLUMNS_OF_TEXT, OLD_USES_SIGN
from bench.validation.reach import reached

VERDICTS_FILE = "conformance.csv"  # in a results folder
SHIPPED_VERDICTS = Path(__file__).with_name(VERDICTS_FILE)  # of the project's own metrics
FEW = 8  # metrics that are checked faster than processes start


def read_verdicts(path: Path) -> pd.DataFrame:
    """A table of verdicts, empty if the file does not exist. Tables of older versions get today's columns.

    Raises BenchError for a file that is no such table.
    """
    texts = ["metric", "metric_id", "code", *COLUMNS[2:7]]
    if not path.is_file():
        return pd.DataFrame(columns=[*texts, *COLUMNS[7:]])
    again = "python -m bench check metrics"
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys([*texts, *OLD_COLUMNS_OF_TEXT], str)).rename(columns=OLD_COLUMNS)
    except ValueError as error:
        raise unreadable(path, "it is not a CSV table", path.parent, again) from error
    for name in texts:
        if name not in table:
            raise unreadable(path, f"it has no column {name}", path.parent, again)
    table = table.reindex(columns=[*table.columns, *(name for name in COLUMNS if name not in table)])
    return table.fillna(dict.fromkeys(texts, "")).replace({"uses_sign": OLD_USES_SIGN})


def verdict_by_id(out: Path) -> dict[str, str]:
    """Metric id -> verdict, for the metrics that a results folder has verdicts of."""
    table = read_verdicts(out / VERDICTS_FILE)
    return dict(zip(table["metric_id"], table["verdict"], strict=True))


def up_to_date(
    metrics: Iterable[Metric], out: Path, progress: Progress, *, plugins: Sequence[Path] = (), fresh: bool = False
) -> pd.DataFrame:
    """The table of these metrics, written to `out`. Only metrics without a stored verdict for their code are checked.

    Verdicts are stored in `out` and in the package; `fresh` ignores both. Many metrics are checked by several processes,
    which load `plugins` themselves, where the program can start some.
    """
    asked = [(metric, code_hash(metric)) for metric in judged(metrics)]
    lines = {} if fresh else _stored(out)
    missing = [(metric, code) for metric, code in asked if (metric.id, code) not in lines]
    progress.total = len(missing)
    progress.refresh()
    for metric, code, line in _checked(missing, plugins):
        progress.set_description_str(f"checked {metric.name}")
        lines[metric.id, code] = line | {"code": code}
        progress.update()
    table = pd.DataFrame([lines[metric.id, code] for metric, code in asked])
    table = table.reindex(columns=["metric", "metric_id", "code", *COLUMNS[2:]])
    others = read_verdicts(out / VERDICTS_FILE)
    whole = pd.concat([table, others[~others["metric_id"].isin(table["metric_id"])]], ignore_index=True)
    out.mkdir(parents=True, exist_ok=True)
    with atomic(out / VERDICTS_FILE) as part:
        whole.to_csv(part, index=False, float_format="%.4g", lineterminator="\n")
    return table


def _stored(out: Path) -> dict[tuple[str, str], dict[Any, Any]]:
    """Lines of the tables by metric id and hash of the code; those of the results folder come before the shipped ones."""
    tables = [read_verdicts(SHIPPED_VERDICTS), read_verdicts(out / VERDICTS_FILE)]
    return {(line["metric_id"], line["code"]): line for table in tables for line in table.to_dict("records")}


def _checked(
    metrics: list[tuple[Metric, str]], plugins: Sequence[Path]
) -> Iterator[tuple[Metric, str, dict[Any, Any]]]:
    """Each metric and hash of its code with its line of the table, in the order in which the checks end."""
    cores = processors()
    if len(metrics) < FEW or cores < 2 or not can_spawn():
        yield from ((metric, code, check(metric).row()) for metric, code in metrics)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, context, initializer=_start_worker, initargs=(tuple(plugins),)) as pool:
        asked = {
            pool.submit(_check_by_name, metric.name, metric.params, metric.view): (metric, code)
            for metric, code in metrics
        }
        for done in as_completed(asked):
            yield *asked[done], done.result()


def _start_worker(plugins: tuple[Path, ...]) -> None:
    """Prepares a worker process: one thread, registries filled."""
    torch.set_num_threads(1)
    load_all(plugins)


def _check_by_name(name: str, params: tuple[tuple[str, Any], ...], view: tuple[tuple[str, str], ...]) -> dict[Any, Any]:
    return check(replace(METRICS[name.split("[")[0]], name=name, params=params, view=view)).row()


def code_hash(metric: Metric) -> str:
    """A hash of what a verdict depends on: code that the metric and its check reach, and the metric's family and direction.

    Where the metric reaches Quantus, the version of Quantus is part of it.
    """
    found = reached(metric.fn)
    library = f"quantus {version('quantus')}" if "quantus" in found.libraries else ""
    traits = metric.family, metric.higher_is_better, sorted(metric.needs)
    return digest(found.hash, reached(check).hash, library, *traits)[:12]
