"""What methods are timed against: captum, pytorch-grad-cam, or the plainest correct loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import captum.attr
import torch
from conftest import image_problem, signal_problem
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.core.problem import Problem
from bench.network.timing import pace
from bench.perturbation.partition import partition

Peer = Callable[[Problem, nn.Module], object]


def by_captum(make: Callable[[nn.Module], object], **settings: object) -> Peer:
    def ask(problem: Problem, model: nn.Module) -> object:
        made = {name: value(problem) if callable(value) else value for name, value in settings.items()}
        return make(model).attribute(problem.inputs.clone().requires_grad_(), target=problem.targets, **made)  # type: ignore[attr-defined]

    return ask


def baselines(problem: Problem) -> Tensor:
    return problem.baseline.expand_as(problem.inputs)


def mask_of(name: str) -> Callable[[Problem], Tensor]:
    def labels(problem: Problem) -> Tensor:
        found = partition(name, problem.inputs).labels
        return torch.arange(problem.shape[0]).view(1, 1, -1) if found is None else found[:1, None]

    return labels


class Unflattened(nn.Module):
    """A network with its flattening as a function: captum's LRP has no rule for the module."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.before, self.last = network[:-2], network[-1]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.before(inputs).flatten(1))


def lrp(problem: Problem, model: nn.Module) -> object:
    assert isinstance(model, nn.Sequential)
    return by_captum(captum.attr.LRP)(problem, Unflattened(model))


def one_by_one(of_one: Callable[[Problem, nn.Module], object]) -> Peer:
    """captum's LIME and Kernel SHAP take one sample at a time."""
    return lambda problem, model: [of_one(problem.take([row]), model) for row in range(len(problem))]


def noise_tunnel(kind: str) -> Peer:
    def ask(problem: Problem, model: nn.Module) -> object:
        tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
        spread = float(0.15 * (problem.inputs.amax() - problem.inputs.amin()))
        return tunnel.attribute(
            problem.inputs,
            nt_type=kind,
            nt_samples=32,
            nt_samples_batch_size=1,
            stdevs=spread,
            abs=False,
            target=problem.targets,
        )

    return ask


def grad_cam_library(name: str) -> Peer:
    def ask(problem: Problem, model: nn.Module) -> object:
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        kind = getattr(pytorch_grad_cam, name)
        with kind(model=model, target_layers=[model.get_submodule(problem.layers[-1])]) as explainer:
            explainer.batch_size = 16
            targets = [ClassifierOutputTarget(int(target)) for target in problem.targets]
            return explainer(input_tensor=problem.inputs.clone().requires_grad_(), targets=targets)

    return ask


def scaled(mask: Tensor) -> Tensor:
    mask = mask - mask.min()
    return mask / (mask.max() + 1e-6)


def plain_sise(problem: Problem, model: nn.Module) -> list[list[Tensor]]:
    """Every mask of every block of every sample, one after another. Without the fusion, which costs nothing beside."""
    maps: list[list[Tensor]] = []
    mode = "linear" if len(problem.shape) == 1 else "bilinear"
    seen: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
        for name in problem.layers
    ]
    for x, target in zip(problem.inputs, problem.targets, strict=True):
        p = model(x[None].clone().requires_grad_()).softmax(1)[0, target]
        found = dict(seen)
        slopes = torch.autograd.grad(p, [found[name] for name in problem.layers])
        with torch.no_grad():
            layers = []
            for name, slope in zip(problem.layers, slopes, strict=True):
                total = torch.zeros(problem.shape)
                for a, g in zip(found[name][0], slope[0], strict=True):
                    if g.mean() > 0:
                        mask = scaled(interpolate(a[None, None], size=tuple(problem.shape), mode=mode)[0, 0])
                        total += model((x * mask)[None]).softmax(1)[0, target] * mask / (mask.sum() + 1e-6)
                layers.append(total)
            maps.append(layers)
    for hook in hooks:
        hook.remove()
    return maps


