"""Tissue: its tiles are what their numbers say, its colours obey Beer and Lambert, and its truth is what decides."""

from __future__ import annotations

import json
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from skimage.color import hed2rgb
from skimage.measure import label as parts_of
from torch import Tensor

from bench.core.errors import BenchError
from bench.core.problem import Problem
from bench.registry.decorators import TASKS
from bench.task_tools import training, weights

tissue = sys.modules["bench.tasks.tissue"]
histology = sys.modules["bench.tasks._histology"]


@pytest.fixture(scope="module")
def problem() -> Problem:
    return TASKS["tissue"].fn(tuple(TASKS["tissue"].samples()))


@torch.inference_mode()
def accuracy(problem: Problem, inputs: Tensor) -> float:
    """Share of the inputs (N, 3, H, W) that the shipped network puts in the class of the problem's samples."""
    predicted = torch.cat([problem.model(batch).argmax(1) for batch in inputs.split(32)])
    return (predicted == problem.labels).double().mean().item()


# --- colours


def test_colours_are_those_of_skimage():
    """hed2rgb counts stain in units of six optical densities, so that 1 is one part of light in a million."""
    amounts = np.random.default_rng(0).uniform(0, 2, (7, 5, 3))
    np.testing.assert_allclose(histology.transmitted(amounts), hed2rgb(amounts / 6), rtol=1e-12)


def test_an_optical_density_of_one_lets_a_tenth_of_the_light_through():
    light = histology.transmitted(np.eye(3))
    np.testing.assert_allclose(light[0], [10**-0.65, 10**-0.70, 10**-0.29])  # haematoxylin
    np.testing.assert_allclose(light[1], [10**-0.07, 10**-0.99, 10**-0.11])  # eosin
    assert (histology.transmitted(np.zeros(3)) == 1).all()  # glass: the baseline


def test_noise_has_the_variance_that_textures_count_on():
    """A mean over many draws; 200 fields of at least 16 independent patches each pin the deviation to 2 %."""
    rng = np.random.default_rng(0)
    for sigma in (0.8, 3, 6):
        fields = np.stack([histology.smooth(rng, sigma) for _ in range(200)])
        assert fields.shape == (200, 80, 80)
        assert fields.std() == pytest.approx(1, rel=0.04)


def test_a_pixel_is_of_the_nearest_cell():
    """Against all centres at once, in a straight frame: nearest centre, and the distance to the nearest bisector.

    A centre that owns no pixel (most are outside) goes unseen here, so only pixels far from the edge are compared.
    """
    where = histology.COLUMNS, histology.ROWS
    crowd = histology.cells(np.random.default_rng(3), where, 9.0)
    points = np.stack(where, -1)
    own = points - np.stack([crowd.along, crowd.across], -1)
    _, first = np.unique(crowd.owner, return_index=True)
    centres = own.reshape(-1, 2)[first]
    distance = np.linalg.norm(points[:, :, None] - centres, axis=-1)
    inner = np.s_[20:-20, 20:-20]
    np.testing.assert_allclose(np.linalg.norm(points - own, axis=-1)[inner], distance.min(-1)[inner], atol=1e-9)
    apart = np.linalg.norm(centres - own[:, :, None], axis=-1)
    squares = distance**2 - distance.min(-1, keepdims=True) ** 2
    bisector = np.divide(squares, 2 * apart, out=np.full_like(apart, np.inf), where=apart > 1e-9).min(-1)
    off = np.abs(crowd.wall - bisector)[inner]
    assert (off < 1e-9).mean() > 0.98  # `cells` looks one lattice step around, and a far neighbour may be beyond it


# --- tiles


