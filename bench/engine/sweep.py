"""Does the ranking of methods depend on choices that nobody justifies? One set of maps, scored under every setting.

A setting is a metric with its share k, a baseline (what stands for an absent feature), an output (what is read of the
model) and what is removed as one. The default setting is the one a plain run has: its scores are that run's, number for
number. Methods explain once and their maps are kept; the model is asked once for all metrics, shares k and outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from bench.core.entries import Entry, Task
from bench.core.files import atomic
from bench.core.hashing import digest
from bench.core.problem import Problem
from bench.core.progress import Progress
from bench.engine.explain import Explained, explain_all
from bench.engine.plan import Outcome, Plan, chunked, load, sample_digests
from bench.engine.score import Scores, score
from bench.engine.settings import FEATURES, Setting, Sweep, described, settings
from bench.network.cost import Cost
from bench.network.timing import pace
from bench.perturbation.baselines import BASELINES
from bench.perturbation.probe import Probe
from bench.registry.decorators import call


def run(
    plan: Plan,
    folder: Path,
    progress: Progress,
    *,
    baselines: Sequence[str] = tuple(BASELINES),
    features: Sequence[str] = FEATURES,
) -> tuple[Sweep, Outcome]:
    """Scores the plan's methods on its one task under all settings; what the folder holds already is not computed again."""
    (task,) = plan.tasks
    ids = call(task.samples, {"data": plan.data})[: plan.samples(task)]
    one = load(task, ids[:1], plan)
    asked, outcome = settings(one, baselines=baselines, features=features), Outcome()
    groups = len({(setting.baseline, setting.features) for setting in asked})
    chunks = chunked(ids, one)
    progress.total = len(chunks) * len(plan.methods) * (1 + groups)
    progress.refresh()
    samples: dict[str, str] = {}
    for chunk in chunks:
        samples |= _run_chunk(plan, task, chunk, asked, folder, progress, outcome)
    outcome.tasks[task.name] = {"id": task.id, "fingerprint": one.fingerprint, "samples": len(ids)}
    tables = [_read(_path(plan, task, method, one, folder / "scores", "parquet")) for method in plan.methods]
    return _collected(task.name, asked, [method.name for method in plan.methods], tables, samples), outcome


def _run_chunk(
    plan: Plan,
    task: Task,
    ids: list[str],
    asked: tuple[Setting, ...],
    folder: Path,
    progress: Progress,
    outcome: Outcome,
) -> dict[str, str]:
    """Computes what is missing of some samples; returns what they are: id -> digest."""
    problem = load(task, ids, plan)
    digests = sample_digests(problem)
    samples = dict(zip(ids, digests, strict=True))
    paths = {method.id: _path(plan, task, method, problem, folder / "scores", "parquet") for method in plan.methods}
    lacking = {method.id: _lacking(plan, paths[method.id], asked, samples) for method in plan.methods}
    groups = list(dict.fromkeys((setting.baseline, setting.features) for setting in asked))
    outcome.kept += sum(len(ids) - len(rows) for cells in lacking.values() for rows in cells.values())
    if not any(rows for cells in lacking.values() for rows in cells.values()):
        progress.update(len(plan.methods) * (1 + len(groups)))
        return samples
    progress.set_description_str(f"{task.name} · timing the model")
    problem = _at_speed(problem, plan.batch_size)
    probe = Probe(problem, names=(plan.seed, task.id), tally=outcome.tally)
    for method in plan.methods:
        cells = lacking[method.id]
        wanted = sorted({row for rows in cells.values() for row in rows})
        if not wanted:
            progress.update(1 + len(groups))
            continue
        progress.set_description_str(f"{task.name} · {method.name} · explaining")
        explained = _explained(plan, task, method, probe.problem.take(wanted), [digests[row] for row in wanted], folder)
        progress.update()
        found: list[tuple[Setting, list[int], Scores]] = []
        for baseline, features in groups:
            progress.set_description_str(f"{task.name} · {method.name} · {baseline}, {features}")
            for setting in asked:
                rows = cells[setting.id]
                if rows and (setting.baseline, setting.features) == (baseline, features):
                    view = probe.view(output=setting.output, features=features, baseline=baseline).take(rows)
                    part = explained.take([wanted.index(row) for row in rows])
                    found.append(
                        (setting, rows, score(setting.metric, method, view, part, task=task.id, seed=plan.seed))
                    )
            progress.update()
        table = _table(plan, task, method, found, samples)
        _write(table, paths[method.id])
        outcome.rows.update(table["status"].tolist())
        for note, count in table.loc[table["status"] == "failed", "note"].value_counts().items():
            outcome.failures[task.name, method.name, str(note)] += int(count)
    return samples


def _at_speed(problem: Problem, batch_size: int | None) -> Problem:
    """The problem with the batch size asked for, or with the fastest."""
    return replace(problem, batch_size=batch_size or pace(problem).batch_size)


