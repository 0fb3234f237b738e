"""The options of `run` and `attribute` for data and models of one's own, and the problem that they describe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli import options
from bench.core.vocabulary import CHANNELS, MODEL_OUTPUTS, SOFTMAX, TOGETHER

if TYPE_CHECKING:
    from bench.core.problem import Problem

IMAGES, ARRAYS = TASKS = ("image_folder", "arrays")  # words for --task that stand for the user's files
EXAMPLES = """\
examples with your own files (task image_folder or arrays):
  python -m bench run --task image_folder --images DIR --model timm:resnet18 --weights FILE.safetensors
  python -m bench run --task arrays --inputs X.npy --labels y.npy --model my_model.py:build
"""
# option -> the tasks that it belongs to
BELONGS = {
    "images": (IMAGES,),
    "masks": (IMAGES,),
    "size": (IMAGES,),
    "inputs": (ARRAYS,),
    "truth": (ARRAYS,),
    "model": TASKS,
    "weights": TASKS,
    "labels": TASKS,
    "classes": TASKS,
    "model_output": TASKS,
    "readout": TASKS,
    "channels": TASKS,
    "model_baseline": TASKS,
    "top_k": TASKS,
    "model_target": TASKS,
    "name": TASKS,
}
SHORT = {"model_baseline": "baseline", "model_target": "target"}  # option -> how it is written


def add_options(command: argparse.ArgumentParser, *, output_is_file: bool = False, has_target: bool = False) -> None:
    """--images, --inputs, --model and what goes with them.

    --output is short for --model-output, unless it is a file. `has_target`: the command has a --target of its own.
    """
    images = command.add_argument_group(f"images of your own (--task {IMAGES})")
    _add_file(images, "images", "DIR", "folder with images, best in class folders: DIR/CLASS/a.png")
    _add_file(images, "masks", "DIR", "masks of the images' names, not 0 where the evidence is; adds localisation")
    images.add_argument(
        "--size",
        type=options.positive,
        metavar="N",
        help="pixels of a side, for a model of timm (default: the model's own)",
    )
    arrays = command.add_argument_group(f"arrays of your own (--task {ARRAYS})")
    _add_file(arrays, "inputs", "X.npy", "inputs (N, C, L), (N, C, H, W) or (N, F), as the model reads them")
    _add_file(arrays, "truth", "M.npy", "masks (N, L) or (N, H, W) of where the evidence is; adds localisation")
    both = command.add_argument_group(f"the model, for {IMAGES} and {ARRAYS}")
    both.add_argument(
        "--model",
        metavar="MODEL",
        help="timm:NAME with --weights, or FILE.py:FUNCTION, a function without arguments that returns the torch module; "
        "for images (module, transform)",
    )
    _add_file(both, "weights", "FILE", ".safetensors, or a state dict that torch.save wrote")
    _add_file(
        both, "labels", "FILE", "images: a CSV with the columns file and label; arrays: class numbers (N,) as .npy"
    )
    _add_file(both, "classes", "FILE", "names of the model's outputs, one a line")
    both.add_argument(
        "--model-output",
        *(() if output_is_file else ("--output",)),
        dest="model_output",
        choices=MODEL_OUTPUTS,
        help="what the model's answers mean: logits of classes that exclude each other (softmax, the default), one logit or "
        "several labels (sigmoid), values of a regression (identity)",
    )
    both.add_argument(
        "--readout",
        type=lambda text: int(text) if text.isdecimal() else text,
        metavar="KEY",
        help="what to take from an answer that is no tensor: a key, or a number in a tuple",
    )
    both.add_argument(
        "--channels",
        choices=CHANNELS,
        help="separate: each channel of a place has a value of its own, to ask which channel it is (default: together)",
    )
    both.add_argument(
        "--baseline",
        nargs="+",
        dest="model_baseline",
        metavar="VALUE",
        help="what replaces an absent feature: a colour such as white for images, a number or one for each channel for arrays "
        "(default: the mean colour; 0)",
    )
    both.add_argument(
        "--top-k", type=float, metavar="SHARE", help="share of the features that drop is about (default: 0.3)"
    )
    if not has_target:
        both.add_argument(
            "--target",
            type=options.output_number,
            dest="model_target",
            metavar="N",
            help="number of the output to explain (default: the predicted class)",
        )
    both.add_argument("--name", metavar="NAME", help="what the board is called (default: the task's name)")


def _add_file(group: Any, name: str, metavar: str, text: str) -> None:
    group.add_argument(f"--{name}", type=Path, metavar=metavar, help=text)


def word(arguments: argparse.Namespace) -> str | None:
    """Which of TASKS is asked for; None for registered tasks. Raises RequestError where options and task do not match."""
    from bench.api.request import named
    from bench.core.errors import RequestError

    asked = named(arguments.task) if arguments.task else []
    task = next((name for name in asked if name in TASKS), None)
    if task is not None and len(asked) > 1:
        others = ", ".join(name for name in asked if name != task)
        raise RequestError(
            f"--task {task} stands alone; run {others} by a command of its own, with the same --out if you like"
        )
    given = [option for option in BELONGS if getattr(arguments, option, None) is not None]
    wrong = next((option for option in given if task not in BELONGS[option]), None)
    if wrong is not None:
        written = f"--{SHORT.get(wrong, wrong)}".replace("_", "-")
        raise RequestError(
            f"{written} belongs to {' or '.join(f'--task {name}' for name in BELONGS[wrong])}; add it or leave {written} out"
        )
    if task is not None:
        data = "images" if task == IMAGES else "inputs"
        missing = next((option for option in (data, "model") if option not in given), None)
        if missing is not None:
            raise RequestError(
                f"--task {task} needs --{missing}; `python -m bench {arguments.command} --help` shows its options"
            )
    return task


def problem(arguments: argparse.Namespace) -> Problem | None:
    """The problem of the user's files; None for registered tasks. Prints what was converted or left out."""
    from bench import api

    task = word(arguments)
    if task is None:
        return None
    common = {key: getattr(arguments, key) for key in ("weights", "labels", "classes", "readout")}
    common |= {} if arguments.top_k is None else {"top_k": arguments.top_k}
    common |= {"output": arguments.model_output or SOFTMAX, "channels": arguments.channels or TOGETHER}
    common |= {"target": _target(arguments), "samples": getattr(arguments, "samples", None), "notify": _tell}
    if task == IMAGES:
        return api.image_folder(
            arguments.images,
            arguments.model,
            masks=arguments.masks,
            size=arguments.size,
            baseline=" ".join(arguments.model_baseline or []) or None,
            **common,
        )
    return api.arrays(
        arguments.inputs, arguments.model, truth=arguments.truth, baseline=_numbers(arguments.model_baseline), **common
    )


def _target(arguments: argparse.Namespace) -> int | None:
    """The number of the output to explain; a class that `explain` names is found when the model is there."""
    target: int | str | None = getattr(arguments, "model_target", getattr(arguments, "target", None))
    return int(target) if isinstance(target, int) or (target is not None and target.isdecimal()) else None


def _numbers(texts: Sequence[str] | None) -> float | list[float]:
    """What --baseline says for arrays: one number, or one for each channel."""
    from bench.core.errors import RequestError

    try:
        numbers = [float(text) for text in texts or ["0"]]
    except ValueError as error:
        raise RequestError(
            f"--baseline {' '.join(texts or [])}: for arrays a number, or one for each channel, is needed"
        ) from error
    return numbers if len(numbers) > 1 else numbers[0]


def _tell(note: str) -> None:
    print(f"bench: {note}", file=sys.stderr)
