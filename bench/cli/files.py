"""The commands that write files to start from."""

from __future__ import annotations

import argparse
import shlex

from bench.api import scaffold

COMMANDS = ("new", "init")


def new(arguments: argparse.Namespace) -> int:
    path = shlex.quote(str(scaffold.new(arguments.kind, arguments.name, to=arguments.to)))
    print(f"{path} is written; check it with `python -m bench check {path}`, and use it with `--plugins {path}`")
    return 0


def init(arguments: argparse.Namespace) -> int:
    path = scaffold.init(to=arguments.to)
    given = "" if path.parent.samefile(".") else f" --config {shlex.quote(str(path))}"
    print(f"{path} is written; `python -m bench run{given}` does what it says")
    return 0
