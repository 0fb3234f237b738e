"""Scores maps that another library made (captum's DeepLIFT) beside a method of this one and random numbers.

Run it with `python examples/maps_of_another_library.py`; it takes a few seconds.
"""

import bench  # before torch: it sets how long OpenMP threads wait for each other
import pandas as pd
import torch
from captum.attr import DeepLift
from torch import nn

METRICS = ["drop", "deletion", "insertion"]


def network() -> nn.Module:
    """An untrained classifier of signals (N, 1, 40), five classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 40, 5)).eval()


def main() -> pd.DataFrame:
    """The mean score of each kind of map by each metric."""
    problem = bench.Problem.from_model(network(), torch.randn(32, 1, 40))
    classes = problem.model(problem.inputs).argmax(1)
    maps = {
        "captum DeepLift": DeepLift(problem.model).attribute(problem.inputs, target=classes).sum(1).detach(),
        "integrated_gradients": bench.attribute(problem, "integrated_gradients"),
        "random": bench.attribute(problem, "random"),
    }
    return pd.DataFrame({name: bench.score(problem, made, metrics=METRICS).mean() for name, made in maps.items()}).T


if __name__ == "__main__":
    print(main())
