"""A results folder as an object: leaderboard, scores, failures, report."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis import score_matrix
from bench.analysis.task_tables import Tables
from bench.api.progress import bar
from bench.core.errors import BenchError, RequestError
from bench.engine.plan import Outcome
from bench.report import kept
from bench.report.terminal import boards_text
from bench.report.write import write, write_page
from bench.storage import run_facts
from bench.storage.check import check_folder
from bench.storage.scores import Store


@dataclass(frozen=True, eq=False)
class Results:
    """The scores of a results folder and the tables made from them.

    `bench.evaluate` returns it; `Results("results")` opens a folder that a run has written. Tables are made when they are
    first looked at, and kept. A temporary folder is removed together with its results.
    """

    folder: Path
    outcome: Outcome | None = field(default=None, repr=False)  # of the run that returned it

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if self.outcome is not None:
            return
        if not (self.folder / "scores").is_dir():
            raise RequestError(
                f"{self.folder} holds no scores; `python -m bench run --all --out {self.folder}` computes some"
            )
        check_folder(self.folder)

    @cached_property
    def _tables(self) -> Tables | None:
        with bar(False) as hidden:
            return kept.tables(self.folder, hidden)

    @property
    def tables(self) -> Tables:
        """All tables of all tasks. Raises BenchError where nothing has been scored."""
        if self._tables is None:
            raise BenchError(f"{self.folder} holds no scores: no task could be scored{self._reasons()}")
        return self._tables

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row per task and method, best first: rank with its interval, mean ranks, and the mean of each metric."""
        return self.tables.wide

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per task and metric: what it is worth there, and its weight in the rank."""
        return self.tables.metrics

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per task, method, metric and sample: score, status, and the reason where there is no score."""
        rows = score_matrix.current(Store(self.folder).read())
        return rows.drop(columns="curve").reset_index(drop=True)

    @property
    def failures(self) -> pd.DataFrame:
        """One row per task, method, metric and reason for which scores are missing, with the number of samples."""
        return self.tables.failures

    @property
    def facts(self) -> dict[str, Any]:
        """What the folder's last run was asked, with which versions, and what it cost."""
        return run_facts.read(self.folder)

    def report(self, path: str | Path, *, progress: bool | None = None) -> Path:
        """Writes the report page, one HTML file that needs no network, and returns its path."""
        page = Path(path)
        if page.is_dir() or not page.parent.is_dir():
            raise RequestError(f"page {page} cannot be written; the path of a file in an existing folder is needed")
        with bar(progress, unit="file") as shown:
            write_page(self.folder, page, shown)
        return page

    def write(self, *, plots: bool = True, svg: bool = False, workers: int = 0, progress: bool | None = None) -> None:
        """Writes leaderboards, plots and the page to the folder. A plot of the same scores is not drawn again.

        Args:
            plots: without them the folder plots/ stays as it is.
            svg: write each plot as SVG too.
            workers: processes that draw. They are spawned, so a script needs the guard `if __name__ == "__main__":`.
            progress: False shows no progress bar.

        Raises BenchError where the folder holds no scores that a run asked for, unless these are the results of a run, and
        where a worker dies.
        """
        with bar(progress, unit="file") as shown:
            tables = write(self.folder, shown, pictures=plots, svg=svg, workers=workers)
        self.__dict__["_tables"] = tables  # need not be made again
        if tables is None and self.outcome is None:
            raise BenchError(
                f"{self.folder} holds no scores of a run, and those of a sweep are not shown; "
                f"`python -m bench run --all --out {self.folder}` computes some"
            )

    def __str__(self) -> str:
        """The leaderboards as text for a terminal."""
        return boards_text(self._tables, self.folder)

    def _reasons(self) -> str:
        outcome = self.outcome
        reasons = {} if outcome is None else outcome.skipped_tasks | outcome.failed_tasks
        return "".join(f"; {task}: {reason}" for task, reason in reasons.items())