def test_a_tile_is_the_same_alone_and_in_company(problem):
    ids = ("test/0451", "test/0003", "test/0128")
    tissue.tile.cache_clear()
    few = TASKS["tissue"].fn(ids)
    tissue.tile.cache_clear()
    rows = [problem.sample_ids.index(name) for name in ids]
    for name in ("inputs", "labels", "truth"):
        assert torch.equal(getattr(few, name), getattr(problem, name)[rows])
    (alone,) = TASKS["tissue"].fn(ids[1:2]).inputs
    assert torch.equal(alone, few.inputs[1])
    assert few.fingerprint == problem.fingerprint
    assert torch.equal(few.background, problem.background)


def test_tiles_leave_no_trace_in_random_states():
    np.random.seed(5)
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    tissue.tile.__wrapped__("test", 1)  # past the cache
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.random.get_rng_state(), before[1])


def test_no_two_tiles_are_alike(problem):
    everything = torch.cat([problem.inputs, tissue.prepare(tissue.tiles("train", range(64))[0])])
    assert len(everything.flatten(1).unique(dim=0)) == TASKS["tissue"].samples().__len__() + 64


def test_classes_take_turns(problem):
    assert problem.labels.tolist() == [number % 8 for number in range(480)]
    assert problem.class_names == (
        "tumour",
        "stroma",
        "lymphocytes",
        "adipose",
        "glands",
        "mucin",
        "necrosis",
        "erythrocytes",
    )


def test_every_class_is_drawn_on_every_ground(problem):
    """15 tiles a class and ground are expected: none is absent but by a chance of 32 * (3/4)^60 = 1e-6."""
    met = Counter(
        (number % 8, int(tissue.stream("test", number, 0).integers(len(tissue.GROUNDS)))) for number in range(480)
    )
    assert len(met) == 8 * 4
    assert min(met.values()) >= 5


def test_absent_is_glass_and_inputs_are_light(problem):
    assert problem.inputs.dtype == torch.float32
    assert problem.inputs.shape == (480, 3, 80, 80)
    assert (problem.inputs.amin(), problem.inputs.amax()) >= (0, 0)
    assert problem.inputs.amax() <= 1
    assert torch.equal(problem.baseline, torch.ones(3, 1, 1))
    assert torch.equal(problem.bounds[:, 0, 0, 0], torch.tensor([0.0, 1.0]))
    assert problem.background.shape == (8, 3, 80, 80)


@pytest.mark.parametrize("name", ["test/0480", "test/7", "train/0001"])
def test_a_tile_that_is_not_there_is_named(name):
    with pytest.raises(BenchError, match=f"tissue has no tile '{name}'; its tiles are test/0000 to test/0479"):
        TASKS["tissue"].fn((name,))


# --- truth


def test_the_patch_is_about_a_quarter_of_the_tile(problem):
    share = problem.truth.float().mean((1, 2))
    assert problem.truth.dtype == torch.bool
    assert problem.truth.shape == (480, 80, 80)
    assert share.min() >= 0.15
    assert share.max() <= 0.35


def test_the_patch_hangs_together(problem):
    """A patch may lose islands; nine tenths of it are one piece."""
    largest = [np.bincount(parts_of(truth).ravel())[1:].max() / truth.sum() for truth in problem.truth.numpy()]
    assert np.mean(np.array(largest) > 0.9) > 0.95


def test_truth_is_where_the_structure_is_drawn_and_nowhere_else():
    """The same tile without its structure differs exactly there (before the camera's noise, which both share)."""
    for number in range(16):
        pixels, truth = tissue.tile("test", number)
        bare = tissue.photograph(tissue.ground_of("test", number), tissue.stream("test", number, 2))
        differs = (pixels != bare).any(-1)
        assert not differs[~truth].any()
        assert differs[truth].mean() > 0.95  # a pixel of glass in a lumen on torn ground may look the same


def test_no_cell_is_cut(problem):
    """Where a structure has cells, each of them is in the patch or out of it."""
    for number in (0, 2, 3, 4, 7):
        _, owner = tissue.STRUCTURES[number](tissue.stream("test", number, 1))
        truth = problem.truth[number].numpy()
        assert not set(owner[truth]) & set(owner[~truth])


