"""Feature ablation: the loss of the logit when a single cell is removed [covert2021removing].

    attribution of a cell = logit_c(x) - logit_c(x with the cell at the baseline),  divided evenly among its features

Cells are patches of a grid of at most 64 (time steps of a signal). One model query per cell. Effects that need several cells
are missed. Signed.
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
    """Logit lost when a cell is replaced by the baseline, for each cell alone. -> (N, *S)"""
    return explained(problem, SampleRng((), problem.sample_ids), features, losses)


def losses(problem: Problem, _rng: SampleRng, cells: Partition) -> Tensor:
    """For each cell: (N, cells)."""
    present = ~torch.eye(cells.most, dtype=torch.bool, device=problem.inputs.device)
    present = torch.cat([torch.ones_like(present[:1]), present]).expand(len(problem), -1, -1)
    answers = logits(problem, cells, present)
    return answers[:, :1] - answers[:, 1:]
