"""DeepLIFT: differences from the baseline, handed down layer by layer [shrikumar2017deeplift], with the rescale rule.

    at an activation    multiplier = (out(x) - out(x')) / (in(x) - in(x'))
    at a max-pool       out(x) - m goes to the place that wins in x', m - out(x') to the one that wins in x, m the larger output
    elsewhere           the chain rule
    attribution       = multiplier of the class's logit * (x - x'),  summed over channels

A secant where Integrated Gradients integrates: one forward and one backward pass. Signed, and complete: the attributions of a
sample sum to logit_c(x) - logit_c(x'), max-pools included [lundberg2017shap, the authors' code]. Only for networks whose
operations have a rule.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.network.deeplift import contributions, ruled
from bench.registry.decorators import method


@method(
    cite="shrikumar2017deeplift", family="propagation", cost="fast", promises={"complete", "null", "linear", "class"}
)
def deep_lift(problem: Problem) -> Tensor:
    """Contributions to the difference of the logit from the baseline's, by the rescale rule. -> (N, *S)"""
    return contributions(problem, ruled(problem, "deep_lift"), problem.baseline)
