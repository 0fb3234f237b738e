"""Gradients at several points at once, and batch norms as layers of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem
from torch import nn

from bench.core.errors import NotApplicable
from bench.network.batch_norm import Scaling
from bench.network.gradients import at_once, features, gradient, gradients


def test_points_are_asked_together_as_the_batch_size_allows():
    problem = replace(image_problem(samples=2), batch_size=7)
    assert at_once(problem) == 3
    points = [problem.inputs + 0.01 * number for number in range(5)]
    sizes: list[int] = []
    handle = problem.model.register_forward_pre_hook(lambda _model, inputs: sizes.append(len(inputs[0])))
    found = list(gradients(problem, points))
    handle.remove()
    assert sizes == [6, 4]
    for slope, point in zip(found, points, strict=True):
        expected = gradient(problem, point)
        torch.testing.assert_close(slope, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert at_once(replace(problem, batch_size=1)) == 1


def test_a_layer_without_space_gives_no_feature_maps():
    problem = replace(signal_problem(samples=2), layers=("dense",))
    with pytest.raises(NotApplicable, match="layer dense gives no feature maps"):
        features(problem)


@pytest.mark.parametrize(("norm", "shape"), [(nn.BatchNorm1d(3), (2, 3, 5)), (nn.BatchNorm2d(3), (2, 3, 4, 4))])
def test_a_scaling_is_the_batch_norm_even_where_the_variance_is_small(norm, shape):
    torch.manual_seed(0)
    norm.running_mean.normal_()
    norm.running_var.copy_(torch.tensor([1e-5, 1e-3, 1.0]))  # the first is as large as epsilon
    norm.weight.data.uniform_(0.5, 2)
    norm.bias.data.normal_()
    values = torch.randn(shape)
    torch.testing.assert_close(Scaling(norm.eval(), len(shape))(values), norm(values), rtol=1e-4, atol=1e-4)
