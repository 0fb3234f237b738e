"""The models of registered tasks: training, evaluation, data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench import plots
from bench.api.progress import bar
from bench.api.request import Paths, data_of, load_plugins, one_task
from bench.core.entries import Recipe, Task
from bench.core.errors import RequestError
from bench.network import device as devices
from bench.registry.decorators import TASKS, call
from bench.task_tools import training, weights


@dataclass(frozen=True, eq=False)
class TaskEvaluation:
    """How good a task's model is on its test data."""

    task: str
    class_names: tuple[str, ...]
    probabilities: np.ndarray  # (N, K)
    labels: np.ndarray  # (N,)

    @property
    def table(self) -> pd.DataFrame:
        """Precision, recall, F1, ROC AUC and support of each class, then over all."""
        return training.class_table(self.probabilities, self.labels, self.class_names)

    def write(self, folder: Path) -> None:
        """Writes the table, the confusion matrix and the ROC curves."""
        folder.mkdir(parents=True, exist_ok=True)
        self.table.to_csv(folder / f"{self.task}.csv", index=False, float_format="%.6f")
        about = (self.probabilities, self.labels, self.class_names, self.task)
        plots.save(plots.confusion(*about), folder / f"{self.task}_confusion", svg=True)
        plots.save(plots.roc(*about), folder / f"{self.task}_roc", svg=True)


def train(
    task: str,
    *,
    out: str | Path = "results",
    weights_folder: str | Path | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
    progress: bool | None = None,
) -> tuple[Path, pd.DataFrame]:
    """Trains a task's model as the shipped one was: the path of the weights, and one row of figures per epoch.

    The curves are written to `out`/training. `weights_folder` is `out`/weights by default.

    Raises:
        RequestError: the task is unknown, or has no training recipe.
    """
    load_plugins(plugins)
    entry = one_task(task)
    devices.keep_freed_memory()
    recipe = _recipe(entry, data, offline=offline)
    recipe = replace(recipe, epochs=epochs or recipe.epochs)
    history: list[dict[str, float]] = []
    with bar(progress, unit="epoch", total=recipe.epochs) as shown:
        for figures, trained in training.fit(recipe, seed=seed, device=str(devices.choose(device))):
            history.append(figures)
            network = trained
            shown.set_description_str(f"loss {figures['loss']:.3f}, test accuracy {figures['test_accuracy']:.3f}")
            shown.update()
    path = (Path(weights_folder) if weights_folder else Path(out) / "weights") / f"{entry.weights}.safetensors"
    weights.save(network, path, training.facts(recipe, history[-1], seed=seed))
    table, curves = pd.DataFrame(history), Path(out) / "training" / entry.name
    curves.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(curves.with_suffix(".csv"), index=False)
    plots.save(plots.training_curves(table, entry.name), curves, svg=True)
    return path, table


def evaluate_model(
    task: str,
    *,
    weights_file: str | Path | None = None,
    device: str = "auto",
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
) -> TaskEvaluation:
    """Measures a task's model on its test data, with the shipped weights by default.

    Raises:
        RequestError: the task is unknown, or has no test data of its own.
    """
    load_plugins(plugins)
    entry = one_task(task)
    devices.keep_freed_memory()
    recipe = _recipe(entry, data, offline=offline)
    network = training.fold_batch_norm(recipe.network())
    weights.load(network, Path(weights_file) if weights_file else weights.path_of(str(entry.weights)))
    probability = training.probabilities(network, recipe, device=str(devices.choose(device)))
    return TaskEvaluation(entry.name, recipe.class_names, probability, recipe.test[1].numpy())


def fetch(task: str, *, data: str | Path | None = None, offline: bool = False, plugins: Paths = ()) -> int:
    """Downloads a task's data where they are not there yet, and returns the number of samples."""
    load_plugins(plugins)
    return len(call(one_task(task).samples, {"data": data_of(data, offline=offline)}))


def _recipe(task: Task, data: str | Path | None, *, offline: bool) -> Recipe:
    if task.recipe is None:
        trained = ", ".join(name for name, one in TASKS.items() if one.recipe is not None)
        raise RequestError(f"task {task.name} has no training recipe; tasks with one: {trained}")
    recipe: Recipe = call(task.recipe, {"data": data_of(data, offline=offline)})
    return recipe
