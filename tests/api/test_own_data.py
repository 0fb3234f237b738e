"""Problems from files are those that a few lines of Python make, in every score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import ImageDataset, create_transform, resolve_model_data_config
from torch import nn

import bench
from bench.api.agreement import agreement
from bench.cli.main import main
from bench.core.display import in_unit_range
from bench.storage.maps import MapStore

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # timm's data set leaves it to the garbage collector to close its files
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NETWORK = "timm:test_resnet"
SIZE = 32
METHODS, METRICS = ["saliency", "random"], ["drop", "deletion"]
SIGNAL_MODEL = """
import torch
from torch import nn

def build():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv1d(2, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(16, 3))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Five images of two classes with masks, and a network's weights."""
    here = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("cat/a", "cat/b", "cat/c", "dog/d", "dog/e"):
        for kind in ("images", "masks"):
            (here / kind / name).parent.mkdir(parents=True, exist_ok=True)
        values = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(values).save(here / "images" / f"{name}.png")
        mask = np.zeros((40, 50), dtype=np.uint8)
        mask[10:20, 20:30] = 1
        Image.fromarray(mask).save(here / "masks" / f"{name}.png")
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=2)
    save_file(network.state_dict(), here / "w.safetensors")
    return here


def by_hand(photos: Path) -> bench.Problem:
    """The images as timm's own data set reads them, in its order."""
    network = timm.create_model("test_resnet", num_classes=2)
    from safetensors.torch import load_file

    network.load_state_dict(load_file(photos / "w.safetensors"))
    config = resolve_model_data_config(network, args={"img_size": SIZE})
    data = ImageDataset(str(photos / "images"), transform=create_transform(**config, is_training=False))
    inputs, labels = zip(*data, strict=True)
    ids = [data.filename(row, absolute=False) for row in range(len(data))]
    return bench.Problem.from_model(network, torch.stack(inputs), labels=list(labels), sample_ids=ids)


def folder(photos: Path, **given: object) -> bench.Problem:
    notes: list[str] = []
    problem = bench.image_folder(
        photos / "images", NETWORK, weights=photos / "w.safetensors", size=SIZE, notify=notes.append, **given
    )
    assert len(notes) == 1
    assert notes[0].startswith("the model predicts the label of ")
    return problem


def test_a_folder_is_the_problem_that_timm_s_data_set_gives(photos):
    found, expected = folder(photos), by_hand(photos)
    order = [expected.sample_ids.index(name) for name in found.sample_ids]
    expected = expected.take(order)
    assert found.sample_ids == ("cat/a.png", "dog/d.png", "cat/b.png", "dog/e.png", "cat/c.png")
    assert torch.equal(found.inputs, expected.inputs)
    assert torch.equal(found.labels, expected.labels)
    assert (found.fingerprint, found.layers) == (expected.fingerprint, expected.layers)
    assert found.class_names == ("cat", "dog")
    assert found.baseline.tolist() == [[[0.0]], [[0.0]], [[0.0]]]
    assert found.bounds.flatten(1).tolist() == [[-1.0] * 3, [1.0] * 3]  # test_resnet's mean and deviation are 0.5
    assert found.truth is None


def test_the_command_line_the_function_and_a_problem_by_hand_give_the_same_scores(photos, tmp_path):
    options = f"--images {photos}/images --model {NETWORK} --weights {photos}/w.safetensors --size {SIZE} --device cpu"
    words = (
        f"run --task image_folder {options} --method saliency random --metric drop deletion --no-plots --batch-size 4"
    )
    assert main([*words.split(), "--out", str(tmp_path)]) == 0
    command = bench.Results(tmp_path).scores
    assert set(command["task"]) == {"image_folder"}
    expected = by_hand(photos)
    names = sorted(folder(photos).sample_ids)
    for problem in (folder(photos), expected.take([expected.sample_ids.index(name) for name in names])):
        scores = bench.evaluate(
            problem, methods=METHODS, metrics=METRICS, name="image_folder", device="cpu", batch_size=4, progress=False
        ).scores
        key = ["method", "metric", "sample_id"]
        both = [one.sort_values(key).set_index(key)["score"] for one in (command, scores)]
        pd.testing.assert_series_equal(*both, check_exact=True)


