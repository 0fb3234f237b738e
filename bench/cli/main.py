"""The entry point of the command line: parses the arguments, runs the command, turns errors into exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.cli import config, own_data
from bench.cli.parser import parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code: 0 done, 1 something failed, 2 the request is wrong."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser().parse_args(words)
    from bench.core.errors import BenchError, RequestError  # now, so that --help does not wait for torch

    try:
        if arguments.command == "run":
            arguments = with_file(arguments, words)
        arguments.words = words
        out = getattr(arguments, "out", None)
        if out is not None and out.exists() and not out.is_dir():
            raise RequestError(f"--out {out} is a file; the path of a folder is needed")
        from bench.cli import files, names

        for module in (names, files):  # commands that need no torch
            if arguments.command in module.COMMANDS:
                return int(getattr(module, arguments.command)(arguments))
        names.check(arguments)
        from bench.cli import commands

        return int(getattr(commands, arguments.command)(arguments))
    except RequestError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: stopped; finished scores are stored, the same command continues", file=sys.stderr)
        return 130


def with_file(arguments: argparse.Namespace, words: Sequence[str]) -> argparse.Namespace:
    """The arguments of `run` with the values of bench.toml for options that were not given.

    --all takes no names from it, and tasks that are named here take no data and model of others.
    """
    path = config.chosen(arguments.config)
    if path is None:
        return arguments
    values = config.read(path)
    if arguments.all:
        values = {option: value for option, value in values.items() if option not in config.NAMES}
    if arguments.all or arguments.task:
        task = next((name for name in arguments.task or () if name in own_data.TASKS), None)
        values = {option: value for option, value in values.items() if task in own_data.BELONGS.get(option, (task,))}
    keys = [key for key, (option, _, _) in config.KEYS.items() if option in values]
    print(f"bench: reads {path} ({', '.join(keys) or 'nothing of it'})", file=sys.stderr)
    return parser({**values, "config": path}).parse_args(words)
