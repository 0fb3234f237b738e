"""DeepLIFT SHAP: DeepLIFT averaged over typical inputs instead of one baseline [lundberg2017shap].

    attribution = mean over x' in the background of  DeepLIFT(x, x')

An estimate of Shapley values in which an absent feature takes its value from the background. Signed; sums to the class's logit
less its mean over the background.
"""

import torch
from torch import Tensor

from bench.core.problem import Problem
from bench.network.deeplift import contributions, ruled
from bench.network.gradients import at_once, repeated
from bench.registry.decorators import method


@method(cite="lundberg2017shap", family="propagation", needs={"background"}, cost="medium", promises={"null", "class"})
def deep_lift_shap(problem: Problem) -> Tensor:
    """DeepLIFT contributions averaged over the task's background inputs, summed over channels. -> (N, *S)"""
    assert problem.background is not None
    graph = ruled(problem, "deep_lift_shap")
    total, references = torch.zeros_like(problem.inputs[:, 0]), problem.background
    for together in references.split(at_once(problem)):
        many = repeated(problem, len(together))
        found = contributions(many, graph, together.repeat_interleave(len(problem), 0))
        total += found.unflatten(0, (len(together), len(problem))).sum(0)
    return total / len(references)
