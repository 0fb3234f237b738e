"""Training, folding and the table of an evaluation, against numbers worked by hand; weights that are whole or absent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.entries import Recipe
from bench.core.errors import BenchError
from bench.task_tools import training, weights

SHAPES = {"mnist1d": (5, 1, 40), "hmt": (3, 3, 30, 30)}

pytestmark = pytest.mark.usefixtures("one_thread")


def network(task: str) -> Callable[..., nn.Sequential]:
    return sys.modules[f"bench.tasks.{task}"].network


def with_history(model: nn.Module) -> nn.Module:
    """Batch norms as after a long training: no parameter or running figure where it began."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 3)
            nn.init.normal_(module.weight, 1, 0.5)
            nn.init.normal_(module.bias)
    return model


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize(("task", "count"), [("mnist1d", 3), ("hmt", 4)])
def test_a_folded_network_computes_the_same_without_batch_norm(task, count):
    model = with_history(network(task)(batch_norm=True)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = training.fold_batch_norm(model)
    x = torch.randn(SHAPES[task])
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), model.eval()(x), rtol=1e-5, atol=1e-5)
    assert len(norms(model)) == count
    assert norms(folded) == []
    assert not folded.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())  # a copy was folded


def test_folding_worked_by_hand():
    """Convolution 3x + 1, then batch norm (y - 5) / sqrt(4) * 10 + 7: together 15x - 13."""
    model = nn.Sequential(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1, eps=0))
    model[0].weight.data.fill_(3)
    model[0].bias.data.fill_(1)
    model[1].running_mean.fill_(5)
    model[1].running_var.fill_(4)
    model[1].weight.data.fill_(10)
    model[1].bias.data.fill_(7)
    (conv,) = training.fold_batch_norm(model)
    assert (conv.weight.item(), conv.bias.item()) == (15, -13)


@pytest.mark.parametrize("task", ["mnist1d", "hmt"])
def test_a_folded_network_fits_the_shipped_architecture(task):
    model = with_history(network(task)(batch_norm=True))
    folded, shipped = training.fold_batch_norm(model), network(task)()
    shipped.load_state_dict(folded.state_dict())
    x = torch.randn(SHAPES[task])
    assert torch.equal(shipped.eval()(x), folded(x))


# --- fit


@pytest.fixture(scope="module")
def small() -> Recipe:
    """MNIST-1D's own recipe on a tenth of the data."""
    full = sys.modules["bench.tasks.mnist1d"].recipe()
    (x, y), (x_test, y_test) = full.train, full.test
    return replace(full, train=(x[:400], y[:400]), test=(x_test[:100], y_test[:100]), epochs=2, batch_size=20)


def fitted(recipe: Recipe, seed: int) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    history, model = [], nn.Module()
    for figures, model in training.fit(recipe, seed=seed):  # noqa: B007  (the last one counts)
        history.append(figures)
    return history, model.state_dict()


def test_training_lowers_the_loss_and_beats_chance(small):
    history, _ = fitted(small, seed=0)
    assert [figures["epoch"] for figures in history] == [1, 2]
    assert history[1]["loss"] < history[0]["loss"]
    assert history[1]["train_accuracy"] > history[0]["train_accuracy"]


def test_training_is_the_same_for_a_seed_and_another_for_another(small):
    (first, one), (again, same), (_, other) = fitted(small, 0), fitted(small, 0), fitted(small, 1)
    assert first == again
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not any(torch.equal(value, other[name]) for name, value in one.items())


