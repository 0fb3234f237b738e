"""Occlusion: a window with the baseline slides over the input [zeiler2014visualizing].

    attribution = mean over the windows that cover a feature of  logit_c(x) - logit_c(x with the window at the baseline)

Windows are a fifth of each side long and move by half of that. Signed.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.registry.decorators import method


@method(cite="zeiler2014visualizing", family="perturbation", cost="medium", promises={"class"})
def occlusion(problem: Problem, *, window: float = 0.2, stride: float = 0.1) -> Tensor:
    """Mean loss of the class's logit over the sliding windows of the baseline that cover a feature. -> (N, *S)

    `window` and `stride`: shares of the input's sides.
    """
    from captum.attr import Occlusion

    sides = tuple(max(1, round(window * length)) for length in problem.shape)
    steps = tuple(min(side, max(1, round(stride * length))) for side, length in zip(sides, problem.shape, strict=True))
    channels = problem.inputs.shape[1]
    found = Occlusion(problem.model).attribute(
        problem.inputs.detach(),
        sliding_window_shapes=(channels, *sides),
        strides=(channels, *steps),
        baselines=problem.baseline.expand_as(problem.inputs),
        target=problem.targets,
        perturbations_per_eval=max(1, problem.batch_size // len(problem)),
    )
    return found.detach()[:, 0]
