"""TITLE: what the method does, in a sentence [source].

attribution = sum over channels of  d logit_c / d x * (x - x')

with x' the baseline. Write here what a reader needs to understand the map: the formula, the source, whether it has signs.
"""

import torch

import bench

# cite      key of the source in a bibliography, or ""
# family    a word that groups similar methods on boards: "gradient", "cam", "perturbation", "propagation"
# cost      inputs that it sends through the model for one sample: "fast" (at most 10), "medium" (at most 400) or "slow"
# promises  what holds for every map, checked by `python -m bench check`: "class" (it depends on the explained class), "null"
#           (a feature that the model ignores gets 0), "linear" (on a linear model it is weight times distance from the
#           baseline), "complete" (it sums to what the logit gained over the baseline)
# outputs   kinds of model output that it can serve, by default all: ("softmax", "sigmoid", "identity")
# needs     fields of the problem that may be missing and without which it cannot work: "layers", "background", "bounds"


@bench.method(cite="", family="gradient", cost="fast", promises={"class", "null", "linear"})
def my_method(problem: bench.Problem, *, steps: int = 1) -> torch.Tensor:
    """Mean gradient on the way from the baseline, times the distance from it. -> (N, *S)"""
    # problem.model      in eval mode, (N, C, *S) -> logits (N, K)
    # problem.inputs     (N, C, *S)
    # problem.targets    (N,) the classes to explain
    # problem.baseline   (C, 1, ...) what an absent feature is replaced with
    # problem.batch_size how many inputs the model takes at once: send masks or noisy copies in batches of it
    # problem.layers     names of the layers at the ends of blocks, the last one for feature maps
    #
    # Arguments with a default, such as `steps`, are settings: `my_method[steps=8]`.
    # For random numbers, add the argument `rng`: rng.normal(shape) and rng.uniform(shape) are (N, *shape).
    # Where the method cannot serve a model, raise bench.NotApplicable("the reason").
    distance = problem.inputs - problem.baseline
    total = torch.zeros_like(problem.inputs)
    for step in range(steps):
        x = (problem.baseline + (step + 1) / steps * distance).requires_grad_()
        logits = problem.model(x).gather(1, problem.targets[:, None])
        (gradient,) = torch.autograd.grad(logits.sum(), x)
        total += gradient / steps
    # One number for each place: channels share one. Each sample is computed from its own row: no mean over the batch.
    return (total * distance).sum(1)
