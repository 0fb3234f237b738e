"""The command line. Only argument handling and printing; torch is imported once a command is known to be right."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import __version__

if TYPE_CHECKING:
    from bench.core import Task
    from bench.runner import Outcome

PROFILES = ("quick", "standard", "full")
SWEPT_COSTS = {"quick": {"fast"}, "standard": {"fast", "medium"}, "full": {"fast", "medium", "slow"}}
BASELINES = ("zero", "mean", "blur", "noise", "background")
FEATURES = ("pixel", "patch64", "segment20")
KINDS = ("tasks", "methods", "metrics")
SHOWN = "integrated_gradients,grad_cam,lrp_composite,smoothgrad,sise,random"  # by explain, if no method is named
EPILOG = """\
examples:
  python -m bench run --all                              every task, method and metric
  python -m bench run --task mnist1d --method 'lrp*' sise --profile quick
  python -m bench run --all --plugins my_method.py       with a method of your own
  python -m bench explain tissue --method grad_cam,sise  the maps of one input, side by side
  python -m bench list methods
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code: 0 done, 1 something failed, 2 the request is wrong."""
    arguments = parser().parse_args(argv)
    arguments.words = list(sys.argv[1:] if argv is None else argv)
    from bench.core import BenchError, RequestError

    try:
        out = getattr(arguments, "out", None)
        if out is not None and out.exists() and not out.is_dir():
            raise RequestError(f"--out {out}: that is a file, a folder is needed")
        return int(arguments.command(arguments))
    except RequestError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: stopped; what is finished is stored, run again to go on", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m bench",
        description="Which attribution method tells the truth about a model, and how sure can one be?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"bench {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_list(commands)
    _add_report(commands)
    _add_serve(commands)
    _add_compare(commands)
    _add_explain(commands)
    _add_check(commands)
    _add_sweep(commands)
    _add_task_commands(commands)
    return top


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="score methods on tasks and write leaderboards and plots",
        description="Scores methods on tasks with metrics. What the store in --out has already is not computed again.",
    )
    choice = run.add_argument_group("what to run (names take wildcards: 'lrp*')")
    choice.add_argument(
        "--all", action="store_true", help="all tasks, methods and metrics not narrowed by the options below"
    )
    choice.add_argument("--task", nargs="+", metavar="NAME", help="these tasks")
    choice.add_argument("--method", nargs="+", metavar="NAME", help="these methods")
    choice.add_argument("--metric", nargs="+", metavar="NAME", help="these metrics")
    amount = run.add_argument_group("on how much")
    amount.add_argument(
        "--profile",
        choices=PROFILES,
        default="standard",
        help="samples per task, as each task states; slow methods and metrics, and metrics that fail their checks, join in "
        "full, or when named (default: %(default)s)",
    )
    amount.add_argument("--samples", type=_positive, metavar="N", help="N samples of each task instead")
    amount.add_argument(
        "--seed", type=_seed, default=0, metavar="S", help="of methods and metrics that draw (default: 0)"
    )
    how = run.add_argument_group("how (never changes a score)")
    how.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto, the GPU if there is one"
    )
    how.add_argument(
        "--batch-size", type=_batch_size, metavar="auto|N", help="inputs the model takes at once (default: auto, timed)"
    )
    how.add_argument("--fresh", action="store_true", help="compute everything anew")
    _add_common(run)
    run.set_defaults(command=_run)


def _add_list(commands: Any) -> None:
    listing = commands.add_parser("list", help="show the tasks, methods and metrics there are")
    listing.add_argument("kind", nargs="?", choices=KINDS, help="only these")
    listing.add_argument("--json", action="store_true", help="as JSON, with every field")
    _add_plugins(listing)
    listing.set_defaults(command=_list)


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="rebuild leaderboards, plots and the page from the scores in --out")
    only = report.add_mutually_exclusive_group()
    only.add_argument("--no-plots", action="store_true", help="only the tables and the page")
    only.add_argument("--page", type=Path, metavar="FILE", help="only the page, to FILE; nothing in --out changes")
    _add_out(report)
    _add_plugins(report)
    report.set_defaults(command=_report)


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="show the page in a browser and keep it up to date while a run goes on",
        description="Serves the results folder to browsers on this machine, and to nobody else. While a run writes scores the "
        "page is made anew, at the lowest priority and at most a tenth of the time, and open pages load it by themselves.",
    )
    serve.add_argument("--port", type=_port, default=8000, metavar="N", help="default: 8000; 0 takes any that is free")
    _add_out(serve)
    _add_plugins(serve)
    serve.set_defaults(command=_serve)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="tell what changed between two results folders; exit code 1 where a method became worse",
        description="Per task, method and metric: the difference (AFTER less BEFORE) on the samples that both scored, its 95 % "
        "interval, and whether it is significant, as Markdown. Exit code 1 where a method became significantly worse by "
        "any metric but costs, or lost scores that it had.",
        epilog="for example, in the CI of a method:\n"
        "  git checkout main && python -m bench run --task mnist1d --method my_method --plugins my_method.py --out before\n"
        "  git checkout -    && python -m bench run --task mnist1d --method my_method --plugins my_method.py --out after\n"
        "  python -m bench compare before after",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("before", type=Path, metavar="BEFORE", help="a results folder")
    compare.add_argument("after", type=Path, metavar="AFTER", help="another")
    choice = compare.add_argument_group("what to compare (names take wildcards; default: all that both hold)")
    for kind in ("task", "method", "metric"):
        choice.add_argument(f"--{kind}", nargs="+", default=["*"], metavar="NAME", help=f"these {kind}s")
    compare.add_argument("--all", action="store_true", help="also list what stayed the same, and costs")
    compare.add_argument("--csv", type=Path, metavar="FILE", help="write every comparison there")
    compare.set_defaults(command=_compare)


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain",
        help="draw the maps of some methods for one input side by side",
        description="Explains one sample of a task, or an input of your own, with each method and draws the maps side by side.",
        epilog="examples:\n"
        "  python -m bench explain tissue --sample 3 --method grad_cam,lrp_composite,random -o maps.png\n"
        "  python -m bench explain hmt --input tile.png --target tumor",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain.add_argument("task", metavar="TASK", help="whose model is asked; also 'hmt[size=224]'")
    what = explain.add_mutually_exclusive_group()
    what.add_argument("--sample", default="0", metavar="I", help="its number in the task, or its id (default: 0)")
    what.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="your own: an image, which is scaled to the task's size, or values as .npy or .csv (a channel per line)",
    )
    explain.add_argument(
        "--method", nargs="+", default=[SHOWN], metavar="NAME", help=f"with commas or spaces (default: {SHOWN})"
    )
    explain.add_argument("--target", metavar="CLASS", help="name or number (default: what the task or the model says)")
    explain.add_argument("--seed", type=_seed, default=0, metavar="S", help="of methods that draw (default: 0)")
    explain.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("maps.png"),
        metavar="FILE",
        help="picture: .png, .svg, .pdf (default: %(default)s)",
    )
    explain.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    where = explain.add_argument_group("where")
    _add_data(where)
    _add_plugins(where)
    explain.set_defaults(command=_explain)


def _add_sweep(commands: Any) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="tell which rank differences survive other baselines, outputs, granularities and shares k",
        description="Scores one set of maps under every setting: what stands for an absent feature (zero, the sample's "
        "mean, its blur, noise, another input, the task's own baseline), what is read (softmax or logit), what is removed "
        "as one, and the share k. Maps and scores are kept in OUT/sweep/TASK; what is there is not computed again. Each "
        "baseline costs about 40 model queries a sample, method and granularity; outputs and k cost none.",
    )
    sweep.add_argument("task", metavar="TASK")
    sweep.add_argument(
        "--method",
        nargs="+",
        metavar="NAME",
        help="these methods, with wildcards (default: the fast ones, as in --profile)",
    )
    sweep.add_argument(
        "--profile",
        choices=PROFILES,
        default="quick",
        help="samples, as the task states; quick takes the fast methods, standard those of medium cost too, full all "
        "(default: %(default)s)",
    )
    sweep.add_argument("--samples", type=_positive, metavar="N", help="N samples instead")
    sweep.add_argument(
        "--baseline",
        nargs="+",
        choices=BASELINES,
        default=BASELINES,
        metavar="NAME",
        help=f"of {', '.join(BASELINES)}; the task's own is always there (default: all)",
    )
    sweep.add_argument(
        "--features",
        nargs="+",
        choices=FEATURES,
        default=FEATURES,
        metavar="NAME",
        help=f"granularities, of {', '.join(FEATURES)}; pixel is always there (default: all)",
    )
    sweep.add_argument("--seed", type=_seed, default=0, metavar="S", help="of methods and noise (default: 0)")
    how = sweep.add_argument_group("how (never changes a score)")
    how.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    how.add_argument("--batch-size", type=_batch_size, metavar="auto|N", help="default: auto, timed")
    how.add_argument("--fresh", action="store_true", help="compute everything anew")
    _add_common(sweep)
    sweep.set_defaults(command=_sweep)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="judge metrics on problems whose exact attribution is known",
        description="Runs metrics on closed-form problems (linear, additive, AND/OR, gate, live patch; 1-D, grey, RGB): do "
        "they put the exact attribution before noisy ones, these before random numbers, its negative last, whatever the batch? "
        "Exit code 1 where a metric fails of which that was not known.",
    )
    check.add_argument("kind", choices=("metrics",), help="what to check")
    check.add_argument("--metric", nargs="+", metavar="NAME", help="these metrics (wildcards; default: all)")
    check.add_argument("--known", action="store_true", help="take over what is known already, check the others")
    _add_out(check)
    _add_plugins(check)
    check.set_defaults(command=_check)


def _add_task_commands(commands: Any) -> None:
    train = commands.add_parser("train", help="train a task's model as the shipped one was")
    train.add_argument("task", metavar="TASK")
    train.add_argument("--to", type=Path, metavar="FOLDER", help="where the weights go (default: OUT/weights)")
    train.add_argument("--epochs", type=_positive, metavar="N", help="instead of the recipe's own number")
    train.add_argument("--seed", type=_seed, default=0, metavar="S", help="default: 0")
    evaluate = commands.add_parser("evaluate", help="measure a task's model on its test data")
    evaluate.add_argument("task", metavar="TASK")
    evaluate.add_argument("--weights", type=Path, metavar="FILE", help="a .safetensors file (default: the shipped one)")
    fetch = commands.add_parser("fetch", help="download a task's data into the user cache")
    fetch.add_argument("task", metavar="TASK")
    for command, function in ((train, _train), (evaluate, _evaluate), (fetch, _fetch)):
        command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
        _add_common(command)
        command.set_defaults(command=function)


def _add_common(command: argparse.ArgumentParser) -> None:
    where = command.add_argument_group("where")
    _add_out(where)
    _add_data(where)
    _add_plugins(where)


def _add_data(group: Any) -> None:
    group.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("BENCH_DATA"),
        metavar="DIR",
        help="folder that holds data sets (default: BENCH_DATA, then the user cache, then a download)",
    )
    group.add_argument("--offline", action="store_true", help="never download")


def _add_out(group: Any) -> None:
    group.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="where results go (default: results)"
    )


def _add_plugins(group: Any) -> None:
    group.add_argument(
        "--plugins",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="files or folders with your own methods, metrics, tasks",
    )


def _run(arguments: argparse.Namespace) -> int:
    if not (arguments.all or arguments.task or arguments.method or arguments.metric):
        from bench.core import RequestError

        raise RequestError("say what to run: --all, or some of --task, --method, --metric (see run --help)")
    from dataclasses import replace

    from bench import conformance, device, registry
    from bench.runner import Plan, run
    from bench.store import Store

    start = time.perf_counter()
    device.keep_freed_memory()
    registry.load_all(arguments.plugins)
    methods = registry.select(registry.METHODS, arguments.method or ["*"], "method")
    metrics = registry.select(registry.METRICS, arguments.metric or ["*"], "metric")
    slow = set() if arguments.profile == "full" else {"slow"}
    left_out = [m.name for m in methods if m.cost in slow and not arguments.method]
    postponed = [m.name for m in metrics if m.cost in slow and not arguments.metric]
    plan = Plan(
        tasks=registry.select(registry.TASKS, arguments.task or ["*"], "task"),
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
    with _bar(unit="metric") as bar:
        verdicts = conformance.up_to_date(plan.metrics, arguments.out, bar, plugins=arguments.plugins)
        bar.set_description_str("metrics checked")
    if slow and not arguments.metric:
        failing = set(verdicts.loc[verdicts["verdict"] == "fail", "metric"])
        plan = replace(
            plan,
            metrics=[metric for metric in plan.metrics if metric.name not in failing],
            left_out={"methods": left_out, "metrics": [*postponed, *sorted(failing)]},
        )
    store = Store(arguments.out)
    with _bar() as bar:
        outcome = run(plan, store, bar)
        bar.set_description_str("done")
    _write_run_facts(arguments, plan, outcome, time.perf_counter() - start)
    _write_report(arguments.out)
    _print_outcome(outcome, time.perf_counter() - start, arguments.out)
    return 1 if outcome.failed else 0


def _profile(task: Task, name: str) -> int | None:
    from bench.core import RequestError

    profiles = dict(task.profiles)
    if name not in profiles:
        raise RequestError(f"task {task.name} has no profile {name} (it has: {', '.join(profiles)}); say --samples N")
    return profiles[name]


def _list(arguments: argparse.Namespace) -> int:
    from bench import registry

    registry.load_all(arguments.plugins)
    chosen: dict[str, Any] = {"tasks": registry.TASKS, "methods": registry.METHODS, "metrics": registry.METRICS}
    kinds = [arguments.kind] if arguments.kind else list(KINDS)
    if arguments.json:
        print(json.dumps({kind: [_as_json(entry) for entry in chosen[kind].values()] for kind in kinds}, indent=2))
        return 0
    for kind in kinds:
        width = max(map(len, chosen[kind]), default=0)
        print(f"{kind}:" + (f" (cost: {_cost_classes()})" if kind == "methods" else ""))
        for entry in chosen[kind].values():
            cost = f"{entry.cost or '-':<8}" if kind == "methods" else ""
            print(
                f"  {entry.name:<{width}}  {entry.family:<12}  {cost}{entry.summary}"
                + (f" [{entry.cite}]" if entry.cite else "")
            )
    return 0


def _cost_classes() -> str:
    """What the words for cost mean."""
    from bench.core import COSTS

    limits = [f"{name} at most {limit}" for name, limit in COSTS.items() if limit]
    return f"{', '.join(limits)} model queries a sample; slow: more, only in --profile full or when named"


def _report(arguments: argparse.Namespace) -> int:
    from bench import page, registry

    _must_hold_scores(arguments.out)
    registry.load_all(arguments.plugins)  # the page tells what methods are
    if arguments.page:
        return _report_page(arguments.out, arguments.page)
    _write_report(arguments.out, pictures=not arguments.no_plots)
    made = "leaderboards are" if arguments.no_plots else "leaderboards and plots are"
    print(f"{made} in {arguments.out}; open {arguments.out / page.NAME} in a browser")
    return 0


def _report_page(out: Path, path: Path) -> int:
    from bench.core import RequestError
    from bench.report import write_page

    if path.is_dir() or not path.parent.is_dir():
        raise RequestError(f"--page {path}: a file in a folder that there is, is needed")
    with _bar(unit="file") as bar:
        write_page(out, path, bar)
    print(f"open {path} in a browser")
    return 0


def _must_hold_scores(folder: Path) -> None:
    from bench.core import RequestError

    if not (folder / "scores").is_dir():
        raise RequestError(f"{folder} holds no scores; make some with `python -m bench run --all --out {folder}`")


def _serve(arguments: argparse.Namespace) -> int:
    from signal import SIGTERM, default_int_handler, signal

    from bench import serving

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


def _compare(arguments: argparse.Namespace) -> int:
    from bench import comparison, leaderboard
    from bench.core import RequestError
    from bench.files import write_csv
    from bench.store import Store

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
    with _bar(unit="task", total=len(tasks)) as bar:
        found = []
        for task in tasks:
            bar.set_description_str(task)
            before = leaderboard.current(stores[0].read(task))
            after = leaderboard.current(stores[1].read(task)) if task in has else before.iloc[:0]
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
    print(comparison.markdown(table, **names, everything=arguments.all), end="")
    if arguments.csv:
        write_csv(table, arguments.csv)
    return 1 if comparison.regressed(table) else 0


def _explain(arguments: argparse.Namespace) -> int:
    from bench import device, plots, registry, single
    from bench.core import RequestError

    registry.load_all(arguments.plugins)
    task, *more = registry.select(registry.TASKS, [arguments.task], "task")
    if more:
        raise RequestError(f"{arguments.task} is {1 + len(more)} tasks, one is needed")
    methods = [
        method
        for name in registry.split(arguments.method)
        for method in registry.select(registry.METHODS, [name], "method")
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
    with _bar(unit="method", total=len(methods)) as bar:
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


def _sweep(arguments: argparse.Namespace) -> int:
    from bench import device, plots, registry, survival, sweep
    from bench.runner import Plan

    start = time.perf_counter()
    task = _one_task(arguments)
    methods = registry.select(registry.METHODS, arguments.method or ["*"], "method")
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
    with _bar() as bar:
        found, outcome = sweep.run(plan, folder, bar, baselines=arguments.baseline, features=arguments.features)
        bar.set_description_str("done")
    tables, told = survival.tables(found), survival.statement(found)
    survival.write(tables, told, folder)
    if tables["settings"]["rank"].notna().any():
        plots.save(plots.sweep(tables["settings"], tables["tau"], tables["factors"], task.name), folder / "sweep")
    print(survival.printed(tables))
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


def _check(arguments: argparse.Namespace) -> int:
    from bench import conformance, plots, registry

    registry.load_all(arguments.plugins)
    metrics = registry.select(registry.METRICS, arguments.metric or ["*"], "metric")
    before = conformance.known(conformance.SHIPPED)
    start = time.perf_counter()
    with _bar(unit="metric") as bar:
        table = conformance.up_to_date(
            metrics, arguments.out, bar, plugins=arguments.plugins, fresh=not arguments.known
        )
        bar.set_description_str("checked")
    if table.empty:
        print("none of these is judged: costs are measurements")
        return 0
    plots.save(plots.conformance(table), arguments.out / "plots" / "conformance")
    print(conformance.printed(table))
    failed = table.loc[table["verdict"] == "fail", "metric_id"]
    told = set(before.loc[before["verdict"] == "fail", "metric_id"])
    print(
        f"{(table['verdict'] == 'pass').sum()} of {len(table)} pass; {time.perf_counter() - start:.0f} s; "
        f"written to {arguments.out / conformance.NAME} and {arguments.out / 'plots' / 'conformance'}.png"
    )
    return 1 if set(failed) - told else 0


def _train(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    import pandas as pd

    from bench import device, plots, training, weights

    task = _one_task(arguments)
    device.keep_freed_memory()
    recipe = _recipe(task, arguments)
    recipe = replace(recipe, epochs=arguments.epochs or recipe.epochs)
    history: list[dict[str, float]] = []
    with _bar(unit="epoch", total=recipe.epochs) as bar:
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


def _evaluate(arguments: argparse.Namespace) -> int:
    from bench import device, plots, training, weights

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


def _fetch(arguments: argparse.Namespace) -> int:
    from bench.registry import call

    task = _one_task(arguments)
    print(f"{task.name}: {len(call(task.samples, {'data': _data(arguments)}))} samples are there")
    return 0


def _one_task(arguments: argparse.Namespace) -> Task:
    from bench import registry
    from bench.core import RequestError

    registry.load_all(arguments.plugins)
    if arguments.task not in registry.TASKS:
        raise RequestError(registry.unknown(arguments.task, registry.TASKS, "task"))
    task = registry.TASKS[arguments.task]
    return task


def _recipe(task: Task, arguments: argparse.Namespace) -> Any:
    from bench.core import RequestError
    from bench.registry import call

    if task.recipe is None:
        raise RequestError(f"task {task.name} has no training recipe")
    return call(task.recipe, {"data": _data(arguments)})


def _data(arguments: argparse.Namespace) -> Any:
    from bench.core import RequestError
    from bench.data import Data

    if arguments.data is not None and not Path(arguments.data).is_dir():
        raise RequestError(f"--data {arguments.data}: no such folder")
    return Data(None if arguments.data is None else Path(arguments.data), arguments.offline)


def _write_run_facts(arguments: argparse.Namespace, plan: Any, outcome: Outcome, seconds: float) -> None:
    from importlib.metadata import version

    from bench.device import describe
    from bench.files import atomic

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


def _write_report(out: Path, *, pictures: bool = True) -> None:
    from bench.report import write

    with _bar(unit="file") as bar:
        write(out, bar, pictures=pictures)


def _print_outcome(outcome: Outcome, seconds: float, out: Path) -> None:
    from bench.report import printed

    print(printed(out))
    for name, why in outcome.skipped_tasks.items():
        print(f"skipped {why if why.startswith(name) else f'{name}: {why}'}")
    for name, why in outcome.failed_tasks.items():
        print(f"FAILED {name}: {why}")
    for (task, method, why), count in outcome.failures.most_common(10):
        print(f"FAILED {task} · {method}: {why} ({count} rows)")
    written = ", ".join(f"{count} {status}" for status, count in sorted(outcome.rows.items())) or "none"
    for name, work in outcome.work.items():
        print(
            f"{name}: {work.seconds:.0f} s for {work.forwards} model queries, {work.backwards} of them with a gradient; the "
            f"bare model needs {work.floor:.0f} s for these in batches of {work.pace.batch_size}: "
            f"measured / floor {work.seconds / work.floor:.2f}"
        )
    print(
        f"{seconds:.0f} s; rows written: {written}; already there: {outcome.kept}; "
        f"model queries: {outcome.queries} (metrics asked {outcome.tally.asked}, shared {outcome.tally.shared})"
    )
    there = "report.html, leaderboard.csv, leaderboards/, plots/, failures.csv, run.json"
    print(f"results are in {out}: {there if (out / 'leaderboard.csv').is_file() else 'run.json'}")


def _bar(**settings: Any) -> Any:
    from tqdm import tqdm

    terminal = sys.stderr.isatty()  # a log file gets a line every ten seconds instead of a moving bar
    bar = tqdm(unit=settings.pop("unit", "step"), dynamic_ncols=True, mininterval=0.1 if terminal else 10, **settings)
    bar.set_description_str = partial(bar.set_description_str, refresh=terminal)
    return bar


def _as_json(entry: Any) -> dict[str, Any]:
    fields = {"name": entry.name, "id": entry.id, "family": entry.family, "cite": entry.cite, "summary": entry.summary}
    fields |= {"params": dict(entry.params), "needs": sorted(entry.needs)}
    if entry.cost or entry.promises:
        fields |= {"cost": entry.cost, "promises": sorted(entry.promises)}
    for name in ("higher_is_better", "label", "limits", "profiles"):
        if hasattr(entry, name):
            value = getattr(entry, name)
            fields[name] = dict(value) if name == "profiles" else value
    return fields


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0 to 2**63 - 1")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port (0 to 65535)")
    return int(text)


def _batch_size(text: str) -> int | None:
    return None if text == "auto" else _positive(text)
