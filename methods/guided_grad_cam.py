"""Guided Grad-CAM: guided backpropagation times Grad-CAM [selvaraju2017gradcam, section 3.2].

    attribution = guided backpropagation * Grad-CAM

As detailed as the first, as class-specific as the second. Signed, summed over channels; zero where Grad-CAM is zero.
"""

from torch import Tensor

from bench.core.problem import Problem
from bench.methods.grad_cam import grad_cam
from bench.methods.guided_backprop import GuidedReLU, backward
from bench.registry.decorators import method


@method(cite="selvaraju2017gradcam", family="activation", needs={"layers"}, cost="fast", promises={"class"})
def guided_grad_cam(problem: Problem, *, layer: int = -1) -> Tensor:
    """Guided backpropagation summed over channels, times Grad-CAM. -> (N, *S)"""
    fine = backward(problem, "guided_grad_cam", GuidedReLU).sum(1)
    return fine * grad_cam(problem, layer=layer)
