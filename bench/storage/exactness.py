"""exactness.csv of a results folder: which promises of methods hold on the networks of its tasks.

One row per task, fingerprint of the network, method and check. Another network, or other settings of a method, have rows of
their own, so that a board shows those of the network that it is about.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.core.files import atomic
from bench.storage.run_facts import unreadable

FILE = "exactness.csv"
COLUMNS = ["method", "method_id", "check", "asks", "verdict", "measured", "tolerance", "note"]
OF_NETWORK = ["task", "fingerprint"]
KEY = [*OF_NETWORK, "method_id"]
NUMBERS = ("measured", "tolerance")
AGAIN = "python -m bench check --task TASK"


def write(out: Path, table: pd.DataFrame, *, task: str, fingerprint: str) -> None:
    """Adds the rows (COLUMNS) of a task's network; they take the place of earlier ones of the same methods."""
    new = table.assign(task=task, fingerprint=fingerprint)[[*OF_NETWORK, *COLUMNS]]
    before = read(out)
    replaced = before[KEY].agg(tuple, axis=1).isin(set(new[KEY].itertuples(index=False, name=None)))
    whole = pd.concat([before[~replaced], new], ignore_index=True) if len(before) else new
    out.mkdir(parents=True, exist_ok=True)
    with atomic(out / FILE) as part:
        whole.to_csv(part, index=False, float_format="%.4g", lineterminator="\n")


def read(out: Path) -> pd.DataFrame:
    """The rows of a results folder, none where it has no file. Raises BenchError for a file that is no such table."""
    path, columns = out / FILE, [*OF_NETWORK, *COLUMNS]
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    texts = [name for name in columns if name not in NUMBERS]
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(texts, str) | dict.fromkeys(NUMBERS, float))
    except ValueError as error:
        raise unreadable(path, "it is not a CSV table", out, AGAIN) from error
    for name in columns:
        if name not in table:
            raise unreadable(path, f"it has no column {name}", out, AGAIN)
    return table.fillna(dict.fromkeys(texts, ""))
