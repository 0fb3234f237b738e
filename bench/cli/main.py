"""The entry point of the command line: parses the arguments, runs the command, turns errors into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.cli.parser import parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code: 0 done, 1 something failed, 2 the request is wrong."""
    arguments = parser().parse_args(argv)
    arguments.words = list(sys.argv[1:] if argv is None else argv)
    from bench.core.errors import BenchError, RequestError  # now, so that --help does not wait for torch

    try:
        out = getattr(arguments, "out", None)
        if out is not None and out.exists() and not out.is_dir():
            raise RequestError(f"--out {out} is a file; the path of a folder is needed")
        from bench.cli import names

        if arguments.command == "list_entries":
            return names.list_entries(arguments)
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
