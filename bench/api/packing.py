"""Packs the scores of a results folder into a release file, beside which other methods can be ranked."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from bench.analysis import score_matrix
from bench.api.request import Names, at_least_one, named
from bench.api.results import Results
from bench.core.errors import RequestError
from bench.core.files import atomic
from bench.core.nearest import unknown
from bench.core.vocabulary import COST
from bench.storage import release
from bench.storage.release import Part, Release
from bench.storage.scores import Store

MEGABYTES = 5.0


def pack(
    folder: str | Path | Results,
    to: str | Path,
    *,
    task: Names = None,
    samples: int | None = None,
    megabytes: float = MEGABYTES,
) -> Release:
    """Writes the scores of a results folder, without costs and curves, as one file for `bench.evaluate(beside=...)`.

    Scores keep all their digits. Where they do not fit, the first samples of the tasks that have most are kept; the file holds
    how many.

    Args:
        folder: a results folder, or what `evaluate` returned.
        to: path of the file.
        task: names of tasks, with wildcards; by default all of the folder.
        samples: at most so many of each task.
        megabytes: greatest size of the file.

    Raises:
        RequestError: the folder holds no scores, or those of several seeds; the file cannot be written or is too small.
    """
    path = Path(to)
    if path.is_dir() or not path.parent.is_dir():
        raise RequestError(f"release file {path} cannot be written; the path of a file in an existing folder is needed")
    if samples is not None:
        at_least_one(samples, "samples")
    parts, seed = parts_of(folder.folder if isinstance(folder, Results) else Path(folder), task)
    content = release.encoded(parts, seed, samples=samples, limit=megabytes * 1e6)
    with atomic(path) as part:
        part.write_bytes(content)
    return release.read(content, str(path))


def parts_of(folder: Path, task: Names = None) -> tuple[dict[str, Part], int]:
    """The scores that were computed in a results folder, by task, and their seed."""
    store = Store(Results(folder).folder)
    patterns = named(task)
    tasks = [name for name in store.tasks() if any(name == one or fnmatchcase(name, one) for one in patterns)]
    if not tasks:
        raise RequestError(unknown("task", ", ".join(patterns), store.tasks(), of=str(folder)))
    parts, seeds = {}, set()
    for name in tasks:
        rows = score_matrix.current(store.read(name, own=True))
        if not (rows["metric_family"] != COST).any():
            continue
        seeds |= set(rows["seed"])
        present = set(rows["sample_id"])
        order = [sample for sample in store.sample_order(name) if sample in present]
        parts[name] = Part(store.task_id(name), rows, order)
    if not parts:
        raise RequestError(
            f"{folder} holds no scores that rank methods; `python -m bench run --all --out {folder}` computes some"
        )
    if len(seeds) > 1:
        shown = ", ".join(map(str, sorted(seeds)))
        raise RequestError(
            f"{folder} holds scores of the seeds {shown}, and a release file has one; use a folder of one seed"
        )
    return parts, int(seeds.pop())
