"""The tasks that ship: their data is the official data, their models are as good as stated, bad files are named."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from reference import shared
from torch import Tensor

from bench.core.entries import Task
from bench.core.errors import BenchError, DataMissing
from bench.core.problem import Problem
from bench.core.random import numpy_state_kept
from bench.network.device import keep_freed_memory, place
from bench.registry.decorators import TASKS, call
from bench.registry.selection import select, with_params
from bench.task_tools import training, weights
from bench.task_tools.data import Data

CLASSES = ("01_TUMOR", "02_STROMA", "03_COMPLEX", "04_LYMPHO", "05_DEBRIS", "06_MUCOSA", "07_ADIPOSE", "08_EMPTY")


def module(task: str) -> ModuleType:
    return sys.modules[f"bench.tasks.{task}"]


def made(task: str, ids: list[str], data: Data | None = None, **params: int) -> Problem:
    entry = TASKS[task]
    if params:
        entry = with_params(entry, ",".join(f"{name}={value}" for name, value in params.items()))
    return call(entry.fn, {"sample_ids": tuple(ids), "data": data}, entry.params)


def accuracy(problem: Problem) -> float:
    """Share of samples put in their class, through the very model and inputs that are explained."""
    keep_freed_memory()
    problem = place(problem, torch.device("cpu"))
    batches = zip(problem.inputs.split(problem.batch_size), problem.labels.split(problem.batch_size), strict=True)
    with torch.inference_mode():
        return sum((problem.model(x).argmax(1) == y).sum().item() for x, y in batches) / len(problem)


def stated(task: Task) -> dict[str, object]:
    return json.loads(weights.path_of(str(task.weights)).with_suffix(".json").read_text(encoding="utf-8"))


# --- what every task promises


@pytest.mark.parametrize("task", [task for task in TASKS.values() if task.weights], ids=lambda task: task.name)
def test_shipped_weights_are_small_and_say_how_they_came_about(task):
    assert weights.path_of(task.weights).stat().st_size < 1_000_000
    facts = stated(task)
    assert facts["test_accuracy"] >= 0.92
    assert len(bytes.fromhex(facts["data_fingerprint"])) == 16
    assert set(facts["training"]) >= {"epochs", "batch_size", "learning_rate", "weight_decay", "optimiser", "seed"}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_profiles_grow(task):
    quick, standard, full = (dict(task.profiles)[name] or 10**9 for name in ("quick", "standard", "full"))
    assert 1 <= quick <= standard <= full


# --- MNIST-1D


@pytest.fixture(scope="module")
def official() -> dict[str, np.ndarray]:
    from mnist1d.data import make_dataset

    with numpy_state_kept():
        return make_dataset()


@pytest.fixture(scope="module")
def signals() -> Problem:
    return made("mnist1d", TASKS["mnist1d"].samples())


def test_mnist1d_is_the_official_data_set(official):
    recipe = module("mnist1d").recipe()
    for (x, y), split in ((recipe.train, ""), (recipe.test, "_test")):
        assert x.dtype == torch.float32
        assert (x[:, 0].numpy() == official[f"x{split}"].astype(np.float32)).all()
        assert (y.numpy() == official[f"y{split}"]).all()
    assert (recipe.train[0].shape, recipe.test[0].shape) == ((4000, 1, 40), (1000, 1, 40))


def test_mnist1d_explains_the_official_test_signals(official, signals):
    rows = [int(name.removeprefix("test/")) for name in signals.sample_ids]
    assert sorted(rows) == list(range(1000))
    assert (signals.inputs[:, 0].numpy() == official["x_test"].astype(np.float32)[rows]).all()
    assert (signals.labels.numpy() == official["y_test"][rows]).all()


def test_loading_mnist1d_leaves_no_trace_in_random_states():
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    module("mnist1d").load.__wrapped__()  # past the cache
    after = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    assert after[0] == before[0]
    assert all(np.array_equal(now, then) for now, then in zip(after[1], before[1], strict=True))
    assert torch.equal(after[2], before[2])


def assert_every_prefix_is_balanced(labels: list[int | str]) -> None:
    """Classes that still have samples to give are never more than one behind any other."""
    left, seen = Counter(labels), Counter(dict.fromkeys(labels, 0))
    for label in labels:
        seen[label] += 1
        left[label] -= 1
        assert max(seen.values()) - min((seen[name] for name in seen if left[name]), default=max(seen.values())) <= 1


def test_every_prefix_of_mnist1d_is_balanced(signals):
    labels = signals.labels.tolist()
    assert sorted(labels[:20]) == sorted([*range(10), *range(10)])
    assert_every_prefix_is_balanced(labels)


def test_a_few_signals_are_the_same_as_among_all(signals):
    rows = [3, 700, 41]
    few = made("mnist1d", [signals.sample_ids[row] for row in rows])
    assert few.sample_ids == tuple(signals.sample_ids[row] for row in rows)
    assert torch.equal(few.inputs, signals.inputs[rows])
    assert torch.equal(few.labels, signals.labels[rows])
    assert few.fingerprint == signals.fingerprint


def test_mnist1d_is_as_accurate_as_stated(signals):
    measured = accuracy(signals)
    assert measured >= 0.92
    assert round(measured, 4) == stated(TASKS["mnist1d"])["test_accuracy"]


def test_mnist1d_was_trained_on_this_data():
    recipe = module("mnist1d").recipe()
    assert training.data_digest(recipe) == stated(TASKS["mnist1d"])["data_fingerprint"]


def test_an_augmented_signal_is_rolled_scaled_and_noisy(signals):
    """A flat signal shows the noise; a spike of 10 at step 20 shows the roll and the scale."""
    noise = module("mnist1d").augment(torch.zeros(500, 1, 40), torch.Generator().manual_seed(0))
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    spike = torch.zeros(500, 1, 40)
    spike[..., 20] = 10
    tops = module("mnist1d").augment(spike, torch.Generator().manual_seed(0))[:, 0]
    assert set(tops.argmax(1).tolist()) == {18, 19, 20, 21, 22}
    assert 8.5 - 0.3 < tops.amax(1).min() < 8.7
    assert 11.3 < tops.amax(1).max() < 11.5 + 0.3


# --- HMT on the real tiles


@pytest.fixture(autouse=True)
def no_listing_is_remembered() -> Iterator[None]:
    module("hmt").files.cache_clear()
    yield
    module("hmt").files.cache_clear()


@pytest.fixture
def data() -> Data:
    return Data(shared("BENCH_DATA", "data"), offline=True)


@pytest.fixture
def nowhere(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "empty_cache"))


def test_hmt_has_496_test_tiles_62_a_class(data):
    ids = TASKS["hmt"].samples(data)
    assert len(set(ids)) == len(ids) == 496
    assert set(ids) == module("hmt").held_out()
    assert Counter(name.split("/")[0] for name in ids) == dict.fromkeys(CLASSES, 62)
    assert [name.split("/")[0] for name in ids[:8]] == list(CLASSES)
    assert_every_prefix_is_balanced([name.split("/")[0] for name in ids])


def test_hmt_trains_on_the_other_4504_tiles(data):
    found = module("hmt").files(module("hmt").find(data))
    assert Counter(name.split("/")[0] for name in found["train"]) == dict.fromkeys(CLASSES, 563)
    assert set(found["train"]).isdisjoint(found["test"])


def test_hmt_is_as_accurate_as_stated(data):
    measured = accuracy(made("hmt", TASKS["hmt"].samples(data), data))
    assert measured >= 0.92
    assert measured == pytest.approx(stated(TASKS["hmt"])["test_accuracy"], abs=1.5 / 496)  # one tile on the edge


def test_a_tile_is_its_pixels_over_255(data):
    name = TASKS["hmt"].samples(data)[3]
    problem = made("hmt", [name], data)
    with Image.open(module("hmt").files(module("hmt").find(data))["test"][name]) as tile:
        pixels = np.asarray(tile)
    assert problem.inputs.shape == (1, 3, 150, 150)
    assert problem.labels.tolist() == [3]
    np.testing.assert_allclose(problem.inputs[0].permute(1, 2, 0).numpy(), pixels / 255, rtol=1e-6)


def test_another_size_is_asked_for_by_its_id(data):
    (entry,) = select(TASKS, ["hmt[size=224]"], "task")
    assert entry.id == "hmt@1[size=224]"
    ids = tuple(entry.samples(data)[:2])
    problem = call(entry.fn, {"sample_ids": ids, "data": data}, entry.params)
    assert problem.inputs.shape == (2, 3, 224, 224)
    with Image.open(module("hmt").files(module("hmt").find(data))["test"][ids[1]]) as tile:
        pixels = np.asarray(tile.resize((224, 224), Image.Resampling.BILINEAR))
    assert torch.equal(problem.inputs[1], as_input(pixels))
    assert problem.model(problem.inputs).shape == (2, 8)


def as_input(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) * np.float32(1 / 255)).permute(2, 0, 1)


def test_both_layouts_are_the_same_tiles(data, tmp_path, nowhere):
    """The authors' zip has all tiles of a class in one folder, as .tif; ours has two splits, in part as .webp."""
    hmt = module("hmt")
    split = hmt.files(hmt.find(data))
    zenodo = tmp_path / "Kather_texture_2016_image_tiles_5000"
    few = {
        part: [name for group in CLASSES for name in [n for n in names if n.startswith(group)][:2]]
        for part, names in split.items()
    }
    for part, names in few.items():
        for name in names:
            target = zenodo / f"{name}.tif"
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(split[part][name]) as tile:
                tile.save(target)

    other = Data(tmp_path, offline=True)
    assert hmt.find(other) == zenodo
    assert set(TASKS["hmt"].samples(other)) == set(few["test"])
    ours, theirs = made("hmt", few["test"], data), made("hmt", few["test"], other)
    assert ours.sample_ids == theirs.sample_ids
    assert torch.equal(ours.inputs, theirs.inputs)
    assert torch.equal(ours.labels, theirs.labels)
    assert ours.fingerprint == theirs.fingerprint

    listed = hmt.files(zenodo)["train"]
    assert set(listed) == set(few["train"])
    for a, b in zip(hmt.read(few["train"], split["train"], 150), hmt.read(few["train"], listed, 150), strict=True):
        assert torch.equal(a, b)


