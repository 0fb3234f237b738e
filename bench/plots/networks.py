"""Training and test of a task's model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from bench.plots.style import look, new_figure


def training_curves(history: pd.DataFrame, task: str) -> Figure:
    """Loss and accuracy per epoch."""
    figure, (left, right) = new_figure(1, 2, width=8, height=3)
    left.plot(history["epoch"], history["loss"], color="black")
    left.set(xlabel="epoch", ylabel="training loss (nats)")
    for column, label, dashes in (
        ("train_accuracy", "training batches", "--"),
        ("test_accuracy", "test, averaged weights", "-"),
    ):
        right.plot(history["epoch"], history[column], ls=dashes, label=label)
    right.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    right.legend(frameon=False, loc="lower right")
    figure.suptitle(
        f"{task}: test accuracy {history['test_accuracy'].iloc[-1]:.4f} after {len(history)} epochs", fontsize=10
    )
    return figure


def confusion(probability: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...], task: str) -> Figure:
    """Confusion matrix in samples."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, probability.argmax(1), labels=range(len(class_names)))
    figure, (axes,) = new_figure(
        1, 1, width=2 + 0.55 * len(class_names), height=1.4 + 0.45 * len(class_names), grid=False
    )
    sns.heatmap(
        counts, annot=True, fmt="d", cmap="Blues", cbar=False, ax=axes, xticklabels=class_names, yticklabels=class_names
    )
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(
        f"{task}: {len(labels)} test samples, accuracy {(probability.argmax(1) == labels).mean():.4f}", loc="left"
    )
    return figure


def roc(probability: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...], task: str) -> Figure:
    """ROC curve of each class against the rest."""
    from sklearn.metrics import auc, roc_curve

    figure, (axes,) = new_figure(1, 1, width=6.6, height=4)
    for number, name in enumerate(class_names):
        false, true, _ = roc_curve(labels == number, probability[:, number])
        colour, dashes, _ = look(name, number)
        axes.plot(false, true, color=colour, ls=dashes, lw=1.3, label=f"{name} ({auc(false, true):.3f})")
    axes.plot([0, 1], [0, 1], color="0.6", ls=":", lw=1)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.01))
    axes.set_title(f"{task}: one class against the rest", loc="left")
    figure.legend(loc="outside right center", frameon=False, title="class (area)")
    return figure
