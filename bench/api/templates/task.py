"""TITLE: what is explained, in a sentence: the data, the model, and whether it is known where the evidence is."""

import torch
from torch import nn

import bench

LENGTH, NUMBER = 24, 64  # of the signals


def samples() -> list[str]:
    """Ids of all samples, the most representative first: runs take them from the start."""
    return [f"signal/{number}" for number in range(NUMBER)]


def signals() -> tuple[torch.Tensor, torch.Tensor]:
    """All signals (N, 1, L), and where each has its bump (N, L). Replace this by your data; fix every seed."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randint(0, LENGTH - 6, (NUMBER, 1), generator=generator)
    places = torch.arange(LENGTH)
    truth = (places >= start) & (places < start + 6)
    noise = 0.1 * torch.randn(NUMBER, 1, LENGTH, generator=generator)
    return noise + truth[:, None].float(), truth


def network() -> nn.Module:
    """The model (N, 1, L) -> logits (N, 2). Replace it by yours, with its trained weights."""
    with torch.random.fork_rng():  # leaves torch's random state as it was
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv1d(1, 4, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * LENGTH, 2)).eval()


# cite      key of the source of the data in a bibliography, or ""
# family    a word that groups tasks: "signal", "image"
# samples   the function that lists all ids
# profiles  how many samples `--profile quick`, `standard` and `full` take; None for all


@bench.task(cite="", family="signal", samples=samples, profiles={"quick": 8, "standard": 32, "full": None})
def my_task(sample_ids: tuple[str, ...]) -> bench.Problem:
    """Bumps in noise: which steps raise the logit."""
    rows = [int(name.split("/")[1]) for name in sample_ids]
    inputs, truth = signals()
    return bench.Problem.from_model(
        network(),
        inputs[rows],
        sample_ids=sample_ids,
        baseline=0.0,  # what an absent feature is replaced with: a number, or one for each channel
        top_k=0.3,  # share of the features that `drop`, `increase` and `topk_deletion` look at
        truth=truth[rows],  # where the evidence is, (N, *S); leave it out where nobody knows
        # output="sigmoid"      for labels that do not exclude each other, or one logit; "identity" for a regression
        # layers=("0",)         ends of the model's blocks, first to last; found from the model by default
        # background=inputs[:8] typical inputs, for methods that average over references
        # bounds=(0.0, 1.0)     lowest and highest value that an input can have
        # labels=..., class_names=...   for captions
    )
