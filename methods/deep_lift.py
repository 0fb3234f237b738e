"""DeepLIFT: differences from the baseline, propagated layer by layer with the rescale rule [shrikumar2017deeplift].

    at an activation    multiplier = (out(x) - out(x')) / (in(x) - in(x'))
    at a max-pool       out(x) - m goes to the position that wins in x', m - out(x') to that in x; m: the larger output
    elsewhere           the chain rule
    attribution       = multiplier of the class's logit * (x - x'),  summed over channels

One forward and one backward pass: a secant takes the place of the integral of Integrated Gradients. Signed and complete: the
attributions of a sample sum to logit_c(x) - logit_c(x'), max-pools included [lundberg2017shap, the authors' code]. Only for
networks whose operations all have a rule.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.network.deeplift import contributions, ruled
from bench.registry.decorators import method


@method(
    cite="shrikumar2017deeplift", family="propagation", cost="fast", promises={"complete", "null", "linear", "class"}
)
def deep_lift(problem: Problem) -> Tensor:
    """Contributions to the difference of the logit from the baseline's logit, by the rescale rule. -> (N, *S)"""
    return contributions(problem, ruled(problem, "deep_lift"), problem.baseline)
