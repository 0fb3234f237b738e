"""`explain`: the maps are those of a run; a user's own input and its mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import plots
from bench.cli.main import main
from bench.engine import loading, one_sample
from bench.registry import decorators
from bench.storage.maps import Arrays, MapStore
from bench.task_tools.data import Data

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def asked(task: str, sample: str = "0", file: Path | None = None, target: str | None = None):
    loading.load_all([])
    found = one_sample.problem(
        decorators.TASKS[task], sample=sample, file=file, target=target, data=Data(None, True), device=CPU
    )
    return decorators.TASKS[task], found


AS_IN_A_RUN = ["grad_cam", "sise", "smoothgrad", "random"]


@pytest.fixture(scope="module")
def maps_of_a_run(tmp_path_factory) -> dict[str, Arrays]:
    out = tmp_path_factory.mktemp("run")
    words = ["run", "--task", "tissue", "--samples", "3", "--method", *AS_IN_A_RUN, "--metric", "sparseness"]
    assert main([*words, "--device", "cpu", "--batch-size", "8", "--no-plots", "--out", str(out)]) == 0
    return MapStore(out).read("tissue")


@pytest.mark.parametrize("method", AS_IN_A_RUN)
def test_the_map_is_the_one_of_a_run(maps_of_a_run, method):
    maps = maps_of_a_run
    ids = maps["inputs"]["sample_ids"].tolist()
    (kept,) = [arrays["maps"] for name, arrays in maps.items() if name.startswith(f"method={method}-")]
    task, one = asked("tissue", ids[2])
    np.testing.assert_array_equal(one.inputs[0], maps["inputs"]["inputs"][2])
    made = one_sample.explained(decorators.METHODS[method], one, task=task, seed=0)
    # other batches: sums in another order
    np.testing.assert_allclose(made.attribution, kept[2], atol=1e-4 * np.abs(kept[2]).max())


def test_a_sample_has_a_number_and_an_id():
    _, first = asked("mnist1d", "2")
    _, second = asked("mnist1d", first.sample_ids[0])
    assert first.sample_ids == second.sample_ids
    assert torch.equal(first.inputs, second.inputs)


def test_the_class_is_the_models_unless_another_is_asked_for():
    task, one = asked("tissue")
    said = int(one.model(one.inputs).argmax())
    assert one.targets.tolist() == [said]
    other = (said + 1) % len(one.class_names)
    for target in (str(other), one.class_names[other]):
        assert asked("tissue", target=target)[1].targets.tolist() == [other]
    caption = one_sample.caption(asked("tissue", target=str(other))[1], task)
    assert one.class_names[other] in caption
    assert f"the model says {one.class_names[said]}" in caption


def test_an_image_of_ones_own_is_cropped_scaled_and_explained(tmp_path):
    rng = np.random.default_rng(0)
    middle = rng.integers(0, 255, (80, 80, 3), dtype=np.uint8)
    wide = np.zeros((80, 160, 3), dtype=np.uint8)
    wide[:, 40:120] = middle
    Image.fromarray(wide).save(tmp_path / "own.png")
    task, one = asked("tissue", file=tmp_path / "own.png")
    np.testing.assert_allclose(one.inputs[0].numpy(), np.moveaxis(middle, -1, 0) / 255, atol=1e-6)
    assert one.truth is None
    assert one.sample_ids == ("own.png",)
    made = {
        name: one_sample.explained(decorators.METHODS[name], one, task=task, seed=0) for name in ("saliency", "oracle")
    }
    assert made["saliency"].attribution.shape == (80, 80)
    assert made["oracle"].attribution is None
    assert made["oracle"].note == "oracle needs truth, which the task does not have"


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    ramp = np.linspace(0, 65535, 80).astype(np.uint16)[None].repeat(80, axis=0)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    _, one = asked("tissue", file=tmp_path / "deep.png")
    np.testing.assert_allclose(one.inputs[0, 0].numpy(), ramp / 65535, atol=0.003)


@pytest.mark.parametrize("ending", ["npy", "csv"])
def test_a_signal_of_ones_own(tmp_path, ending):
    signal = np.random.default_rng(0).normal(size=40).astype(np.float32)
    path = tmp_path / f"own.{ending}"
    np.save(path, signal) if ending == "npy" else np.savetxt(path, signal[None], delimiter=",")
    _, one = asked("mnist1d", file=path)
    np.testing.assert_allclose(one.inputs[0, 0].numpy(), signal, atol=1e-6)


def test_the_picture_shows_each_map_and_why_there_is_none():
    one = np.random.default_rng(0).random((3, 8, 8))
    found = [
        one_sample.Explanation("good", np.ones((8, 8)) * np.arange(8), 0.01, ""),
        one_sample.Explanation("bad", None, np.nan, "it broke"),
    ]
    figure = plots.side_by_side(one, found, "what it is")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["input", "good", "bad"]
    assert [text.get_text() for text in shown[2].texts] == ["it broke"]
    assert [len(axes.images) for axes in shown] == [1, 1, 0]


def test_the_command_writes_the_picture_and_tells_times(tmp_path, capsys):
    path = tmp_path / "maps.png"
    words = ["explain", "mnist1d", "--sample", "1", "--method", "grad_cam,smoothgrad[samples=4,sigma=0.2]", "random"]
    assert main([*words, "-o", str(path), "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert [line.split(":")[0] for line in text.splitlines()[:3]] == [
        "grad_cam",
        "smoothgrad[samples=4,sigma=0.2]",
        "random",
    ]
    with Image.open(path) as picture:
        assert picture.width > 600


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nothing", "unknown task 'nothing'"),
        ("mnist1d --sample 5000", "unknown sample '5000' of mnist1d (allowed: 0 to 999, or an id, for example "),
        (
            "mnist1d --target eleven",
            "unknown class 'eleven' of mnist1d (0, 1, 2, ... 10 in all); or a number from 0 to 9",
        ),
        ("mnist1d --method sice", "unknown method 'sice'; did you mean 'sise'?"),
        ("mnist1d --input nowhere.npy", "--input nowhere.npy: no such file"),
        ("mnist1d --input photo.png", "mnist1d takes values of shape (1, 40) as .npy or .csv, not an image"),
        ("mnist1d --input short.npy", "its shape is (3,); mnist1d takes (1, 40)"),
        ("mnist1d --input words.csv", "words.csv: cannot be read as numbers"),
        ("planted*", "'planted*' matches 2 tasks (planted_signal, planted_image); name one of them"),
        ("mnist1d --input empty.npy", "empty.npy: cannot be read as numbers"),
        ("mnist1d -o folder.png", "picture folder.png is a folder; the path of a file is needed"),
        ("tissue --input words.csv --method saliency", "words.csv: cannot be read as numbers"),
        ("tissue --input torn.png", "torn.png: truncated or not an image"),
        ("mnist1d -o maps.gif", "picture maps.gif cannot be written; its name must end in .png, .svg, .pdf"),
        ("mnist1d -o nowhere/maps.png", "picture nowhere/maps.png cannot be written; its folder does not exist"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 9)).save("photo.png")
    np.save("short.npy", np.zeros(3))
    Path("empty.npy").touch()
    Path("folder.png").mkdir()
    Path("words.csv").write_text("one,two\n", encoding="utf-8")
    Path("torn.png").write_bytes(Path("photo.png").read_bytes()[:40])
    before = sorted(tmp_path.iterdir())
    assert main(["explain", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_it_ends_with_1_where_no_method_made_a_map(tmp_path):
    assert main(["explain", "mnist1d", "--method", "cam", "-o", str(tmp_path / "maps.png"), "--device", "cpu"]) == 1
