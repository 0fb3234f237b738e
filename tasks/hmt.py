"""HMT: eight kinds of tissue in colorectal cancer histology, 5000 tiles of 150x150 RGB pixels [kather2016].

Two layouts of the same data load: `HMT_train/<class>/*` beside `HMT_test/<class>/*`, and the authors' zip (Zenodo
record 53169), whose test tiles are the 496 listed in `hmt_test.txt`. A feature is one pixel with its three channels, and
the baseline is black. 172 of the 173 slide regions of the test tiles also occur in the training tiles, so the accuracy says
little about new patients; for comparing explanations of one model this does not matter.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.entries import Recipe
from bench.core.errors import BenchError, DataMissing
from bench.core.problem import Problem
from bench.registry.decorators import task
from bench.task_tools.data import Data, Download, fetch, interleaved, read_rgb
from bench.task_tools.weights import shipped

CLASSES = ("01_TUMOR", "02_STROMA", "03_COMPLEX", "04_LYMPHO", "05_DEBRIS", "06_MUCOSA", "07_ADIPOSE", "08_EMPTY")
STORED = (150, 150)
ZIP = Download(
    url="https://zenodo.org/record/53169/files/Kather_texture_2016_image_tiles_5000.zip?download=1",
    sha256="936d0b95ae0f04f1f7b18a2b7e8c55776c3e887d102f645bcee752d1a6626a32",
    megabytes=258,
    licence="CC BY 4.0",
)


def network(*, batch_norm: bool = False) -> nn.Sequential:
    """(N, 3, H, W) -> logits (N, 8): 32-32-pool-64-64-pool, global average, dense. Takes any size of image."""
    layers: list[tuple[str, nn.Module]] = []
    for i, (before, after) in enumerate([(3, 32), (32, 32), (32, 64), (64, 64)], start=1):
        layers.append((f"conv{i}", nn.Conv2d(before, after, 3, padding=1)))
        if batch_norm:
            layers.append((f"norm{i}", nn.BatchNorm2d(after)))
        layers.append((f"relu{i}", nn.ReLU()))
        if i % 2 == 0:
            layers.append((f"pool{i // 2}", nn.MaxPool2d(2)))
    layers += [("average", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("dense", nn.Linear(64, 8))]
    return nn.Sequential(OrderedDict(layers))


def held_out() -> frozenset[str]:
    """`<class>/<stem>` of the 496 test tiles."""
    return frozenset(Path(__file__).with_name("hmt_test.txt").read_text(encoding="utf-8").split())


def find(data: Data) -> Path:
    """The folder with the classes or the two splits; downloaded if it is not on this machine."""
    for place in data.places("hmt"):
        for folder in (place, place / "Kather_texture_2016_image_tiles_5000"):
            if (folder / "HMT_test").is_dir() or (folder / CLASSES[0]).is_dir():
                return folder
    try:
        return fetch(ZIP, "hmt", offline=data.offline) / "Kather_texture_2016_image_tiles_5000"
    except DataMissing as error:
        raise DataMissing(
            f"{error}; download it with `python -m bench fetch hmt` ({ZIP.megabytes} MB, {ZIP.licence}), "
            "or name a folder that contains it with --data"
        ) from error


@functools.cache
def files(folder: Path) -> dict[str, dict[str, Path]]:
    """Split -> `<class>/<stem>` -> file, in the order of the names."""
    split_layout = (folder / "HMT_test").is_dir()
    found: dict[str, dict[str, Path]] = {"train": {}, "test": {}}
    tests = held_out()
    for split, names in found.items():
        base = folder / f"HMT_{split}" if split_layout else folder
        if not base.is_dir():  # the test tiles alone are enough for explanations
            continue
        for group in CLASSES:
            tiles = {
                f"{group}/{path.name.removesuffix(path.suffix)}": path
                for path in sorted((base / group).glob("*"))
                if path.suffix.lower() in {".tif", ".tiff", ".webp", ".png"}
            }
            if not split_layout:
                tiles = {name: path for name, path in tiles.items() if (name in tests) == (split == "test")}
            if not tiles:
                raise BenchError(
                    f"{base / group} contains no {split} tiles (.tif, .tiff, .webp or .png) of class {group}"
                )
            names.update(tiles)
    return found


def samples(data: Data) -> list[str]:
    """Ids of the test tiles, every prefix balanced over the classes."""
    names = sorted(files(find(data))["test"])
    order = interleaved([CLASSES.index(name.split("/")[0]) for name in names])
    return [names[row] for row in order]


def read(names: list[str], split: dict[str, Path], size: int) -> tuple[Tensor, Tensor]:
    """uint8 tiles (N, 3, size, size) and their classes (N,)."""
    for name in names:
        if name not in split:
            raise BenchError(
                f"hmt has no tile '{name}'; its {len(split)} tiles are called <class>/<file name without suffix>"
            )
    tiles = np.stack([read_rgb(split[name], (size, size), STORED) for name in names])
    labels = [CLASSES.index(name.split("/")[0]) for name in names]
    return torch.from_numpy(tiles).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def background(train: dict[str, Path], size: int) -> Tensor | None:
    """One training tile of each class (8, 3, size, size); None without training tiles."""
    first = {name.split("/")[0]: name for name in sorted(train, reverse=True)}
    return prepare(read([first[group] for group in CLASSES], train, size)[0]) if train else None


def prepare(tiles: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1]."""
    return tiles.float() * np.float32(1 / 255)


