"""Whole commands as a user gives them, each in a process of its own. The table is kept in results/reference/speed_run.csv.

Limits are for two quiet cores. A row that is not measured this time stays as it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pandas as pd
import pytest
import torch

from bench.network.device import describe

COMMAND = [sys.executable, "-m", "bench"]
TABLE = Path(__file__).parents[2] / "results" / "reference" / "speed_run.csv"
COLUMNS = ["command", "what", "measured", "limit", "rounds", "scores", "environment"]
DATA = os.environ.get("BENCH_DATA")
THREADS = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT")  # set for the tests themselves; a user's commands take all cores
Keep = Callable[..., None]
needs_data = pytest.mark.skipif(DATA is None, reason="needs the HMT images: set BENCH_DATA")


@dataclass
class Timed:
    """What a command took, in seconds, and what it wrote."""

    whole: float
    first_board: float
    out: Path
    ratios: dict[str, float] = field(default_factory=dict)  # task -> measured / floor
    scores: int = 0


def run(out: Path, *words: str, data: bool = False) -> Timed:
    """`run` with these arguments, watched until it ends."""
    hidden = {"BENCH_CACHE", *THREADS} | (set() if data else {"BENCH_DATA"})
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    asked = [*COMMAND, "run", *words, "--device", "cpu", "--out", str(out), *([] if data else ["--offline"])]
    start, first = time.perf_counter(), float("nan")
    old = set(out.glob("leaderboards/*.csv"))
    process = subprocess.Popen(asked, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if first != first and set(out.glob("leaderboards/*.csv")) - old:
            first = time.perf_counter() - start
        time.sleep(0.02)
    whole = time.perf_counter() - start
    assert process.returncode == 0
    facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
    ratios = {task: work["seconds"] / work["floor_seconds"] for task, work in facts["work"].items()}
    return Timed(whole, first, out, ratios, sum(facts["rows_written"].values()))


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Writes a row of the table. Medians above their limits fail the test when all of its rows are written."""
    over: list[str] = []
    yield lambda *row: over.extend(written(*row))
    assert not over


def written(command: str, what: str, values: list[float], limit: float, scores: int = 0) -> list[str]:
    """Writes a row of the table; says so where the median is above the limit."""
    row = {
        "command": command,
        "what": what,
        "measured": round(median(values), 2),
        "limit": limit,
        "rounds": len(values),
        "scores": scores,
        "environment": describe(torch.device("cpu")) + f", {os.cpu_count()} cores",
    }
    old = pd.read_csv(TABLE) if TABLE.is_file() else pd.DataFrame(columns=COLUMNS)
    others = old[(old["command"] != command) | (old["what"] != what)]
    table = pd.concat([others, pd.DataFrame([row])]) if len(others) else pd.DataFrame([row])
    table.sort_values(["command", "what"], kind="stable").to_csv(TABLE, index=False, columns=COLUMNS)
    text = f"{command}: {what} {row['measured']} (limit {limit})"
    print(f"\n{text}")
    return [text] if median(values) > limit else []


def test_list_methods(keep):
    def once() -> float:
        start = time.perf_counter()
        subprocess.run([*COMMAND, "list", "methods"], check=True, capture_output=True)
        return time.perf_counter() - start

    once()  # makes the copy of what is registered
    keep("list methods", "seconds", [once() for _ in range(3)], 1.5)


def test_quick_without_data_and_again(keep, tmp_path):
    words = ["--all", "--profile", "quick"]
    fresh = [run(tmp_path / str(turn), *words) for turn in range(3)]
    again = [run(fresh[-1].out, *words) for _ in range(3)]
    name = "run --all --profile quick (mnist1d, tissue)"
    keep(name, "seconds", [one.whole for one in fresh], 90, fresh[0].scores)
    keep(name, "seconds to the first board", [one.first_board for one in fresh], 60)
    keep(f"{name}, again", "seconds", [one.whole for one in again], 10)


@needs_data
def test_quick_with_data(keep, tmp_path):
    found = [run(tmp_path / str(turn), "--all", "--profile", "quick", data=True) for turn in range(3)]
    name = "run --all --profile quick (mnist1d, tissue, hmt)"
    keep(name, "seconds", [one.whole for one in found], 180, found[0].scores)


@pytest.mark.parametrize("task", ["mnist1d", "planted_signal"])
def test_standard_on_signals(keep, tmp_path, task):
    found = [run(tmp_path / str(turn), "--task", task) for turn in range(3)]
    keep(f"run --task {task}", "measured / floor", [one.ratios[task] for one in found], 2.5, found[0].scores)
    keep(f"run --task {task}", "seconds", [one.whole for one in found], 180)


@needs_data
def test_standard_on_all_tasks(keep, tmp_path):
    """Once: it takes half an hour."""
    found = run(tmp_path / "all", "--all", data=True)
    keep("run --all", "seconds", [found.whole], 1500, found.scores)
    keep("run --all", "seconds to the first board", [found.first_board], 120)
    for task in ("hmt", "hmt_mosaic", "tissue", "planted_image"):
        keep("run --all", f"measured / floor of {task}", [found.ratios[task]], 1.1)
    for path in (found.out / "leaderboards", found.out / "plots", found.out / ".cache"):
        subprocess.run(["rm", "-r", str(path)], check=True)
    start = time.perf_counter()
    subprocess.run([*COMMAND, "report", "--out", str(found.out)], check=True, capture_output=True)
    keep("report of run --all", "seconds", [time.perf_counter() - start], 60, found.scores)
