"""Models named in words, and their weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from bench.core.errors import RequestError
from bench.task_tools import own_network

NAME = "timm:test_resnet"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=5).eval()


def equal(one: nn.Module, other: nn.Module) -> bool:
    inputs = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    with torch.no_grad():
        return torch.equal(one.eval()(inputs), other.eval()(inputs))


def stored(network: nn.Module, path: Path, prefix: str = "", inside: str = "") -> Path:
    state = {prefix + name: value for name, value in network.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({inside: state, "epoch": 3} if inside else state, path)
    return path


@pytest.mark.parametrize(
    ("file", "prefix", "inside"),
    [
        ("w.safetensors", "", ""),
        ("w.safetensors", "module.", ""),
        ("w.pt", "", ""),
        ("w.pth", "module.", ""),
        ("w.pt", "_orig_mod.module.", ""),
        ("w.ckpt", "", "state_dict"),
        ("w.tar", "module.", "model"),
    ],
)
def test_weights_of_every_kind_are_those_of_the_network(network, tmp_path, file, prefix, inside):
    path = stored(network, tmp_path / file, prefix, inside)
    found, transform = own_network.named_network(NAME, path)
    assert transform is None
    assert equal(found, network)  # with its 5 outputs, found from the weights


def test_a_saved_model_is_not_unpickled(network, tmp_path):
    torch.save(network, tmp_path / "whole.pt")
    with pytest.raises(RequestError, match="not weights alone"):
        own_network.read_state(tmp_path / "whole.pt")


def test_weights_of_another_size_are_named(network, tmp_path):
    path = stored(network, tmp_path / "w.pt")
    other = timm.create_model("test_resnet", num_classes=7)
    with pytest.raises(
        RequestError, match=r"does not fit mine: fc\.weight is 5x\d+ instead of 7x\d+, fc\.bias is 5 instead"
    ):
        own_network.fit(other, own_network.read_state(path), path, "mine")


def test_nothing_is_downloaded():
    for name in ("timm:hf-hub:timm/resnet18.a1_in1k", "timm:hf_hub:timm/resnet18"):
        with pytest.raises(RequestError, match="unknown network"):
            own_network.named_network(name, None)


FILE = """
from torch import nn
import layers_beside
def build():
    return {result}
"""


def test_a_function_returns_a_module_or_a_pair_and_may_import_its_neighbours(tmp_path):
    (tmp_path / "layers_beside.py").write_text("from torch import nn\nlast = lambda: nn.Linear(4, 2)\n")
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(result="layers_beside.last()"))
    network, transform = own_network.named_network(f"{path}:build", None)
    assert isinstance(network, nn.Linear)
    assert transform is None
    path.write_text(FILE.format(result="(layers_beside.last(), abs)"))
    assert own_network.named_network(f"{path}:build", None)[1] is abs
    weights = stored(nn.Linear(4, 2), tmp_path / "w.pt")
    assert torch.equal(
        own_network.named_network(f"{path}:build", weights)[0].weight, torch.load(weights, weights_only=True)["weight"]
    )
