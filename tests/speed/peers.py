"""Quantus, asked for the same number of perturbations per sample as our metrics ask for, or the nearest smaller that it takes.

It gets the model as the task makes it and the inputs as NumPy arrays, as its users pass them, and normalises nothing.
"""

from __future__ import annotations

import copy
import os
import platform
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import quantus
import torch
from torch import Tensor

from bench.core.problem import Problem

PLAIN = {
    "normalise": False,
    "abs": False,
    "disable_warnings": True,
    "display_progressbar": False,
    "return_aggregate": False,
}
BLACK = PLAIN | {"perturb_baseline": 0.0}

# Ours -> how Quantus is asked the same. A dash says why there is no such question.
SAME = {"deletion": "the question of pixel_flipping", "abpc": "the questions of aopc_morf and aopc_lerf"}
NONE = dict.fromkeys(("drop", "increase", "topk_deletion", "comprehensiveness", "sufficiency"), "not in Quantus")
NONE |= dict.fromkeys(("irof", "road"), "Quantus raises on RGB and on signals")

# What we are given where Quantus cannot ask as much: its sensitivity-n asks once per feature, 40 times on a signal.
FEWER = {"sensitivity_n": "subsets=10"}


def judges(problem: Problem) -> dict[str, Any]:
    """Our metric's name -> Quantus's metric, with parameters for inputs of this problem's shape."""
    channels, features = problem.inputs.shape[1], problem.inputs[0, 0].numel()

    def step(perturbations: int) -> int:
        """Features in a step, at most so many steps; Quantus demands that it divides the places of an input."""
        return next(n for n in range(1, features + 1) if features % n == 0 and channels * features / n <= perturbations)

    image = problem.inputs.dim() == 4
    cells = 36 if image else 40  # of patch64
    flips = quantus.PixelFlipping(features_in_step=step(20), **BLACK)

    def regions(order: str) -> Any:
        """20 of the 25 or 20 patches."""
        return quantus.RegionPerturbation(patch_size=30 if image else 2, regions_evaluation=20, order=order, **BLACK)

    found = {
        "pixel_flipping": flips,
        "aopc_morf": regions("morf"),
        "aopc_lerf": regions("lerf"),
        "insertion": flips,  # from the lowest to the highest: the attribution is turned round
        "region_perturbation": quantus.RegionPerturbation(
            patch_size=25 if image else 1, regions_evaluation=10, **BLACK
        ),
        "selectivity": quantus.Selectivity(patch_size=50 if image else 4, **BLACK),  # 9 or 10 patches
        "faithfulness_correlation": quantus.FaithfulnessCorrelation(
            nr_runs=32, subset_size=int(0.2 * channels * features), **BLACK
        ),
        "sensitivity_n": quantus.SensitivityN(features_in_step=step(128), n_max_percentage=1.0, **BLACK),
        "faithfulness_estimate": quantus.FaithfulnessEstimate(features_in_step=step(cells), **BLACK),
        "monotonicity_correlation": quantus.MonotonicityCorrelation(
            nr_samples=2, features_in_step=step(cells), perturb_baseline="uniform", **PLAIN
        ),
    }
    if image:  # 100 patches; on a signal it raises
        found["infidelity"] = quantus.Infidelity(perturb_patch_sizes=[15], n_perturb_samples=1, **BLACK)
    return found


def asked(problem: Problem, attribution: Tensor, name: str) -> Callable[[], object] | None:
    """The call that scores an attribution with Quantus; None where it has no such question."""
    judge = judges(problem).get(name)
    if judge is None:
        return None
    model = copy.deepcopy(problem.model).to(memory_format=torch.contiguous_format).eval()
    x = problem.inputs.contiguous().numpy()
    maps = (
        attribution.max() - attribution if name == "insertion" else attribution
    )  # it takes none that are all negative
    a = np.ascontiguousarray(np.broadcast_to(maps[:, None].float().numpy(), x.shape))

    def ask() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return judge(
                model=model, x_batch=x, y_batch=problem.targets.numpy(), a_batch=a, channel_first=True, softmax=True
            )

    return ask


def told(rows: list[dict[str, object]]) -> pd.DataFrame:
    """The rows as a table, printed, with the environment they were measured in."""
    found = pd.DataFrame(rows)
    print("\n" + found.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep=""))
    found["environment"] = f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores"
    return found
