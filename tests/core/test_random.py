"""Seeds and hashes are part of what is stored: the same on every machine, and in every later version."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.hashing import digest, digests, model_digest
from bench.core.random import SampleRng, numpy_state_kept


def test_seeds_and_first_draws_are_pinned():
    rng = SampleRng((0, "task"), ["a", "b"])
    assert rng.seeds == [3313376449501723367, 12107783282588377530]
    assert rng.uniform((2,)).flatten().tolist() == pytest.approx([0.21270257, 0.36902815, 0.53938180, 0.79780704])
    assert SampleRng((0, "task"), ["a", "b"]).normal((1,)).shape == (2, 1)


def test_a_samples_numbers_are_its_own():
    rng = SampleRng((0, "task"), ["a", "b", "c"])
    first = rng.uniform((3,))
    assert torch.equal(rng.take([2, 0]).uniform((3,)), first[[2, 0]])  # fresh streams, from their start
    assert not torch.equal(rng.uniform((3,)), first)
    assert SampleRng((1, "task"), ["a"]).seeds != SampleRng((0, "task"), ["a"]).seeds


def test_a_digest_is_pinned_and_tells_parts_types_and_shapes_apart():
    assert digest("a", 1, 2.0, np.arange(3), b"x", torch.ones(2)) == "85ef2d78c63bc0690eb20e4a031895bf"
    zeros = np.zeros(4, dtype=np.float32)
    alike = [
        digest(b"ab", b"c"),
        digest(b"a", b"bc"),
        digest(b"abc"),
        digest(zeros),
        digest(zeros.reshape(2, 2)),
        digest(zeros.view(np.int32)),
        digest(zeros.tobytes()),
    ]
    assert len(set(alike)) == len(alike)
    assert digests(("a", 1), ["b", "c"]) == [digest("a", 1, "b"), digest("a", 1, "c")]
    assert digest(torch.ones(2, 3).T) == digest(torch.ones(3, 2))


def test_a_models_digest_covers_its_structure_and_every_weight():
    def model() -> nn.Sequential:
        made = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1), nn.BatchNorm1d(1))
        for parameter in made.parameters():
            nn.init.ones_(parameter)
        return made

    first = model_digest(model())
    assert model_digest(model()) == first
    for name in model().state_dict():
        other = model()
        other.state_dict()[name].add_(1)
        assert model_digest(other) != first, name
    other = model()
    other[1] = nn.Tanh()
    assert model_digest(other) != first


def test_global_random_states_are_put_back():
    def states() -> tuple[object, list[str]]:
        return random.getstate(), [str(part) for part in np.random.get_state()]

    before = states()
    with numpy_state_kept():
        random.seed(5)
        np.random.seed(5)
        assert states()[0] != before[0]
        assert states()[1] != before[1]
    assert states() == before