def augment(tiles: Tensor, rng: torch.Generator) -> Tensor:
    """One crop of 112 pixels per batch; each tile is flipped, rotated, and stained a little stronger or weaker."""
    top, left = torch.randint(0, tiles.shape[-1] - 112 + 1, (2,), generator=rng).tolist()
    tiles = tiles[..., top : top + 112, left : left + 112]
    turns = torch.randint(0, 8, (len(tiles),), generator=rng).tolist()
    turned = torch.stack(
        [torch.rot90(t.flip(-1) if k > 3 else t, k % 4, (1, 2)) for t, k in zip(tiles, turns, strict=True)]
    )
    # Beer-Lambert: the amount of stain is a power of the transmitted light.
    power = torch.exp(0.15 * torch.randn(len(tiles), 3, 1, 1, generator=rng) / 2)
    return turned.clamp_min(1e-3).pow(power)


def recipe(data: Data) -> Recipe:
    folder = find(data)
    found = files(folder)
    if not found["train"]:
        raise BenchError(f"{folder} has no folder HMT_train, which training needs")
    return Recipe(
        network=lambda: network(batch_norm=True),
        train=read(list(found["train"]), found["train"], STORED[0]),
        test=read(list(found["test"]), found["test"], STORED[0]),
        class_names=CLASSES,
        prepare=prepare,
        augment=augment,
        epochs=80,
        batch_size=32,
        learning_rate=5e-3,
        weight_decay=1e-2,
        label_smoothing=0.05,
        average_decay=0.999,
        bfloat16=True,
    )


@task(
    cite="kather2016",
    family="image",
    samples=samples,
    profiles={"quick": 16, "standard": 24, "full": None},
    recipe=recipe,
    weights="hmt",
)
def hmt(sample_ids: tuple[str, ...], data: Data, *, size: int = STORED[0]) -> Problem:
    """Tissue classes in histology tiles: which pixels decide the class."""
    found = files(find(data))
    tiles, labels = read(list(sample_ids), found["test"], size)
    model, fingerprint = shipped("hmt", network())
    return Problem(
        model=model,
        inputs=prepare(tiles),
        sample_ids=sample_ids,
        baseline=torch.zeros(3, 1, 1),
        layers=("pool1", "pool2"),
        top_k=0.90,
        fingerprint=fingerprint,
        labels=labels,
        class_names=tuple(name[3:].lower() for name in CLASSES),
        background=background(found["train"], size),
        bounds=torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1),
    )
