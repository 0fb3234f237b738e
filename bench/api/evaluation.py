"""Scores methods on a problem or on tasks."""

from __future__ import annotations

import shutil
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import __version__
from bench.api import beside as sides
from bench.api.beside import Side
from bench.api.progress import announce, bar
from bench.api.request import (
    OWN_MODEL,
    Names,
    Paths,
    at_least_one,
    budget_of,
    checked_choice,
    data_of,
    in_profile,
    load_plugins,
    methods_of,
    metrics_of,
    named_by_precision,
    samples_of,
    tasks_of,
)
from bench.api.results import Results
from bench.core.errors import BenchWarning, RequestError
from bench.core.problem import Problem
from bench.core.vocabulary import FLOAT32, PRECISIONS, PROFILES
from bench.engine import given
from bench.engine.estimate import WORTH_SAYING, Estimate
from bench.engine.map_checks import Source
from bench.engine.plan import Outcome, Plan
from bench.engine.runner import run
from bench.engine.schedule import duration
from bench.network import device as devices
from bench.storage import run_facts
from bench.storage.check import check_folder
from bench.storage.scores import Store
from bench.validation import verdicts


def evaluate(
    problem: Problem | None = None,
    *,
    task: Names = None,
    methods: Names = None,
    metrics: Names = None,
    maps: Mapping[str, Source] | None = None,
    beside: str | Path | None = None,
    profile: str = "standard",
    samples: int | None = None,
    budget: str | float | None = None,
    seed: int = 0,
    precision: str = FLOAT32,
    out: str | Path | None = None,
    name: str = OWN_MODEL,
    device: str = "auto",
    batch_size: int | None = None,
    fresh: bool = False,
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
    progress: bool | None = None,
    finished: Callable[[str], object] | None = None,
    command: str = "",
    config: str | Path | None = None,
) -> Results:
    """Scores attribution methods with metrics, on a problem of one's own or on registered tasks.

    Args:
        problem: see `bench.Problem.from_model`; without it `task` says what is explained.
        task: names of registered tasks; wildcards and settings are allowed ('planted*', 'hmt[size=224]'). Without a problem
            and a task: all tasks.
        methods: names, with wildcards and hyper-parameters ('lrp*', 'smoothgrad[samples=8]'); by default those that the profile
            takes. `random`, the control that every score is compared with, has to be named where others are.
        metrics: names, likewise; by default those that the profile takes and that pass their checks.
        maps: maps that were made elsewhere, by the names under which boards show them beside the methods. Each is an array
            (N, *S) of the samples asked for, in their order, a mapping sample id -> array (*S), or a file: .npz with one array
            for each sample id, or with the arrays `sample_ids` (N,) and `maps` (N, *S); .safetensors with one tensor for each
            sample id. Maps with channels, (N, C, *S), are summed over them, with a warning. Metrics that ask a method for other
            maps, or measure its cost, are skipped.
        beside: ranks the methods among those of a release file (`bench.api.pack`), of a results folder, or of "reference", the
            published run of this version. By default the methods that it lacks are scored, on its tasks and samples, with its
            metrics; where anything that can change a score differs it is refused. Costs are not compared.
        profile: "quick", "standard" or "full": how many samples of a registered task, and which tasks, methods and metrics take
            part where they are not named: quick takes those of low cost and the best-known methods, standard all but the slow
            ones, full all, and also metrics that fail their checks.
        samples: number of samples of each task instead.
        budget: time after which scoring stops, in seconds or as text ("90s", "10m", "1.5h"). Samples are scored in rounds, all
            tasks, methods and metrics in each, and the run stops after the last round that fits; the same call goes on from
            there. When it stops depends on the clock and on no score, so that intervals and tests hold.
        seed: of methods and metrics that draw random numbers.
        precision: "float32", or "bfloat16" for exploring: convolutions and dense layers of the model then compute in bfloat16.
            Boards name it, and scores of different precisions are kept apart.
        out: results folder. What it holds already is not computed again. By default a temporary one that lives as long as
            the results.
        name: what the problem is called in tables and files.
        device: "auto", "cpu" or "cuda".
        batch_size: inputs that the model takes at once; by default the fastest, found by timing. No score depends on it.
        fresh: compute everything again.
        data: folder that holds data sets, for tasks that need it.
        offline: never download.
        plugins: files or folders with methods, metrics and tasks of one's own.
        progress: False shows no progress bar.
        finished: called with the name of each task when it has all its scores, cheap tasks first.
        command: what the run is called in run.json.
        config: the file that the request was read from, for run.json.

    Returns:
        The results: `leaderboard`, `scores`, `failures` and `report(path)`.

    Raises:
        RequestError: an unknown name, a value or maps that cannot be used, or a budget that is over before the first round has
            ended.
    """
    checked_choice(profile, PROFILES, "profile")
    checked_choice(precision, PRECISIONS, "precision")
    clock = budget_of(budget)
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise RequestError(f"the results folder {out} is a file; the path of a folder is needed")
    devices.keep_freed_memory()
    files = load_plugins(plugins)
    found_data = data_of(data, offline=offline)
    side = None if beside is None else sides.opened(beside, data=found_data, out=out)
    if side is not None and problem is None and task is None:
        task = side.task_names(precision)
    asked_tasks = tasks_of(problem, task, name)
    taken_tasks, other_tasks = in_profile(asked_tasks, task if problem is None else (), profile)
    tasks = [named_by_precision(entry, precision) for entry in taken_tasks]
    chosen_methods, other_methods = in_profile(methods_of(methods), methods, profile)
    if side is not None:
        chosen_methods = side.lacking(chosen_methods, tasks) if methods is None else chosen_methods
        metrics = side.metric_names(tasks) if metrics is None else metrics
    chosen_metrics, other_metrics = in_profile(metrics_of(metrics), metrics, profile)
    # Amounts are checked now, so that a wrong one costs nothing.
    if side is None:
        amounts = {entry.id: samples_of(entry, samples, profile) for entry in tasks}
    else:
        amounts = side.amounts(tasks, samples)
    plan = Plan(
        tasks=tasks,
        methods=chosen_methods,
        metrics=chosen_metrics,
        samples=lambda entry: amounts[entry.id],
        seed=seed,
        precision=precision,
        data=found_data,
        device=devices.choose(device),
        batch_size=None if batch_size is None else at_least_one(batch_size, "batch_size"),
        fresh=fresh,
        budget=clock,
        left_out={"tasks": other_tasks, "methods": other_methods, "metrics": other_metrics},
    )
    if maps is not None:
        given_maps, notes = given.methods(maps, plan)
        plan = replace(plan, methods=[*plan.methods, *given_maps])
        for note in notes:
            warnings.warn(note, BenchWarning, stacklevel=2)
    if side is not None:
        side.check_methods(plan.methods, profile)
    judge = profile != "full" and metrics is None  # leave out metrics that fail their checks
    about = {"command": command, "config": config and str(config), "profile": profile, "precision": precision}
    wide = methods is None or metrics is None  # a smaller profile would take fewer
    told = partial(
        _tell, profile=profile if wide else "", in_shell=bool(command), show=progress is not False and clock is None
    )
    run_in = partial(
        _run, plan, side, plugins=files, about=about, judge=judge, progress=progress, finished=finished, told=told
    )
    if out is not None:
        return run_in(Path(out))
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        results = run_in(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(results, shutil.rmtree, folder, ignore_errors=True)
    return results


def _run(
    plan: Plan,
    side: Side | None,
    folder: Path,
    *,
    plugins: Sequence[Path],
    about: dict[str, Any],
    judge: bool,
    progress: bool | None,
    finished: Callable[[str], object] | None,
    told: Callable[[Estimate], object],
) -> Results:
    """Runs the plan and writes the facts of the run, if the folder holds nothing that cannot be read."""
    start = time.perf_counter()
    check_folder(folder)
    marks = {} if side is None else side.marks(plan, folder)
    with bar(progress, unit="metric") as shown:
        checks = verdicts.up_to_date(plan.metrics, folder, shown, plugins=plugins)
        shown.set_description_str("metrics checked")
    if judge:
        plan = _without_metrics(plan, set(checks.loc[checks["verdict"] == "fail", "metric"]))
    store, at_end = Store(folder, marks), side is not None and plan.budget is not None
    done = (lambda name: None) if at_end or finished is None else finished
    with bar(progress) as shown:
        outcome = run(plan, store, shown, lambda task: done(task.name), told)
        shown.set_description_str("done")
    if outcome.stopped:
        store.stopped({task: facts["samples"] for task, facts in outcome.tasks.items()})
    store.tidy()
    if at_end and finished is not None:  # the boards are of the samples that all methods have
        list(map(finished, outcome.tasks))
    facts = _facts(plan, outcome, time.perf_counter() - start)
    facts |= {} if side is None else {"beside": {"origin": side.origin, "file": side.file.name}}
    run_facts.write(folder, about | facts)
    return Results(folder, outcome)


def _tell(estimate: Estimate, *, profile: str, in_shell: bool, show: bool) -> None:
    """Says what a task will take, where that is long, and how to make it shorter. `profile`: "" if all names were given."""
    if not show or estimate.seconds < WORTH_SAYING:
        return
    smaller = PROFILES[PROFILES.index(profile) - 1] if profile in PROFILES[1:] else ""
    words = "--profile {}|--samples {} ({})|--budget {}" if in_shell else "profile='{}'|samples={} ({})|budget='{}'"
    of_profile, of_samples, of_budget = words.split("|")
    ways = [of_profile.format(smaller)] if smaller else []
    if estimate.few < estimate.samples:
        ways.append(of_samples.format(estimate.few, duration(estimate.of(estimate.few))))
    if estimate.budget:
        ways.append(of_budget.format(estimate.budget))
    ways.append("fewer names in --metric and --method" if in_shell else "fewer names in metrics= and methods=")
    announce(estimate.text(ways))


def _without_metrics(plan: Plan, names: set[str]) -> Plan:
    """The plan without these metrics, which fail their checks."""
    return replace(
        plan,
        metrics=[metric for metric in plan.metrics if metric.name not in names],
        left_out={**plan.left_out, "metrics": [*plan.left_out.get("metrics", ()), *sorted(names)]},
    )


def _facts(plan: Plan, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """What run.json holds of a run."""
    return {
        "bench": __version__,
        "versions": run_facts.library_versions(),
        "environment": devices.describe(plan.device),
        "seed": plan.seed,
        "budget_seconds": None if plan.budget is None else plan.budget.seconds,
        "tasks": outcome.tasks,
        "methods": _ids(plan.methods),
        "maps": {
            one.name: {"source": one.source, "samples": one.samples}
            for one in plan.methods
            if isinstance(one, given.GivenMaps)
        },
        "left_out": dict(plan.left_out),
        "metrics": _ids(plan.metrics),
        "skipped_tasks": outcome.skipped_tasks,
        "failed_tasks": outcome.failed_tasks,
        "rows_written": dict(outcome.rows),
        "rows_kept": outcome.kept,
        "model_queries": outcome.queries,
        "work": {
            task: {
                "seconds": round(work.seconds, 3),
                "expected_seconds": round(outcome.estimates[task].seconds, 1) if task in outcome.estimates else None,
                "forward_queries": work.forwards,
                "backward_queries": work.backwards,
                "floor_seconds": None if work.pace is None else round(work.floor, 3),
                "batch_size": work.batch_size,
                "seconds_per_forward": work.pace and work.pace.forward,
                "seconds_per_backward": work.pace and work.pace.backward,
            }
            for task, work in outcome.work.items()
        },
        "queries_by_metrics": outcome.tally.asked,
        "queries_shared": outcome.tally.shared,
        "seconds": round(seconds, 1),
    }


def _ids(entries: Sequence[Any]) -> list[str]:
    return [entry.id for entry in entries]
