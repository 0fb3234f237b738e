"""The command line. Only argument handling and printing; torch is imported once a command is known to be right."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench import __version__
from bench.cli.output import as_json, cost_classes, print_outcome, progress_bar
from bench.cli.parser import KINDS
from bench.core.entries import Task
from bench.engine.plan import Outcome

SWEPT_COSTS = {"quick": {"fast"}, "standard": {"fast", "medium"}, "full": {"fast", "medium", "slow"}}


def run_command(arguments: argparse.Namespace) -> int:
    if not (arguments.all or arguments.task or arguments.method or arguments.metric):
        from bench.core.errors import RequestError

        raise RequestError("say what to run: --all, or some of --task, --method, --metric (see run --help)")
    from dataclasses import replace

    from bench.engine import loading
    from bench.engine.plan import Plan
    from bench.engine.runner import run
    from bench.network import device
    from bench.registry import decorators as registry
    from bench.registry import selection
    from bench.storage.scores import Store
    from bench.validation import verdicts

    start = time.perf_counter()
    device.keep_freed_memory()
    loading.load_all(arguments.plugins)
    methods = selection.select(registry.METHODS, arguments.method or ["*"], "method")
    metrics = selection.select(registry.METRICS, arguments.metric or ["*"], "metric")
    slow = set() if arguments.profile == "full" else {"slow"}
    left_out = [m.name for m in methods if m.cost in slow and not arguments.method]
    postponed = [m.name for m in metrics if m.cost in slow and not arguments.metric]
    plan = Plan(
        tasks=selection.select(registry.TASKS, arguments.task or ["*"], "task"),
        methods=[method for method in methods if method.name not in left_out],
        left_out={"methods": left_out, "metrics": postponed},
        metrics=[metric for metric in metrics if metric.name not in postponed],
        samples=lambda task: arguments.samples or _profile(task, arguments.profile),
        seed=arguments.seed,
        data=_data(arguments),
        device=device.choose(arguments.device),
        batch_size=arguments.batch_size,
        fresh=arguments.fresh,
    )
    with progress_bar(unit="metric") as bar:
        table = verdicts.up_to_date(plan.metrics, arguments.out, bar, plugins=arguments.plugins)
        bar.set_description_str("metrics checked")
    if slow and not arguments.metric:
        failing = set(table.loc[table["verdict"] == "fail", "metric"])
        plan = replace(
            plan,
            metrics=[metric for metric in plan.metrics if metric.name not in failing],
            left_out={"methods": left_out, "metrics": [*postponed, *sorted(failing)]},
        )
    store = Store(arguments.out)
    with progress_bar() as bar:
        outcome = run(plan, store, bar)
        bar.set_description_str("done")
    _write_run_facts(arguments, plan, outcome, time.perf_counter() - start)
    tables = _write_report(arguments.out)
    print_outcome(outcome, time.perf_counter() - start, arguments.out, tables)
    return 1 if outcome.failed else 0


def _profile(task: Task, name: str) -> int | None:
    from bench.core.errors import RequestError

    profiles = dict(task.profiles)
    if name not in profiles:
        raise RequestError(f"task {task.name} has no profile {name} (it has: {', '.join(profiles)}); say --samples N")
    return profiles[name]


def list_command(arguments: argparse.Namespace) -> int:
    from bench.engine import loading
    from bench.registry import decorators as registry

    loading.load_all(arguments.plugins)
    chosen: dict[str, Any] = {"tasks": registry.TASKS, "methods": registry.METHODS, "metrics": registry.METRICS}
    kinds = [arguments.kind] if arguments.kind else list(KINDS)
    if arguments.json:
        print(json.dumps({kind: [as_json(entry) for entry in chosen[kind].values()] for kind in kinds}, indent=2))
        return 0
    for kind in kinds:
        width = max(map(len, chosen[kind]), default=0)
        print(f"{kind}:" + (f" (cost: {cost_classes()})" if kind == "methods" else ""))
        for entry in chosen[kind].values():
            cost = f"{entry.cost or '-':<8}" if kind == "methods" else ""
            print(
                f"  {entry.name:<{width}}  {entry.family:<12}  {cost}{entry.summary}"
                + (f" [{entry.cite}]" if entry.cite else "")
            )
    return 0


def report_command(arguments: argparse.Namespace) -> int:
    from bench import page
    from bench.engine import loading

    _must_hold_scores(arguments.out)
    loading.load_all(arguments.plugins)  # the page tells what methods are
    if arguments.page:
        return _report_page(arguments.out, arguments.page)
    _write_report(arguments.out, pictures=not arguments.no_plots)
    made = "leaderboards are" if arguments.no_plots else "leaderboards and plots are"
    print(f"{made} in {arguments.out}; open {arguments.out / page.NAME} in a browser")
    return 0


def _report_page(out: Path, path: Path) -> int:
    from bench.core.errors import RequestError
    from bench.report.write import write_page

    if path.is_dir() or not path.parent.is_dir():
        raise RequestError(f"--page {path}: a file in a folder that there is, is needed")
    with progress_bar(unit="file") as bar:
        write_page(out, path, bar)
    print(f"open {path} in a browser")
    return 0


def _must_hold_scores(folder: Path) -> None:
    from bench.core.errors import RequestError

    if not (folder / "scores").is_dir():
        raise RequestError(f"{folder} holds no scores; make some with `python -m bench run --all --out {folder}`")


def serve_command(arguments: argparse.Namespace) -> int:
    from signal import SIGTERM, default_int_handler, signal

    from bench.report import serve as serving

    signal(SIGTERM, default_int_handler)  # ends as Ctrl-C does, its temporary page gone
    server, stop = serving.start(arguments.out, arguments.port, arguments.plugins)
    print(f"{arguments.out} is at http://{serving.HOST}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        stop.set()
        server.server_close()
    return 0


def compare_command(arguments: argparse.Namespace) -> int:
    from bench.analysis import comparison, score_matrix
    from bench.core.errors import RequestError
    from bench.core.files import write_csv
    from bench.report import markup
    from bench.storage.scores import Store

    if arguments.csv and arguments.csv.is_dir():
        raise RequestError(f"--csv {arguments.csv}: that is a folder, a file is needed")
    stores = [Store(folder) for folder in (arguments.before, arguments.after)]
    for store in stores:
        _must_hold_scores(store.folder)
    had, has = (store.tasks() for store in stores)
    tasks = [task for task in had if any(task == one or fnmatchcase(task, one) for one in arguments.task)]
    if not set(tasks) & set(has):
        both = ", ".join(sorted(set(had) & set(has)))
        raise RequestError(f"no such task is in both folders (there is: {both or 'none'})")
    with progress_bar(unit="task", total=len(tasks)) as bar:
        found = []
        for task in tasks:
            bar.set_description_str(task)
            before = score_matrix.current(stores[0].read(task))
            after = score_matrix.current(stores[1].read(task)) if task in has else before.iloc[:0]
            changed = comparison.others(before, after)
            if changed:
                print(f"bench: {task}: not compared, another version: {', '.join(changed)}", file=sys.stderr)
            if len(after) and set(before["fingerprint"]) != set(after["fingerprint"]):
                print(f"bench: {task}: the weights or settings are not the same", file=sys.stderr)
            found.append(comparison.of_task(before, after, methods=arguments.method, metrics=arguments.metric))
            bar.update()
    table = comparison.judged(found)
    if table.empty:
        raise RequestError(
            "nothing to compare: no method and metric of that name has scores of the same inputs in both"
        )
    names = {"before": str(arguments.before), "after": str(arguments.after)}
    print(markup.comparison_markdown(table, **names, everything=arguments.all), end="")
    if arguments.csv:
        write_csv(table, arguments.csv)
    return 1 if comparison.regressed(table) else 0


def explain_command(arguments: argparse.Namespace) -> int:
    from bench import plots
    from bench.core.errors import RequestError
    from bench.engine import loading
    from bench.engine import one_sample as single
    from bench.network import device
    from bench.registry import decorators as registry
    from bench.registry import selection

    loading.load_all(arguments.plugins)
    task, *more = selection.select(registry.TASKS, [arguments.task], "task")
    if more:
        raise RequestError(f"{arguments.task} is {1 + len(more)} tasks, one is needed")
    methods = [
        method
        for name in selection.split(arguments.method)
        for method in selection.select(registry.METHODS, [name], "method")
    ]
    plots.check_path(arguments.output)
    device.keep_freed_memory()
    problem = single.problem(
        task,
        sample=arguments.sample,
        file=arguments.input,
        target=arguments.target,
        data=_data(arguments),
        device=device.choose(arguments.device),
    )
    found = []
    with progress_bar(unit="method", total=len(methods)) as bar:
        for method in methods:
            bar.set_description_str(method.name)
            found.append(single.explained(method, problem, task=task, seed=arguments.seed))
            bar.update()
    caption = single.caption(problem, task)
    plots.write(plots.side_by_side(problem.inputs[0].cpu().numpy(), found, caption), arguments.output)
    for one in found:
        print(f"{one.method}: {one.note or f'{one.seconds:.3g} s'}")
    print(f"{caption}\n{arguments.output}")
    return 0 if any(one.attribution is not None for one in found) else 1


def sweep_command(arguments: argparse.Namespace) -> int:
    from bench import plots
    from bench.analysis import sensitivity as survival
    from bench.engine import sweep
    from bench.engine.plan import Plan
    from bench.network import device
    from bench.registry import decorators as registry
    from bench.registry import selection
    from bench.report import terminal, write

    start = time.perf_counter()
    task = _one_task(arguments)
    methods = selection.select(registry.METHODS, arguments.method or ["*"], "method")
    usual = {"", *SWEPT_COSTS[arguments.profile]}
    chosen = [method for method in methods if arguments.method or method.cost in usual]
    plan = Plan(
        tasks=[task],
        methods=chosen,
        metrics=[],
        samples=lambda task: arguments.samples or _profile(task, arguments.profile),
        seed=arguments.seed,
        data=_data(arguments),
        device=device.choose(arguments.device),
        batch_size=arguments.batch_size,
        fresh=arguments.fresh,
    )
    device.keep_freed_memory()
    folder = arguments.out / "sweep" / task.name
    with progress_bar() as bar:
        found, outcome = sweep.run(plan, folder, bar, baselines=arguments.baseline, features=arguments.features)
        bar.set_description_str("done")
    tables, told = survival.tables(found), survival.statement(found)
    write.write_sweep(tables, told, folder)
    if tables["settings"]["rank"].notna().any():
        plots.save(plots.sweep(tables["settings"], tables["tau"], tables["factors"], task.name), folder / "sweep")
    print(terminal.sweep_text(tables))
    print("\n".join(told))
    for (_, name, why), count in outcome.failures.most_common(10):
        print(f"FAILED {name}: {why} ({count} rows)")
    left_out = [method.name for method in methods if method not in chosen]
    if left_out:
        print(f"left out by profile {arguments.profile}, name them or take another: {', '.join(left_out)}")
    print(
        f"{time.perf_counter() - start:.0f} s; {len(found.settings)} settings, {found.scores.shape[1]} samples, "
        f"{len(chosen)} methods; scores written: {outcome.rows.total()}, already there: {outcome.kept}; "
        f"model queries of the settings: {outcome.tally.asked}"
    )
    print(f"results are in {folder}: {', '.join(f'{name}.csv' for name in tables)}, statement.txt, sweep.png")
    return 1 if outcome.rows["failed"] else 0


def check_command(arguments: argparse.Namespace) -> int:
    from bench import plots
    from bench.engine import loading
    from bench.registry import decorators as registry
    from bench.registry import selection
    from bench.report import terminal
    from bench.validation import verdicts

    loading.load_all(arguments.plugins)
    metrics = selection.select(registry.METRICS, arguments.metric or ["*"], "metric")
    before = verdicts.read_verdicts(verdicts.SHIPPED_VERDICTS)
    start = time.perf_counter()
    with progress_bar(unit="metric") as bar:
        table = verdicts.up_to_date(metrics, arguments.out, bar, plugins=arguments.plugins, fresh=not arguments.known)
        bar.set_description_str("checked")
    if table.empty:
        print("none of these is judged: costs are measurements")
        return 0
    plots.save(plots.conformance(table), arguments.out / "plots" / "conformance")
    print(terminal.conformance_text(table))
    failed = table.loc[table["verdict"] == "fail", "metric_id"]
    told = set(before.loc[before["verdict"] == "fail", "metric_id"])
    print(
        f"{(table['verdict'] == 'pass').sum()} of {len(table)} pass; {time.perf_counter() - start:.0f} s; "
        f"written to {arguments.out / verdicts.VERDICTS_FILE} and {arguments.out / 'plots' / 'conformance'}.png"
    )
    return 1 if set(failed) - told else 0


def train_command(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    import pandas as pd

    from bench import plots
    from bench.network import device
    from bench.task_tools import training, weights

    task = _one_task(arguments)
    device.keep_freed_memory()
    recipe = _recipe(task, arguments)
    recipe = replace(recipe, epochs=arguments.epochs or recipe.epochs)
    history: list[dict[str, float]] = []
    with progress_bar(unit="epoch", total=recipe.epochs) as bar:
        for figures, trained in training.fit(recipe, seed=arguments.seed, device=str(device.choose(arguments.device))):
            history.append(figures)
            network = trained
            bar.set_description_str(f"loss {figures['loss']:.3f}, test accuracy {figures['test_accuracy']:.3f}")
            bar.update()
    path = (arguments.to or arguments.out / "weights") / f"{task.weights}.safetensors"
    weights.save(network, path, training.facts(recipe, history[-1], seed=arguments.seed))
    curves = arguments.out / "training" / task.name
    curves.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(history).to_csv(curves.with_suffix(".csv"), index=False)
    plots.save(plots.training_curves(pd.DataFrame(history), task.name), curves)
    print(f"{path}: test accuracy {history[-1]['test_accuracy']:.4f}; curves: {curves}.png")
    return 0


def evaluate_command(arguments: argparse.Namespace) -> int:
    from bench import plots
    from bench.network import device
    from bench.task_tools import training, weights

    task = _one_task(arguments)
    device.keep_freed_memory()
    recipe = _recipe(task, arguments)
    network = training.fold_batch_norm(recipe.network())
    weights.load(network, arguments.weights or weights.path_of(str(task.weights)))
    probability = training.probabilities(network, recipe, device=str(device.choose(arguments.device)))
    labels = recipe.test[1].numpy()
    table = training.class_table(probability, labels, recipe.class_names)
    folder = arguments.out / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{task.name}.csv", index=False, float_format="%.6f")
    plots.save(plots.confusion(probability, labels, recipe.class_names, task.name), folder / f"{task.name}_confusion")
    plots.save(plots.roc(probability, labels, recipe.class_names, task.name), folder / f"{task.name}_roc")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print(f"written to {folder}/{task.name}*")
    return 0


def fetch_command(arguments: argparse.Namespace) -> int:
    from bench.registry.decorators import call

    task = _one_task(arguments)
    print(f"{task.name}: {len(call(task.samples, {'data': _data(arguments)}))} samples are there")
    return 0


def _one_task(arguments: argparse.Namespace) -> Task:
    from bench.core.errors import RequestError
    from bench.engine import loading
    from bench.registry import decorators as registry
    from bench.registry import selection

    loading.load_all(arguments.plugins)
    if arguments.task not in registry.TASKS:
        raise RequestError(selection.unknown_name(arguments.task, registry.TASKS, "task"))
    task = registry.TASKS[arguments.task]
    return task


def _recipe(task: Task, arguments: argparse.Namespace) -> Any:
    from bench.core.errors import RequestError
    from bench.registry.decorators import call

    if task.recipe is None:
        raise RequestError(f"task {task.name} has no training recipe")
    return call(task.recipe, {"data": _data(arguments)})


def _data(arguments: argparse.Namespace) -> Any:
    from bench.core.errors import RequestError
    from bench.task_tools.data import Data

    if arguments.data is not None and not Path(arguments.data).is_dir():
        raise RequestError(f"--data {arguments.data}: no such folder")
    return Data(None if arguments.data is None else Path(arguments.data), arguments.offline)


def _write_run_facts(arguments: argparse.Namespace, plan: Any, outcome: Outcome, seconds: float) -> None:
    from importlib.metadata import version

    from bench.core.files import atomic
    from bench.network.device import describe

    facts = {
        "command": shlex.join(["python", "-m", "bench", *arguments.words]),
        "bench": __version__,
        "versions": {
            name: version(name) for name in ("torch", "captum", "quantus", "zennit", "numpy", "scipy", "pandas")
        },
        "environment": describe(plan.device),
        "seed": plan.seed,
        "profile": arguments.profile,
        "tasks": outcome.tasks,
        "methods": [entry.id for entry in plan.methods],
        "left_out": dict(plan.left_out),
        "metrics": [entry.id for entry in plan.metrics],
        "skipped_tasks": outcome.skipped_tasks,
        "failed_tasks": outcome.failed_tasks,
        "rows_written": dict(outcome.rows),
        "rows_kept": outcome.kept,
        "model_queries": outcome.queries,
        "work": {
            task: {
                "seconds": round(work.seconds, 3),
                "forward_queries": work.forwards,
                "backward_queries": work.backwards,
                "floor_seconds": round(work.floor, 3),
                "batch_size": plan.batch_size or work.pace.batch_size,
                "seconds_per_forward": work.pace.forward,
                "seconds_per_backward": work.pace.backward,
            }
            for task, work in outcome.work.items()
        },
        "queries_by_metrics": outcome.tally.asked,
        "queries_shared": outcome.tally.shared,
        "seconds": round(seconds, 1),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    with atomic(arguments.out / "run.json") as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _write_report(out: Path, *, pictures: bool = True) -> Any:
    from bench.report.write import write

    with progress_bar(unit="file") as bar:
        return write(out, bar, pictures=pictures)
