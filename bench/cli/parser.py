"""The commands and options of the command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from bench import __version__

PROFILES = ("quick", "standard", "full")
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
    run.set_defaults(command="run_command")


def _add_list(commands: Any) -> None:
    listing = commands.add_parser("list", help="show the tasks, methods and metrics there are")
    listing.add_argument("kind", nargs="?", choices=KINDS, help="only these")
    listing.add_argument("--json", action="store_true", help="as JSON, with every field")
    _add_plugins(listing)
    listing.set_defaults(command="list_command")


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="rebuild leaderboards, plots and the page from the scores in --out")
    only = report.add_mutually_exclusive_group()
    only.add_argument("--no-plots", action="store_true", help="only the tables and the page")
    only.add_argument("--page", type=Path, metavar="FILE", help="only the page, to FILE; nothing in --out changes")
    _add_out(report)
    _add_plugins(report)
    report.set_defaults(command="report_command")


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
    serve.set_defaults(command="serve_command")


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
    compare.set_defaults(command="compare_command")


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
    explain.set_defaults(command="explain_command")


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
    sweep.set_defaults(command="sweep_command")


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
    check.set_defaults(command="check_command")


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
    for command, function in ((train, "train_command"), (evaluate, "evaluate_command"), (fetch, "fetch_command")):
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
