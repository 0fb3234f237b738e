"""CAM: the last feature maps, each weighted by the class's weight for it [zhou2016cam].

    attribution = sum_k w_ck A_k,   upsampled linearly

Only for networks that end in global average pooling and one dense layer. There the mean over space is the class's logit
without its bias. Signed, as in the paper's equation.
"""

import torch
from torch import Tensor, nn

from bench.core.errors import NotApplicable
from bench.core.problem import Problem
from bench.network.gradients import features
from bench.perturbation.masking import upsample
from bench.registry.decorators import method


@method(cite="zhou2016cam", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def cam(problem: Problem) -> Tensor:
    """Last feature maps weighted by the class's weights in the dense layer, summed, upsampled linearly. -> (N, *S)"""
    dense = [module for module in problem.model.modules() if isinstance(module, nn.Linear)]
    seen: list[tuple[Tensor, Tensor]] = []
    if not dense:
        raise NotApplicable(
            "cam needs a network that ends in global average pooling and one dense layer; this one has no dense layer"
        )
    handle = dense[-1].register_forward_hook(lambda _module, inputs, output: seen.append((inputs[0], output)))
    try:
        with torch.no_grad():
            maps, logits = features(problem)
    finally:
        handle.remove()
    weights, pooled = dense[-1].weight, maps.flatten(2).mean(2)
    near = 1e-5 * float(maps.abs().amax())
    if not (
        len(seen) == 1
        and seen[0][0].shape == pooled.shape
        and seen[0][1].shape == logits.shape
        and torch.allclose(seen[0][0], pooled, rtol=1e-4, atol=near)
        and torch.allclose(seen[0][1], logits)
    ):
        raise NotApplicable(
            "cam needs a network that ends in global average pooling and one dense layer; this one ends otherwise"
        )
    combined = torch.einsum("nk,nk...->n...", weights[problem.targets], maps)
    return upsample(combined[:, None], problem.shape)[:, 0]
