"""`check --task`: methods on the network of a task, or on the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bench
from bench.cli.main import main
from bench.storage import exactness as stored

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORK = """import torch
from torch import nn

CONSTANT = torch.zeros(1)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Linear(4 * 18, 3)

    def forward(self, x):
        return self.dense(torch.{act}(self.norm(self.conv(x))).flatten(1))


def build():
    torch.manual_seed(0)
    return Own().eval()
"""


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """A network with rules for all its layers, and one without."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORK.replace("{act}", "relu"), encoding="utf-8")
    Path("sine.py").write_text(NETWORK.replace("{act}", "sin"), encoding="utf-8")
    np.save("X.npy", np.sin(np.arange(6 * 2 * 20.0)).reshape(6, 2, 20).astype(np.float32))


def arrays(model: str = "net.py:build") -> list[str]:
    return ["check", "--task", "arrays", "--inputs", "X.npy", "--model", model]


def test_methods_are_grouped_by_what_follows_and_rules_are_listed(capsys):
    assert main([*arrays(), "--method", "deep_lift", "lrp_epsilon", "cam"]) == 0
    assert capsys.readouterr().out == (
        "arrays\n\n"
        "exact here\n"
        "  deep_lift    The maps sum to what the output gains over the baseline: the gap is less than 0.01 %.\n"
        "               layers: conv 1 (gradient), ReLU 1 (rescale), linear 1 (gradient), batch norm merged 1\n\n"
        "as promised\n"
        "  lrp_epsilon  Holds here: null, class, float64, repeat.\n"
        "               layers: conv 1 (epsilon), ReLU 1 (passed on), linear 1 (epsilon), batch norm merged 1\n\n"
        "not for this network\n"
        "  cam\n"
        "      needs a network that ends in global average pooling and one dense layer; this one ends otherwise.\n\n"
        "null: features that do not reach the network get zero; class: another class gets another map; float64: the map is "
        "that\nof the network in float64; repeat: the same seed gives the same map\n"
        "3 methods: 1 exact here, 1 as promised, 1 not for this network\n"
    )
    assert not Path("results").exists()


def test_methods_with_the_same_reason_stand_together(capsys):
    assert main([*arrays("sine.py:build"), "--method", "lrp_epsilon", "lrp_gamma", "cam", "saliency"]) == 0
    printed = capsys.readouterr().out
    assert "  lrp_epsilon, lrp_gamma\n      has no rule for the operation sin (node sin).\n" in printed
    assert printed.endswith("4 methods: 1 exact here, 3 not for this network\n")


def test_what_could_not_be_asked_of_several_methods_is_said_once(capsys):
    assert main([*arrays(), "--output", "identity", "--target", "0", "--method", "saliency", "occlusion"]) == 0
    assert "was not checked" not in capsys.readouterr().out
    Path("value.py").write_text(NETWORK.replace("{act}", "relu").replace("18, 3", "18, 1"), encoding="utf-8")
    assert main([*arrays("value.py:build"), "--output", "identity", "--method", "saliency", "occlusion"]) == 0
    printed = capsys.readouterr().out
    assert "\nclass was not checked, for 2 methods: the network has one output\n" in printed
    assert main([*arrays("value.py:build"), "--output", "identity", "--method", "saliency"]) == 0
    assert "            not checked: class, the network has one output\n" in capsys.readouterr().out


def test_a_gap_is_measured_and_answered_with_exit_code_1(capsys):
    assert main([*arrays(), "--method", "integrated_gradients[steps=1]"]) == 1
    printed = capsys.readouterr().out
    assert "not exact\n  integrated_gradients[steps=1]" in printed
    assert "integrated_gradients[steps=4] may close the gap" in " ".join(printed.split())


def test_out_keeps_the_rows_of_python_under_the_boards_name(capsys):
    asked = ["--method", "saliency", "grad_cam", "--samples", "3", "--seed", "2"]
    assert main([*arrays(), *asked, "--out", "own", "--name", "mine"]) == 0
    assert capsys.readouterr().out.endswith("`python -m bench report --out own` shows it on the page\n")
    table = stored.read(Path("own"))
    assert set(table["task"]) == {"mine"}
    problem = bench.arrays("X.npy", "net.py:build")
    wanted = bench.check_model(problem, ["saliency", "grad_cam"], samples=3, seed=2, name="mine", progress=False)
    assert table["note"].tolist() == wanted["note"].tolist()


def test_registered_tasks_are_checked_one_after_another(capsys):
    assert (
        main(["check", "--task", "mnist1d", "planted_signal", "--method", "saliency", "--samples", "1", "--out", "own"])
        == 0
    )
    printed = capsys.readouterr().out
    assert printed.startswith("mnist1d\n")
    assert "\nplanted_signal\n" in printed
    assert set(stored.read(Path("own"))["task"]) == {"mnist1d", "planted_signal"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "--task", "mnst1d"], "unknown task 'mnst1d'; did you mean 'mnist1d'"),
        (["check", "--task", "image_folders"], "unknown task 'image_folders'; did you mean 'image_folder'"),
        (["check", "--task", "mnist1d", "--method", "salency"], "unknown method 'salency'; did you mean 'saliency'"),
        (["check", "--model", "net.py:build"], "--model belongs to --task image_folder or --task arrays"),
        (["check", "--task", "arrays", "--inputs", "X.npy"], "--task arrays needs --model"),
        (["check", "net.py", "--task", "mnist1d"], "leave `net.py` out"),
    ],
)
def test_a_wrong_request_names_the_way_out(capsys, words, message):
    assert main(words) == 2
    assert message in capsys.readouterr().err