def plain_rise(masks: int) -> Peer:
    def ask(problem: Problem, model: nn.Module) -> list[Tensor]:
        mode = "linear" if len(problem.shape) == 1 else "bilinear"
        cell = [-(-side // 7) for side in problem.shape]
        maps = []
        with torch.no_grad():
            for x, target in zip(problem.inputs, problem.targets, strict=True):
                total = torch.zeros(problem.shape)
                for _ in range(masks):
                    small = (torch.rand([8] * len(cell)) < 0.5).float()[None, None]
                    large = interpolate(small, size=[8 * side for side in cell], mode=mode)[0, 0]
                    start = [int(torch.randint(side, ())) for side in cell]
                    mask = large[tuple(slice(s, s + n) for s, n in zip(start, problem.shape, strict=True))]
                    total += model((x * mask)[None]).softmax(1)[0, target] * mask
                maps.append(total / (masks * 0.5))
        return maps

    return ask


IMAGES = "image"
BOTH = "signal", "image"
ONE_BY_ONE = "few", "image"  # where the peer takes one sample after another, a whole batch would take minutes
# method -> (peer, what it is, kinds of task, settings of ours that ask as much)
PEERS: dict[str, tuple[Peer, str, tuple[str, ...] | str, str]] = {
    "saliency": (by_captum(captum.attr.Saliency), "captum", BOTH, ""),
    "gradient_x_input": (by_captum(captum.attr.InputXGradient), "captum", BOTH, ""),
    "integrated_gradients": (
        by_captum(captum.attr.IntegratedGradients, n_steps=32, internal_batch_size=32), "captum", BOTH, "",
    ),
    "expected_gradients": (
        by_captum(captum.attr.GradientShap, baselines=lambda p: p.background, n_samples=32), "captum GradientShap", BOTH, "",
    ),
    "smoothgrad": (noise_tunnel("smoothgrad"), "captum NoiseTunnel", BOTH, ""),
    "smoothgrad_squared": (noise_tunnel("smoothgrad_sq"), "captum NoiseTunnel", BOTH, ""),
    "vargrad": (noise_tunnel("vargrad"), "captum NoiseTunnel", BOTH, ""),
    "guided_backprop": (by_captum(captum.attr.GuidedBackprop), "captum", BOTH, ""),
    "deconvnet": (by_captum(captum.attr.Deconvolution), "captum", BOTH, ""),
    "lrp_epsilon": (lrp, "captum", IMAGES, ""),  # it has no rule for Conv1d
    "deep_lift": (by_captum(captum.attr.DeepLift, baselines=baselines), "captum", BOTH, ""),
    "deep_lift_shap": (by_captum(captum.attr.DeepLiftShap, baselines=lambda p: p.background), "captum", BOTH, ""),
    "grad_cam": (
        lambda p, m: captum.attr.LayerGradCam(m, m.get_submodule(p.layers[-1])).attribute(p.inputs, target=p.targets),
        "captum (not upsampled)", BOTH, "",
    ),
    "guided_grad_cam": (
        lambda p, m: captum.attr.GuidedGradCam(m, m.get_submodule(p.layers[-1])).attribute(
            p.inputs.clone().requires_grad_(), target=p.targets
        ),
        "captum", IMAGES, "",
    ),
    "grad_cam_plus_plus": (grad_cam_library("GradCAMPlusPlus"), "pytorch-grad-cam", IMAGES, ""),
    "xgrad_cam": (grad_cam_library("XGradCAM"), "pytorch-grad-cam", IMAGES, ""),
    "layer_cam": (grad_cam_library("LayerCAM"), "pytorch-grad-cam", IMAGES, ""),
    "eigen_cam": (grad_cam_library("EigenCAM"), "pytorch-grad-cam", IMAGES, ""),
    "score_cam": (grad_cam_library("ScoreCAM"), "pytorch-grad-cam", IMAGES, ""),
    "ablation_cam": (grad_cam_library("AblationCAM"), "pytorch-grad-cam", IMAGES, ""),
    "sise": (plain_sise, "plain loop", ONE_BY_ONE, ""),
    "rise": (plain_rise(100), "plain loop", ONE_BY_ONE, "masks=100"),
    "occlusion": (
        by_captum(
            captum.attr.Occlusion,
            sliding_window_shapes=lambda p: (p.inputs.shape[1], *[round(0.2 * n) for n in p.shape]),
            strides=lambda p: (p.inputs.shape[1], *[round(0.1 * n) for n in p.shape]),
            baselines=baselines,
        ),
        "captum", BOTH, "",
    ),
    "feature_ablation": (
        by_captum(captum.attr.FeatureAblation, feature_mask=mask_of("patch64"), baselines=baselines), "captum", BOTH, "",
    ),
    "lime": (
        one_by_one(by_captum(captum.attr.Lime, feature_mask=mask_of("patch64"), n_samples=100, perturbations_per_eval=8)),
        "captum", ONE_BY_ONE, "samples=100,features=patch64",
    ),
    "kernel_shap": (
        one_by_one(
            by_captum(captum.attr.KernelShap, feature_mask=mask_of("patch64"), n_samples=200, perturbations_per_eval=8)
        ),
        "captum", ONE_BY_ONE, "samples=200",
    ),
    "shapley_sampling": (
        by_captum(captum.attr.ShapleyValueSampling, feature_mask=mask_of("patch64"), n_samples=2), "captum", BOTH, "orders=2",
    ),
}  # fmt: skip


def problems() -> dict[str, tuple[Problem, nn.Module]]:
    """8 images of HMT's size, a batch of signals and a few, with the model as harness and as torch have it."""
    found = {}
    for kind, problem in (
        ("signal", signal_problem(1024)),
        ("few", signal_problem(64)),
        ("image", image_problem(8, size=150)),
    ):
        plain = copy.deepcopy(problem.model).to(memory_format=torch.contiguous_format)
        for module in plain.modules():
            for name, value in list(module._parameters.items()):
                if value is not None:
                    module._parameters[name] = nn.Parameter(value.detach().contiguous(), requires_grad=False)
        found[kind] = (replace(problem, batch_size=pace(problem).batch_size), plain)
    return found
