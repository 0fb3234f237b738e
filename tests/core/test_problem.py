"""Problems: parts and shifted copies of them, and the layers that are found from a model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem
from torch import Tensor, nn

from bench.core.errors import RequestError
from bench.core.layers import block_ends
from bench.core.own_model import as_bounds, as_targets, as_truth

FIELDS = ("inputs", "targets", "truth", "labels")


def test_a_part_holds_the_rows_of_every_field_of_the_samples():
    problem = signal_problem(samples=4)
    part = problem.take([2, 0])
    assert part.sample_ids == (problem.sample_ids[2], problem.sample_ids[0])
    for name in FIELDS:
        assert torch.equal(getattr(part, name), getattr(problem, name)[[2, 0]]), name
    assert part.background is problem.background
    predicted = replace(problem, targets=None, truth=None, labels=None).take([1])
    assert (len(predicted.targets), predicted.truth, predicted.labels) == (0, None, None)


def test_a_shift_moves_all_that_is_an_input():
    problem = image_problem(samples=2)
    shifted = problem.shifted(0.5)
    for name in ("inputs", "baseline", "background", "bounds"):
        assert torch.equal(getattr(shifted, name), getattr(problem, name) + 0.5), name
    assert shifted.truth is problem.truth
    assert replace(problem, background=None, bounds=None).shifted(1.0).bounds is None


def test_a_problem_is_shown_in_one_line_of_what_is_known():
    problem = replace(image_problem(samples=3), truth=None, class_names=(), targets=torch.tensor([2, 0, 2]))
    assert repr(problem) == "Problem(3 inputs of (3, 36, 36), output='softmax', explains classes 0, 2)"
    one = replace(problem, targets=torch.tensor([2, 2, 2]), output="sigmoid", class_names=("a", "b", "c"))
    assert repr(one.take([1])) == "Problem(1 input of (3, 36, 36), 3 classes, output='sigmoid', explains class 2)"
    truth = torch.ones(3, 36, 36, dtype=torch.bool)
    assert repr(replace(problem, targets=None, truth=truth)).endswith("explains the predicted classes, with truth)")
    many = replace(image_problem(samples=12), targets=torch.arange(12), truth=None)
    assert repr(many).endswith("explains classes 0, 1, 2, 3, 4, 5, 6, 7, ...)")


class Twice(nn.Module):
    """One ReLU called twice, a feature map that is enlarged, and one that loses an axis more than the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        self.conv2, self.up, self.flat = (
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Upsample(scale_factor=8),
            nn.MaxPool2d((4, 1)),
        )
        self.dense = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        half = self.pool(self.relu(self.conv(x)))
        last = self.relu(self.conv2(half))
        return self.dense(last.mean((2, 3))) + 0 * (self.up(last).mean() + self.flat(last).mean())


def test_a_block_ends_in_a_module_that_is_called_once_and_keeps_space():
    assert block_ends(Twice().eval(), torch.rand(1, 3, 16, 16)) == ("conv", "conv2")


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (1.0, 0.0), (0.5, 2.0), (0.0, 0.5)])
def test_bounds_hold_every_input_and_the_lower_is_lower(bounds):
    with pytest.raises(RequestError, match="the lowest and the highest value that an input can have are needed"):
        as_bounds(bounds, torch.ones(1, 1, 4) if bounds[0] == bounds[1] else torch.tensor([[[0.1, 0.9]]]))
    assert as_bounds((0.0, 1.0), torch.tensor([[[0.0, 1.0]]])).flatten().tolist() == [0, 1]


def test_a_class_is_below_the_number_of_classes():
    assert as_targets([2, 0], 3, 2).tolist() == [2, 0]
    for wrong in (3, -1):
        with pytest.raises(RequestError, match=f"target {wrong} is not a class of the model; classes 0 to 2"):
            as_targets(wrong, 3, 2)


def test_a_truth_may_have_a_channel_axis():
    mask = torch.tensor([[[1, 0], [0, 1]]])
    assert torch.equal(as_truth(mask[:, None], torch.zeros(1, 3, 2, 2)), mask.bool())
