"""The commands for authors of methods, metrics and tasks, and for a file of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cli import options


def add_check(commands: Any) -> None:
    check = options.add_command(
        commands,
        "check",
        "check",
        "check methods, metrics and tasks of your own, or those that are registered",
        "Checks plug-ins, and says for each law whether it holds and what to do where it does not.\n\n"
        "  FILE.py   everything that the file registers; of a folder, all its files:\n"
        "            methods  on small networks for signals, grey and colour images: finite maps of the right shape, nothing\n"
        "                     changed, the same map twice and whatever else is explained, and what they promise\n"
        "            metrics  as `check metrics`\n"
        "            tasks    are loaded, explained and scored; a sample must not depend on the others\n"
        "  methods   registered methods, as above\n"
        "  metrics   registered metrics, on closed-form problems (linear, additive, AND/OR, gate, live patch; 1-D, grey,\n"
        "            RGB). A metric passes if it ranks the exact attribution above noisy ones, these above random numbers\n"
        "            and its negative last, and if no score depends on the batch.\n\n"
        "The exit code is 1 where a plug-in fails; of `check metrics`, where one fails that was not known to fail.",
        "examples:\n"
        "  python -m bench new method my_method && python -m bench check my_method.py\n"
        "  python -m bench check methods --method grad_cam 'lrp*'\n"
        "  python -m bench check metrics --metric drop --use-cached",
    )
    check.add_argument("what", nargs="+", metavar="FILE|methods|metrics", help="what to check")
    options.add_names(check, ("method", "metric"))
    check.add_argument(
        "--use-cached",
        action="store_true",
        help="of `check metrics`: take verdicts that are known and still valid; check the others",
    )
    options.add_paths(check)


def add_new(commands: Any) -> None:
    new = options.add_command(
        commands,
        "new",
        "new",
        "write the file of a method, metric or task to start from",
        "Writes NAME.py, with comments on everything that can be changed. It passes `python -m bench check NAME.py` as it is.",
    )
    new.add_argument("kind", choices=("method", "metric", "task"), help="what to write")
    new.add_argument("name", metavar="NAME", help="name of the function and of the file")
    _add_to(new)


def add_init(commands: Any) -> None:
    init = options.add_command(
        commands,
        "init",
        "init",
        "write bench.toml, the settings of a run",
        "Writes bench.toml, with comments: tasks, methods with settings, metrics, profile, samples, seed, results folder and "
        "plug-ins. `python -m bench run` in the same folder reads it.",
    )
    _add_to(init)


def _add_to(command: Any) -> None:
    command.add_argument(
        "--to", type=Path, default=Path(), metavar="FOLDER", help="folder for the file (default: the current one)"
    )
