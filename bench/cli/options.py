"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from bench.core.vocabulary import DEVICES, PROFILES


def add_command(commands: Any, name: str, function: str, summary: str, description: str, examples: str = "") -> Any:
    """A command: its name, the function of cli.commands that runs it, its line in the help, and its description."""
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter if examples else argparse.HelpFormatter,
    )
    command.set_defaults(command=function, parser=command)
    return command


def add_names(group: Any, kinds: tuple[str, ...]) -> None:
    """--task, --method, --metric."""
    for kind in kinds:
        group.add_argument(f"--{kind}", nargs="+", metavar="NAME", help=f"these {kind}s")


def add_maps(group: Any) -> None:
    group.add_argument(
        "--maps",
        nargs="+",
        metavar="NAME=FILE",
        help="maps made elsewhere, shown as a method called NAME beside those of --method; FILE is .npz or .safetensors with "
        "one array (*S) for each sample id, or .npz with the arrays sample_ids (N,) and maps (N, *S)",
    )


def add_amount(group: Any, *, profile: str, profile_help: str) -> None:
    """--profile, --samples, --seed."""
    group.add_argument("--profile", choices=PROFILES, default=profile, help=f"{profile_help} (default: {profile})")
    group.add_argument("--samples", type=positive, metavar="N", help="number of samples of each task instead")
    add_seed(group)


def add_seed(group: Any) -> None:
    group.add_argument("--seed", type=seed, default=0, metavar="S", help="seed of random draws (default: 0)")


def add_speed(group: Any) -> None:
    """--device, --batch-size, --fresh: what changes no score."""
    add_device(group)
    group.add_argument(
        "--batch-size",
        type=batch_size,
        metavar="auto|N",
        help="inputs per forward pass (default: auto, found by timing)",
    )
    group.add_argument("--fresh", action="store_true", help="compute everything again")


def add_device(group: Any) -> None:
    group.add_argument("--device", choices=DEVICES, default="auto", help="default: auto, the GPU where there is one")


def add_paths(command: argparse.ArgumentParser) -> None:
    """--out, --data, --offline, --plugins."""
    where = command.add_argument_group("files")
    add_out(where)
    add_data(where)
    add_plugins(where)


def add_svg(group: Any) -> None:
    group.add_argument("--svg", action="store_true", help="write each plot as SVG too")


def add_data(group: Any) -> None:
    group.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("BENCH_DATA"),
        metavar="DIR",
        help="folder that holds data sets (default: BENCH_DATA, then the user cache, then a download)",
    )
    group.add_argument("--offline", action="store_true", help="never download")


def add_out(group: Any) -> None:
    group.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="results folder (default: results)"
    )


def add_plugins(group: Any) -> None:
    group.add_argument(
        "--plugins",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="files or folders with methods, metrics and tasks of your own",
    )


def output_number(text: str) -> int:
    """The number of a model's output."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of an output; the first is 0")
    return int(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above zero")
    return number


def seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to 2**63 - 1")
    return int(text)


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port number from 0 to 65535")
    return int(text)


def batch_size(text: str) -> int | None:
    return None if text == "auto" else positive(text)
