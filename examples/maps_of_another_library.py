"""Scores maps that another library made (captum's occlusion) beside a method of this one and random numbers.

Run it with `python examples/maps_of_another_library.py`; it takes a few seconds.
"""

import pandas as pd
import torch
from captum.attr import Occlusion
from torch import nn

import bench

METRICS = ["drop", "deletion", "insertion"]


def network() -> nn.Module:
    """An untrained classifier of signals (N, 1, 40), five classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 40, 5)).eval()


def main() -> pd.DataFrame:
    """The mean score of each kind of map by each metric."""
    problem = bench.Problem.from_model(network(), torch.randn(32, 1, 40))
    classes = problem.model(problem.inputs).argmax(1)
    occlusion = Occlusion(problem.model).attribute(problem.inputs, sliding_window_shapes=(1, 3), target=classes)
    maps = {
        "captum occlusion": occlusion.sum(1),
        "integrated_gradients": bench.attribute(problem, "integrated_gradients"),
        "random": bench.attribute(problem, "random"),
    }
    return pd.DataFrame({name: bench.score(problem, made, metrics=METRICS).mean() for name, made in maps.items()}).T


if __name__ == "__main__":
    print(main())
