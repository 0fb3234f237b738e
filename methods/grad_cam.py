"""Grad-CAM: where the last feature maps fire, each weighed by its mean gradient [selvaraju2017gradcam].

    attribution = upsampled ReLU( sum_k  mean(d logit_c / d A_k) * A_k )

Never negative. It is zero everywhere, hence undefined, for a sample whose weighted sum is nowhere positive.
"""

from captum.attr import LayerGradCam
from torch import Tensor

from bench.core import Problem
from bench.masking import upsample
from bench.registry import method


@method(cite="selvaraju2017gradcam", family="activation", needs={"layers"})
def grad_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Feature maps of one block weighed by their mean gradient, summed, ReLU, upsampled linearly. -> (N, *S)"""
    explainer = LayerGradCam(problem.model, problem.model.get_submodule(problem.layers[layer]))
    inputs = problem.inputs.detach().clone().requires_grad_()
    maps = explainer.attribute(inputs, target=problem.targets, relu_attributions=True)
    return upsample(maps.detach(), problem.shape)[:, 0]