def _table(
    plan: Plan,
    task: Task,
    method: Entry,
    found: Sequence[tuple[Setting, list[int], Scores]],
    samples: Mapping[str, str],
) -> pd.DataFrame:
    """A row per setting and sample."""
    ids, digests = np.array(list(samples)), np.array(list(samples.values()))
    rows = np.concatenate([rows for _, rows, _ in found])
    sizes = [len(rows) for _, rows, _ in found]
    about = pd.DataFrame([{"setting": setting.id, **described(setting)} for setting, _, _ in found])
    table = about.loc[np.repeat(np.arange(len(found)), sizes)].reset_index(drop=True)
    return table.assign(
        task=task.name,
        method=method.name,
        method_id=method.id,
        seed=plan.seed,
        sample_id=ids[rows],
        sample_digest=digests[rows],
        score=np.concatenate([scores.values for _, _, scores in found]),
        status=[status for _, _, scores in found for status in scores.status],
        note=[note for _, _, scores in found for note in scores.note],
    )


def _path(plan: Plan, task: Task, method: Entry, problem: Problem, folder: Path, suffix: str) -> Path:
    """The file of a method: one for all that can change its maps but the samples."""
    key = digest(task.id, method.id, plan.seed, problem.fingerprint)[:16]
    return folder / f"{method.name}-{key}.{suffix}"


def _lacking(plan: Plan, path: Path, asked: Sequence[Setting], samples: Mapping[str, str]) -> dict[str, list[int]]:
    """Setting -> rows of the samples without a score; a sample whose input has changed is a new one."""
    if plan.fresh or not path.is_file():
        return {setting.id: list(range(len(samples))) for setting in asked}
    rows = _read(path)
    rows = rows[(rows["status"] != "failed") & (rows["sample_id"].map(samples) == rows["sample_digest"])]
    done = {str(name): set(part) for name, part in rows.groupby("setting", observed=True)["sample_id"]}
    return {
        setting.id: [row for row, name in enumerate(samples) if name not in done.get(setting.id, ())]
        for setting in asked
    }


def _read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def _write(table: pd.DataFrame, path: Path) -> None:
    """Adds rows to a method's file; those of the same settings and samples are replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        table = pd.concat([_read(path), table], ignore_index=True)
        table = table.drop_duplicates(["setting", "sample_id"], keep="last")
    with atomic(path) as part:
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), part, compression="zstd")


def _explained(
    plan: Plan, task: Task, method: Entry, problem: Problem, digests: Sequence[str], folder: Path
) -> Explained:
    """The method's maps: those that were kept, and new ones, which are kept then. What failed is tried again."""
    path = _path(plan, task, method, problem, folder / "maps", "npz")
    kept = _maps(path) if path.is_file() else {}
    keys = list(zip(problem.sample_ids, digests, strict=True))
    fresh = [row for row, key in enumerate(keys) if plan.fresh or key not in kept]
    if fresh:
        made = explain_all(method, problem.take(fresh), task=task.id, seed=plan.seed)
        new = zip(made.attribution.cpu().numpy(), made.status, made.note, strict=True)
        kept |= dict(zip([keys[row] for row in fresh], new, strict=True))
        _keep_maps({key: one for key, one in kept.items() if one[1] != "failed"}, path)
    maps, status, note = zip(*(kept[key] for key in keys), strict=True)
    unknown = torch.full((len(problem),), torch.nan, dtype=torch.float64)
    attribution = torch.from_numpy(np.stack(maps)).to(problem.inputs.device)
    return Explained(attribution, Cost(unknown, unknown, unknown, unknown), status, note)


Kept = dict[tuple[str, str], tuple[np.ndarray, str, str]]  # (sample id, digest) -> map (*S), status, note


def _maps(path: Path) -> Kept:
    with np.load(path, allow_pickle=False) as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    keys = zip(stored["sample_ids"].tolist(), stored["digests"].tolist(), strict=True)
    values = zip(stored["maps"], stored["status"].tolist(), stored["note"].tolist(), strict=True)
    return dict(zip(keys, values, strict=True))


def _keep_maps(kept: Kept, path: Path) -> None:
    if not kept:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    ids, digests = zip(*kept, strict=True)
    maps, status, note = zip(*kept.values(), strict=True)
    columns = {"sample_ids": ids, "digests": digests, "maps": np.stack(maps), "status": status, "note": note}
    with atomic(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **{name: np.asarray(values) for name, values in columns.items()})  # type: ignore[arg-type]


def _collected(
    task: str,
    asked: tuple[Setting, ...],
    methods: Sequence[str],
    tables: Sequence[pd.DataFrame],
    samples: Mapping[str, str],
) -> Sweep:
    """The asked rows of all methods' tables as one array."""
    places = {setting.id: place for place, setting in enumerate(asked)}
    rows_of = {name: row for row, name in enumerate(samples)}
    scores = np.full((len(asked), len(samples), len(methods)), np.nan)
    notes = {}
    for column, (method, table) in enumerate(zip(methods, tables, strict=True)):
        own = table[table["setting"].isin(list(places)) & (table["sample_id"].map(samples) == table["sample_digest"])]
        place, row = own["setting"].map(places).to_numpy(int), own["sample_id"].map(rows_of).to_numpy(int)
        scores[place, row, column] = own["score"].to_numpy(float)
        if (own["status"] != "ok").any():
            without = own[own["status"] != "ok"]
            note, count = without["note"].iloc[0], without["sample_id"].nunique()
            notes[method] = f"{note} ({count} of {len(samples)} samples)"
    return Sweep(task, asked, tuple(methods), scores, notes)
