"""The commands about the models and data of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cli import options


def add_train(commands: Any) -> None:
    train = options.add_command(
        commands,
        "train",
        "train",
        "train a task's model",
        "Trains a task's model by its recipe and writes the weights, the facts about them, and the training curves.",
    )
    train.add_argument("task", metavar="TASK")
    train.add_argument("--to", type=Path, metavar="DIR", help="folder for the weights (default: OUT/weights)")
    train.add_argument("--epochs", type=options.positive, metavar="N", help="instead of the recipe's number")
    options.add_seed(train)
    options.add_device(train)
    options.add_paths(train)


def add_evaluate(commands: Any) -> None:
    evaluate = options.add_command(
        commands,
        "evaluate",
        "evaluate",
        "measure a task's model on its test data",
        "Prints precision, recall, F1 and ROC AUC of each class, and draws the confusion matrix and the ROC curves.",
    )
    evaluate.add_argument("task", metavar="TASK")
    evaluate.add_argument(
        "--weights", type=Path, metavar="FILE", help="a .safetensors file (default: the shipped weights)"
    )
    options.add_device(evaluate)
    options.add_paths(evaluate)


def add_fetch(commands: Any) -> None:
    fetch = options.add_command(
        commands,
        "fetch",
        "fetch",
        "download a task's data into the user cache",
        "Downloads a task's data into the user cache, unless they are there or in --data, and counts the samples.",
    )
    fetch.add_argument("task", metavar="TASK")
    options.add_paths(fetch)
