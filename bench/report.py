"""Writes what people read: leaderboards as CSV, plots, the page, the table on the terminal. Everything comes from the store."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import conformance, leaderboard, page, plots
from bench.files import atomic, write_csv
from bench.pasting import latex, markdown
from bench.runner import Progress
from bench.store import Store
from bench.tables import Tables, joined, of_task

Maps = dict[str, dict[str, np.ndarray]]
Samples = dict[str, list[dict[str, Any]]]
PICTURES = 10  # of a task, at most
MOST_COLUMNS = 8  # metrics on the terminal; where there are more, these:
HEADLINES = ("drop", "deletion", "insertion", "seconds")


def write(out: Path, progress: Progress, *, pictures: bool = True) -> None:
    """Rebuilds leaderboards/, leaderboard.csv, failures.csv, agreement.csv, plots/ and report.html in a results folder.

    Without `pictures` plots/ stays as it is.
    """
    found: list[Tables] = []
    samples: Samples = {}
    for task, rows, tables, maps in _tasks(out, progress):
        _write_tables(out, task, tables)
        waiting = PICTURES
        for name, figure in plots.all_of_task(task, rows, tables, maps=maps) if pictures else ():
            progress.set_description_str(f"{task} · {name}")
            plots.save(figure, out / "plots" / f"{task}_{name}")
            progress.update()
            waiting -= 1
        samples[task] = page.samples(maps, tables.wide, rows)
        found.append(tables)
        progress.update(waiting)
    if not found:
        return
    everything = joined(found)
    write_csv(everything.wide, out / "leaderboard.csv")
    write_csv(everything.failures, out / "failures.csv")
    write_csv(everything.beliefs.alphas, out / "agreement.csv")
    _write_page(out, out / page.NAME, everything, samples, progress)


def write_page(out: Path, path: Path, progress: Progress) -> None:
    """Only the page of a results folder, to that path: nothing in the folder changes, so that a run can go on in it."""
    found: list[Tables] = []
    samples: Samples = {}
    for task, rows, tables, maps in _tasks(out, progress):
        samples[task] = page.samples(maps, tables.wide, rows)
        found.append(tables)
        progress.update(PICTURES)
    if found:
        _write_page(out, path, joined(found), samples, progress)


def _tasks(out: Path, progress: Progress) -> Iterator[tuple[str, pd.DataFrame, Tables, Maps]]:
    """Each task with its rows, tables and kept maps, one at a time, so that the scores of one are in memory."""
    store, verdicts = Store(out), conformance.verdicts(out)
    tasks, left_out = store.tasks(), store.left_out("methods")
    progress.total = PICTURES * len(tasks) + 1
    for task in tasks:
        progress.set_description_str(f"{task} · tables")
        rows = leaderboard.current(store.read(task))
        if len(rows):
            yield task, rows, of_task(rows, verdicts=verdicts, left_out=left_out), _current_maps(store, task, rows)
        gc.collect()  # figures are full of cycles


def _write_page(out: Path, path: Path, tables: Tables, samples: Samples, progress: Progress) -> None:
    progress.set_description_str(page.NAME)
    page.write(out, path, tables, samples, conformance.known(out / conformance.NAME))
    progress.update()


def _write_tables(out: Path, task: str, tables: Tables) -> None:
    """leaderboards/ of one task."""
    folder = out / "leaderboards"
    write_csv(tables.wide, folder / f"{task}.csv")
    for ending, form in (("md", markdown), ("tex", latex)):
        _text(form(tables.wide, tables.long), folder / f"{task}.{ending}")
    others = {
        "long": tables.long,
        "metrics": tables.metrics,
        "wins": tables.wins,
        "trust": tables.beliefs.trust,
        "agreement": tables.beliefs.agreement,
    }
    for name, table in others.items():
        write_csv(table, folder / f"{task}_{name}.csv")


def printed(out: Path) -> str:
    """The leaderboards as text for a terminal."""
    path = out / "leaderboard.csv"
    if not path.is_file():
        return "no leaderboard yet: nothing has been scored"
    board = pd.read_csv(path)
    first = max(place for place, name in enumerate(board.columns) if name.startswith("mean_rank")) + 1  # then metrics
    parts = []
    for task, own in board.groupby("task", sort=True):
        metrics = [name for name in own.columns[first:] if own[name].notna().any()]
        more = ""
        if len(metrics) > MOST_COLUMNS:
            files = f"{out / 'leaderboards' / str(task)}.csv and {out / 'plots' / str(task)}_heatmap.png"
            more = f"\nall {len(metrics)} metrics are in {files}"
            metrics = ["mean_rank", *(name for name in metrics if name in HEADLINES)]
        ranked = own["rank"].notna()
        span = own["rank_low"].map("{:g}".format) + "-" + own["rank_high"].map("{:g}".format)
        table = pd.DataFrame(
            {
                "rank": own["rank"].map("{:g}".format).where(ranked, own["status"]),
                "95 %": span.where(own["rank_low"].notna(), ""),
            }
            | {name.replace("quantus_", "q_"): own[name].map("{:.4g}".format).replace("nan", "-") for name in metrics}
        )
        table.index = pd.Index(own["method"], name=None)
        table = table.drop(index=own.loc[own["status"] == "slow", "method"])
        more += "".join(f"\n{line}" for line in _notes(out, str(task), own))
        how = ", ranked by mean rank over the metrics that have a vote" if ranked.any() else ""
        parts.append(f"\n{task}: {own['n'].max()} samples{how}\n{table.to_string(line_width=160)}{more}")
    return "\n".join(parts) + "\n"


def _notes(out: Path, task: str, own: pd.DataFrame) -> list[str]:
    """What a reader has to know of a board: which metrics have no say, and what was left out."""
    path = out / "leaderboards" / f"{task}_metrics.csv"
    metrics = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["metric", "silent"])
    verdicts = dict(
        zip(*(conformance.known(out / conformance.NAME)[name] for name in ("metric", "verdict")), strict=True)
    )
    kind = metrics["metric_family"].isin(leaderboard.RANKING_FAMILIES) if len(metrics) else []
    ranking = metrics[kind] if len(metrics) else metrics
    absent = [
        name for name in Store(out).left_out("metrics").get(task, ()) if name not in own or own[name].isna().all()
    ]
    told = {
        f"no vote, {why}": ranking.loc[ranking["silent"] == name, "metric"] for name, why in leaderboard.SILENT.items()
    } | {
        "left out, slow (--profile full, or by name)": [
            *own.loc[own["status"] == "slow", "method"],
            *(name for name in absent if verdicts.get(name) != "fail"),
        ],
        "left out, fail their checks (--profile full, or by name)": [
            name for name in absent if verdicts.get(name) == "fail"
        ],
    }
    return [f"{what}: {', '.join(names)}" for what, names in told.items() if len(names)]


def _current_maps(store: Store, task: str, rows: pd.DataFrame) -> Maps:
    """The kept maps that belong together: of the current weights, and of the samples that the kept inputs are of."""
    maps = store.read_maps(task)
    if "inputs" not in maps:
        return {}
    about = [[str(rows.loc[rows["task"] == task, "fingerprint"].iloc[0])], maps["inputs"]["sample_ids"].tolist()]
    return {
        name: arrays
        for name, arrays in maps.items()
        if [[str(arrays["fingerprint"])], arrays["sample_ids"].tolist()] == about
    }


def _text(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
