"""Training and evaluation of the tasks' models. The shipped weights were made by this code."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bench.core.entries import Recipe
from bench.core.hashing import digest
from bench.network.device import memory_format

BATCH = 32  # of evaluation; larger batches are not faster on a CPU


def fit(recipe: Recipe, *, seed: int = 0, device: str = "cpu") -> Iterator[tuple[dict[str, float], nn.Module]]:
    """Trains a new network. After each epoch, yields its figures and the averaged network so far.

    AdamW with a one-cycle schedule. The averaged network has the exponential moving average of the weights, and its batch
    norms are folded into the convolutions. The test accuracy is reported and never used for a decision.
    """
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    inputs = recipe.train[0]
    network = recipe.network().to(device).to(memory_format=memory_format(inputs))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    steps = len(inputs) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.2
    )
    for epoch in range(recipe.epochs):
        loss, accuracy = _epoch(recipe, network, average, optimiser, schedule, rng, device)
        finished = fold_batch_norm(average.module)
        right = probabilities(finished, recipe, device=device).argmax(1) == recipe.test[1].numpy()
        yield (
            {
                "epoch": epoch + 1,
                "loss": loss,
                "train_accuracy": accuracy,
                "test_accuracy": float(right.mean()),
            },
            finished,
        )


def _epoch(
    recipe: Recipe,
    network: nn.Module,
    average: AveragedModel,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.OneCycleLR,
    rng: torch.Generator,
    device: str,
) -> tuple[float, float]:
    """Trains on all whole batches once; returns their mean loss and accuracy."""
    inputs, labels = recipe.train
    form, size = memory_format(inputs), recipe.batch_size
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    network.train()
    losses, hits = [], 0
    rows_used = len(inputs) // size * size
    for rows in torch.randperm(len(inputs), generator=rng)[:rows_used].split(size):
        batch = recipe.augment(recipe.prepare(inputs[rows]), rng).to(device).to(memory_format=form)
        target = labels[rows].to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.bfloat16):
            logits = network(batch)
        loss = criterion(logits.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        losses.append(loss.item())
        hits += int((logits.argmax(1) == target).sum())
    return float(np.mean(losses)), hits / rows_used


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy in eval mode with every batch norm of a Sequential folded into the convolution before it.

    The folded network computes the same function, is smaller and faster, and needs no rewriting for LRP.
    """
    network = copy.deepcopy(network).float().cpu().eval()
    children = list(network.named_children())
    for (before, first), (name, second) in pairwise(children):
        if isinstance(second, nn.modules.batchnorm._BatchNorm):
            setattr(network, before, fuse_conv_bn_eval(first, second))  # type: ignore[type-var]
            delattr(network, name)
    return network.to(memory_format=torch.contiguous_format)


@torch.inference_mode()
def probabilities(network: nn.Module, recipe: Recipe, *, device: str = "cpu") -> np.ndarray:
    """Class probabilities (N, K) of the recipe's test inputs."""
    form = memory_format(recipe.test[0])
    network = network.to(device).to(memory_format=form).eval()
    parts = [
        network(recipe.prepare(batch).to(device).to(memory_format=form)).softmax(1).cpu()
        for batch in recipe.test[0].split(BATCH)
    ]
    return torch.cat(parts).numpy()


def class_table(probability: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]) -> pd.DataFrame:
    """Precision, recall, F1, ROC AUC (one class against the rest) and support per class, then over all.

    The `accuracy` of a class is the share of all samples that are correctly assigned to it or not to it.
    """
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    predicted = probability.argmax(1)
    ids = np.arange(len(class_names))
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, labels=ids, zero_division=0)
    rows = pd.DataFrame(
        {
            "class": class_names,
            "accuracy": [float(((predicted == k) == (labels == k)).mean()) for k in ids],
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "roc_auc": [roc_auc_score(labels == k, probability[:, k]) for k in ids],
            "n": support,
        }
    )
    overall = rows.mean(numeric_only=True).to_dict() | {
        "class": "all (accuracy; macro means)",
        "accuracy": float((predicted == labels).mean()),
        "n": len(labels),
    }
    return pd.concat([rows, pd.DataFrame([overall])], ignore_index=True)


def data_digest(recipe: Recipe) -> str:
    """A hash of pixels and labels instead of file bytes, so that any lossless copy counts as the same data."""
    return digest(*recipe.train, *recipe.test)


def facts(recipe: Recipe, figures: dict[str, float], *, seed: int) -> dict[str, Any]:
    """What is stored beside the weights: how good they are and how they were made."""
    network = fold_batch_norm(recipe.network())
    return {
        "test_accuracy": round(figures["test_accuracy"], 4),
        "test_samples": len(recipe.test[1]),
        "train_samples": len(recipe.train[1]),
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": {
            name: getattr(recipe, name)
            for name in (
                "epochs",
                "batch_size",
                "learning_rate",
                "weight_decay",
                "label_smoothing",
                "average_decay",
                "bfloat16",
            )
        }
        | {"optimiser": "AdamW", "schedule": "one cycle, cosine, peak at 20 %", "seed": seed},
        "data_fingerprint": data_digest(recipe),
        "torch": torch.__version__,
    }