def test_maps_of_one_s_own_images_go_from_the_shell_into_a_file_and_back_onto_the_board(photos, tmp_path):
    own = f"--images {photos}/images --model {NETWORK} --weights {photos}/w.safetensors --size {SIZE} --device cpu"
    same = [*own.split(), "--batch-size", "4"]
    file = tmp_path / "maps.npz"
    assert main(["attribute", "image_folder", "--method", "saliency", "-o", str(file), *same]) == 0
    with np.load(file) as stored:
        assert stored["sample_ids"].tolist() == list(folder(photos).sample_ids)
        assert stored["maps"].shape == (5, SIZE, SIZE)
    words = ["run", "--task", "image_folder", *same, "--method", *METHODS, "--metric", *METRICS, "--no-plots"]
    assert main([*words, "--maps", f"mine={file}", "--out", str(tmp_path / "out")]) == 0
    scores = bench.Results(tmp_path / "out").scores.set_index(["method", "metric", "sample_id"])["score"]
    pd.testing.assert_series_equal(scores["mine"], scores["saliency"], check_exact=True)


def test_masks_become_truth_and_samples_are_limited(photos):
    problem = folder(photos, masks=photos / "masks", samples=2)
    assert problem.sample_ids == ("cat/a.png", "dog/d.png")
    assert problem.truth.shape == (2, SIZE, SIZE)
    assert 0.03 < problem.truth.float().mean() < 0.12  # 100 of the 40 x 40 pixels that the crop keeps, at most


def test_labels_come_from_a_csv_by_name_or_number(photos, tmp_path):
    table, names = tmp_path / "labels.csv", tmp_path / "names.txt"
    names.write_text("dog\ncat\n")
    for rows, given, expected in (
        ("cat/a.png,1\ndog/d.png,0\n", {}, ([0, 1], ())),
        ("cat/a.png,zebra\ndog/d.png,ape\n", {}, ([0, 1], ("ape", "zebra"))),
        ("cat/a.png,cat\ndog/d.png,dog\n", {"classes": names}, ([1, 0], ("dog", "cat"))),
        ("cat/a.png,0\ndog/d.png,1\n", {"classes": names}, ([0, 1], ("dog", "cat"))),
    ):
        table.write_text("file,label\n" + rows)
        problem = folder(photos, labels=table, **given)
        assert (problem.labels.tolist(), problem.class_names) == expected
        assert set(problem.sample_ids) == {"cat/a.png", "dog/d.png"}


def test_pictures_show_normalised_images_in_their_colours(photos, tmp_path):
    problem = folder(photos)
    bench.evaluate(problem, methods="saliency", metrics="drop", out=tmp_path, name="mine", progress=False)
    shown = MapStore(tmp_path).read("mine")["inputs"]
    np.testing.assert_allclose(shown["inputs"], (problem.inputs.numpy() + 1) / 2, atol=1e-6)
    assert shown["baseline"].flatten().tolist() == [0.5] * 3
    assert set(shown["explained"]) <= {"cat", "dog"}
    assert in_unit_range(problem.inputs, None) is problem.inputs


@pytest.fixture
def signals(tmp_path) -> Path:
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", rng.normal(size=(6, 2, 30)))
    np.save(tmp_path / "y.npy", np.array([[0], [0], [0], [1], [1], [2]]))
    np.save(tmp_path / "m.npy", rng.random((6, 30)) > 0.5)
    (tmp_path / "mine.py").write_text(SIGNAL_MODEL)
    return tmp_path


def test_arrays_are_the_problem_that_from_model_gives(signals):
    notes: list[str] = []
    found = bench.arrays(
        signals / "x.npy",
        f"{signals}/mine.py:build",
        labels=signals / "y.npy",
        truth=signals / "m.npy",
        notify=notes.append,
    )
    order = [0, 3, 5, 1, 4, 2]  # balanced over the labels
    space: dict[str, object] = {}
    exec(SIGNAL_MODEL, space)
    expected = bench.Problem.from_model(
        space["build"](),
        np.load(signals / "x.npy")[order],
        truth=np.load(signals / "m.npy")[order],
        labels=np.array([0, 1, 2, 0, 1, 0]),
        sample_ids=order,
    )
    assert len(notes) == 1
    for field in ("inputs", "truth", "labels", "baseline"):
        assert torch.equal(getattr(found, field), getattr(expected, field)), field
    for field in ("sample_ids", "layers", "fingerprint", "class_names", "bounds"):
        assert getattr(found, field) == getattr(expected, field), field


def test_arrays_run_on_the_command_line(signals, capsys):
    words = f"--inputs {signals}/x.npy --labels {signals}/y.npy --truth {signals}/m.npy --model {signals}/mine.py:build"
    how = "--method saliency random oracle --metric drop pointing_game --no-plots --name ecg --samples 4"
    assert main([*f"run --task arrays {words} {how} --out {signals}/out".split()]) == 0
    scores = bench.Results(signals / "out").scores
    assert set(scores["task"]) == {"ecg"}
    assert set(scores["sample_id"]) == {"0", "3", "5", "1"}
    assert (scores["status"] == "ok").all()
    assert "bench: the model predicts the label of " in capsys.readouterr().err


