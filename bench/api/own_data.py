"""Problems from files: a folder of images or arrays, and a model that is named in words."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ImageColor
from torch import Tensor, nn

from bench.api.agreement import agreement
from bench.api.request import at_least_one
from bench.core.errors import RequestError
from bench.core.own_model import Values
from bench.core.problem import Problem
from bench.core.readouts import Readout
from bench.core.vocabulary import SEPARATE, SOFTMAX, TOGETHER
from bench.task_tools import image_files, own_arrays, own_labels
from bench.task_tools import images as readers
from bench.task_tools.data import interleaved
from bench.task_tools.own_network import Transform, named_network, short, timm_transform

Notify = Callable[[str], object] | None
File = str | Path


def image_folder(
    images: File,
    model: str | nn.Module,
    *,
    weights: File | None = None,
    transform: Transform | None = None,
    labels: File | None = None,
    classes: File | None = None,
    masks: File | None = None,
    size: int | None = None,
    output: str = SOFTMAX,
    readout: Readout | None = None,
    channels: str = TOGETHER,
    baseline: str | None = None,
    top_k: float = 0.3,
    target: int | None = None,
    samples: int | None = None,
    notify: Notify = None,
) -> Problem:
    """A problem from a folder of images and a model.

    Images of any mode and size become RGB, upright, and go through the model's transform. The baseline is what 0 means after
    it, the mean colour that the transform subtracts; mid-grey where it subtracts none.

    Args:
        images: the folder. Images in class folders (FOLDER/CLASS/a.png) have labels, others have none; or see `labels`.
        model: "timm:NAME", which needs `weights`; "FILE.py:FUNCTION", a function without arguments that returns the module, or
            the module and its transform; or a module.
        weights: a .safetensors file, or a state dict that torch.save wrote.
        transform: from a PIL image to a tensor (C, H, W); by default timm's own for models of timm.
        labels: a CSV with the columns `file` (inside the folder) and `label` (a name or a number); no other file is read.
        classes: a text file with the names of the model's outputs, one a line.
        masks: a folder with masks of the images' names: 0, and one other value where the evidence is. They add localisation.
        size: pixels of a side, for models of timm; by default the model's own.
        output: what the model's answers mean, "softmax", "sigmoid" or "identity"; see `bench.Problem.from_model`.
        readout: what to take from an answer that is no tensor (N, K): a key, a place, or a function of the answer.
        channels: "separate" gives each channel of a place a value of its own.
        baseline: the colour of an absent pixel, by a name or code that Pillow knows, such as "white" or "#f0e8f0".
        top_k: share of the features, between 0 and 1, that `drop`, `increase` and `topk_deletion` look at.
        target: the number of the output that is explained in all samples; by default the class that the model predicts.
        samples: how many images to read, balanced over the classes; by default all.
        notify: called with each sentence about what was converted or left out; by default they are warnings.

    Raises:
        RequestError: a file, a label or an option cannot be used; the message names it and the way out.
    """
    for number, what in ((samples, "samples"), (size, "size")):
        if number is not None:
            at_least_one(number, what)
    listing = image_files.listed(Path(images), _path(labels))
    network = _network(model, weights, transform)
    chosen = _transform(network, size)
    names = listing.first(samples)
    example, first = readers.first_input(listing, names, chosen)
    readers.check_size(listing, len(names), first.shape)
    reading: dict[str, Any] = {"output": output, "readout": readout, "channels": channels, "top_k": top_k}
    outputs = _outputs(network, first[None], example, target, reading)
    numbers, class_names = own_labels.class_numbers(
        listing.labels, listing.source, _path(classes), outputs, numbers=listing.numbers
    )
    inputs, notes = readers.read(listing, names, chosen)
    scale = readers.pixels(chosen, (first.shape[-1], first.shape[-2]))
    truth = None if masks is None else readers.masks(Path(masks), listing, names, chosen, scale)
    if truth is not None and channels == SEPARATE:
        truth = truth.unsqueeze(1).expand(-1, inputs.shape[1], -1, -1)
    problem = Problem.from_model(
        network.module,
        inputs,
        target,
        **reading,
        baseline=_absent_colour(baseline, scale),
        truth=truth,
        labels=None if numbers is None else [numbers[name] for name in names],
        class_names=class_names,
        sample_ids=names,
    )
    if scale is not None and scale.holds(inputs):
        bounds = scale.bounds()
        problem = replace(problem, bounds=bounds.unsqueeze(1) if channels == SEPARATE else bounds)
    return _finished(problem, notes, notify)


def arrays(
    inputs: File,
    model: str | nn.Module,
    *,
    weights: File | None = None,
    labels: File | None = None,
    classes: File | None = None,
    truth: File | None = None,
    output: str = SOFTMAX,
    readout: Readout | None = None,
    channels: str = TOGETHER,
    baseline: Values = 0.0,
    top_k: float = 0.3,
    target: int | None = None,
    samples: int | None = None,
    notify: Notify = None,
) -> Problem:
    """A problem from .npy files and a model.

    Args:
        inputs: signals (N, C, L), images, volumes, or feature vectors (N, F) as .npy, floating point, as the model reads them;
            0 means "absent".
        model: as for `image_folder`.
        weights: a .safetensors file, or a state dict that torch.save wrote.
        labels: (N,) class numbers as .npy, for captions.
        classes: a text file with the names of the model's outputs, one a line.
        truth: (N, *S) masks as .npy of where the evidence is. They add localisation.
        output: what the model's answers mean, "softmax", "sigmoid" or "identity"; see `bench.Problem.from_model`.
        readout: what to take from an answer that is no tensor (N, K): a key, a place, or a function of the answer.
        channels: "separate" gives each channel of a place a value of its own.
        baseline: what replaces an absent value: a number, or one for each channel.
        top_k: share of the features, between 0 and 1, that `drop`, `increase` and `topk_deletion` look at.
        target: the number of the output that is explained in all samples; by default the class that the model predicts.
        samples: how many inputs to take, balanced over the labels; by default all.
        notify: called with each sentence about the data; by default they are warnings.

    Raises:
        RequestError: a file, a label or an option cannot be used; the message names it and the way out.
    """
    if samples is not None:
        at_least_one(samples, "samples")
    values = own_arrays.array(Path(inputs), "inputs")
    if values.ndim < 2 or not len(values) or values.dtype.kind != "f":
        raise RequestError(
            f"--inputs {inputs}: it holds {values.dtype} of shape {values.shape}; floating-point values as the model reads "
            "them, (N, C, L), (N, C, H, W) or (N, F), are needed"
        )
    network = _network(model, weights, None)
    reading: dict[str, Any] = {
        "output": output,
        "readout": readout,
        "channels": channels,
        "baseline": baseline,
        "top_k": top_k,
    }
    outputs = _outputs(network, _tensor(values[:1]), str(inputs), target, reading)
    known = None if labels is None else own_arrays.labels(Path(labels), len(values))
    texts = None if known is None else {str(row): str(label) for row, label in enumerate(known)}
    numbers, class_names = own_labels.class_numbers(texts, f"--labels {labels}", _path(classes), outputs, numbers=True)
    rows = (list(range(len(values))) if known is None else interleaved(known.tolist()))[:samples]
    masks = None if truth is None else own_arrays.array(Path(truth), "truth")
    if masks is not None and len(masks) != len(values):
        raise RequestError(
            f"--truth {truth}: it holds {len(masks)} masks for {len(values)} inputs; one for each is needed"
        )
    problem = Problem.from_model(
        network.module,
        _tensor(values[rows]),
        target,
        **reading,
        truth=None if masks is None else _tensor(masks[rows]),
        labels=None if numbers is None else [numbers[str(row)] for row in rows],
        class_names=class_names,
        sample_ids=rows,
    )
    return _finished(problem, [], notify)


@dataclass(frozen=True)
class _Network:
    module: nn.Module  # in eval mode
    transform: Transform | None
    name: str  # for messages


def _network(model: str | nn.Module, weights: File | None, transform: Transform | None) -> _Network:
    if isinstance(model, str):
        module, own = named_network(model, None if weights is None else Path(weights))
        return _Network(module.eval(), transform or own, model)
    if not isinstance(model, nn.Module):
        raise RequestError(
            f"the model is of type {type(model).__name__}; a torch.nn.Module, 'timm:NAME' or 'FILE.py:FUNCTION' is needed"
        )
    if weights is not None:
        raise RequestError(
            "weights were given beside a module; load them into it, or name the model as 'FILE.py:FUNCTION'"
        )
    return _Network(copy.deepcopy(model).eval(), transform, type(model).__name__)


def _transform(network: _Network, size: int | None) -> Transform:
    """The transform given with the model, or timm's. Raises RequestError where neither exists, or the size cannot change it."""
    if network.transform is not None:
        if size is not None:
            raise RequestError(f"--size {size}: {network.name} brings its own transform; the size must be set there")
        return network.transform
    found = timm_transform(network.module, size)
    if found is None:
        raise RequestError(
            f"--model {network.name}: how it reads images is not known; return a pair (module, transform), where transform "
            "turns a PIL image into a tensor (C, H, W); it is needed for models not of timm"
        )
    return found


