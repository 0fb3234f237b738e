"""Where the evidence is, in tasks that know: the template that the generator drew, or the tiles of a mosaic."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from reference import shared

from bench.core.errors import BenchError, DataMissing
from bench.core.problem import Problem
from bench.core.random import numpy_state_kept
from bench.registry.decorators import TASKS, call
from bench.task_tools.data import Data


def module(task: str) -> ModuleType:
    return sys.modules[f"bench.tasks.{task}"]


def made(task: str, ids: list[str], data: Data | None = None) -> Problem:
    return call(TASKS[task].fn, {"sample_ids": tuple(ids), "data": data}, TASKS[task].params)


# --- MNIST-1D


@pytest.fixture(scope="module")
def signals() -> Problem:
    return made("mnist1d", [f"test/{row:04d}" for row in range(1000)])


def generated(**parts) -> dict[str, np.ndarray]:
    from mnist1d.data import make_dataset

    with numpy_state_kept():
        return make_dataset(**parts)


def test_truth_is_what_is_left_of_plateaus_without_noise(signals):
    """The generator on the same random numbers, all templates being ones and all noise times 0; it centres what it made."""
    from mnist1d.data import get_dataset_args, get_templates

    args, templates = get_dataset_args(), get_templates()
    args.corr_noise_scale = args.iid_noise_scale = args.shear_scale = 0
    templates["x"] = np.ones_like(templates["x"])
    made = generated(args=args, template=templates)["x_test"]
    assert np.array_equal(made > made.min(), signals.truth.numpy())


def test_truth_is_where_the_generators_own_signal_is_not_zero(signals):
    """The same with the digits' own templates, whose ends lie 1e-8 above 0 so that they count."""
    from mnist1d.data import get_dataset_args

    args = get_dataset_args()
    args.corr_noise_scale = args.iid_noise_scale = args.shear_scale = 0
    made = generated(args=args)["x_test"]
    values, times = np.unique(made, return_counts=True)
    assert np.array_equal(made != values[times.argmax()], signals.truth.numpy())


def test_truth_is_where_signals_of_other_digits_would_differ(signals):
    """With the templates of other digits and the same random numbers, only the truth changes, up to centring and scaling."""
    from mnist1d.data import get_templates

    templates = get_templates()
    templates["x"] = np.roll(templates["x"], 3, axis=0)
    ours, others = generated()["x_test"], generated(template=templates)["x_test"]
    outside = ~signals.truth.numpy()
    slope, shift = np.polyfit(others[outside], ours[outside], 1)
    apart = np.abs(ours - slope * others - shift)
    assert apart[outside].max() < 1e-12
    assert np.median(apart[~outside]) > 0.1


def test_truth_is_one_run_of_the_templates_length(signals):
    """12 of 48 to 72 points, stretched to 72 and shrunk to 40: 12 to 19 long steps, which touch 7 to 11 short ones."""
    truth = signals.truth.numpy().astype(int)
    assert set(truth.sum(1)) == {7, 8, 9, 10, 11}
    assert (np.abs(np.diff(truth, prepend=0, append=0, axis=1)).sum(1) == 2).all()


def test_noting_the_truth_leaves_the_generator_as_it_was():
    import importlib

    inner = importlib.import_module("mnist1d.transform")
    before = inner.corr_noise_like
    module("mnist1d").load.__wrapped__()  # past the cache
    assert inner.corr_noise_like is before


# --- mosaics of HMT


@pytest.fixture
def data() -> Data:
    return Data(shared("BENCH_DATA", "data"), offline=True)


@pytest.fixture
def mosaics(data) -> Problem:
    return made("hmt_mosaic", TASKS["hmt_mosaic"].samples(data)[:16], data)


