"""Kernel SHAP: Shapley values as the best additive fit to the model's answers to coalitions [lundberg2017shap].

    min over phi of  sum_z  w(z) (logit_c(z) - logit_c(x') - z . phi)^2   with  sum(phi) = logit_c(x) - logit_c(x')
    w(z) = (F - 1) / (binom(F, |z|) |z| (F - |z|))

z says which of F cells are present. Coalitions are drawn with probability w, each with its complement [covert2021improving],
and the constrained fit is solved exactly. With few cells all coalitions are used. Cells are patches of a grid of at most 64
(time steps of a signal). 2048 + 2 F model queries, as in the authors' package. Signed and complete.
"""

from functools import partial

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.coalitions import explained, logits
from bench.perturbation.partition import Partition
from bench.registry.decorators import method


@method(cite="lundberg2017shap", family="perturbation", cost="slow", promises={"complete", "linear", "class"})
def kernel_shap(problem: Problem, rng: SampleRng, *, samples: int | None = None, features: str = "patch64") -> Tensor:
    """Shapley values of the cells by weighted least squares over coalitions. -> (N, *S)

    `samples`: coalitions asked; 2048 + 2 F by default.
    """
    return explained(problem, rng, features, partial(fitted, samples=samples))


def fitted(problem: Problem, rng: SampleRng, cells: Partition, samples: int | None) -> Tensor:
    """The constrained least squares solution: (N, cells) float64."""
    many, device = samples or 2048 + 2 * cells.most, problem.inputs.device
    if cells.most < 2:
        present, weight = torch.empty(len(problem), 0, cells.most, dtype=torch.bool, device=device), torch.ones(0)
    elif 2**cells.most - 2 <= many:
        present, weight = every_coalition(cells.most, device)
        present = present.expand(len(problem), -1, -1)
    else:
        present = drawn_coalitions(rng, cells.most, many)
        weight = torch.ones(present.shape[1], dtype=torch.float64, device=device)
    ends = torch.tensor([False, True], device=device)[:, None].expand(len(problem), 2, cells.most)
    answers = logits(problem, cells, torch.cat([ends, present], dim=1)).double()
    empty, full, some = answers[:, :1], answers[:, 1:2], answers[:, 2:]
    if cells.most < 2:
        return full - empty
    z = present.double()
    both = torch.einsum("m,nmf,nmg->nfg", weight, z, z) / weight.sum()
    gains = torch.einsum("m,nmf,nm->nf", weight, z, some - empty) / weight.sum()
    free, pull = (torch.linalg.solve(both, right[..., None])[..., 0] for right in (gains, torch.ones_like(gains)))
    excess = (free.sum(1, keepdim=True) - (full - empty)) / pull.sum(1, keepdim=True)
    return free - excess * pull


def every_coalition(cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """All coalitions but the empty and the full one (2^F - 2, F) bool, and their Shapley kernel weights."""
    numbers = torch.arange(1, 2**cells - 1, device=device)
    present = (numbers[:, None] >> torch.arange(cells, device=device)) % 2 == 1
    size = present.sum(1).double()
    log_choices = torch.lgamma(torch.tensor(cells + 1.0)) - torch.lgamma(size + 1) - torch.lgamma(cells - size + 1)
    return present, (cells - 1) / (log_choices.exp() * size * (cells - size))


def drawn_coalitions(rng: SampleRng, cells: int, many: int) -> Tensor:
    """Coalitions with the frequency of the Shapley kernel, each followed by its complement: (N, many, F) bool."""
    numbers = rng.uniform((many // 2, cells + 1))
    sizes = torch.arange(1, cells, dtype=torch.float64, device=numbers.device)
    below = (1 / (sizes * (cells - sizes))).cumsum(0)
    size = torch.bucketize(numbers[..., 0].double() * below[-1], below).clamp_max(cells - 2) + 1
    present = numbers[..., 1:].argsort(-1).argsort(-1) < size[..., None]
    return torch.stack([present, ~present], dim=2).flatten(1, 2)