GUESSING = ", no better than guessing: the order of the classes, the transform or the weights may be wrong"


@pytest.mark.parametrize(
    ("labels", "predicted", "ending"),
    [
        ([0, 1, 2, 3] * 10, [0, 1] + [(row + 1) % 4 for row in range(2, 40)], f"2 of 40 samples{GUESSING}"),
        ([0, 1] * 20, [0] * 40, f"20 of 40 samples{GUESSING}"),  # one class, whatever is asked
        ([0, 1] * 20, [0, 1] + [0] * 38, "21 of 40 samples"),
        ([0] * 38 + [1] * 2, [0] * 40, f"38 of 40 samples{GUESSING}"),
        ([0] * 38 + [1] * 2, [0] * 34 + [1] * 6, "36 of 40 samples"),  # fewer hits, and it sees the rare class
        ([2] * 8, [2] * 8, "8 of 8 samples"),  # one label: as many hits as a guess among all four outputs
        ([2] * 8, [2] * 2 + [0] * 6, f"2 of 8 samples{GUESSING}"),
        ([2] * 8, [2] * 3 + [0] * 5, "3 of 8 samples"),
        ([0, 1] * 3 + [1], [1, 0] * 3 + [0], "0 of 7 samples"),  # too few to tell
        ([0, 1] * 4, [1, 0] * 4, f"0 of 8 samples{GUESSING}"),
        ([0, 1] * 32 + [1] * 9, [0, 1] * 32 + [0] * 9, "64 of 64 samples"),  # only the first are asked
    ],
)
def test_a_model_that_does_no_better_than_guessing_is_suspected(labels, predicted, ending):
    inputs = 5 * torch.eye(4)[predicted] - 1
    problem = bench.Problem.from_model(nn.Identity(), inputs, labels=labels)
    assert agreement(problem) == [f"the model predicts the label of {ending}"]
    assert agreement(replace(problem, labels=None)) == agreement(replace(problem, output="sigmoid")) == []


def test_notes_are_warnings_where_nobody_takes_them(signals):
    with pytest.warns(UserWarning, match="the model predicts the label of") as caught:
        bench.arrays(signals / "x.npy", f"{signals}/mine.py:build", labels=signals / "y.npy")
    assert caught[0].filename == __file__


def test_a_module_is_taken_as_it_is(photos):
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))[:, :2]

    def transform(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image.resize((8, 8)), dtype=np.float32).copy()).permute(2, 0, 1) / 255

    problem = bench.image_folder(photos / "images", Mean(), transform=transform, notify=str)
    assert problem.inputs.shape == (5, 3, 8, 8)
    assert problem.baseline.flatten().tolist() == [0.5] * 3


def test_one_logit_and_a_regression_are_explained_by_name_of_their_output(signals):
    (signals / "kinds.py").write_text(SIGNAL_MODEL + SIGNAL_MODEL.replace("build", "one").replace("16, 3", "16, 1"))
    np.save(signals / "y.npy", np.arange(6) % 2)
    notes: list[str] = []
    one = bench.arrays(
        signals / "x.npy", f"{signals}/kinds.py:one", labels=signals / "y.npy", output="sigmoid", notify=notes.append
    )
    assert (one.output, one.targets.tolist()) == ("softmax", [1] * 6)
    assert one.model(one.inputs).shape == (6, 2)
    assert len(notes) == 1
    value = bench.arrays(
        signals / "x.npy", f"{signals}/kinds.py:build", output="identity", target=2, notify=notes.append
    )
    assert (value.output, value.targets.tolist()) == ("identity", [2] * 6)
    words = f"run --task arrays --inputs {signals}/x.npy --model {signals}/kinds.py:one --output sigmoid --name one"
    assert (
        main([*words.split(), *f"--method saliency random --metric drop --no-plots --out {signals}/out".split()]) == 0
    )
    expected = bench.evaluate(one, methods=METHODS, metrics="drop", name="one", progress=False).scores
    scores = [
        part.set_index(["method", "sample_id"])["score"].sort_index()
        for part in (bench.Results(signals / "out").scores, expected)
    ]
    pd.testing.assert_series_equal(*scores, check_exact=False)


READS = (
    SIGNAL_MODEL
    + """
class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()

    def forward(self, x):
        return {"features": x, "logits": self.net(x)}

def pair():
    return Pair()
"""
)


