"""Writes what people read: leaderboards as CSV, plots, the page, the table on the terminal. Everything comes from the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench import agreement, conformance, leaderboard, page, plots, tables
from bench.files import atomic
from bench.runner import Progress
from bench.store import Store

MOST_COLUMNS = 8  # metrics on the terminal; where there are more, these:
HEADLINES = ("drop", "deletion", "insertion", "seconds")


def write(out: Path, progress: Progress) -> None:
    """Rebuilds leaderboards/, leaderboard.csv, failures.csv, agreement.csv, plots/ and report.html in a results folder."""
    store = Store(out)
    rows = leaderboard.current(store.read())
    if rows.empty:
        return
    long, curves = leaderboard.long_table(rows, conformance.verdicts(out)), leaderboard.mean_curves(rows)
    wide = leaderboard.boards(rows, long)
    told = leaderboard.with_left_out(wide, store.left_out("methods"))
    metrics = leaderboard.metric_table(long)
    silent = metrics[metrics["metric_family"].isin(leaderboard.RANKING_FAMILIES) & (metrics["vote"] == 0)]
    beliefs = agreement.tables(rows, list(zip(silent["task"], silent["metric"], strict=True)))
    tasks = sorted(rows["task"].unique())
    for task in tasks:
        own = told[told["task"] == task]
        others = set(long["metric"]) - set(long.loc[long["task"] == task, "metric"])
        _csv(own.drop(columns=sorted(others)), out / "leaderboards" / f"{task}.csv")
        _csv(long[long["task"] == task], out / "leaderboards" / f"{task}_long.csv")
        for ending, form in (("md", tables.markdown), ("tex", tables.latex)):
            _text(form(own, long[long["task"] == task]), out / "leaderboards" / f"{task}.{ending}")
        _csv(metrics[metrics["task"] == task], out / "leaderboards" / f"{task}_metrics.csv")
        _csv(beliefs.trust[beliefs.trust["task"] == task], out / "leaderboards" / f"{task}_trust.csv")
        _csv(beliefs.agreement[beliefs.agreement["task"] == task], out / "leaderboards" / f"{task}_agreement.csv")
    _csv(beliefs.alphas, out / "agreement.csv")
    _csv(told, out / "leaderboard.csv")
    failures = leaderboard.failures(rows)
    _csv(failures, out / "failures.csv")
    progress.total = 7 * len(tasks) + 1
    kept = {task: _current_maps(store, task, rows) for task in tasks}
    for task in tasks:
        of_task = [frame[frame["task"] == task] for frame in (rows, wide, long, curves)]
        for name, figure in plots.all_of_task(task, *of_task, maps=kept[task]):
            progress.set_description_str(f"{task} · {name}")
            plots.save(figure, out / "plots" / f"{task}_{name}")
            progress.update()
        for name, figure in _of_beliefs(task, beliefs, long[long["task"] == task]):
            progress.set_description_str(f"{task} · {name}")
            plots.save(figure, out / "plots" / f"{task}_{name}")
            progress.update()
    progress.set_description_str(page.NAME)
    checks = conformance.known(out / conformance.NAME)
    page.write(out, page.Tables(rows, told, long, metrics, curves, beliefs, failures, checks), kept)
    progress.update()


def _of_beliefs(task: str, beliefs: agreement.Tables, long: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """How metrics agree with each other and with the truth, where there are enough of them."""
    pairs = beliefs.agreement[beliefs.agreement["task"] == task]
    if pairs["tau"].notna().any():
        alphas = beliefs.alphas[beliefs.alphas["task"] == task]
        yield "agreement", plots.agreement(pairs, agreement.clustered(pairs), alphas, long, task)
    trust = beliefs.trust[beliefs.trust["task"] == task]
    if trust["tau"].notna().any():
        yield "trust", plots.trust(trust, task)


def printed(out: Path) -> str:
    """The leaderboards as text for a terminal."""
    path = out / "leaderboard.csv"
    if not path.is_file():
        return "no leaderboard yet: nothing has been scored"
    board = pd.read_csv(path)
    first = max(place for place, name in enumerate(board.columns) if name.startswith("mean_rank")) + 1
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


def _current_maps(store: Store, task: str, rows: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
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


def _csv(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")


def _text(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
