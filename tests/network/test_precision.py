"""Models that compute in bfloat16: exact arithmetic on rounded numbers, in these layers and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem
from torch import Tensor, fx, nn

from bench.core.errors import ContractError
from bench.core.hashing import model_digest
from bench.core.problem import Problem
from bench.engine.explain import explain_all
from bench.network.canonical import canonised
from bench.network.precision import in_bfloat16
from bench.registry.decorators import METHODS

STEP = 2**-8  # half a unit in the last place of bfloat16, relative


class Doubling(nn.Linear):
    """A dense layer with a forward pass of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def rounded(values: Tensor) -> Tensor:
    """To 8 bits of mantissa, ties to even, by arithmetic."""
    mantissa, exponent = torch.frexp(values.double())
    return torch.ldexp((mantissa * 2**8).round(), exponent - 8)


LAYERS = {
    "dense": (lambda: nn.Linear(12, 5), (3, 12)),
    "conv1d": (lambda: nn.Conv1d(2, 4, 3, padding=1), (3, 2, 9)),
    "conv2d": (lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1, padding_mode="reflect", bias=False), (3, 2, 8, 8)),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2), (2, 1, 3, 3, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_rounds_weights_inputs_and_result_and_computes_exactly_between(name):
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer, exact, values = make(), make().double(), torch.randn(shape)
    exact.load_state_dict({key: rounded(value) for key, value in layer.state_dict().items()})
    with torch.no_grad():
        found = in_bfloat16(nn.Sequential(layer))(values)
        expected = exact(rounded(values))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=STEP, atol=1e-5)
        torch.testing.assert_close(found.double(), rounded(found), rtol=0, atol=0)
        assert (layer(values) - expected).abs().max() > 1e-4  # which the float32 layer does not


@pytest.mark.parametrize("make", [signal_problem, image_problem])
def test_the_model_itself_stays_as_it_was(make):
    model = make().model
    before, kinds = model_digest(model), [type(module) for module in model.modules()]
    reduced = in_bfloat16(model)
    assert model_digest(model) == before
    assert [type(module) for module in model.modules()] == kinds
    assert [name for name, _ in reduced.named_modules()] == [name for name, _ in model.named_modules()]
    assert all(isinstance(one, kind) for one, kind in zip(reduced.modules(), kinds, strict=True))


def test_layers_with_a_forward_pass_of_their_own_and_other_layers_stay():
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Flatten(), Doubling(8, 3))
    reduced = in_bfloat16(model)
    assert [type(one) is type(other) for one, other in zip(reduced, model, strict=True)] == [False, True, True, True]


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(ContractError, match=r"changes convolutions and dense layers .* the model has none"):
        in_bfloat16(nn.Sequential(nn.Flatten(), nn.ReLU()))


def test_the_graph_of_operations_is_the_same_and_gives_the_same_answers():
    problem = image_problem()
    reduced = in_bfloat16(problem.model)
    nodes = [
        [(node.op, str(node.target)) for node in fx.symbolic_trace(one).graph.nodes] for one in (problem.model, reduced)
    ]
    assert nodes[0] == nodes[1]
    with torch.no_grad():
        torch.testing.assert_close(canonised(reduced, problem.inputs[:1])(problem.inputs), reduced(problem.inputs))


def correlation(first: Tensor, second: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first.flatten().double(), second.flatten().double()]))[0, 1])


@pytest.mark.parametrize(
    "name",
    ["saliency", "grad_cam", "guided_backprop", "lrp_composite", "lrp_gamma", "deep_lift", "feature_ablation", "sise"],
)
@pytest.mark.parametrize("make", [signal_problem, image_problem])
def test_methods_explain_such_a_model_nearly_as_the_model_itself(make, name):
    problem: Problem = make()
    maps = [
        explain_all(METHODS[name], replace(problem, model=model), task="any", seed=0)
        for model in (problem.model, in_bfloat16(problem.model))
    ]
    assert [one.status for one in maps] == [("ok",) * len(problem)] * 2
    assert maps[1].attribution.dtype == maps[0].attribution.dtype != torch.bfloat16
    assert not torch.equal(maps[0].attribution, maps[1].attribution)
    assert correlation(maps[0].attribution, maps[1].attribution) > 0.95