def test_each_epoch_yields_a_network_of_its_own(small):
    snapshots = [(model, {k: v.clone() for k, v in model.state_dict().items()}) for _, model in training.fit(small)]
    (first, then), (second, _) = snapshots
    assert all(torch.equal(value, then[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.dense.weight, second.dense.weight)


def test_the_reported_accuracy_is_that_of_the_network_yielded(small):
    for figures, model in training.fit(small):
        probability = training.probabilities(model, small)
        x, y = small.test
        with torch.inference_mode():
            wanted = model(x).argmax(1)
        assert probability.shape == (100, 10)
        np.testing.assert_allclose(probability.sum(1), 1, atol=1e-6)
        assert figures["test_accuracy"] == (wanted == y).double().mean().item()


def test_facts_say_how_the_weights_came_about(small):
    facts = training.facts(small, {"test_accuracy": 0.91239}, seed=3)
    assert facts["test_accuracy"] == 0.9124
    assert (facts["train_samples"], facts["test_samples"]) == (400, 100)
    # 25 filters of width 5 and 1 channel, twice 25 of width 3 and 25 channels, 1000 -> 10; all with biases
    assert facts["parameters"] == (25 * 5 + 25) + 2 * (25 * 25 * 3 + 25) + (1000 * 10 + 10)
    assert facts["training"]["epochs"] == 2
    assert facts["training"]["seed"] == 3
    assert facts["data_fingerprint"] == training.data_digest(small)


def test_data_fingerprint_follows_pixels_labels_and_split(small):
    (x, y), test = small.train, small.test
    own = training.data_digest(small)
    assert training.data_digest(replace(small, train=(x.clone(), y.clone()), epochs=9)) == own
    changed = x.clone()
    changed[0, 0, 0] += 1
    for other in ((changed, y), (x, y.flip(0)), (x[:-1], y[:-1])):
        assert training.data_digest(replace(small, train=other)) != own
    assert training.data_digest(replace(small, train=test, test=(x, y))) != own


# --- the table of an evaluation


def test_class_table_worked_by_hand():
    probability = np.array(
        [
            [0.7, 0.2, 0.1],  # a, taken for a
            [0.3, 0.5, 0.2],  # a, taken for b
            [0.2, 0.6, 0.2],  # b, taken for b
            [0.1, 0.8, 0.1],  # b, taken for b
            [0.4, 0.1, 0.5],  # c, taken for c
        ]
    )
    table = training.class_table(probability, np.array([0, 0, 1, 1, 2]), ("a", "b", "c")).set_index("class")
    # a: 1 hit, 1 miss, no false alarm; its scores 0.7, 0.3 against 0.2, 0.1, 0.4: 5 of 6 pairs in order
    # b: 2 hits, no miss, 1 false alarm; 0.6, 0.8 against 0.2, 0.5, 0.1: all 6 pairs in order
    # c: 1 hit and nothing else
    wanted = {
        "a": (4 / 5, 1, 1 / 2, 2 / 3, 5 / 6, 2),
        "b": (4 / 5, 2 / 3, 1, 4 / 5, 1, 2),
        "c": (1, 1, 1, 1, 1, 1),
        "all (accuracy; macro means)": (4 / 5, 8 / 9, 5 / 6, 37 / 45, 17 / 18, 5),
    }
    assert list(table.columns) == ["accuracy", "precision", "recall", "f1", "roc_auc", "n"]
    assert list(table.index) == list(wanted)
    for name, figures in wanted.items():
        np.testing.assert_allclose(table.loc[name].to_numpy(dtype=float), figures, rtol=1e-12, err_msg=name)


def test_a_class_that_is_never_predicted_has_precision_0():
    probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    table = training.class_table(probability, np.array([0, 0, 1]), ("a", "b")).set_index("class")
    assert table.loc["b", ["precision", "recall", "f1", "roc_auc"]].tolist() == [0, 0, 0, 1]
    assert table.loc["a", ["precision", "recall"]].tolist() == [2 / 3, 1]


# --- weights on disk


def test_weights_survive_the_disk_and_nothing_else_is_left(tmp_path):
    model, other = network("mnist1d")(), network("mnist1d")()
    path = tmp_path / "deep" / "mine.safetensors"
    weights.save(model, path, {"test_accuracy": 0.5})
    weights.load(other, path)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    assert json.loads(path.with_suffix(".json").read_text()) == {"test_accuracy": 0.5}
    assert sorted(p.name for p in path.parent.iterdir()) == ["mine.json", "mine.safetensors"]
    assert path.stat().st_mode & 0o444 == 0o444  # all may read


def test_weights_in_channels_last_are_saved_alike(tmp_path):
    model = network("hmt")()
    weights.save(model, tmp_path / "one.safetensors", {})
    weights.save(model.to(memory_format=torch.channels_last), tmp_path / "two.safetensors", {})
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_saving_that_fails_keeps_the_old_weights(tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    weights.save(network("mnist1d")(), path, {"run": 1})
    old = path.read_bytes()

    def disk_full(tensors: dict[str, Tensor], part: Path) -> None:
        Path(part).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", disk_full)
    with pytest.raises(OSError, match="no space left"):
        weights.save(network("mnist1d")(), path, {"run": 2})
    assert path.read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.json", "mine.safetensors"]


def test_missing_weights_are_named_with_the_way_to_make_them(tmp_path):
    with pytest.raises(BenchError, match=r"there are no weights at .*gone\.safetensors; .*python -m bench train gone"):
        weights.load(network("mnist1d")(), tmp_path / "gone.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 100, -1], ids=["empty", "four bytes", "header cut", "all but a byte"])
def test_truncated_weights_are_named(tmp_path, kept):
    path = tmp_path / "cut.safetensors"
    weights.save(network("mnist1d")(), path, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BenchError, match=r"cut\.safetensors is not a complete safetensors file"):
        weights.load(network("mnist1d")(), path)


def test_weights_of_another_shape_are_named_one_by_one(tmp_path):
    path = tmp_path / "wide.safetensors"
    model = network("mnist1d")()
    model.conv2 = nn.Conv1d(25, 30, 3)
    del model.dense.bias
    model.extra = nn.Linear(2, 1, bias=False)
    weights.save(model, path, {})
    target = network("mnist1d")()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(BenchError) as raised:
        weights.load(target, path)
    assert str(raised.value) == (
        f"the weights in {path} do not fit the network: conv2.bias is 30, the network has 25; "
        "conv2.weight is 30x25x3, the network has 25x25x3; dense.bias is absent, the network has 10; "
        "extra.weight is 1x2, the network has absent"
    )
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())
