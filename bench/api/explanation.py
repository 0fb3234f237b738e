"""Maps of one input by several methods, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bench import plots
from bench.api.progress import bar
from bench.api.request import OWN_MODEL, Names, Paths, data_of, load_plugins, methods_of, named, one_task, own_task
from bench.core.display import in_unit_range
from bench.core.errors import RequestError
from bench.core.problem import Problem
from bench.engine import one_sample
from bench.network import device as devices

SHOWN = ("integrated_gradients", "grad_cam", "lrp_composite", "smoothgrad", "sise", "random")  # by `explain`


@dataclass(frozen=True, eq=False)
class Explanations:
    """The maps of some methods for one input."""

    caption: str  # which input, which class, and what the model says
    inputs: np.ndarray  # (C, *S)
    explanations: tuple[one_sample.Explanation, ...]

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """Method -> attribution (*S), of the methods that have one."""
        return {one.method: one.attribution for one in self.explanations if one.attribution is not None}

    def figure(self) -> Figure:
        """The input and the maps side by side."""
        return plots.side_by_side(self.inputs, self.explanations, self.caption)

    def save(self, path: str | Path) -> Path:
        """Writes the picture (.png, .svg or .pdf) and returns its path."""
        plots.check_path(Path(path))
        plots.write(self.figure(), Path(path))
        return Path(path)


def explain(
    problem: Problem | None = None,
    *,
    task: str | None = None,
    sample: str | int = 0,
    input: str | Path | None = None,
    target: str | int | None = None,
    methods: Names = SHOWN,
    seed: int = 0,
    name: str = OWN_MODEL,
    device: str = "auto",
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
    progress: bool | None = None,
) -> Explanations:
    """Explains one input with several methods: a sample of a problem or of a task, or a file of one's own.

    Args:
        problem: a problem of one's own; or
        task: the name of a registered task, whose model is asked.
        sample: the number or the id of the sample.
        input: a file of one's own in the sample's place: an image, or values as .npy or .csv (one channel per line).
        target: the class to explain, by name or number; by default the problem's, or the model's prediction.
        methods: names and wildcards.
        seed: of methods that draw random numbers.
        name: what the problem is called in the caption.
        device: "auto", "cpu" or "cuda".
        data: folder that holds data sets.
        offline: never download.
        plugins: files or folders with methods and tasks of one's own.
        progress: False shows no progress bar.

    Raises:
        RequestError: an unknown name, sample or class, or a file that cannot be read.
    """
    load_plugins(plugins)
    if (problem is None) == (task is None):
        given = "neither a problem nor a task was" if problem is None else f"both a problem and task '{task}' were"
        raise RequestError(f"{given} given; exactly one of them is needed")
    entry = own_task(problem, name) if problem is not None else one_task(str(task))
    chosen = [method for pattern in named(methods) for method in methods_of(pattern)]
    devices.keep_freed_memory()
    single = one_sample.problem(
        entry,
        sample=str(sample),
        file=None if input is None else Path(input),
        target=None if target is None else str(target),
        data=data_of(data, offline=offline),
        device=devices.choose(device),
    )
    found = []
    with bar(progress, unit="method", total=len(chosen)) as shown:
        for method in chosen:
            shown.set_description_str(method.name)
            found.append(one_sample.explained(method, single, task=entry, seed=seed))
            shown.update()
    shown = in_unit_range(single.inputs, single.bounds)[0].cpu().numpy()
    return Explanations(one_sample.caption(single, entry), shown, tuple(found))
