"""Shapley values by sampling: the mean gain from adding a cell, over random orders [castro2009polynomial].

    attribution of a cell = mean over orders of  logit_c(preceding cells and it) - logit_c(preceding cells)

Each order is also used reversed, which cancels much of the noise [mitchell2022sampling]. Cells are patches of a grid of at most
64 (time steps of a signal). Signed, and complete for any number of orders: each sums to logit_c(x) - logit_c(x').
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.coalitions import explained, logits
from bench.perturbation.partition import Partition
from bench.registry.decorators import method


@method(
    cite="castro2009polynomial",
    family="perturbation",
    cost="slow",
    promises={"complete", "null", "linear", "class"},
)
def shapley_sampling(problem: Problem, rng: SampleRng, *, orders: int = 24, features: str = "patch64") -> Tensor:
    """Mean gain in logit as cells are added in random orders. -> (N, *S)

    `orders`: an even number; half of them are the others reversed.
    """

    def gains(problem: Problem, rng: SampleRng, cells: Partition) -> Tensor:
        total = torch.zeros(len(problem), cells.most, dtype=torch.float64, device=problem.inputs.device)
        joined = torch.arange(1, cells.most, device=total.device)[:, None]
        ends = torch.tensor([[False], [True]], device=total.device).expand(len(problem), 2, cells.most)
        empty, full = logits(problem, cells, ends).double().split(1, dim=1)  # the same for every order
        for _ in range(max(1, orders // 2)):
            position = rng.uniform((cells.most,)).argsort(1).argsort(1)
            for place in (position, cells.most - 1 - position):
                between = logits(problem, cells, place[:, None] < joined).double()  # 1, 2, ... cells joined
                total += torch.cat([empty, between, full], dim=1).diff(dim=1).gather(1, place)
        return total / (2 * max(1, orders // 2))

    return explained(problem, rng, features, gains)