def test_how_the_model_is_read_is_said_in_the_shell_as_in_python(signals):
    (signals / "pair.py").write_text(READS)
    words = f"run --task arrays --inputs {signals}/x.npy --model {signals}/pair.py:pair --readout logits --target 1"
    words += f" --channels separate --baseline 0.5 -1 --top-k 0.2 --name leads --out {signals}/out --no-plots"
    assert main([*words.split(), *["--method", "saliency", "occlusion", "random", "--metric", "drop", "deletion"]]) == 0
    space: dict[str, object] = {"__name__": "pair"}
    exec(READS, space)
    expected = bench.Problem.from_model(
        space["pair"](),
        np.load(signals / "x.npy"),
        1,
        readout="logits",
        channels="separate",
        baseline=[0.5, -1],
        top_k=0.2,
    )
    found = bench.arrays(
        signals / "x.npy",
        f"{signals}/pair.py:pair",
        readout="logits",
        channels="separate",
        baseline=[0.5, -1],
        top_k=0.2,
        target=1,
    )
    assert bench.attribute(found, "saliency").shape == (6, 2, 30)
    wanted = bench.evaluate(
        expected,
        methods=["saliency", "occlusion", "random"],
        metrics=["drop", "deletion"],
        name="leads",
        progress=False,
    ).scores
    key = ["method", "metric", "sample_id"]
    command, ours = (
        part.set_index(key)["score"].sort_index() for part in (bench.Results(signals / "out").scores, wanted)
    )
    assert len(ours) == 3 * 2 * 6
    pd.testing.assert_series_equal(command, ours, check_exact=True)


def test_a_colour_stands_for_absent_pixels(photos):
    assert folder(photos, baseline="white").baseline.flatten().tolist() == [1.0] * 3  # mean and deviation are 0.5
    mixed = folder(photos, baseline="#ff8000").baseline.flatten()
    assert torch.allclose(mixed, torch.tensor([1.0, 2 * 128 / 255 - 1, -1.0]), atol=1e-6)  # float32


def test_channels_of_images_are_features_of_their_own(photos):
    problem = folder(photos, masks=photos / "masks", channels="separate", baseline="white")
    assert problem.inputs.shape == (5, 1, 3, SIZE, SIZE)
    assert problem.bounds.shape == (2, 1, 3, 1, 1)
    assert problem.truth.shape == (5, 3, SIZE, SIZE)
    scores = bench.evaluate(
        problem, methods=["saliency", "random", "oracle"], metrics=["drop", "pointing_game"], progress=False
    ).scores
    assert (scores["status"] == "ok").all()
    hits = scores[(scores["method"] == "oracle") & (scores["metric"] == "pointing_game")]["score"]
    assert hits.tolist() == [1.0] * 5


def test_explain_draws_an_image_of_one_s_own(photos, tmp_path, capsys):
    options = f"--images {photos}/images --model {NETWORK} --weights {photos}/w.safetensors --size {SIZE}"
    words = (
        f"explain image_folder {options} --sample dog/e.png --target dog --method saliency,random -o {tmp_path}/m.png"
    )
    assert main(words.split()) == 0
    assert "image_folder · dog/e.png: dog (p = " in capsys.readouterr().out
    assert Image.open(tmp_path / "m.png").width > 300
    expected = bench.explain(folder(photos), sample="dog/e.png", target="dog", methods="saliency", progress=False)
    assert expected.caption.startswith("model · dog/e.png: dog (p = ")


def test_a_board_shows_the_samples_of_the_last_problem_of_its_name_alone(signals):
    """Two data sets, one name, one folder, the same ids: no score of one stands on the board of the other."""
    out = signals / "sites"
    rng = np.random.default_rng(7)
    np.save(signals / "b.npy", rng.normal(size=(4, 2, 30)).astype(np.float32))

    def board(inputs: str, metrics: str, samples: int = 99) -> bench.Results:
        words = f"run --task arrays --inputs {signals}/{inputs} --model {signals}/mine.py:build --samples {samples}"
        assert main(f"{words} --method saliency random --metric {metrics} --no-plots --out {out}".split()) == 0
        return bench.Results(out)

    first = board("x.npy", "drop deletion").scores
    assert len(first) == 2 * 2 * 6
    other = board("b.npy", "drop")
    assert sorted(set(other.scores["sample_id"])) == ["0", "1", "2", "3"]
    assert set(other.scores["metric"]) == {"drop"}  # deletion was scored on the other samples of these numbers
    assert other.leaderboard["n_samples"].tolist() == [4, 4]
    assert sorted(set(board("x.npy", "drop", samples=3).scores["sample_id"])) == ["0", "1", "2"]
    again = board("x.npy", "drop deletion").scores
    key = ["method", "metric", "sample_id"]
    pd.testing.assert_series_equal(
        *(part.set_index(key)["score"].sort_index() for part in (first, again)), check_exact=False, rtol=1e-5
    )