def test_every_mosaic_is_asked_once_every_eight_ask_for_each_class_and_pairs_for_both_alike(data):
    ids = TASKS["hmt_mosaic"].samples(data)
    numbers, names = zip(*(one.split("/") for one in ids), strict=True)
    assert list(map(int, numbers)) == list(range(112))
    assert all(len(set(names[start : start + 8])) == 8 for start in range(0, 112, 8))
    classes = [name[3:] for name in module("hmt").CLASSES]
    pairs = [tuple(classes[one] for one in module("hmt_mosaic").classes_of(mosaic)) for mosaic in range(112)]
    assert all(name in pair for name, pair in zip(names, pairs, strict=True))
    asked = Counter((frozenset(pair), name) for name, pair in zip(names, pairs, strict=True))
    assert len(asked) == 28 * 2
    assert set(asked.values()) == {2}


def quadrants(values: torch.Tensor) -> list[torch.Tensor]:
    return [values[..., r : r + 75, c : c + 75] for r in (0, 75) for c in (0, 75)]


def test_a_mosaic_is_four_middles_of_test_tiles_and_the_truth_those_of_its_class(data, mosaics):
    hmt = module("hmt")
    tiles = hmt.files(hmt.find(data))["test"]
    middle = {}
    for name, path in tiles.items():
        with Image.open(path) as tile:
            pixels = np.asarray(tile)[37:112, 37:112]
        middle[(pixels.astype(np.float32) * np.float32(1 / 255)).tobytes()] = name
    for image, truth, target in zip(mosaics.inputs, mosaics.truth, mosaics.targets, strict=True):
        names = [middle[q.permute(1, 2, 0).contiguous().numpy().tobytes()] for q in quadrants(image)]
        assert len(set(names)) == 4
        own = [name.startswith(hmt.CLASSES[target]) for name in names]
        assert sum(own) == 2
        assert len({name.split("/")[0] for name in names}) == 2
        assert [bool(q.all()) for q in quadrants(truth)] == own
        assert [bool(q.any()) for q in quadrants(truth)] == own


def test_arrangements_are_drawn(mosaics):
    assert len(torch.unique(mosaics.truth.flatten(1), dim=0)) > 2
    assert len(torch.unique(mosaics.inputs.flatten(1), dim=0)) == len(mosaics.inputs)


def test_the_model_recognises_every_quarter(mosaics):
    for image, truth, target in zip(mosaics.inputs, mosaics.truth, mosaics.targets, strict=True):
        own = torch.stack([q for q, of in zip(quadrants(image), quadrants(truth), strict=True) if of.all()])
        assert mosaics.model(own).argmax(1).tolist() == [target, target]


def test_a_mosaic_does_not_depend_on_its_company(data, mosaics):
    one = made("hmt_mosaic", [mosaics.sample_ids[13]], data)
    assert torch.equal(one.inputs[0], mosaics.inputs[13])
    assert torch.equal(one.truth[0], mosaics.truth[13])


def test_mosaics_are_skipped_as_hmt_is_and_unknown_ones_are_named(data, tmp_path, monkeypatch):
    with pytest.raises(BenchError, match="no mosaic '0000/NOTHING'; it has 112, the first is 0000/"):
        made("hmt_mosaic", ["0000/NOTHING"], data)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "empty_cache"))
    with pytest.raises(DataMissing, match=r"hmt is not on this machine.*python -m bench fetch hmt.*--data"):
        TASKS["hmt_mosaic"].samples(Data(tmp_path, offline=True))


def test_a_class_the_model_never_recognises_is_named(tmp_path, monkeypatch):
    """One plain tile per class: too few, whatever the model says."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "empty_cache"))
    for name in module("hmt").CLASSES:
        folder = Path(tmp_path, "HMT_test", name)
        folder.mkdir(parents=True)
        Image.new("RGB", (150, 150)).save(folder / "tile.png")
    with pytest.raises(BenchError, match=r"needs two tiles of 0\d_.* finds fewer among 1"):
        made("hmt_mosaic", TASKS["hmt_mosaic"].samples(Data(tmp_path, offline=True))[:1], Data(tmp_path, offline=True))
