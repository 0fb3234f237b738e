"""The commands of the command line and their options. Nothing is imported here that takes time: --help is fast."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import __version__
from bench.cli import author_parser, maps_parser, model_parser, options, own_data
from bench.cli.argument_parser import Parser
from bench.core.vocabulary import BASELINES, FEATURES, PRECISIONS

EPILOG = """\
examples:
  python -m bench run --all                               every task, method and metric
  python -m bench run --task mnist1d --method 'lrp*' sise random --profile quick
  python -m bench run --task mnist1d --maps mine=maps.npz  with maps that you have
  python -m bench run --task image_folder --images photos --model timm:resnet18 --weights resnet18.safetensors
  python -m bench new method my_method                    a method of your own, to start from
  python -m bench check my_method.py                      is it sound?
  python -m bench run --all --plugins my_method.py        run it beside the others
  python -m bench explain tissue --method grad_cam,sise   the maps of one input, side by side
  python -m bench list methods
"""


def parser(run_defaults: Mapping[str, Any] | None = None) -> argparse.ArgumentParser:
    """`run_defaults`: values for options of `run` that are not given, by option."""
    top = Parser(
        prog="python -m bench",
        description="Measures which attribution methods explain a model faithfully, and how certain the answer is.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"bench {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands).set_defaults(**(run_defaults or {}))
    _add_list(commands)
    _add_report(commands)
    _add_serve(commands)
    _add_compare(commands)
    _add_pack(commands)
    maps_parser.add_explain(commands)
    maps_parser.add_attribute(commands)
    author_parser.add_check(commands)
    author_parser.add_new(commands)
    author_parser.add_init(commands)
    _add_sweep(commands)
    model_parser.add_train(commands)
    model_parser.add_evaluate(commands)
    model_parser.add_fetch(commands)
    return top


def _add_run(commands: Any) -> Any:
    run = options.add_command(
        commands,
        "run",
        "run",
        "score methods on tasks; write leaderboards, plots and the report page",
        "Scores methods on tasks with metrics. Scores that the results folder holds already are not computed again.\n"
        "What bench.toml in the current folder says holds where no option says otherwise; `python -m bench init` writes one.",
        own_data.EXAMPLES,
    )
    choice = run.add_argument_group("what to run (wildcards are allowed: 'lrp*')")
    choice.add_argument(
        "--all", action="store_true", help="all tasks, methods and metrics that the options below do not narrow"
    )
    options.add_names(choice, ("task", "method", "metric"))
    options.add_maps(choice)
    choice.add_argument(
        "--beside",
        metavar="FILE",
        help="rank the methods among those of a release file (see `python -m bench pack`), of a results folder, or of the word "
        "reference, the published run: scores what it lacks, on its tasks and samples, with its metrics",
    )
    choice.add_argument(
        "--config", type=Path, metavar="FILE", help="file of settings instead of bench.toml; see `python -m bench init`"
    )
    own_data.add_options(run)
    how_much = run.add_argument_group("how much")
    options.add_amount(
        how_much,
        profile="standard",
        profile_help="how many samples, and which tasks, methods and metrics take part where they are not named: quick takes "
        "cheap and well-known ones, standard all but the slow ones, full everything, with metrics that fail their checks",
    )
    how_much.add_argument(
        "--budget",
        metavar="TIME",
        help="score samples in rounds, all tasks, methods and metrics in each, and stop after the last round that fits into "
        "this time (90s, 10m, 1.5h); the same command again goes on from there",
    )
    how_much.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="bfloat16, for exploring: the model's convolutions and dense layers compute in it, and boards say so "
        "(default: float32)",
    )
    options.add_speed(run.add_argument_group("how (no score depends on these)"))
    options.add_paths(run)
    shown = run.add_argument_group("output")
    plotted = shown.add_mutually_exclusive_group()
    plotted.add_argument("--no-plots", action="store_true", help="write tables and the page, but no plots")
    options.add_svg(plotted)
    shown.add_argument("--verbose", action="store_true", help="print what each task cost, beside the bare model")
    return run


def _add_list(commands: Any) -> None:
    listing = options.add_command(
        commands,
        "list",
        "list_entries",
        "list the tasks, methods and metrics",
        "Lists the registered tasks, methods and metrics with family, cost, summary and source.",
    )
    listing.add_argument("kind", nargs="?", choices=("tasks", "methods", "metrics"), help="only these")
    listing.add_argument("--json", action="store_true", help="as JSON, with every field")
    options.add_plugins(listing)


def _add_report(commands: Any) -> None:
    report = options.add_command(
        commands,
        "report",
        "report",
        "make leaderboards, plots and the page again from stored scores",
        "Makes leaderboards, plots and the report page from the scores in a results folder. No model is asked.",
    )
    only = report.add_mutually_exclusive_group()
    only.add_argument("--no-plots", action="store_true", help="write tables and the page, but no plots")
    options.add_svg(only)
    only.add_argument(
        "--page", type=Path, metavar="FILE", help="write only the page, to FILE; nothing in --out changes"
    )
    options.add_out(report)
    options.add_plugins(report)


def _add_serve(commands: Any) -> None:
    serve = options.add_command(
        commands,
        "serve",
        "serve",
        "show the report page in a browser and update it during a run",
        "Serves the results folder to browsers on this machine only. While a run writes scores, the page is made again at the "
        "lowest priority, at most a tenth of the time, and open pages reload themselves.",
    )
    serve.add_argument(
        "--port", type=options.port, default=8000, metavar="N", help="default: 8000; 0 chooses a free port"
    )
    options.add_out(serve)
    options.add_plugins(serve)


def _add_compare(commands: Any) -> None:
    compare = options.add_command(
        commands,
        "compare",
        "compare",
        "compare two results folders; exit code 1 where a method became worse",
        "Prints, for each task, method and metric, the difference (AFTER minus BEFORE) on the samples that both "
        "folders hold, with "
        "its\n95 % interval and whether it is significant, as Markdown. The exit code is 1 where a method became significantly "
        "worse by\nany metric except costs, or lost scores that it had.",
        "example, in the continuous integration of a method:\n"
        "  git checkout main && python -m bench run --task mnist1d --method my_method random --plugins "
        "my_method.py --out before\n"
        "  git checkout -    && python -m bench run --task mnist1d --method my_method random --plugins "
        "my_method.py --out after\n"
        "  python -m bench compare before after",
    )
    compare.add_argument("before", type=Path, metavar="BEFORE", help="a results folder")
    compare.add_argument("after", type=Path, metavar="AFTER", help="another results folder")
    options.add_names(
        compare.add_argument_group("what to compare (wildcards are allowed; default: all that both hold)"),
        ("task", "method", "metric"),
    )
    compare.add_argument("--all", action="store_true", help="also list what stayed the same, and costs")
    compare.add_argument("--csv", type=Path, metavar="FILE", help="write every comparison to FILE")


def _add_pack(commands: Any) -> None:
    pack = options.add_command(
        commands,
        "pack",
        "pack",
        "write the scores of a results folder as one small file, for run --beside",
        "Writes the scores of a results folder, with all their digits, as one file. Others can rank methods among these:\n"
        "`python -m bench run --beside FILE`. Costs and curves are left out. Where the scores do not fit, the first samples\n"
        "of the tasks that have most are kept, and the file holds how many.",
        "example:\n  python -m bench run --all && python -m bench pack --to scores.parquet",
    )
    pack.add_argument("--to", type=Path, required=True, metavar="FILE", help="path of the file")
    pack.add_argument("--task", nargs="+", metavar="NAME", help="these tasks (default: all of the folder)")
    pack.add_argument("--samples", type=options.positive, metavar="N", help="at most so many samples of each task")
    pack.add_argument(
        "--megabytes", type=options.above_zero, default=5.0, metavar="MB", help="greatest size (default: 5)"
    )
    options.add_out(pack)


def _add_sweep(commands: Any) -> None:
    sweep = options.add_command(
        commands,
        "sweep",
        "sweep",
        "find out which rank differences survive other settings",
        "Scores one set of maps under every setting: what an absent feature is replaced with (zero, the sample's "
        "mean, its blur, "
        "noise, another input, the task's own baseline), which output is read (softmax or logit), what is "
        "removed together, and "
        "the share k. Each baseline costs about 40 model queries per sample, method and granularity; outputs and k cost none.",
    )
    sweep.add_argument("task", metavar="TASK")
    sweep.add_argument(
        "--method",
        nargs="+",
        metavar="NAME",
        help="these methods, with wildcards (default: those that the profile takes)",
    )
    options.add_amount(
        sweep,
        profile="quick",
        profile_help="how many samples, and which methods: quick takes cheap and well-known ones, standard all but the slow "
        "ones, full all",
    )
    sweep.add_argument(
        "--baseline",
        nargs="+",
        choices=BASELINES[1:],
        default=BASELINES[1:],
        metavar="NAME",
        help=f"some of {', '.join(BASELINES[1:])}; the task's own is always among them (default: all)",
    )
    sweep.add_argument(
        "--features",
        nargs="+",
        choices=FEATURES,
        default=FEATURES,
        metavar="NAME",
        help=f"granularities, some of {', '.join(FEATURES)}; pixel is always among them (default: all)",
    )
    options.add_speed(sweep.add_argument_group("how (no score depends on these)"))
    options.add_paths(sweep)