# --- HMT on tiles drawn here: what is said of bad data


@pytest.fixture
def drawn(tmp_path, nowhere) -> Path:
    """One plain tile per class and split, in the layout of two splits."""
    for split in ("train", "test"):
        for group, name in enumerate(CLASSES):
            folder = tmp_path / "own" / "hmt" / f"HMT_{split}" / name
            folder.mkdir(parents=True)
            Image.new("RGB", (150, 150), (20 * group, 0, 51)).save(folder / f"{split}_tile.png")
    return tmp_path / "own"


@pytest.mark.parametrize("inside", ["", "hmt"])
def test_a_folder_of_tiles_is_found_with_and_without_its_name(drawn, inside):
    data = Data(drawn / inside, offline=True)
    ids = TASKS["hmt"].samples(data)
    assert ids == [f"{name}/test_tile" for name in CLASSES]
    problem = made("hmt", ids[2:4], data)
    colours = problem.inputs[:, :, 0, 0]
    torch.testing.assert_close(colours, torch.tensor([[40, 0, 51], [60, 0, 51]]) / 255)
    assert problem.labels.tolist() == [2, 3]
    assert problem.class_names[2:4] == ("complex", "lympho")


def test_no_data_is_told_with_the_way_to_get_it(tmp_path, nowhere):
    said = r"hmt is not on this machine, and downloads are off.*python -m bench fetch hmt.*258 MB.*--data"
    for data in (Data(tmp_path, offline=True), Data(offline=True)):
        with pytest.raises(DataMissing, match=said):
            TASKS["hmt"].samples(data)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("how", ["empty", "absent", "holds no image"])
