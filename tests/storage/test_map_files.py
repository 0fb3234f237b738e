"""Files of maps: what is written comes back the same, and each documented form is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.storage import map_files

MAPS = torch.linspace(-1, 1, 24).view(2, 3, 4)
IDS = ["test/0001", "Zelle ü 2"]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_maps_come_back_with_every_digit_under_the_ids_of_their_samples(tmp_path, suffix, kind):
    path = tmp_path / f"maps{suffix}"
    map_files.write(path, IDS, MAPS.to(kind), "mnist1d@1")
    maps, task = map_files.read(path)
    assert task == "mnist1d@1"
    assert set(maps) == set(IDS)
    for name, values in zip(IDS, MAPS.to(kind), strict=True):
        back = torch.as_tensor(maps[name])
        assert back.dtype == kind
        assert torch.equal(back, values)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "ids", [np.array(["0", "1"]), np.array([b"0", b"1"]), np.arange(2)], ids=["text", "bytes", "int"]
)
def test_ids_of_samples_may_be_texts_or_numbers(tmp_path, ids):
    np.savez(tmp_path / "maps.npz", sample_ids=ids, maps=MAPS.numpy())
    maps, task = map_files.read(tmp_path / "maps.npz")
    assert (list(maps), task) == (["0", "1"], "")
    np.testing.assert_array_equal(maps["1"], MAPS[1].numpy())


def test_an_array_for_each_sample_is_read_and_its_task_where_it_is_noted(tmp_path):
    arrays = {name: values.numpy() for name, values in zip(IDS, MAPS, strict=True)}
    np.savez(tmp_path / "maps.npz", **arrays)
    assert map_files.read(tmp_path / "maps.npz").task == ""
    np.savez(tmp_path / "maps.npz", **arrays, task=np.array("tissue@1"))
    maps, task = map_files.read(tmp_path / "maps.npz")
    assert (set(maps), task) == (set(IDS), "tissue@1")
    np.testing.assert_array_equal(maps[IDS[1]], MAPS[1].numpy())
    save_file({"a": MAPS[0].clone()}, tmp_path / "a.safetensors")
    assert map_files.read(tmp_path / "a.safetensors").task == ""


def test_a_pickle_is_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    np.savez(tmp_path / "maps.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(map_files.RequestError, match="pickled objects, which are never loaded"):
        map_files.read(tmp_path / "maps.npz")
    assert not (tmp_path / "sprung").exists()
    np.load(tmp_path / "maps.npz", allow_pickle=True)["a"]
    assert (tmp_path / "sprung").exists()  # the trap works


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_that_was_cut_off_or_damaged_is_refused(tmp_path, suffix):
    path = tmp_path / f"maps{suffix}"
    map_files.write(path, IDS, torch.rand(2, 50, 50))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(map_files.RequestError, match="is no whole"):
        map_files.read(path)
    if suffix == ".npz":
        path.write_bytes(whole[:200] + bytes(64) + whole[264:])  # inside the compressed ids or maps
        with pytest.raises(map_files.RequestError, match="is no whole"):
            map_files.read(path)
