"""The whole list of methods on networks of timm: what works, and what is skipped with which reason."""

from __future__ import annotations

import functools
import math

import pytest
import timm
import torch
from conftest import image_problem, with_targets

from bench.core.problem import Problem
from bench.engine.explain import Attributions, explain_all
from bench.registry.decorators import METHODS
from bench.registry.selection import with_params

# network -> its last block, and the methods that cannot be served with a part of the reason
NO_RULE = {
    "deep_lift",
    "deep_lift_shap",
    "deep_taylor",
    "excitation_backprop",
    "lrp_alpha_beta",
    "lrp_composite",
    "lrp_epsilon",
    "lrp_gamma",
}
NO_RELU = {"guided_backprop", "deconvnet", "guided_grad_cam"}
NETWORKS = {
    "test_resnet": (("layer1", "layer2", "layer3", "layer4"), {}),
    "test_convnext": (
        ("stages.0", "stages.1", "stages.2", "stages.3"),
        dict.fromkeys(NO_RULE, "no rule for")
        | dict.fromkeys(NO_RELU, "has no ReLU")
        | {"cam": "global average pooling"},
    ),
    "test_efficientnet": (
        ("blocks.0", "blocks.2", "bn2"),
        dict.fromkeys(NO_RULE, "no rule for") | dict.fromkeys(NO_RELU, "has no ReLU"),
    ),
}
FEWER = {
    "rise": "masks=20",
    "lime": "samples=40,features=patch9",
    "kernel_shap": "samples=60,features=patch9",
    "shapley_sampling": "orders=2,features=patch9",
    "extremal_perturbation": "steps=3",
}


@functools.cache
def problem_of(network: str) -> Problem:
    torch.manual_seed(0)
    model = timm.create_model(network, pretrained=False, num_classes=10).eval().requires_grad_(False)
    for module in model.modules():  # as if trained: batch norms that do something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    blank = image_problem(samples=2, size=96)
    return with_targets(
        Problem(
            model=model,
            inputs=blank.inputs,
            sample_ids=("a", "b"),
            baseline=torch.zeros(3, 1, 1),
            layers=NETWORKS[network][0],
            top_k=0.3,
            fingerprint=network,
            truth=blank.inputs[:, 0] > 0.5,
            background=blank.inputs.flip(0)[:2],
            bounds=torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1),
        ),
        2,
    )


@functools.cache
def maps_of(name: str, network: str) -> Attributions:
    method = with_params(METHODS[name], FEWER[name]) if name in FEWER else METHODS[name]
    return explain_all(method, problem_of(network), task="test", seed=0)


ZERO = {("ablation_cam", "test_convnext")}  # of an untrained network: no map loses a share of the logit


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", METHODS)
def test_a_method_on_a_network_of_timm(name, network):
    explained = maps_of(name, network)
    reason = NETWORKS[network][1].get(name)
    if reason:
        assert set(explained.status) == {"skipped"}
        assert reason in explained.note[0]
    else:
        nothing = name == "constant" or (name, network) in ZERO
        assert set(explained.status) == {"undefined" if nothing else "ok"}, explained.note
        assert explained.attribution.isfinite().all()
        assert not math.isnan(float(explained.cost.forwards[0]))


def test_most_maps_on_networks_of_timm_say_something():
    """A CAM that is zero for an untrained network is undefined; that may not become the rule."""
    for network in NETWORKS:
        told = [maps_of(name, network).status for name in METHODS if METHODS[name].cost == "fast"]
        good = [set(status) == {"ok"} for status in told if "skipped" not in status]
        assert sum(good) >= 0.8 * len(good)
