"""HMT mosaics: two tiles of one tissue and two of another, one of them explained [arias2022focus].

A mosaic is a 2x2 grid of the central 75x75 pixels of four test tiles, so the texture keeps its scale and the mosaic has the
size of a tile. The quadrants of each tissue are drawn at random. A mosaic is explained for one of its two classes, whether the
model predicts it or not, and `truth` is that class's two quadrants: an explanation of tumour should point there and not at the
fat beside it. (One class, not both: intervals and tests take samples to be independent, and two explanations of one image are
not.)

Only tiles are used whose central part alone the model classifies correctly, as in the grid pointing game [bohle2021coda];
otherwise the quadrants would be the wrong answer. The quadrants say where the evidence is, but not how much each pixel holds.
In three of four mosaics the model gives both classes more than chance; least often `empty`, which is an absence of tissue.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.errors import BenchError
from bench.core.hashing import digest
from bench.core.problem import Problem
from bench.registry.decorators import task
from bench.task_tools.data import Data
from bench.task_tools.weights import shipped
from bench.tasks.hmt import CLASSES, STORED, background, files, find, network, prepare, read

SIDE = STORED[0] // 2  # of a quadrant
ROUNDS = 28  # of four mosaics: each pair of classes four times


def pairs(number: int) -> list[tuple[int, int]]:
    """The four pairs of classes of a round: each class once per round, each pair once in seven rounds (circle method)."""
    last = len(CLASSES) - 1
    turn = number % last
    return [(last, turn)] + [((turn + k) % last, (turn - k) % last) for k in range(1, len(CLASSES) // 2)]


def classes_of(mosaic: int) -> tuple[int, int]:
    """The two classes of a mosaic."""
    return pairs(mosaic // 4)[mosaic % 4]


def explained(mosaic: int) -> int:
    """The class that is explained: each class once in eight mosaics, and both classes of a pair equally often.

    The pairs of two rounds form a ring of all classes, and a walk along it leaves each class once. The second half of the
    mosaics has the same pairs, and explains the class at which each step of the walk arrives.
    """
    first, ways, here = mosaic // 8 * 8, {}, 0
    for step in range(8):
        number = next(k for k in range(first + step % 2 * 4, first + step % 2 * 4 + 4) if here in classes_of(k))
        there = sum(classes_of(number)) - here
        ways[number] = (here, there)
        here = there
    return ways[mosaic][mosaic // (2 * ROUNDS)]


def samples(data: Data) -> list[str]:
    """Ids `<mosaic>/<class>` with the explained class."""
    files(find(data))
    return [f"{mosaic:04d}/{CLASSES[explained(mosaic)][3:]}" for mosaic in range(4 * ROUNDS)]


def draws(mosaic: int, purpose: str, many: int) -> np.ndarray:
    """The numbers 0 to many - 1 in a random order that depends on the mosaic: (many,)."""
    seed = int(digest("hmt_mosaic", mosaic, purpose)[:16], 16)
    return np.random.Generator(np.random.Philox(seed)).random(many).argsort(kind="stable")


def middles(names: list[str], split: dict[str, Path]) -> tuple[Tensor, Tensor]:
    """The central parts of tiles as model inputs (N, 3, 75, 75), and their classes (N,)."""
    tiles, labels = read(names, split, STORED[0])
    start = (STORED[0] - SIDE) // 2
    return prepare(tiles[..., start : start + SIDE, start : start + SIDE]), labels


@torch.no_grad()
def understood(mosaic: int, one: int, model: nn.Module, split: dict[str, Path]) -> Tensor:
    """Central parts of two tiles that the model classifies correctly, in a random order: (2, 3, 75, 75)."""
    tiles = [name for name in sorted(split) if name.startswith(CLASSES[one])]
    found = []
    for row in draws(mosaic, CLASSES[one], len(tiles)):
        middle, label = middles([tiles[row]], split)
        if model(middle).argmax(1) == label:
            found.append(middle)
        if len(found) == 2:
            return torch.cat(found)
    raise BenchError(
        f"hmt_mosaic needs two tiles of {CLASSES[one]} that the model classifies correctly, and finds fewer among {len(tiles)}"
    )


def assembled(mosaic: int, model: nn.Module, split: dict[str, Path]) -> tuple[Tensor, Tensor]:
    """A mosaic (3, 150, 150), and the mask of its first class (150, 150) bool."""
    quarters = torch.cat([understood(mosaic, one, model, split) for one in classes_of(mosaic)])
    order = draws(mosaic, "places", 4)  # the quadrant of each part
    grid, first = torch.zeros(3, 2 * SIDE, 2 * SIDE), torch.zeros(2 * SIDE, 2 * SIDE, dtype=torch.bool)
    for quarter, place in enumerate(order.tolist()):
        rows, columns = (slice(half * SIDE, (half + 1) * SIDE) for half in divmod(place, 2))
        grid[:, rows, columns] = quarters[quarter]
        first[rows, columns] = quarter < 2
    return grid, first


@task(
    cite="arias2022focus",
    family="image",
    version=2,
    samples=samples,
    profiles={"quick": 8, "standard": 16, "full": None},
    cost="medium",
)
def hmt_mosaic(sample_ids: tuple[str, ...], data: Data) -> Problem:
    """Two kinds of tissue in one image: which half decides for the explained one."""
    found = files(find(data))
    model, fingerprint = shipped("hmt", network())
    known = set(samples(data))
    for name in sample_ids:
        if name not in known:
            raise BenchError(f"hmt_mosaic has no mosaic '{name}'; it has {len(known)}, the first is {min(known)}")
    asked = [(int(mosaic), name) for mosaic, name in (one.split("/") for one in sample_ids)]
    made = {mosaic: assembled(mosaic, model, found["test"]) for mosaic in dict.fromkeys(mosaic for mosaic, _ in asked)}
    targets = [[one[3:] for one in CLASSES].index(name) for _, name in asked]
    is_first = [classes_of(mosaic)[0] == target for (mosaic, _), target in zip(asked, targets, strict=True)]
    return Problem(
        model=model,
        inputs=torch.stack([made[mosaic][0] for mosaic, _ in asked]),
        sample_ids=sample_ids,
        baseline=torch.zeros(3, 1, 1),
        layers=("pool1", "pool2"),
        top_k=0.50,
        fingerprint=fingerprint,
        targets=torch.tensor(targets),
        truth=torch.stack(
            [made[mosaic][1] == first for (mosaic, _), first in zip(asked, is_first, strict=True)],
        ),
        labels=torch.tensor(targets),
        class_names=tuple(name[3:].lower() for name in CLASSES),
        background=background(found["train"], STORED[0]),
        bounds=torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1),
    )
