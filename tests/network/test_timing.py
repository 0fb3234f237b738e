"""The batch size that is found by timing, with times that are given: one test of it must not depend on the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from conftest import image_problem, signal_problem
from torch import Tensor, nn

from bench.core.problem import Problem
from bench.network import timing
from bench.network.device import memory_format, out_of_memory, place


class Sized(nn.Module):
    """Answers at once and notes the sizes of its batches; those that are too large raise what is given."""

    def __init__(self, most: int = 4096, error: BaseException | None = None) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.for_gradient = False  # was the last question asked for a gradient?
        self.most, self.error = most, error

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        self.for_gradient = x.requires_grad
        if len(x) > self.most and self.error is not None:
            raise self.error
        return x.flatten(1)[:, :2]


def paced(monkeypatch: pytest.MonkeyPatch, costs: Mapping[int, float], model: Sized) -> timing.Pace:
    """The pace of a model that needs so many seconds per input in a batch of each size, and 0.5 more for a gradient."""

    def seconds(ask: Callable[[], object], *, rounds: int, least: float) -> float:
        ask()
        size = model.sizes[-1]
        return size * (costs[size] + (0.5 if model.for_gradient else 0.0))

    monkeypatch.setattr(timing, "_seconds", seconds)
    problem: Problem = replace(signal_problem(samples=3), model=model)
    return timing.pace(problem)


FASTER_UP_TO_8 = {1: 8.0, 2: 4.0, 4: 2.0} | {2**power: 1.0 if power == 3 else 1.2 for power in range(3, 13)}


def test_the_search_ends_two_doublings_after_the_last_gain(monkeypatch):
    model = Sized()
    found = paced(monkeypatch, FASTER_UP_TO_8, model)
    assert found == timing.Pace(8, 1.0, 0.5)
    assert sorted(set(model.sizes)) == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize(
    ("costs", "size"),
    [
        ([1, 1, 1, 1, 1, 1], 8),  # all alike: none of the very small ones
        ([1, 2, 2, 2, 2, 2], 1),  # unless it is clearly faster
        ([1, 1, 1, 2, 2, 2], 4),  # the largest of those
        ([9, 8, 4, 1.04, 1, 1], 8),  # the smallest that is as fast to within 5 %
        ([9, 8, 4, 1.2, 1, 1], 16),
    ],
)
def test_the_fastest_batch_is_chosen(monkeypatch, costs, size):
    known = {2**power: float(costs[min(power, len(costs) - 1)]) for power in range(13)}
    found = paced(monkeypatch, known, Sized())
    assert (found.batch_size, found.forward) == (size, known[size])
    assert found.backward == pytest.approx(0.5)


def test_a_gradient_that_seems_to_cost_nothing_costs_nothing(monkeypatch):
    model = Sized()
    monkeypatch.setattr(timing, "_seconds", lambda ask, **_: ask() or (1e-3 if model.for_gradient else 1.0))
    assert timing.pace(replace(signal_problem(samples=3), model=model)).backward == 0


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")], ids=["Python", "torch"])
def test_batches_that_do_not_fit_end_the_search(monkeypatch, error):
    found = paced(monkeypatch, {size: 1.0 / size for size in (1, 2, 4, 8, 16)}, Sized(8, error))
    assert found.batch_size == 8


def test_another_error_of_the_model_is_passed_on(monkeypatch):
    with pytest.raises(RuntimeError, match="no such luck"):
        paced(monkeypatch, dict.fromkeys((1, 2, 4), 1.0), Sized(2, RuntimeError("no such luck")))
    with pytest.raises(MemoryError):  # not even one input fits
        paced(monkeypatch, {1: 1.0}, Sized(0, MemoryError()))


def test_which_errors_say_that_memory_ran_out():
    assert out_of_memory(MemoryError())
    assert out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not out_of_memory(RuntimeError("no such luck"))


def test_a_model_of_images_gets_the_memory_format_that_suits_them():
    assert memory_format(torch.zeros(1, 3, 4, 4)) == torch.channels_last
    assert memory_format(torch.zeros(1, 3, 4)) == torch.contiguous_format
    placed = place(image_problem(samples=1), torch.device("cpu"))
    assert placed.model.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert not placed.model.conv2.weight.is_contiguous()
    assert place(signal_problem(samples=1), torch.device("cpu")).model.conv2.weight.is_contiguous()