def _absent_colour(name: str | None, scale: readers.Pixels | None) -> Values:
    """What an absent pixel is after the transform. Raises RequestError for a colour that cannot be known there."""
    if name is None:
        return 0.0 if scale is None else scale.baseline()
    if scale is None:
        raise RequestError(
            f"baseline {name}: the transform does not keep colours in proportion, so this colour is not known after it; "
            "leave baseline out, or make the problem with bench.Problem.from_model"
        )
    try:
        colour = torch.tensor(ImageColor.getrgb(name)[:3])
    except ValueError as error:
        raise RequestError(
            f"baseline {name} is no colour; a name or a code such as white or #f0e8f0 is needed"
        ) from error
    return scale.of_colour(colour)


def _outputs(network: _Network, inputs: Tensor, example: str, target: int | None, reading: Mapping[str, Any]) -> int:
    """How many classes the model knows, by its answer to one input (1, C, *S). Raises RequestError if it has none."""
    try:
        with torch.no_grad():
            network.module(inputs.to(next(network.module.parameters(), inputs).dtype))
    except Exception as error:  # of the user's network
        raise RequestError(
            f"--model {network.name} fails on {example} of shape {tuple(inputs.shape)}: {short(error)}; inputs of the "
            "shape that it takes are needed"
        ) from error
    single = Problem.from_model(
        network.module, inputs, target, **reading
    )  # refuses what cannot be explained, before all files are read
    with torch.no_grad():
        return int(single.model(single.inputs).shape[1])


def _finished(problem: Problem, notes: Sequence[str], notify: Notify) -> Problem:
    """The problem, after the sentences about it."""
    tell = notify or (lambda note: warnings.warn(note, stacklevel=4))
    for note in [*notes, *agreement(problem)]:
        tell(note)
    return problem


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values))


def _path(file: File | None) -> Path | None:
    return None if file is None else Path(file)