def test_a_class_without_tiles_is_named(drawn, split, how):
    folder = drawn / "hmt" / f"HMT_{split}" / "05_DEBRIS"
    shutil.rmtree(folder)
    if how != "absent":
        folder.mkdir()
    if how == "holds no image":
        (folder / "notes.txt").write_text("moved")
    with pytest.raises(BenchError, match=rf"HMT_{split}.05_DEBRIS contains no {split} tiles .* of class 05_DEBRIS"):
        TASKS["hmt"].samples(Data(drawn, offline=True))


def broken_tile(drawn: Path) -> Path:
    return drawn / "hmt" / "HMT_test" / "03_COMPLEX" / "test_tile.png"


def test_a_truncated_tile_is_named(drawn):
    path = broken_tile(drawn)
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(BenchError, match=r"03_COMPLEX.test_tile\.png is not a complete image"):
        made("hmt", ["03_COMPLEX/test_tile"], Data(drawn, offline=True))


def test_a_grey_tile_is_named(drawn):
    Image.new("L", (150, 150), 9).save(broken_tile(drawn))
    with pytest.raises(BenchError, match=r"03_COMPLEX.test_tile\.png: the image has mode L; RGB is needed"):
        made("hmt", ["03_COMPLEX/test_tile"], Data(drawn, offline=True))


def test_a_tile_of_another_size_is_named(drawn):
    Image.new("RGB", (150, 149)).save(broken_tile(drawn))
    with pytest.raises(
        BenchError, match=r"03_COMPLEX.test_tile\.png: the image has 150x149 pixels; 150x150 are needed"
    ):
        made("hmt", ["03_COMPLEX/test_tile"], Data(drawn, offline=True))


def test_only_the_tiles_asked_for_are_read(drawn):
    broken_tile(drawn).write_bytes(b"broken")
    assert len(made("hmt", ["01_TUMOR/test_tile"], Data(drawn, offline=True))) == 1


def test_a_tile_that_is_not_there_is_named(drawn):
    with pytest.raises(BenchError, match="hmt has no tile '01_TUMOR/other'"):
        made("hmt", ["01_TUMOR/other"], Data(drawn, offline=True))


def test_augmented_tiles_are_crops_turned_and_stained():
    """A plain tile stays plain whatever crop or turn; its light goes to a power near 1 in each channel."""
    tiles = torch.full((24, 3, 150, 150), 0.5)
    out = module("hmt").augment(tiles, torch.Generator().manual_seed(0))
    assert out.shape == (24, 3, 112, 112)
    assert torch.equal(out.amax((2, 3)), out.amin((2, 3)))
    power = out[:, :, 0, 0].log2().neg().log()  # log of the power: normal, mean 0, deviation 0.075
    assert power.mean().item() == pytest.approx(0, abs=0.02)
    assert power.std().item() == pytest.approx(0.075, rel=0.15)
