"""The commands for authors of methods, metrics and tasks, and for a file of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cli import options, own_data
from bench.core.vocabulary import DEVICES, PROFILES


def add_check(commands: Any) -> None:
    check = options.add_command(
        commands,
        "check",
        "check",
        "is a method, metric or task sound, and are methods exact on your network?",
        "Checks plug-ins, or whether methods keep their promises on one network, and says what to do where they do not.\n\n"
        "  FILE.py      everything that the file registers; of a folder, all its files:\n"
        "               methods  on small networks for signals, grey and colour images: finite maps of the right shape,\n"
        "                        nothing changed, the same map twice and whatever else is explained, and their promises\n"
        "               metrics  as `check metrics`\n"
        "               tasks    are loaded, explained and scored; a sample must not depend on the others\n"
        "  methods      registered methods, as above\n"
        "  metrics      registered metrics, on closed-form problems (linear, additive, AND/OR, gate, live patch; 1-D, grey,\n"
        "               RGB). A metric passes if it ranks the exact attribution above noisy ones, these above random\n"
        "               numbers and its negative last, and if no score depends on the batch.\n"
        "  --task NAME  methods on the network of a task, or on your own (--task image_folder or arrays): by how much maps\n"
        "               miss what the output gains over the baseline, whether features that nothing reads get zero, whether\n"
        "               another class gets another map, finite differences, the same network in float64, the same map\n"
        "               twice, and which rules its layers got. Methods that cannot explain it say why.\n\n"
        "The exit code is 1 where a check fails; of `check metrics`, where a metric fails that was not known to fail.",
        "examples:\n"
        "  python -m bench new method my_method && python -m bench check my_method.py\n"
        "  python -m bench check methods --method grad_cam 'lrp*'\n"
        "  python -m bench check metrics --metric drop --use-cached\n"
        "  python -m bench check --task mnist1d --method integrated_gradients 'lrp*'\n"
        "  python -m bench check --task image_folder --images DIR --model timm:resnet18 --weights FILE.safetensors",
    )
    check.add_argument("what", nargs="*", metavar="FILE|methods|metrics", help="what to check, unless it is --task")
    options.add_names(check, ("task", "method", "metric"))
    check.add_argument(
        "--use-cached",
        action="store_true",
        help="of `check metrics`: take verdicts that are known and still valid; check the others",
    )
    network = check.add_argument_group("how much of a network (--task)")
    network.add_argument(
        "--profile",
        choices=PROFILES,
        help="which methods are checked where they are not named: quick takes cheap and well-known ones, standard all but the "
        "slow ones, full all (default: quick)",
    )
    network.add_argument(
        "--samples",
        type=options.positive,
        metavar="N",
        help="how many samples (default: 4; the costly checks take two)",
    )
    network.add_argument("--seed", type=options.seed, metavar="S", help="seed of random draws (default: 0)")
    network.add_argument("--device", choices=DEVICES, help="default: auto, the GPU where there is one")
    own_data.add_options(check)
    where = check.add_argument_group("files")
    where.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="results folder: of `check metrics` for verdicts (default: results); of --task for exactness.csv, which its page "
        "shows beside the methods' names (default: nothing is written)",
    )
    options.add_data(where)
    options.add_plugins(where)


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
