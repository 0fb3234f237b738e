"""LIME: a linear model fitted to the model near the input [ribeiro2016lime].

    min over (b, w) of  sum_z  pi(z) (logit_c(z) - b - z . w)^2 + |w|^2,    pi(z) = exp(-D(z)^2 / (2 width^2))

z says which segments are present, each with probability one half. D is the cosine distance from "all present". Width 0.25,
1000 model queries and a ridge penalty of 1, as in the authors' package. Segments are superpixels (runs of a signal). The logit
replaces the paper's probability, which saturates. Signed.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.core.random import SampleRng
from bench.perturbation.coalitions import explained, logits
from bench.perturbation.partition import Partition
from bench.registry.decorators import method


@method(cite="ribeiro2016lime", family="perturbation", cost="slow", promises={"class"})
def lime(
    problem: Problem, rng: SampleRng, *, samples: int = 1000, width: float = 0.25, features: str = "segment50"
) -> Tensor:
    """Weights of the segments in a ridge regression on which of them are present. -> (N, *S)"""

    def weights(problem: Problem, rng: SampleRng, cells: Partition) -> Tensor:
        present = rng.uniform((samples, cells.most)) < 0.5
        present[:, 0] = True
        answers, z = logits(problem, cells, present).double(), present.double()
        likeness = z.mean(2).sqrt()  # cosine of a vector of zeros and ones with that of ones
        near = torch.exp(-(((1 - likeness) / width) ** 2) / 2)
        share = near / near.sum(1, keepdim=True)
        z = z - torch.einsum("nm,nmf->nf", share, z)[:, None]  # the intercept is free: both sides about their means
        answers = answers - (share * answers).sum(1, keepdim=True)
        inside = torch.einsum("nm,nmf,nmg->nfg", near, z, z) + torch.eye(cells.most, dtype=z.dtype, device=z.device)
        return torch.linalg.solve(inside, torch.einsum("nm,nmf,nm->nf", near, z, answers)[..., None])[..., 0]

    return explained(problem, rng, features, weights)
