"""Simple Taylor decomposition: the first-order expansion at a root point [bach2015lrp, section 2.3; montavon2018methods].

    attribution = sum over channels of  d f / d x (x~) * (x - x~),    f(x~) = 0

f is the class's logit less that of the baseline. The root x~ is the first one on the line from the input to the baseline, which
is a root itself, so one always exists. The gradient is taken just before the root, because the network may be flat behind it.
Signed; sums to f(x) if f is linear between both.

Near the baseline all values are nearly equal, and rounding in float32 decides which of them a max-pool selects. Rounding
depends on the batch and the machine, so this is computed in float64.
"""

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.network.gradients import chosen, gradient
from bench.registry.decorators import method


@method(cite="bach2015lrp", family="gradient", cost="medium", version=2, promises={"null", "linear", "class"})
def simple_taylor(problem: Problem, *, steps: int = 16, halvings: int = 8) -> Tensor:
    """Gradient at the first root between input and baseline, times the distance to it, summed over channels. -> (N, *S)

    `steps`: number of points at which a change of sign is sought. `halvings`: bisections of the interval that holds it.
    """
    problem = _in_float64(problem)
    way, axes = problem.inputs - problem.baseline, (-1, *(1,) * (problem.inputs.dim() - 1))
    with torch.no_grad():
        absent = problem.model(problem.baseline.expand_as(problem.inputs[:1]))

        def gained(share: Tensor) -> Tensor:
            logits = problem.model(problem.baseline + share.view(axes) * way)
            return chosen(problem, logits) - chosen(problem, absent.expand_as(logits))

        whole = gained(torch.ones_like(way[:, 0].flatten(1)[:, 0]))  # a class may also be likelier at the baseline

        def beyond(share: Tensor) -> Tensor:
            return whole.sign() * gained(share) <= 1e-6 * whole.abs()

        passed = torch.stack([beyond(torch.full_like(whole, 1 - step / steps)) for step in range(1, steps)], dim=1)
        step = torch.where(passed.any(1), passed.int().argmax(1) + 1, steps)  # the first at or beyond a root
        near, far = 1 - (step - 1) / steps, 1 - step / steps
        for _ in range(halvings):
            middle = (near + far) / 2
            there = beyond(middle)
            near, far = torch.where(there, near, middle), torch.where(there, middle, far)
    root = near.view(axes)
    return (gradient(problem, problem.baseline + root * way) * (1 - root) * way).sum(1).float()


def _in_float64(problem: Problem) -> Problem:
    exact = problem.inputs.double(), problem.baseline.double()
    return replace(problem, model=deepcopy(problem.model).double(), inputs=exact[0], baseline=exact[1])
