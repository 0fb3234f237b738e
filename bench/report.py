"""Writes what people read: leaderboards as CSV, plots, and the table on the terminal. Everything comes from the store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench import leaderboard, plots
from bench.files import atomic
from bench.runner import Progress
from bench.store import Store


def write(out: Path, progress: Progress) -> None:
    """Rebuilds leaderboards/, leaderboard.csv, failures.csv and plots/ in a results folder."""
    store = Store(out)
    rows = leaderboard.current(store.read())
    if rows.empty:
        return
    wide, long = leaderboard.wide_table(rows), leaderboard.long_table(rows)
    tasks = sorted(rows["task"].unique())
    for task in tasks:
        own = wide[wide["task"] == task].dropna(axis=1, how="all")
        _csv(own, out / "leaderboards" / f"{task}.csv")
        _csv(long[long["task"] == task], out / "leaderboards" / f"{task}_long.csv")
    _csv(wide, out / "leaderboard.csv")
    _csv(leaderboard.failures(rows), out / "failures.csv")
    curves = leaderboard.mean_curves(leaderboard.current(store.read(curves=True)))
    progress.total = 5 * len(tasks)
    for task in tasks:
        of_task = [frame[frame["task"] == task] for frame in (rows, wide, long, curves)]
        for name, figure in plots.all_of_task(task, *of_task, maps=store.read_maps(task)):
            progress.set_description_str(f"{task} · {name}")
            plots.save(figure, out / "plots" / f"{task}_{name}")
            progress.update()


def printed(out: Path) -> str:
    """The leaderboards as text for a terminal."""
    path = out / "leaderboard.csv"
    if not path.is_file():
        return "no leaderboard yet: nothing has been scored"
    board = pd.read_csv(path)
    parts = []
    for task, own in board.groupby("task", sort=True):
        metrics = [
            name for name in list(own.columns)[list(own.columns).index("mean_rank") + 1 :] if own[name].notna().any()
        ]
        ranked = own["rank"].notna()
        table = pd.DataFrame(
            {
                "method": own["method"],
                "rank": own["rank"].map("{:g}".format).where(ranked, own["status"]),
                "95 %": (own["rank_low"].map("{:g}".format) + "-" + own["rank_high"].map("{:g}".format)).where(
                    ranked, ""
                ),
            }
            | {name.replace("quantus_", "q_"): own[name].map("{:.4g}".format).replace("nan", "-") for name in metrics}
        )
        body = table.to_string(index=False, line_width=160)
        parts.append(f"\n{task}: {own['n'].max()} samples, ranked by mean rank over the faithfulness metrics\n{body}")
    return "\n".join(parts) + "\n"


def _csv(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
