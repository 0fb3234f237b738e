"""Tissue: synthetic tiles of 80x80 pixels that look like stained histology, with exact ground truth.

One of eight structures (tumour nuclei, collagen, lymphocytes, ...) fills an irregular patch of about a quarter of a
tile. The rest is one of four grounds (liver-like cells, muscle, loose tissue, hyaline matter). Every class is drawn on
every ground, so the ground carries no information about the class. In half of the tiles the ground is torn, and the
glass of the slide shows. `truth` is the patch, to the pixel. Colours come from the Beer-Lambert law (`_histology`), so
an absent feature is glass without tissue: white. The network sees glass in training, so white inputs are not foreign to
it.

One training tile in eight is ground alone, labelled as each class equally often. There the network learns to give all
classes the same probability, so that every class needs evidence and none is the default. Each tile is determined by its
split and number; no download is needed.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from bench.core.entries import Recipe
from bench.core.errors import BenchError
from bench.core.problem import Problem
from bench.registry.decorators import task
from bench.task_tools.weights import shipped
from bench.tasks._histology import COLUMNS, GROUNDS, ROWS, SIZE, STRUCTURES, Array, paint, photograph, smooth
from bench.tasks.hmt import network

TRAIN, TEST = 4000, 480
SEED = 5
SPLITS = ("train", "test")
CLASSES = tuple(structure.__name__ for structure in STRUCTURES)

# --- a tile


def torn(rng: np.random.Generator, ground: Array) -> Array:
    """The ground (H, W, 3); in half of the tiles, glass takes the place of up to all of it."""
    level = rng.uniform(-1.5, 1.5) if rng.random() < 0.5 else 9.0
    return paint(ground, (4 * (smooth(rng, 9) - level)).clip(0, 1), (0.0, 0.0, 0.0))


def patch(rng: np.random.Generator, owner: Array | None) -> Array:
    """An irregular patch (H, W) bool of 18 to 32 % of the tile, to the nearest whole cell where there are cells."""
    middle = rng.uniform(-0.35, 0.35, 2) * SIZE
    height = 0.35 * smooth(rng, 6) - np.hypot(ROWS - middle[0], COLUMNS - middle[1]) / 16
    _, number = np.unique(np.arange(SIZE**2) if owner is None else owner, return_inverse=True)
    area = np.bincount(number.ravel())
    order = np.argsort(-np.bincount(number.ravel(), height.ravel()) / area)
    filled = np.abs(np.cumsum(area[order]) / SIZE**2 - rng.uniform(0.18, 0.32)).argmin()
    chosen = np.zeros(len(area), dtype=bool)
    chosen[order[: filled + 1]] = True
    return chosen[number].reshape(SIZE, SIZE)


def stream(split: str, number: int, purpose: int) -> np.random.Generator:
    """Independent streams for ground (0), structure (1) and light (2), so that none depends on another."""
    return np.random.default_rng([SEED, SPLITS.index(split), number, purpose])


def ground_of(split: str, number: int) -> Array:
    """Amounts (H, W, 3) of the ground, which does not depend on the class."""
    rng = stream(split, number, 0)
    return torn(rng, GROUNDS[rng.integers(len(GROUNDS))](rng))


def bare(split: str, number: int) -> bool:
    """Whether a tile is ground alone: eight training tiles in 64, one labelled as each class."""
    return split == "train" and number // 8 % 8 == 7


@functools.lru_cache(maxsize=TEST)
def tile(split: str, number: int) -> tuple[Array, Array]:
    """uint8 RGB (H, W, 3) and truth (H, W) bool. Its class is `number` modulo 8."""
    rng = stream(split, number, 1)
    structure, owner = STRUCTURES[number % len(STRUCTURES)](rng)
    truth = patch(rng, owner) & (not bare(split, number))
    amounts = np.where(truth[..., None], structure, ground_of(split, number))
    return photograph(amounts, stream(split, number, 2)), truth


def tiles(split: str, numbers: range | list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """uint8 tiles (N, 3, H, W), classes (N,) and truth (N, H, W) bool."""
    pixels, truth = zip(*(tile(split, number) for number in numbers), strict=True)
    labels = torch.tensor([number % len(CLASSES) for number in numbers])
    return (
        torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(),
        labels,
        torch.from_numpy(np.stack(truth)),
    )


# --- the task


def samples() -> list[str]:
    """Ids of the test tiles; classes take turns."""
    return [f"test/{number:04d}" for number in range(TEST)]


def prepare(stored: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1]."""
    return stored.float() * np.float32(1 / 255)


def augment(batch: Tensor, rng: torch.Generator) -> Tensor:
    """Each tile flipped or turned by quarters, and stained a little stronger or weaker."""
    turns = torch.randint(0, 8, (len(batch),), generator=rng).tolist()
    turned = torch.stack(
        [torch.rot90(t.flip(-1) if k > 3 else t, k % 4, (1, 2)) for t, k in zip(batch, turns, strict=True)]
    )
    # Beer-Lambert: the amount of stain is a power of the transmitted light.
    power = torch.exp(0.05 * torch.randn(len(batch), 3, 1, 1, generator=rng))
    return turned.clamp_min(1e-3).pow(power)


def recipe() -> Recipe:
    train, test = tiles("train", range(TRAIN)), tiles("test", range(TEST))
    return Recipe(
        network=lambda: network(batch_norm=True),
        train=train[:2],
        test=test[:2],
        class_names=CLASSES,
        prepare=prepare,
        augment=augment,
        epochs=6,
        batch_size=32,
        learning_rate=5e-3,
        weight_decay=1e-2,
        label_smoothing=0.05,
        bfloat16=True,
    )


@task(
    cite="ruifrok2001",
    family="image",
    samples=samples,
    profiles={"quick": 16, "standard": 32, "full": None},
    recipe=recipe,
    weights="tissue",
)
def tissue(sample_ids: tuple[str, ...]) -> Problem:
    """Synthetic stained tissue with drawn structures: which pixels decide the class."""
    known = set(samples())
    for name in sample_ids:
        if name not in known:
            raise BenchError(f"tissue has no tile '{name}'; its tiles are test/0000 to test/{TEST - 1:04d}")
    pixels, labels, truth = tiles("test", [int(name.split("/")[1]) for name in sample_ids])
    model, fingerprint = shipped("tissue", network())
    return Problem(
        model=model,
        inputs=prepare(pixels),
        sample_ids=sample_ids,
        baseline=torch.ones(3, 1, 1),
        layers=("pool1", "pool2"),
        top_k=0.30,
        fingerprint=fingerprint,
        truth=truth,
        labels=labels,
        class_names=CLASSES,
        background=prepare(tiles("train", range(len(CLASSES)))[0]),
        bounds=torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1),
    )
