"""Feature ablation: what the class loses without each cell alone [covert2021removing].

    attribution of a cell = logit_c(x) - logit_c(x with the cell at the baseline),  shared evenly by its places

Cells are patches of a grid of at most 64 (time steps of a signal). One question per cell; blind to what several cells only do
together. Signed.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.coalitions import explained, logits
from bench.perturbation.partition import Partition
from bench.registry.decorators import method


@method(cite="covert2021removing", family="perturbation", cost="medium", promises={"null", "class"})
def feature_ablation(problem: Problem, *, features: str = "patch64") -> Tensor:
    """Logit lost when a cell goes to the baseline, for each cell alone. -> (N, *S)"""
    return explained(problem, SampleRng((), problem.sample_ids), features, losses)


def losses(problem: Problem, _rng: SampleRng, cells: Partition) -> Tensor:
    """For each cell: (N, cells)."""
    present = ~torch.eye(cells.most, dtype=torch.bool, device=problem.inputs.device)
    present = torch.cat([torch.ones_like(present[:1]), present]).expand(len(problem), -1, -1)
    answers = logits(problem, cells, present)
    return answers[:, :1] - answers[:, 1:]