@pytest.fixture(scope="module")
def ground(problem) -> Tensor:
    """The test tiles without their structures (480, 3, 80, 80), in the same light."""
    bare = [tissue.photograph(tissue.ground_of("test", n), tissue.stream("test", n, 2)) for n in range(480)]
    return tissue.prepare(torch.from_numpy(np.stack(bare)).permute(0, 3, 1, 2))


def test_ground_alone_tells_nothing(problem, ground):
    """Chance is 1/8; of 480 guesses the share varies by 0.015, so four deviations are 0.06."""
    assert accuracy(problem, ground) == pytest.approx(1 / 8, abs=0.06)


@torch.inference_mode()
def test_no_class_is_what_the_network_says_when_there_is_nothing(problem, ground):
    """Without a structure all classes are about alike, so each of them has evidence that can be taken away."""
    for inputs in (ground, torch.ones(1, 3, 80, 80)):
        mean = torch.cat([problem.model(batch).softmax(1) for batch in inputs.split(32)]).mean(0)
        assert mean.max() < 1.5 / 8
        assert mean.min() > 0.75 / 8


def test_one_training_tile_in_eight_is_ground_alone():
    numbers = [number for number in range(tissue.TRAIN) if tissue.bare("train", number)]
    assert len(numbers) == pytest.approx(tissue.TRAIN / 8, rel=0.01)
    assert set(Counter(number % 8 for number in numbers).values()) == {len(numbers) // 8}
    assert not any(tissue.bare("test", number) for number in range(tissue.TEST))
    pixels, truth = tissue.tile("train", numbers[3])
    assert not truth.any()
    light = tissue.stream("train", numbers[3], 2)
    assert (pixels == tissue.photograph(tissue.ground_of("train", numbers[3]), light)).all()


def test_the_structure_alone_decides(problem):
    assert accuracy(problem, torch.where(problem.truth[:, None], problem.inputs, 1.0)) >= 0.85


# --- the shipped network


def stated() -> dict[str, object]:
    return json.loads(weights.path_of("tissue").with_suffix(".json").read_text(encoding="utf-8"))


def test_tissue_is_as_accurate_as_stated(problem):
    measured = accuracy(problem, problem.inputs)
    assert measured >= 0.97
    assert measured == pytest.approx(stated()["test_accuracy"], abs=1.5 / 480)  # one tile on the edge


def test_the_recipe_tests_on_the_tiles_that_are_explained(problem, monkeypatch):
    monkeypatch.setattr(tissue, "TRAIN", 16)  # all 4000 take a minute
    recipe = tissue.recipe()
    assert torch.equal(recipe.prepare(recipe.test[0]), problem.inputs)
    assert torch.equal(recipe.test[1], problem.labels)
    assert torch.equal(recipe.prepare(recipe.train[0][:8]), problem.background)
    assert training.fold_batch_norm(recipe.network())(problem.inputs[:2]).shape == (2, 8)


def test_augmented_tiles_are_turned_and_stained():
    """A plain tile stays plain; its light goes to a power near 1 in each channel. A marked corner visits all four."""
    plain = tissue.augment(torch.full((200, 3, 80, 80), 0.5), torch.Generator().manual_seed(0))
    assert torch.equal(plain.amax((2, 3)), plain.amin((2, 3)))
    power = plain[:, :, 0, 0].log2().neg().log()  # log of the power: normal, mean 0, deviation 0.05
    assert power.mean().item() == pytest.approx(0, abs=0.01)
    assert power.std().item() == pytest.approx(0.05, rel=0.12)
    marked = torch.full((200, 3, 80, 80), 0.5)
    marked[:, :, 0, 1] = 0.01
    out = tissue.augment(marked, torch.Generator().manual_seed(0))[:, 0].flatten(1)
    places = {0 * 80 + 1, 0 * 80 + 78, 79 * 80 + 1, 79 * 80 + 78, 1 * 80, 78 * 80, 1 * 80 + 79, 78 * 80 + 79}
    assert set(out.argmin(1).tolist()) == places
