"""Does a model predict the labels? Where it does not, what is explained may not be what its user trained."""

from __future__ import annotations

import torch

from bench.core.problem import Problem
from bench.core.vocabulary import SOFTMAX

COMPARED = 64  # samples whose label is compared with the prediction
FEWEST = 8  # samples; of fewer, a good model may miss most by chance


@torch.no_grad()
def agreement(problem: Problem) -> list[str]:
    """How often the model predicts the label, in a sentence, and what may be wrong where it does so no better than guessing."""
    if problem.labels is None or problem.output != SOFTMAX:
        return []
    rows = range(min(len(problem), COMPARED))
    answers = torch.cat([problem.model(problem.inputs[row : row + 1]) for row in rows])
    labels = problem.labels[: len(rows)].to(answers.device)
    hits = answers.argmax(1) == labels
    sentence = f"the model predicts the label of {int(hits.sum())} of {len(hits)} samples"
    if len(hits) < FEWEST or not _guessing(hits, labels, answers.shape[1]):
        return [sentence]
    return [f"{sentence}, no better than guessing: the order of the classes, the transform or the weights may be wrong"]


def _guessing(hits: torch.Tensor, labels: torch.Tensor, outputs: int) -> bool:
    """Whether the hits are as few as those of a guess that does not look at the input.

    The share of hits is averaged over the labels: whatever such a guess names, and however often, it expects 1 / L of L
    labels. So a model that names the commonest class is found out, and one that is good at a rare class is not suspected, as
    it would be if hits were compared with the number of the commonest label. Samples of one label leave 1 / outputs. No test of
    significance: few samples would then accuse a good model.
    """
    shares = torch.stack([hits[labels == label].double().mean() for label in labels.unique()])
    return float(shares.mean()) <= 1 / (len(shares) if len(shares) > 1 else outputs) + 1e-9
