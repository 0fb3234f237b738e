"""Does an attribution satisfy axioms that some methods satisfy by definition?

Axioms hold or fail for any data. A method that does not claim an axiom (a CAM does not claim completeness) may violate it
without being wrong. A method that claims one must not.
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
SAME = 1e-3  # of the logit: smaller differences are rounding
violation = functools.partial(metric, family="axiom", higher_is_better=False)


@violation(cite="sundararajan2017ig", label="incompleteness", limits=(0, 2))
def completeness(probe: Probe, attribution: Tensor) -> Tensor:
    """Gap between the sum of the attributions and the logit that they should explain, over the larger of the two. (N,)

        |S - D| / max(|S|, |D|),    S = sum of the attributions,  D = logit_c(x) - logit_c(baseline)

    0: complete; below 1: right sign, wrong size; above 1: wrong sign; 2: the negative of a complete attribution. The axiom
    is about the scale of an attribution, so scaling changes the score. The usual division by |D| alone would let a few
    samples of small D dominate the mean.
    """
    total = attribution.double().flatten(1).sum(1)
    explained = probe.full_logit - probe.empty_logit
    gap = (total - explained).abs()
    return torch.where(gap > 0, gap / torch.maximum(total.abs(), explained.abs()), gap)


@violation(cite="nguyen2020quantitative", label="non-sensitivity (% of features)", limits=(0, 100))
def non_sensitivity(probe: Probe, attribution: Tensor, *, tolerance: float = 1e-5, features: str = "patch64") -> Tensor:
    """Percentage of the features that either the attribution or p ignores, but not both. (N,)

    p ignores a feature if removing it changes p by at most `tolerance`. The attribution ignores it if its absolute values
    there sum to at most that share of the highest such sum. Undefined where p ignores every feature.
    """
    cells = probe.partition(features)
    change = (probe.full[:, None] - probe.leave_one_out(features)).abs()  # NaN where a sample has fewer cells
    size = cells.sums(attribution.double().abs())
    matters, named = change > tolerance, size > tolerance * size.amax(1, keepdim=True)
    wrong = ((matters != named) & ~change.isnan()).sum(1)
    return torch.where(matters.any(1), 100 * wrong / cells.counts.double(), torch.nan)


@violation(cite="kindermans2019unreliability", label="input variance", limits=(0, None), cost="slow")
def input_invariance(probe: Probe, attribution: Tensor, explain: Explain, *, shift: float = -1.0) -> Tensor:
    """Relative change of the attribution when a constant is added to the input and taken out by the first layer. (N,)

        |a(x + s) - a(x)| / |a(x)|    in the L2 norm; s is in the unit of the inputs

    The shifted model answers x + s as the model answers x, so the explanation should not change. Baseline, background and
    bounds are shifted too, and the zeros that a convolution pads with become s. Random methods use the same random numbers.
    Undefined where the first layer is not a convolution or dense layer, or where other layers read the input too, which
    shows in the shifted model's answers.
    """
    problem = probe.problem
    model = absorbing(problem.model, problem.inputs[:1], shift)
    if model is None:
        return torch.full((len(attribution),), torch.nan, dtype=torch.float64)
    inputs = problem.inputs + shift
    change = (explain(inputs, 0, model=model, shift=shift) - attribution).double().flatten(1).norm(dim=1)
    with torch.inference_mode():
        logits = torch.cat([model(part) for part in inputs.split(problem.batch_size)])
    answer = logits.gather(1, probe.targets[:, None])[:, 0].double()
    same = (answer - probe.full_logit).abs() <= SAME * probe.full_logit.abs().clamp_min(1)
    return torch.where(same, change / attribution.double().flatten(1).norm(dim=1), torch.nan)


def absorbing(model: nn.Module, example: Tensor, shift: float) -> nn.Module | None:
    """A copy of the model whose first layer's bias takes out a constant shift of the inputs; None if no layer can.

    The zeros that a convolution pads with become the shift.
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
    """The name of the first convolution or dense layer, if it reads the input (1, C, *S) unchanged or flattened."""
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
