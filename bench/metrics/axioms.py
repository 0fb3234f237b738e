"""Does an attribution keep the promises that some methods make by definition?

An axiom is kept or broken whatever the data. A method that never promised one (a CAM, say, is not complete) breaks it without
being wrong; what breaks one that it promised is.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import torch
from torch import Tensor, nn

from bench.perturbation.probe import Probe
from bench.registry.decorators import Explain, metric

READERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
PADS = {2: nn.ConstantPad1d, 4: nn.ConstantPad2d, 6: nn.ConstantPad3d}  # by the number of sides
SAME = 1e-3  # of its logit: an answer that differs by less is the same but for rounding
violation = functools.partial(metric, family="axiom", higher_is_better=False)


@violation(cite="sundararajan2017ig", label="incompleteness", limits=(0, 2))
def completeness(probe: Probe, attribution: Tensor) -> Tensor:
    """Gap between the sum S of the attributions and what they should explain, over the greater of both in size. (N,)

        |S - D| / max(|S|, |D|),    D = logit_c(x) - logit_c(baseline)

    0: complete; below 1: the right sign, but too much or too little; above 1: the wrong sign; 2: the negative of a complete
    one. The axiom is about the scale of an attribution, so scaling changes the score. Over |D| alone, as usual, few samples
    of small D would make the mean.
    """
    total = attribution.double().flatten(1).sum(1)
    explained = probe.full_logit - probe.empty_logit
    gap = (total - explained).abs()
    return torch.where(gap > 0, gap / torch.maximum(total.abs(), explained.abs()), gap)


@violation(cite="nguyen2020quantitative", label="non-sensitivity (% of features)", limits=(0, 100))
def non_sensitivity(probe: Probe, attribution: Tensor, *, tolerance: float = 1e-5, features: str = "patch64") -> Tensor:
    """Percentage of features of which one says that the model ignores them, the attribution or p, and the other does not. (N,)

    p ignores a feature if it changes by no more than `tolerance` without it; the attribution, if its absolute values there
    sum to no more than that share of the highest such sum. Undefined where p ignores every feature.
    """
    cells = probe.partition(features)
    change = (probe.full[:, None] - probe.leave_one_out(features)).abs()  # NaN where a sample has fewer cells
    size = cells.sums(attribution.double().abs())
    matters, named = change > tolerance, size > tolerance * size.amax(1, keepdim=True)
    wrong = ((matters != named) & ~change.isnan()).sum(1)
    return torch.where(matters.any(1), 100 * wrong / cells.counts.double(), torch.nan)


@violation(cite="kindermans2019unreliability", label="input variance", limits=(0, None), cost="slow")
def input_invariance(probe: Probe, attribution: Tensor, explain: Explain, *, shift: float = -1.0) -> Tensor:
    """Relative change of the attribution when a constant is added to all inputs and the first layer's bias takes it out. (N,)

        |a(x + s) - a(x)| / |a(x)|    in the L2 norm; s is in the unit of the inputs

    The shifted model answers x + s as the model answers x, so nothing is to be explained otherwise. What the task says about
    its inputs (baseline, background, bounds) is shifted too, and zeros that a convolution pads with become s. Random
    methods draw as they did before. Undefined where the first layer that computes is no convolution or dense layer, or does
    not read the input alone: checked by asking the shifted model.
    """
    problem = probe.problem
    model = absorbing(problem.model, problem.inputs[:1], shift)
    if model is None:
        return torch.full((len(attribution),), torch.nan, dtype=torch.float64)
    inputs = problem.inputs + shift
    change = (explain(inputs, 0, model=model, shift=shift) - attribution).double().flatten(1).norm(dim=1)
    with torch.inference_mode():
        logits = torch.cat([model(part) for part in inputs.split(problem.batch_size)])
    told = logits.gather(1, probe.targets[:, None])[:, 0].double()
    same = (told - probe.full_logit).abs() <= SAME * probe.full_logit.abs().clamp_min(1)
    return torch.where(same, change / attribution.double().flatten(1).norm(dim=1), torch.nan)


def absorbing(model: nn.Module, example: Tensor, shift: float) -> nn.Module | None:
    """A copy of the model whose first layer's bias takes a constant shift of the inputs out; None where there is no such layer.

    Zeros that a convolution pads with become the shift, which is what they are once they are shifted too.
    """
    model = copy.deepcopy(model)
    name = _first_reader(model, example)
    if name is None:
        return None
    layer: Any = model.get_submodule(name)
    taken = shift * layer.weight.flatten(1).sum(1)
    bias = -taken if layer.bias is None else layer.bias - taken
    layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    sides = getattr(layer, "_reversed_padding_repeated_twice", [])
    if not any(sides) or layer.padding_mode != "zeros":
        return model
    layer.padding = (0,) * len(layer.kernel_size)
    layer._reversed_padding_repeated_twice = [0] * len(sides)
    pad: Any = PADS[len(sides)]
    padded = nn.Sequential(pad(tuple(sides), shift), layer).eval()
    if not name:
        return padded
    owner, _, child = name.rpartition(".")
    setattr(model.get_submodule(owner), child, padded)
    return model


def _first_reader(model: nn.Module, example: Tensor) -> str | None:
    """The name of the first convolution or dense layer, if it reads the input (1, C, *S) as it is, flattened or not."""
    first: list[tuple[str, Tensor]] = []
    handles = [
        module.register_forward_pre_hook(lambda _, args, name=name: first.append((name, args[0])))
        for name, module in model.named_modules()
        if isinstance(module, READERS)
    ]
    try:
        with torch.inference_mode():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    if not first or not torch.equal(first[0][1].flatten(), example.flatten()):
        return None
    return first[0][0]
