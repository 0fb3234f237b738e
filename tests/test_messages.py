"""All messages of requests that are wrong, as a table: what is asked, and the whole sentence that comes back.

A message that this table lacks makes a test fail. A message names what was given, what is allowed and the nearest, or the way
out; whoever adds one reads the table aloud.
"""

from __future__ import annotations

import ast
import re
import socket
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import registries_put_back
from PIL import Image
from torch import nn

import bench
from bench import api
from bench.cli.main import main
from bench.core.entries import Task
from bench.core.errors import RequestError
from bench.core.files import home
from bench.engine import loading
from bench.registry import decorators
from bench.registry.selection import select
from bench.report import serve
from bench.storage import release
from bench.storage.parts import NAMES, READ, SCHEMA
from bench.task_tools import images
from bench.task_tools.data import cache

LONGEST = 220  # characters
OLD_WORDS = (
    r"\btold\b|\bsays?\b|\bsaid\b|\bhad\b|that there is|there is:|\bsilent|\bcompany\b|\balike\b|\btongue\b|\bhere\b"
)
INPUTS = torch.linspace(0, 1, 5 * 3 * 8 * 8).view(5, 3, 8, 8) + 0.1
PLUGIN = "import bench\n\n\n@bench.method(cite='', family='test', cost='{cost}')\ndef mine(problem):\n    return None\n"


def linear(classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, classes))


def broken() -> nn.Module:
    model = linear()
    nn.init.constant_(model[1].bias, torch.nan)
    return model


class Dropping(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.5).mean((2, 3))


class Stubborn(nn.Module):
    """Has a part that stays in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.drop.train()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class Returning(nn.Module):
    """A model whose logits are put into another form."""

    def __init__(self, form: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: torch.Tensor) -> object:
        return self.form(x.mean((2, 3)))


def own(**changed: Any) -> object:
    """A problem with fields that `from_model` has not seen, explained."""
    return bench.attribute(replace(problem(), **changed), "random")


def problem(**changed: Any) -> bench.Problem:
    """A problem of a small model, with some arguments changed."""
    return bench.Problem.from_model(**({"model": linear(), "inputs": INPUTS} | changed))


def results(name: str, task: str, digest: str = "same", **changed: Any) -> str:
    """A results folder with the score of one method on one sample of a task."""
    texts = {"task": task, "method": "random", "metric": "drop", "method_id": "random@1", "metric_id": "drop@1"}
    texts |= {"sample_id": "a", "sample_digest": digest}
    numbers = {"higher_is_better": False, "seed": 0, "features": 3, "score": 1.0, "seconds": 0.0, "curve": None}
    row = dict.fromkeys(SCHEMA.names, "x") | texts | numbers | {"status": "ok"} | changed
    folder = Path(name, "scores", f"task={task}")
    (folder / "method=random").mkdir(parents=True)
    (folder / "current.json").write_text('{"task_id": "x", "fingerprint": "x"}\n', encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), folder / "method=random" / "0.parquet")
    return name


def scored(task: str = "mnist1d", metric: str = "drop@1[k=None]", **changed: Any) -> pd.DataFrame:
    """Scores of all methods by one metric on one sample, as the store gives them."""
    facts = {"task": task, "metric": metric.split("@")[0], "metric_id": metric, "sample_id": "test/0010"}
    facts |= {"metric_family": "faithfulness", "status": "ok", "seed": 0, "features": 40, "score": 1.0, "curve": None}
    facts |= {"higher_is_better": False}
    methods = [{"method": one.name, "method_id": one.id} for one in decorators.METHODS.values()]
    rows = [dict.fromkeys(READ, "x") | facts | changed | one for one in methods]
    return pd.DataFrame(rows)[READ].astype(dict.fromkeys(NAMES, "category"))


def packed(*tasks: pd.DataFrame, task_id: str = "mnist1d@1", form: int = 1) -> str:
    """A release file of these scores."""
    parts = {rows["task"].iloc[0]: release.Part(task_id, rows, list(rows["sample_id"].unique())) for rows in tasks}
    with mock.patch.object(release, "FORMAT", form):
        content = release.encoded(parts, int(tasks[0]["seed"].iloc[0]))
    Path("file.parquet").write_bytes(content)
    return "file.parquet"


def beside(file: object, task: str | None = "mnist1d", methods: str | None = "random", **asked: Any) -> object:
    return bench.evaluate(task=task, methods=methods, beside=file, progress=False, **asked)  # type: ignore[arg-type]


def own_beside(**changed: Any) -> object:
    """A problem of a small model, then with some fields changed beside its own scores."""
    asked: dict[str, Any] = {"metrics": "drop", "progress": False, "device": "cpu", "batch_size": 8}
    before = problem()
    api.pack(bench.evaluate(before, methods="random", **asked), "file.parquet")
    return bench.evaluate(replace(before, **changed), methods="saliency", beside="file.parquet", **asked)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def npy(name: str, values: np.ndarray) -> str:
    np.save(name, values)
    return name


def npz(name: str, **arrays: np.ndarray) -> str:
    np.savez(name, **arrays)  # type: ignore[arg-type]
    return name


def maps(*ids: str, samples: int = 5, **changed: Any) -> Callable[[], object]:
    """`evaluate` with a file of maps of the given samples (by default all of them), some arrays changed."""
    names = list(ids) or [str(number) for number in range(samples)]
    arrays = {"sample_ids": np.array(names), "maps": np.ones((len(names), 8, 8))} | changed
    kept = {name: values for name, values in arrays.items() if values is not None}
    return lambda: evaluate(npz("maps.npz", **kept))


def evaluate(given: Any, name: Any = "mine", **asked: Any) -> object:
    """A problem with maps that were made elsewhere."""
    return bench.evaluate(problem(), methods="random", metrics="drop", maps={name: given}, **asked)


def zipped(name: str, entry: str) -> str:
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr(entry, "text")
    return name


def image(name: str, mode: str) -> str:
    Image.new(mode, (9, 9)).save(name)
    return name


def folder(name: str) -> str:
    Path(name).mkdir()
    return name


def photos(*names: str, torn: tuple[str, ...] = (), images: object = "photos", **changed: Any) -> bench.Problem:
    """A problem from a folder of images of 9 x 9 pixels, with some arguments changed."""
    for row, name in enumerate(names or ("cat/a.png", "dog/b.png")):
        path = Path("photos", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (row, 0, 0)).save(path)
    for name in torn:
        Path("photos", name).write_text("no image")
    model = nn.Sequential(nn.AdaptiveAvgPool2d(8), linear(2))
    nn.init.constant_(model[1][1].bias, -1.0)  # no probabilities
    return bench.image_folder(**({"images": images, "model": model, "transform": scaled} | changed))


def scaled(image: Image.Image) -> torch.Tensor:
    """A transform: 8 x 8 pixels, 0 to 1."""
    return torch.tensor(np.array(image.resize((8, 8))), dtype=torch.float32).permute(2, 0, 1) / 255


def mask(name: str, *, size: tuple[int, int] = (9, 9), values: tuple[int, ...] = (0, 1), torn: bool = False) -> Path:
    """The folder of masks of both photos, one of them wrong."""
    for one in ("masks/cat/a.png", "masks/dog/b.png"):
        Path(one).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9)).save(one)
    drawn = np.resize(np.array(values, dtype=np.uint8), size[::-1])
    Image.fromarray(drawn).save(name)
    if torn:
        Path(name).write_text("no image")
    return Path("masks")


def two_masks() -> Path:
    """A folder of masks with two for one of the photos, neither of its name."""
    where = mask("masks/cat/a.png")
    for suffix in ("bmp", "tif"):
        Image.new("L", (9, 9)).save(where / f"cat/a.{suffix}")
    (where / "cat/a.png").unlink()
    return where


def arrays(**changed: Any) -> bench.Problem:
    """A problem from arrays, with some arguments changed."""
    given = {"inputs": npy("inputs.npy", INPUTS.numpy()), "model": linear()}
    return bench.arrays(**(given | changed))


def saved(name: str, state: object) -> str:
    torch.save(state, name)
    return name


def little_memory() -> AbstractContextManager[Any]:
    return mock.patch.object(images, "LARGEST", 3 * 8 * 8 * 4)


def explain(task: str, file: object, output: str = "maps.png") -> int:
    return main(["explain", task, *(["--input", str(file)] if file else []), "--output", output])


def method(fn: Callable[..., Any] = lambda problem: None, **given: Any) -> None:
    """Registers a function as a method."""
    fn.__name__ = "mine"
    decorators.method(cite="", family="test", **given)(fn)


def run(words: str) -> Callable[[], object]:
    """A command line."""
    return lambda: main(words.split())


def within(context: Callable[[], AbstractContextManager[Any]], ask: Callable[[], object]) -> Callable[[], object]:
    def asked() -> object:
        with context():
            return ask()

    return asked


def without_gpu() -> AbstractContextManager[Any]:
    return mock.patch.object(torch.cuda, "is_available", return_value=False)


def task_without_quick() -> AbstractContextManager[Any]:
    short = Task("short", print, "", "", 1, (), ("sample_ids",), samples=list, profiles=(("full", None),))
    return mock.patch.dict(decorators.TASKS, short=short)


@contextmanager
def broken_package() -> Iterator[None]:
    """An installed package whose entry point names a module that does not exist."""
    write("their_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    write("their_package-1.0.dist-info/entry_points.txt", "[bench.methods]\ntheirs = not_there\n")
    with mock.patch.object(sys, "path", [str(Path.cwd()), *sys.path]):
        yield


def port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        serve.start(Path("results"), taken.getsockname()[1])


class Row(NamedTuple):
    ask: Callable[[], object]
    given: str  # what the message has to name
    message: str


TABLE = (
    # --- names of tasks, methods and metrics
    Row(
        run("run --task mnist2d"),
        "mnist2d",
        "unknown task 'mnist2d'; did you mean 'mnist1d'? (allowed: hmt, hmt_mosaic, mnist1d, planted_image, "
        "planted_signal, tissue)",
    ),
    Row(
        run("run --all --method smothgrad"),
        "smothgrad",
        "unknown method 'smothgrad'; did you mean 'smoothgrad'? (smoothgrad, smoothgrad_squared, vargrad, ... N in "
        "all; `python -m bench list methods` shows them)",
    ),
    Row(
        run("run --all --metric qqq"),
        "qqq",
        "unknown metric 'qqq' (abpc, aopc_lerf, aopc_morf, ... N in all; `python -m bench list metrics` shows them)",
    ),
    Row(
        run("train planted*"),
        "planted*",
        "'planted*' matches 2 tasks (planted_signal, planted_image); name one of them",
    ),
    Row(
        lambda: bench.attribute(problem(), "lrp*"),
        "lrp*",
        "'lrp*' matches 4 methods (lrp_alpha_beta, lrp_composite, lrp_epsilon, lrp_gamma); name one of them",
    ),
    Row(
        lambda: bench.evaluate(problem(), profile="quik"),
        "quik",
        "unknown profile 'quik'; did you mean 'quick'? (allowed: quick, standard, full)",
    ),
    Row(
        run("run --all --budget ten"),
        "ten",
        "budget 'ten' is not a duration above zero; write 90s, 10m or 1.5h",
    ),
    Row(
        lambda: bench.evaluate(problem(), methods="random", metrics="drop", budget=1e-9),
        "1 s",
        "budget of 1 s is less than one round of samples takes, about N s (5 of model); finished scores are stored, and the "
        "same command goes on from there",
    ),
    Row(
        lambda: api.sweep("mnist1d", profile="quik"),
        "quik",
        "unknown profile 'quik'; did you mean 'quick'? (allowed: quick, standard, full)",
    ),
    Row(
        lambda: select(decorators.METRICS, [], "metric"),
        "no metric",
        "no metric was given; name at least one, for example completeness",
    ),
    Row(
        lambda: select(decorators.METRICS, [" "], "metric"),
        "' '",
        "' ' names no metric; name at least one, for example completeness",
    ),
    Row(run("run --method ,"), "','", "',' holds no name; separate names by commas, for example grad_cam,saliency"),
    Row(
        lambda: decorators.METHODS["negated"].fn(problem(), None, of="salency"),
        "salency",
        "unknown method 'salency'; did you mean 'saliency'? (saliency, oracle, sensitivity, ... N in all; `python -m "
        "bench list methods` shows them)",
    ),
    # --- settings in brackets
    Row(
        run("run --method smoothgrad[sample=3]"),
        "sample",
        "unknown setting 'sample' of smoothgrad; did you mean 'samples'? (allowed: samples, sigma)",
    ),
    Row(
        run("run --method smoothgrad[3]"),
        "smoothgrad[3]",
        "smoothgrad[3]: settings are written name=value, for example smoothgrad[samples=32]",
    ),
    Row(run("run --method random[3]"), "random[3]", "random[3]: settings are written name=value; random has none"),
    Row(
        run("run --method smoothgrad[samples=3,samples=4]"),
        "samples",
        "smoothgrad[samples=3,samples=4]: samples is given twice; give it once",
    ),
    Row(
        run("run --method smoothgrad[samples=many]"),
        "many",
        "smoothgrad[samples=many]: samples must be a whole number; the default is 32",
    ),
    Row(
        run("run --method smoothgrad[samples=2.5]"),
        "2.5",
        "smoothgrad[samples=2.5]: samples must be a whole number; the default is 32",
    ),
    Row(
        run("run --method smoothgrad[sigma=1e999]"),
        "1e999",
        "smoothgrad[sigma=1e999]: sigma must be a finite number; the default is 0.15",
    ),
    Row(
        run("run --method negated[of=a/b]"),
        "a/b",
        "negated[of=a/b]: of must be a text without '/', '\\' and '..'; the default is integrated_gradients",
    ),
    Row(
        run("run --metric drop[baseline=blurr]"),
        "blurr",
        "unknown baseline 'blurr' of drop; did you mean 'blur'? (allowed: task, zero, mean, blur, noise, background)",
    ),
    Row(
        run("run --metric deletion[features=patch0]"),
        "patch0",
        "unknown features 'patch0' of deletion; did you mean 'patchN'? (allowed: pixel, patch64, segment20, patchN, "
        "segmentN)",
    ),
    # --- amounts, devices and folders
    Row(
        run("run"),
        "no task",
        "no task, method or metric was given; use --all, or some of --task, --method and --metric",
    ),
    Row(lambda: bench.evaluate(problem(), samples=0), "0", "samples is 0; a whole number of at least 1 is needed"),
    Row(
        lambda: bench.evaluate(problem(), batch_size=-1),
        "-1",
        "batch_size is -1; a whole number of at least 1 is needed",
    ),
    Row(
        within(task_without_quick, run("run --task short --profile quick")),
        "quick",
        "unknown profile 'quick' of task short (allowed: full); or give the number of samples",
    ),
    Row(
        lambda: bench.attribute(problem(), "saliency", device="gpu"),
        "gpu",
        "unknown device 'gpu'; did you mean 'cpu'? (allowed: auto, cpu, cuda)",
    ),
    Row(
        within(without_gpu, run("run --task mnist1d --device cuda")),
        "cuda",
        "device 'cuda' cannot be used: torch finds no GPU on this machine; use 'cpu' or 'auto'",
    ),
    Row(
        run("run --all --data missing"),
        "missing",
        "data folder missing does not exist; give an existing one, or none to use the user cache",
    ),
    Row(
        lambda: main(["run", "--all", "--out", str(write("file", ""))]),
        "file",
        "--out file is a file; the path of a folder is needed",
    ),
    Row(
        lambda: bench.evaluate(problem(), out=write("file", "")),
        "file",
        "the results folder file is a file; the path of a folder is needed",
    ),
    Row(
        lambda: api.sweep("mnist1d", baselines=["blurr"], offline=True),
        "blurr",
        "unknown baseline 'blurr' of a sweep; did you mean 'blur'? (allowed: zero, mean, blur, noise, background)",
    ),
    Row(
        lambda: api.sweep("mnist1d", features=["patch"], offline=True),
        "patch",
        "unknown features 'patch' of a sweep; did you mean 'patchN'? (allowed: pixel, patch64, segment20, "
        "patchN, segmentN)",
    ),
    Row(
        run("report --out missing"),
        "missing",
        "missing holds no scores; `python -m bench run --all --out missing` computes some",
    ),
    Row(
        lambda: bench.Results(results("old", "mnist1d")).report("missing/page.html"),
        "missing/page.html",
        "page missing/page.html cannot be written; the path of a file in an existing folder is needed",
    ),
    Row(run("compare . . --csv ."), "--csv .", "--csv . is a folder; the path of a file is needed"),
    Row(
        lambda: bench.compare(results("old", "hmt"), results("new", "tissue")),
        "old",
        "the folders have no task in common, so nothing can be compared: old holds hmt; new holds tissue",
    ),
    Row(
        lambda: bench.compare(results("old", "hmt"), results("new", "hmt"), task="hmd"),
        "hmd",
        "unknown task 'hmd' of both old and new; did you mean 'hmt'? (allowed: hmt)",
    ),
    Row(
        lambda: bench.compare(results("old", "hmt"), results("new", "hmt", "other"), methods="rise", metrics="drop"),
        "rise",
        "old and new hold no scores of the same inputs by methods rise and metrics drop; score the same samples in "
        "both, or choose other names",
    ),
    Row(
        run("train planted_signal"),
        "planted_signal",
        "task planted_signal has no training recipe; tasks with one: hmt, mnist1d, tissue",
    ),
    Row(
        port_in_use,
        "port N",
        "port N cannot be used (Address already in use); choose another with --port, or 0 for any free one",
    ),
    # --- one input
    Row(lambda: bench.explain(), "neither", "neither a problem nor a task was given; exactly one of them is needed"),
    Row(
        lambda: bench.explain(problem(), task="mnist1d"),
        "mnist1d",
        "both a problem and task 'mnist1d' were given; exactly one of them is needed",
    ),
    Row(
        run("explain mnist1d --sample 5000"),
        "5000",
        "unknown sample '5000' of mnist1d (allowed: 0 to 999, or an id, for example 'test/0010')",
    ),
    Row(
        run("explain mnist1d --target eleven"),
        "eleven",
        "unknown class 'eleven' of mnist1d (0, 1, 2, ... N in all); or a number from 0 to 9",
    ),
    Row(
        lambda: bench.explain(problem(), target="eleven"), "eleven", "unknown class 'eleven' of model (allowed: 0 to 2)"
    ),
    Row(
        lambda: bench.explain(problem(class_names=["cat", "dog", "fox"]), target="dgo"),
        "dgo",
        "unknown class 'dgo' of model; did you mean 'dog'? (allowed: cat, dog, fox); or a number from 0 to 2",
    ),
    Row(
        run("explain mnist1d --input missing.npy"),
        "missing.npy",
        "--input missing.npy: no such file; an image, or values as .npy or .csv, is needed",
    ),
    Row(
        lambda: explain("mnist1d", write("words.csv", "one,two")),
        "words.csv",
        "--input words.csv: cannot be read as numbers (could not convert string 'one' to float64 at row 0, column 1.)",
    ),
    Row(
        lambda: explain("mnist1d", npy("short.npy", np.zeros(3))),
        "short.npy",
        "--input short.npy: its shape is (3,); mnist1d takes (1, 40)",
    ),
    Row(
        lambda: explain("mnist1d", npy("holes.npy", np.full(40, np.nan))),
        "holes.npy",
        "--input holes.npy: not all values are finite; replace them",
    ),
    Row(
        lambda: explain("mnist1d", image("photo.png", "RGB")),
        "photo.png",
        "--input photo.png: mnist1d takes values of shape (1, 40) as .npy or .csv, not an image",
    ),
    Row(
        lambda: explain("tissue", image("depth.tif", "F")),
        "depth.tif",
        "--input depth.tif: an image of floating-point values has no known range; store it as .npy",
    ),
    Row(
        lambda: explain("tissue", write("torn.png", "no image")),
        "torn.png",
        "--input torn.png: truncated or not an image (cannot identify image file 'torn.png'); an image, .npy or .csv "
        "is needed",
    ),
    Row(
        run("explain mnist1d -o maps.gif"),
        "maps.gif",
        "picture maps.gif cannot be written; its name must end in .png, .svg, .pdf",
    ),
    Row(
        run("explain mnist1d -o missing/maps.png"),
        "missing/maps.png",
        "picture missing/maps.png cannot be written; its folder does not exist",
    ),
    Row(
        lambda: explain("mnist1d", None, output=folder("maps.png")),
        "maps.png",
        "picture maps.png is a folder; the path of a file is needed",
    ),
    Row(
        lambda: method(outputs=("softmax", "sigmiod")),
        "sigmiod",
        "unknown output 'sigmiod' of method mine; did you mean 'sigmoid'? (allowed: softmax, sigmoid, identity)",
    ),
    # --- a problem of the user
    Row(
        lambda: problem(model="net.pt"),
        "str",
        "the model is of type str; a torch.nn.Module, or a function, is needed",
    ),
    Row(
        lambda: problem(inputs="tile.png"),
        "str",
        "inputs are of type str; a tensor or a NumPy array is needed",
    ),
    Row(
        lambda: problem(inputs=torch.zeros(5)),
        "(5,)",
        "inputs are torch.float32 of shape (5,); floating-point values of shape (N, F), (N, C, L), (N, C, H, W) "
        "or (N, C, D, H, W) are needed, with at least one sample",
    ),
    Row(
        lambda: problem(inputs=INPUTS[:, :2]),
        "(4, 2, 8, 8)",
        "the model cannot take inputs of shape (4, 2, 8, 8): RuntimeError: mat1 and mat2 shapes cannot be "
        "multiplied (4x128 and 192x3)",
    ),
    Row(
        lambda: problem(background=torch.zeros(2, 3, 8, 8).int()),
        "background",
        "background inputs are torch.int32 of shape (2, 3, 8, 8); floating-point values of shape (N, F), (N, C, "
        "L), (N, C, H, W) or (N, C, D, H, W) are needed, with at least one sample",
    ),
    Row(
        lambda: problem(background=torch.zeros(2, 3, 4, 8)),
        "(2, 3, 4, 8)",
        "background inputs have the shape (2, 3, 4, 8); (B, 3, 8, 8) is needed",
    ),
    Row(
        lambda: problem(output="sigmoids"),
        "sigmoids",
        "unknown output 'sigmoids'; did you mean 'sigmoid'? (allowed: softmax, sigmoid, identity)",
    ),
    Row(
        lambda: problem(channels="separated"),
        "separated",
        "unknown channels 'separated'; did you mean 'separate'? (allowed: together, separate)",
    ),
    Row(
        lambda: problem(output="identity"),
        "3 values",
        "the model returns 3 values; name the one to explain: targets=0, or --target 0, for example",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: {"out": z})),
        "out",
        "the model returns dict with the keys ['out']; one tensor of logits (N, classes) is needed: name it "
        "with `readout`, for example readout='out' (--readout out)",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: (z,))),
        "tuple",
        "the model returns tuple; one tensor of logits (N, classes) is needed: name it with `readout`, for "
        "example readout=0 (--readout 0)",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: {"features": z, "logits": z}), readout="logit"),
        "logit",
        "unknown key 'logit' of the model's answer; did you mean 'logits'? (allowed: features, logits)",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: SimpleNamespace(logits=z, loss=None)), readout="logit"),
        "logit",
        "unknown attribute 'logit' of the model's answer; did you mean 'logits'? (allowed: logits)",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: (z[..., None], z)), readout=2),
        "2",
        "the model's answer is a tuple of 2, and readout=2 is no place in it; a number below 2 is needed, for example "
        "readout=1 (--readout 1)",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: z[:, 0])),
        "(4,)",
        "the model returns the shape (4,) for 4 inputs; logits (N, classes) are needed; give output='sigmoid' "
        "for the logit of a class, output='identity' for a value",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: z.view(2, -1))),
        "(2, 6)",
        "the model returns the shape (2, 6) for 4 inputs; logits (N, classes) are needed",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: z[:, None])),
        "(4, 1, 3)",
        "the model returns the shape (4, 1, 3) for 4 inputs; logits (N, classes) are needed: take them with "
        "`readout`, for example readout=lambda answer: answer.mean(2)",
    ),
    Row(
        lambda: problem(model=linear(classes=1)),
        "one value",
        "the model returns one value for each input, whose softmax is always 1; give output='sigmoid' where it "
        "is the logit of a class, or output='identity' where it is a value (a regression)",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: z / 0)),
        "inf",
        "the model's logits hold inf; check its weights and the range of the inputs",
    ),
    Row(
        lambda: problem(model=Dropping()),
        "two answers",
        "the model gives two answers to the same input; it must not draw random numbers (F.dropout needs "
        "training=self.training) or change its buffers when it predicts",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: z - z.mean(0))),
        "other inputs of the batch",
        "the model's answer to an input depends on the other inputs of the batch; it must not compute means over "
        "the batch when it predicts",
    ),
    Row(
        lambda: problem(model=Returning(lambda z: z.softmax(1))),
        "[0, 1]",
        "the model returns probabilities (values in [0, 1] that sum to 1) where logits are needed; return the "
        "values before the softmax, or their logarithm: readout=lambda p: p.clamp_min(1e-12).log()",
    ),
    Row(
        lambda: problem(model=Returning(torch.sigmoid)),
        "[0, 1]",
        "the model returns values in [0, 1] whatever it is asked, probabilities, where logits are needed; return "
        "the values before the sigmoid, with output='sigmoid'",
    ),
    Row(
        lambda: problem(model=broken()),
        "nan",
        "weight '1.bias' is not finite (3 of 3 values, for example nan); load or train the model again",
    ),
    Row(
        lambda: problem(model=linear().half()),
        "float16",
        "weight '1.weight' is float16, in which perturbations drown in rounding; give the model with float32 "
        "weights: model.float()",
    ),
    Row(
        lambda: problem(model=linear().to("meta")),
        "meta",
        "weight '1.weight' is on the meta device and holds no values; load the weights first",
    ),
    Row(
        lambda: problem(model=Stubborn()),
        "drop",
        "module 'drop' stays in train mode after model.eval(); let its train() method accept False, so that "
        "dropout and batch norm are fixed",
    ),
    Row(
        lambda: problem(baseline="black"),
        "str",
        "baseline is of type str; a number, or one for each of the 3 channels, is needed",
    ),
    Row(
        lambda: problem(baseline=float("nan")),
        "nan",
        "baseline holds nan; finite values are needed",
    ),
    Row(
        lambda: problem(truth=torch.ones(5, 8, 8)),
        "all of the input",
        "truth marks all of the input in every sample; a mask that is 1 where the evidence is and 0 elsewhere is "
        "needed",
    ),
    Row(
        lambda: problem(bounds=1.0),
        "1.0",
        "bounds are 1.0; two numbers are needed, the lowest and the highest value that an input can have",
    ),
    Row(
        lambda: problem(layers=["conv1"]),
        "conv1",
        "unknown layer 'conv1' of the model (allowed: 0, 1)",
    ),
    Row(
        lambda: own(inputs=INPUTS[:3]),
        "3 inputs",
        "3 inputs were given for 5 sample_ids; one for each is needed",
    ),
    Row(
        lambda: own(baseline=0.0),
        "float",
        "baseline has the type float; a tensor of shape (3, 1, 1), one value for each channel, is needed",
    ),
    Row(
        lambda: own(baseline=torch.full((3, 1, 1), torch.nan)),
        "baseline",
        "baseline holds values that are not finite; replace them",
    ),
    Row(
        lambda: own(bounds=torch.tensor([0.0, 1.0])),
        "(2,)",
        "bounds have the shape (2,); (2, 3, 1, 1) is needed: the lowest and the highest value of each channel",
    ),
    Row(
        lambda: own(bounds=torch.ones(2, 3, 1, 1)),
        "bounds",
        "bounds are not in order; the lowest value comes first, and is below the highest",
    ),
    Row(
        lambda: own(background=INPUTS[0]),
        "(3, 8, 8)",
        "background has the shape (3, 8, 8); (B, 3, 8, 8) is needed",
    ),
    Row(
        lambda: own(truth=torch.ones(5, 8, 8)),
        "float32",
        "truth is float32 of shape (5, 8, 8); bool of shape (5, 8, 8) is needed",
    ),
    Row(
        lambda: problem(inputs=INPUTS / 0),
        "inf",
        "inputs hold 960 values that are not finite (for example inf); replace them",
    ),
    Row(
        lambda: problem(targets=[0, 1]),
        "(2,)",
        "targets are torch.int64 of shape (2,); 5 class numbers are needed, one for each sample",
    ),
    Row(lambda: problem(targets=3), "3", "target 3 is not a class of the model; classes 0 to 2 are allowed"),
    Row(
        lambda: problem(baseline=torch.zeros(4)),
        "(4,)",
        "baseline has the shape (4,); a number, or one for each of the 3 channels, is needed",
    ),
    Row(
        lambda: problem(truth=torch.ones(5, 3, 8, 8)),
        "(5, 3, 8, 8)",
        "truth has the shape (5, 3, 8, 8); a mask of shape (5, 8, 8) is needed",
    ),
    Row(
        lambda: problem(truth=torch.full((5, 8, 8), 0.5)),
        "0.5",
        "truth holds the value 0.5; a mask of 0 and 1 is needed",
    ),
    Row(
        lambda: problem(bounds=(0.0, -1.0), inputs=torch.ones(5, 3, 8, 8)),
        "-1.0",
        "bounds are 0.0 and -1.0, and inputs go from 1 to 1; the lowest and the highest value that an input can have "
        "are needed",
    ),
    Row(
        lambda: problem(sample_ids=["a"]),
        "1 sample_ids",
        "1 sample_ids were given for 5 inputs; one for each is needed",
    ),
    Row(lambda: problem(sample_ids="abaca"), "'a'", "sample id 'a' occurs twice; every sample needs an id of its own"),
    Row(lambda: problem(top_k=30), "30", "top_k is 30; a share of the features between 0 and 1 is needed"),
    Row(
        lambda: bench.evaluate(problem(), task="mnist1d"),
        "mnist1d",
        "both a problem and task 'mnist1d' were given; give one of them",
    ),
    Row(
        lambda: bench.evaluate(problem(), name="a/b"),
        "a/b",
        "name 'a/b' cannot be used in file names; letters, digits, '_', '-' and '.' are allowed, but no '.' first",
    ),
    Row(
        lambda: bench.evaluate(problem(), name="mnist1d"),
        "mnist1d",
        "name 'mnist1d' is that of a registered task; give the problem another name",
    ),
    Row(
        lambda: bench.score(problem(), torch.zeros(5, 8), metrics="drop"),
        "(5, 8)",
        "maps are torch.float32 of shape (5, 8); floating-point values of shape (5, 8, 8) are needed, or (5, 3, 8, 8), which "
        "are summed over the channels",
    ),
    Row(
        lambda: bench.score(problem(), torch.rand(5, 8, 8), metrics="max_sensitivity"),
        "max_sensitivity",
        "metric max_sensitivity asks the method for other maps, so it cannot score given maps; use bench.evaluate with "
        "the method",
    ),
    # --- images, arrays and models of the user in files
    Row(
        run("run --task image_foldr"),
        "image_foldr",
        "unknown task 'image_foldr'; did you mean 'image_folder'? (allowed: image_folder, arrays, hmt, "
        "hmt_mosaic, mnist1d, tissue, planted_signal, planted_image)",
    ),
    Row(
        run("run --task image_folder mnist1d"),
        "mnist1d",
        "--task image_folder stands alone; run mnist1d by a command of its own, with the same --out if you like",
    ),
    Row(
        run("run --task mnist1d --images photos"),
        "--images",
        "--images belongs to --task image_folder; add it or leave --images out",
    ),
    Row(
        run("run --task image_folder --images photos --truth masks.npy"),
        "--truth",
        "--truth belongs to --task arrays; add it or leave --truth out",
    ),
    Row(
        run("run --task image_folder --model timm:resnet18"),
        "--images",
        "--task image_folder needs --images; `python -m bench run --help` shows its options",
    ),
    Row(
        run("run --task arrays --inputs x.npy"),
        "--model",
        "--task arrays needs --model; `python -m bench run --help` shows its options",
    ),
    Row(
        run("run --task arrays --inputs x.npy --model mine.py:build --baseline white"),
        "white",
        "--baseline white: for arrays a number, or one for each channel, is needed",
    ),
    Row(
        lambda: photos(baseline="whit"),
        "whit",
        "baseline whit is no colour; a name or a code such as white or #f0e8f0 is needed",
    ),
    Row(
        lambda: photos(baseline="white", transform=lambda one: scaled(one) ** 2),
        "white",
        "baseline white: the transform does not keep colours in proportion, so this colour is not known after it; leave "
        "baseline out, or make the problem with bench.Problem.from_model",
    ),
    Row(
        lambda: photos(images="nowhere"), "nowhere", "--images nowhere: no such folder; a folder with images is needed"
    ),
    Row(
        lambda: photos(images=folder("empty")),
        "empty",
        "--images empty: none of its 0 files is an image; .png, .jpg, .jpeg, .webp, .tif, .tiff, .bmp, .gif, .ppm, .pgm "
        "are allowed",
    ),
    Row(
        lambda: photos("train/cat/a.png", "train/dog/b.png"),
        "train/cat/a.png",
        "--images photos: train/cat/a.png lies deeper than a class folder; images must lie in FOLDER/CLASS/ or FOLDER/",
    ),
    Row(
        lambda: photos("cat/a.png", "b.png"),
        "b.png",
        "--images photos: b.png lies beside class folders; move it into one, or name all files and their classes in a CSV "
        "(--labels)",
    ),
    Row(
        lambda: photos(labels="labels.csv"),
        "labels.csv",
        "--labels labels.csv: cannot be read (FileNotFoundError: [Errno 2] No such file or directory: 'labels.csv'); a CSV "
        "with the columns file and label is needed",
    ),
    Row(
        lambda: photos(labels=write("labels.csv", "file;label\ncat/a.png;cat\n")),
        "file;label",
        "--labels labels.csv: its columns are file;label; file and label are needed, separated by a comma",
    ),
    Row(
        lambda: photos(labels=write("labels.csv", "file,label\n")),
        "labels.csv",
        "--labels labels.csv: it lists no file; a row with file and label is needed for each image",
    ),
    Row(
        lambda: photos(labels=write("labels.csv", "file,label\ncat/a.png,\n")),
        "cat/a.png",
        "--labels labels.csv: cat/a.png has no label; every row needs one",
    ),
    Row(
        lambda: photos(labels=write("labels.csv", "file,label\ncat/a.png,0\ncat/a.png,1\n")),
        "cat/a.png",
        "--labels labels.csv: cat/a.png is listed twice; list every file once",
    ),
    Row(
        lambda: photos(labels=write("labels.csv", "file,label\na.png,0\ndog/b.png,1\n")),
        "a.png",
        "--labels labels.csv: 1 of 2 files is (a.png) not in photos; names relative to that folder are needed",
    ),
    Row(
        lambda: photos(labels=write("labels.csv", "file,label\ncat/a.png,0\ndog/b.png,2\n")),
        "label 2",
        "--labels labels.csv: label 2 of dog/b.png is no output of the model; 0 to 1 are allowed",
    ),
    Row(
        lambda: photos("cat/a.png", "dog/b.png", "fox/c.png"),
        "3 classes",
        "the class folders of photos hold 3 classes, the model has 2 outputs; name these in their order with --classes FILE, "
        "one a line",
    ),
    Row(
        lambda: photos("2/a.png", "10/b.png"),
        "10, 2",
        "the order of the class folders of photos is not certain: 10, 2 (torchvision) or 2, 10 (timm); name the model's "
        "outputs in their order with --classes FILE, one a line",
    ),
    Row(
        lambda: photos(classes="names.txt"),
        "names.txt",
        "--classes names.txt: cannot be read (FileNotFoundError); a text file with a name a line is needed",
    ),
    Row(
        lambda: photos(classes=write("names.txt", "cat\ndog\nfox\n")),
        "3 names",
        "--classes names.txt: it holds 3 names, the model has 2 outputs; a name for each is needed",
    ),
    Row(
        lambda: photos(classes=write("names.txt", "cat\ncat\n")),
        "cat",
        "--classes names.txt: cat is listed twice; every output needs a name of its own",
    ),
    Row(
        lambda: photos(classes=write("names.txt", "cat\ndogs\n")),
        "dog",
        "unknown class 'dog' of --classes names.txt; did you mean 'dogs'? (allowed: cat, dogs)",
    ),
    Row(
        lambda: photos(torn=("dog/b.png",)),
        "dog/b.png",
        "--images photos: 1 of 2 images cannot be read: dog/b.png (UnidentifiedImageError: cannot identify image file "
        "'photos/dog/b.png'); repair or remove them",
    ),
    Row(
        lambda: photos("cat/a.png", torn=("cat/a.png",)),
        "photos",
        "--images photos: none of its 1 images can be read; other files are needed",
    ),
    Row(
        lambda: photos(transform=lambda image: torch.rand(3, 8, 8)),
        "cat/a.png",
        "--model: its transform makes two different inputs of cat/a.png; one without random changes is needed",
    ),
    Row(
        lambda: photos(transform=lambda image: image.undo()),
        "cat/a.png",
        "--model: its transform failed on cat/a.png (AttributeError: 'Image' object has no attribute 'undo'); it must take "
        "a PIL image and return a tensor (C, H, W)",
    ),
    Row(
        lambda: photos(transform=lambda image: image),
        "Image",
        "--model: its transform made Image of cat/a.png; a floating-point tensor (C, H, W) is needed, so end it with "
        "ToTensor or ToDtype(float32, scale=True)",
    ),
    Row(
        lambda: photos(transform=lambda image: scaled(image)[..., : 8 - image.getpixel((0, 0))[0] % 2]),
        "dog/b.png",
        "--model: its transform makes (3, 8, 8) of cat/a.png and (3, 8, 7) of dog/b.png; one size is needed, so end it with "
        "Resize((H, W)) or CenterCrop",
    ),
    Row(
        within(little_memory, lambda: photos()),
        "2 images",
        "--images photos: 2 images of shape (3, 8, 8) need 0 GB; take fewer with --samples N, at most 1",
    ),
    Row(
        lambda: photos(masks="nowhere"),
        "nowhere",
        "--masks nowhere: no such folder; a folder with a mask for each image is needed",
    ),
    Row(
        lambda: photos(masks=folder("masks"), transform=lambda image: scaled(image) - scaled(image).mean()),
        "masks",
        "--masks masks: the model's transform changes pixels by more than size, crop and fixed mean and deviation, so masks "
        "cannot follow; another transform is needed",
    ),
    Row(
        lambda: photos(masks=folder("masks")),
        "cat/a.png",
        "--masks masks: 2 of 2 images are (cat/a.png, dog/b.png) without a mask; one of the same name is needed "
        "for each",
    ),
    Row(
        lambda: photos(masks=two_masks()),
        "cat/a.png",
        "--masks masks: a.bmp and a.tif may both be that of cat/a.png; one is needed",
    ),
    Row(
        lambda: photos(masks=mask("masks/cat/a.png", torn=True)),
        "masks/cat/a.png",
        "--masks: masks/cat/a.png cannot be read (UnidentifiedImageError: cannot identify image file 'masks/cat/a.png'); an "
        "image of 0 and one other value is needed",
    ),
    Row(
        lambda: photos(masks=mask("masks/cat/a.png", size=(5, 4))),
        "5x4",
        "--masks: masks/cat/a.png has 5x4 pixels, its image 9x9; the same is needed",
    ),
    Row(
        lambda: photos(masks=mask("masks/cat/a.png", values=(0, 1, 2))),
        "3 values",
        "--masks: masks/cat/a.png holds 3 values from 0 to 2; 0 and one other value are needed (as .png, since "
        ".jpg blurs)",
    ),
    Row(
        lambda: photos(model=print),
        "builtin_function_or_method",
        "the model is of type builtin_function_or_method; a torch.nn.Module, 'timm:NAME' or 'FILE.py:FUNCTION' "
        "is needed",
    ),
    Row(
        lambda: photos(weights="weights.pt"),
        "weights",
        "weights were given beside a module; load them into it, or name the model as 'FILE.py:FUNCTION'",
    ),
    Row(
        lambda: photos(size=64),
        "--size 64",
        "--size 64: Sequential brings its own transform; the size must be set there",
    ),
    Row(
        lambda: photos(transform=None),
        "Sequential",
        "--model Sequential: how it reads images is not known; return a pair (module, transform), where transform turns a PIL "
        "image into a tensor (C, H, W); it is needed for models not of timm",
    ),
    Row(
        lambda: photos(model=linear(2), transform=lambda image: scaled(image)[:, :7]),
        "(1, 3, 7, 8)",
        "--model Sequential fails on cat/a.png of shape (1, 3, 7, 8): RuntimeError: mat1 and mat2 shapes cannot be multiplied "
        "(1x168 and...; inputs of the shape that it takes are needed",
    ),
    Row(
        lambda: photos(model="resnet18"),
        "resnet18",
        "--model resnet18: timm:NAME, or FILE.py:FUNCTION, is needed; did you mean 'timm:resnet18'?",
    ),
    Row(
        lambda: photos(model="weights.pt"),
        "weights.pt",
        "--model weights.pt: timm:NAME, or FILE.py:FUNCTION, is needed",
    ),
    Row(
        lambda: photos(model="timm:resnet81"),
        "resnet81",
        "--model: unknown network 'resnet81' of timm; did you mean 'resnet18'? (resnet18, resnet61q, resnet51q, ... N in all; "
        "`timm.list_models()` shows them)",
    ),
    Row(
        lambda: photos(model="timm:resnet18"),
        "timm:resnet18",
        "--model timm:resnet18 without weights is a network of random numbers, whose explanations mean nothing; give its "
        "weights with --weights FILE (.safetensors, or a saved state dict)",
    ),
    Row(
        lambda: photos(model="timm:resnet18", weights="weights.pt"),
        "weights.pt",
        "--weights weights.pt: no such file; a .safetensors file or a saved state dict is needed",
    ),
    Row(
        lambda: photos(model="timm:resnet18", weights=write("weights.pt", "no weights")),
        "weights.pt",
        "--weights weights.pt: not weights alone, or damaged (not tensors); a .safetensors file, or "
        "torch.save(model.state_dict(), FILE), is needed",
    ),
    Row(
        lambda: photos(model="timm:resnet18", weights=saved("weights.pt", {"epoch": 3})),
        "weights.pt",
        "--weights weights.pt: it holds no state dict; torch.save(model.state_dict(), FILE) writes one that can "
        "be read",
    ),
    Row(
        lambda: photos(model="timm:test_resnet", weights=saved("weights.pt", linear().state_dict())),
        "conv1.0.weight",
        "--weights weights.pt does not fit timm:test_resnet: missing conv1.0.weight, conv1.1.weight, ... (77 in all); "
        "unexpected 1.weight, 1.bias; weights of this network are needed",
    ),
    Row(
        lambda: photos(model="mine.py"),
        "mine.py",
        "--model mine.py names no function; mine.py:build is needed, where build() returns the model",
    ),
    Row(
        lambda: photos(model="mine.py:build"),
        "mine.py",
        "--model mine.py:build: there is no file mine.py; the path of a Python file is needed",
    ),
    Row(
        lambda: photos(model=f"{write('mine.py', '1 / 0')}:build"),
        "mine.py",
        "--model mine.py:build: mine.py could not be loaded: ZeroDivisionError: division by zero",
    ),
    Row(
        lambda: photos(model=f"{write('mine.py', 'def built(): pass')}:build"),
        "'build'",
        "--model: unknown function 'build' of mine.py; did you mean 'built'? (allowed: built)",
    ),
    Row(
        lambda: photos(model=f"{write('mine.py', 'def build(classes): pass')}:build"),
        "mine.py:build",
        "--model mine.py:build: build takes arguments (TypeError: missing a required argument: 'classes'); a function that "
        "needs none is needed",
    ),
    Row(
        lambda: photos(model=f"{write('mine.py', 'def build(): return 1 / 0')}:build"),
        "mine.py:build",
        "--model mine.py:build: build() failed: ZeroDivisionError: division by zero",
    ),
    Row(
        lambda: photos(model=f"{write('mine.py', 'def build(): return {}')}:build"),
        "dict",
        "--model mine.py:build: build() returned dict; a torch.nn.Module is needed, or a pair (module, transform)",
    ),
    Row(lambda: arrays(inputs="x.npy"), "x.npy", "--inputs x.npy: no such file; an array as .npy is needed"),
    Row(
        lambda: arrays(inputs=npy("x.npy", np.array([{}]))),
        "x.npy",
        "--inputs x.npy: not a complete .npy file of numbers (ValueError: Array can't be memory-mapped: Python objects in "
        "dtype); numpy.save(FILE, array) writes one",
    ),
    Row(
        lambda: arrays(labels=npy("y.npy", np.array(["cat"] * 5))),
        "<U3",
        "--labels y.npy: it holds <U3; one array of numbers is needed, as numpy.save writes",
    ),
    Row(
        lambda: arrays(inputs=npy("x.npy", np.zeros((5, 3, 8, 8), dtype=np.uint8))),
        "uint8",
        "--inputs x.npy: it holds uint8 of shape (5, 3, 8, 8); floating-point values as the model reads them, (N, C, L), "
        "(N, C, H, W) or (N, F), are needed",
    ),
    Row(
        lambda: arrays(labels=npy("y.npy", np.zeros(4))),
        "(4,)",
        "--labels y.npy: its shape is (4,); one class number for each of the 5 inputs is needed",
    ),
    Row(
        lambda: arrays(labels=npy("y.npy", np.full(5, 0.5))),
        "0.5",
        "--labels y.npy: it holds 0.5; class numbers 0, 1, 2, ... are needed",
    ),
    Row(
        lambda: arrays(truth=npy("m.npy", np.zeros((4, 8, 8)))),
        "4 masks",
        "--truth m.npy: it holds 4 masks for 5 inputs; one for each is needed",
    ),
    # --- files of authors
    Row(
        lambda: main(["check", str(write("empty.py", "import bench\n"))]),
        "empty.py",
        "empty.py registers nothing; put @bench.method(...), @bench.metric(...) or @bench.task(...) before a function",
    ),
    Row(
        run("check metrics methods"),
        "metrics methods",
        "check metrics methods: files, `methods` and `metrics` are checked one at a time; give one of them",
    ),
    Row(
        run("check"),
        "nothing",
        "nothing to check was given; name files, `methods`, `metrics`, or a network with --task",
    ),
    Row(
        run("check methods --samples 3"),
        "--samples",
        "--samples belongs to `check --task`; add a task or leave --samples out",
    ),
    Row(
        run("check --task mnist1d --metric drop"),
        "--metric",
        "check --task asks methods about a network, and takes --method; leave --metric out",
    ),
    Row(
        run("check metrics --method saliency"),
        "--method",
        "check metrics takes --metric, not --method; did you mean `check methods`?",
    ),
    Row(
        lambda: api.new("methd", "mine"),
        "methd",
        "unknown kind 'methd'; did you mean 'method'? (allowed: method, metric, task)",
    ),
    Row(
        run("new method my-method"),
        "my-method",
        "'my-method' cannot be the name of a function; letters, digits and '_' are allowed, a letter first, and no word of "
        "Python such as 'class'; for example my_method",
    ),
    Row(
        run("new task json"),
        "json",
        "json.py would hide the Python module 'json' from programs in its folder; choose another name, for "
        "example my_json",
    ),
    Row(
        run("check method"),
        "method",
        "unknown word 'method' of check; did you mean 'methods'? (allowed: methods, metrics); or give files",
    ),
    Row(
        run("new method saliency"),
        "saliency",
        "method 'saliency' is registered already; choose another name, for example my_saliency",
    ),
    Row(
        lambda: [write("mine.py", ""), main(["new", "metric", "mine"])][1],
        "mine.py",
        "mine.py exists and is not overwritten; move it away, or give another folder with --to",
    ),
    Row(
        lambda: [write("file", ""), main(["init", "--to", "file"])][1],
        "file",
        "--to file is a file; the path of a folder is needed",
    ),
    Row(
        run("run --config missing.toml"),
        "missing.toml",
        "--config missing.toml: no such file; `python -m bench init` writes one",
    ),
    Row(
        lambda: [write("bench.toml", "tasks = [mnist1d]"), main(["run"])][1],
        "bench.toml",
        "bench.toml cannot be read as TOML: Invalid value (at line 1, column 10); correct that line",
    ),
    Row(
        lambda: [write("bench.toml", "method = 'saliency'"), main(["run"])][1],
        "method",
        "unknown key 'method' of bench.toml; did you mean 'methods'? (methods, model, metrics, ... N in all; `python -m "
        "bench init --to example` shows them)",
    ),
    Row(
        lambda: [write("bench.toml", "samples = 'many'"), main(["run"])][1],
        "many",
        "bench.toml: samples is 'many'; a whole number of at least 1 is needed",
    ),
    Row(
        within(broken_package, loading.load_all),
        "their-package",
        "entry point 'theirs = not_there' of the package their-package could not be loaded: ModuleNotFoundError: No module "
        "named 'not_there'; correct or uninstall it",
    ),
    # --- maps that were made elsewhere
    Row(
        lambda: bench.evaluate(problem(), maps=torch.zeros(5, 8, 8)),  # type: ignore[arg-type]
        "Tensor",
        "maps are of type Tensor; a mapping from names to maps is needed, for example {'radiologist': 'maps.npz'}",
    ),
    Row(
        lambda: evaluate("maps.npz", name="a b"),
        "a b",
        "'a b' cannot be the name of maps; letters, digits, '_', '-' and '.' are allowed, but no '.' first",
    ),
    Row(
        run("run --task mnist1d --maps saliency=maps.npz"),
        "saliency",
        "'saliency' is the name of a registered method; give the maps another name",
    ),
    Row(
        run("run --task mnist1d --maps maps.npz"),
        "maps.npz",
        "--maps maps.npz: a name and a file are needed, NAME=FILE, for example radiologist=maps.npz",
    ),
    Row(
        run("run --task mnist1d --maps a=1.npz a=2.npz"),
        "'a'",
        "--maps a=2.npz: 'a' is given twice; give each file a name of its own",
    ),
    Row(
        run("run --task mnist1d --maps mine=missing.npz"),
        "missing.npz",
        "maps file missing.npz does not exist; the path of a .npz or .safetensors file is needed",
    ),
    Row(
        lambda: evaluate(npy("maps.npy", np.zeros((5, 8, 8)))),
        "maps.npy",
        "maps file maps.npy cannot be read; the name of a file of maps must end in .npz or .safetensors",
    ),
    Row(
        lambda: evaluate(write("maps.npz", "torn")),
        "maps.npz",
        "maps file maps.npz is no whole .npz file (it is no zip archive); write it with numpy.savez",
    ),
    Row(
        lambda: evaluate(write("maps.safetensors", "torn")),
        "maps.safetensors",
        "maps file maps.safetensors is no whole .safetensors file (...); write it with safetensors' save_file",
    ),
    Row(
        maps(sample_ids=np.array(list("01234"), dtype=object)),
        "pickled",
        "maps file maps.npz holds pickled objects, which are never loaded; save arrays of numbers, and sample_ids as "
        "np.array(ids, dtype=str)",
    ),
    Row(
        lambda: evaluate(zipped("maps.npz", "notes.txt")),
        "notes.txt",
        "maps file maps.npz: 'notes.txt' is no array; write the file with numpy.savez",
    ),
    Row(
        lambda: evaluate(npz("maps.npz")),
        "maps.npz",
        "maps mine (maps.npz) hold nothing; a map for each sample id is needed",
    ),
    Row(
        maps(scores=np.zeros(5)),
        "scores",
        "maps file maps.npz: unknown array 'scores' (allowed: sample_ids, maps, task)",
    ),
    Row(
        maps(sample_ids=None),
        "sample_ids",
        "maps file maps.npz has no array sample_ids; it needs both sample_ids and maps, or an array for each id",
    ),
    Row(
        maps(sample_ids=np.array(["0", "1"])),
        "(2,)",
        "maps file maps.npz: sample_ids are <U1 of shape (2,) and maps of shape (5, 8, 8); one name for each of the maps (N, "
        "*S) is needed",
    ),
    Row(
        maps(*"01230"),
        "'0'",
        "maps file maps.npz: sample id '0' occurs twice; one map for each sample is needed",
    ),
    Row(
        maps(maps=np.ones((5, 8, 8), dtype=np.uint8)),
        "uint8",
        "maps mine (maps.npz): the map of sample '0' is of type uint8; a floating-point type is needed, for example "
        "values.astype('float32')",
    ),
    Row(
        maps(maps=np.full((5, 8, 8), np.inf)),
        "'0'",
        "maps mine (maps.npz): the map of sample '0' is not finite; replace its NaN and infinite values",
    ),
    Row(
        maps(maps=np.ones((5, 9, 9))),
        "(9, 9)",
        "maps mine (maps.npz): the map of sample '0' has the shape (9, 9); (8, 8) is needed, or (3, 8, 8), which is summed "
        "over the channels",
    ),
    Row(
        maps("0", "1"),
        "'2'",
        "maps mine (maps.npz): 3 of the 5 samples of model have no map, for example '2'; add them, or ask for 2 "
        "samples",
    ),
    Row(
        maps("1", "2"),
        "'0'",
        "maps mine (maps.npz): 3 of the 5 samples of model have no map, for example '0'; add them, or leave these samples "
        "out of the problem",
    ),
    Row(
        maps(*"01234", "5"),
        "'5'",
        "maps mine (maps.npz): unknown sample '5' of model (allowed: 0, 1, 2, 3, 4); maps are keyed by the ids "
        "of samples",
    ),
    Row(
        lambda: evaluate(torch.zeros(4, 8, 8)),
        "(4, 8, 8)",
        "maps mine are torch.float32 of shape (4, 8, 8); floating-point values of shape (5, 8, 8) are needed, or (5, 3, 8, "
        "8), which are summed over the channels",
    ),
    Row(
        lambda: bench.evaluate(task=["mnist1d", "tissue"], maps={"mine": torch.zeros(4, 40)}),
        "mine",
        "maps mine are an array, and several tasks are asked for; maps keyed by sample id are needed",
    ),
    Row(
        lambda: main(f"run --task mnist1d tissue --maps mine={npz('m.npz', **{'test/0010': np.zeros(40)})}".split()),
        "test/0010",
        "maps mine (m.npz): 'test/0010' is a sample of mnist1d and of tissue; ask for one of these tasks, or let `bench "
        "attribute` write the file, which notes the task",
    ),
    Row(
        lambda: main(
            f"run --task mnist1d --maps mine={npz('m.npz', task=np.array('tissue@1'), a=np.zeros(40))}".split()
        ),
        "tissue@1",
        "maps mine (m.npz) are of task tissue@1, not of mnist1d@1; ask for that task, or give maps of this one",
    ),
    Row(
        run("attribute mnist1d --method saliency random -o maps.npz"),
        "maps.npz",
        "-o maps.npz is one file, and 2 methods are asked for; the path of a folder is needed, which gets a file "
        "for each",
    ),
    Row(
        run("attribute mnist1d --method saliency -o maps.npy"),
        "maps.npy",
        "-o maps.npy is neither a folder nor a file of maps; its name must end in .npz or .safetensors",
    ),
    Row(
        lambda: bench.attribute(problem(), "saliency", out="maps.npy"),
        "maps.npy",
        "maps cannot be written to maps.npy; its name must end in .npz or .safetensors",
    ),
    Row(
        lambda: bench.attribute(problem(), "saliency", out="missing/maps.npz"),
        "missing/maps.npz",
        "maps cannot be written to missing/maps.npz; the path of a file in an existing folder is needed",
    ),
    # --- plug-ins
    Row(
        run("list --plugins missing.py"),
        "missing.py",
        "plug-in missing.py does not exist; the path of a Python file, or of a folder with such files, is needed",
    ),
    Row(
        lambda: loading.discover(write("notes.txt", ""), "bench.plugins"),
        "notes.txt",
        "plug-in notes.txt is no Python file; its name must end in .py",
    ),
    Row(
        lambda: loading.discover(write("wrong.py", "1 / 0"), "bench.plugins"),
        "wrong.py",
        "plug-in wrong.py could not be loaded: ZeroDivisionError: division by zero",
    ),
    Row(
        lambda: loading.discover(write("costly.py", PLUGIN.format(cost="chep")), "bench.plugins"),
        "chep",
        "plug-in costly.py: unknown cost 'chep' of method mine (allowed: fast, medium, slow)",
    ),
    Row(
        lambda: [loading.discover(write(f"{one}/same.py", ""), "bench.plugins") for one in "ab"],
        "a/same.py",
        "two plug-in files have the name same.py: a/same.py and b/same.py; rename one of them",
    ),
    Row(
        lambda: [
            loading.discover(write(name, PLUGIN.format(cost="fast")), "bench.plugins") for name in ("a.py", "b.py")
        ],
        "mine",
        "plug-in b.py: 'mine' is registered twice: in a.py and b.py; rename one of them",
    ),
    Row(lambda: method(cost="chep"), "chep", "unknown cost 'chep' of method mine (allowed: fast, medium, slow)"),
    Row(
        lambda: method(promises={"complet"}),
        "complet",
        "unknown promise 'complet' of method mine; did you mean 'complete'? (allowed: complete, null, linear, class)",
    ),
    Row(
        lambda: method(needs={"thruth"}),
        "thruth",
        "unknown entry in needs 'thruth' of method mine; did you mean 'truth'? (allowed: background, bounds, "
        "class_names, labels, layers, targets, truth)",
    ),
    Row(
        lambda: method(lambda problem, seed: None),
        "seed",
        "unknown argument without a default 'seed' of method mine (allowed: problem, rng)",
    ),
    # --- release files
    Row(
        lambda: beside("mine.parquet"),
        "mine.parquet",
        "mine.parquet: no such file; a release file, a results folder, or the word reference is needed",
    ),
    Row(
        run("run --beside reference --data ."),
        "reference-0.2.0.parquet",
        "reference-0.2.0.parquet is not on this machine; download it from the page of release 0.2.0 into CACHE, or write it: "
        "`python -m bench run --all`, then `python -m bench pack --to reference-0.2.0.parquet`",
    ),
    Row(
        lambda: beside(results("old", "mnist1d"), out="old"),
        "old",
        "old is the results folder itself; another folder, or a release file, is needed",
    ),
    Row(
        lambda: beside(write("torn.parquet", "PAR1")),
        "torn.parquet",
        "torn.parquet is not a whole release file; get it again, or write it with `python -m bench pack`",
    ),
    Row(
        lambda: [pq.write_table(pa.table({"a": [1]}), "theirs.parquet"), beside("theirs.parquet")],
        "theirs.parquet",
        "theirs.parquet is not a release file of this harness; `python -m bench pack` writes one",
    ),
    Row(
        lambda: beside(packed(scored(), form=2)),
        "newer form",
        "file.parquet was written by bench 0.2.0, in a newer form than bench 0.2.0 reads; update bench",
    ),
    Row(
        lambda: beside(packed(scored("theirs")), task=None),
        "theirs",
        "file.parquet holds no registered task in float32 (it holds theirs); give their file with plugins, or another "
        "precision",
    ),
    Row(
        lambda: beside(packed(scored("tissue"))),
        "mnist1d",
        "unknown task 'mnist1d' of file.parquet (allowed: tissue)",
    ),
    Row(
        lambda: beside(packed(scored(metric="theirs@1"))),
        "theirs",
        "file.parquet was scored with metric theirs, which is not registered; give its file with plugins, or name other "
        "metrics",
    ),
    Row(
        lambda: beside(packed(scored(), scored("tissue", "deletion@2")), task=None),
        "metric",
        "the tasks of file.parquet have no metric in common; name one task",
    ),
    Row(
        lambda: beside(packed(scored()), metrics="deletion"),
        "deletion",
        "unknown metric 'deletion' of file.parquet on mnist1d (allowed: drop)",
    ),
    Row(
        lambda: beside(packed(scored(metric="drop@0[k=None]"))),
        "drop@0",
        "file.parquet was scored with drop@0[k=None] on mnist1d, and drop@1[k=None] is in use; name other metrics, or take a "
        "file of bench 0.2.0",
    ),
    Row(
        lambda: beside(packed(scored()), samples=2),
        "2",
        "file.parquet holds 1 sample of mnist1d, and 2 are asked for; ask for at most 1",
    ),
    Row(
        lambda: beside(packed(scored(seed=3))),
        "seed 3",
        "file.parquet holds scores of seed 3, and seed 0 is asked for; ask for seed 3",
    ),
    Row(
        lambda: beside(packed(scored()), methods=None),
        "standard",
        "file.parquet holds all methods of profile standard; name some, or give the file of your own with plugins",
    ),
    Row(
        lambda: beside(packed(scored(), task_id="mnist1d@0")),
        "mnist1d@0",
        "file.parquet: task mnist1d is mnist1d@1, and mnist1d@0 there, so its scores cannot stand beside others; name other "
        "tasks, or score all methods",
    ),
    Row(
        lambda: beside(packed(scored())),
        "weights",
        "file.parquet: the weights of mnist1d, or its baseline, layers, top_k, bounds or background, differ, so its scores "
        "cannot stand beside others; name other tasks, or score all methods",
    ),
    Row(
        lambda: own_beside(inputs=INPUTS + 1),
        "'0'",
        "file.parquet: 5 of 5 inputs of model differ, for example that of '0', so its scores cannot stand beside others; name "
        "other tasks, or score all methods",
    ),
    Row(
        lambda: own_beside(sample_ids=tuple("01235")),
        "model",
        "file.parquet: its samples of model are not the first 5 of the task, so its scores cannot stand beside others; name "
        "other tasks, or score all methods",
    ),
    Row(
        lambda: api.pack(results("old", "mnist1d"), "missing/file.parquet"),
        "missing/file.parquet",
        "release file missing/file.parquet cannot be written; the path of a file in an existing folder is needed",
    ),
    Row(
        lambda: api.pack(results("old", "mnist1d"), "file.parquet", task="tissue"),
        "tissue",
        "unknown task 'tissue' of old (allowed: mnist1d)",
    ),
    Row(
        lambda: api.pack(results("old", "mnist1d", metric_family="cost"), "file.parquet"),
        "old",
        "old holds no scores that rank methods; `python -m bench run --all --out old` computes some",
    ),
    Row(
        lambda: api.pack(results(results("old", "mnist1d"), "tissue", seed=1), "file.parquet"),
        "0, 1",
        "old holds scores of the seeds 0, 1, and a release file has one; use a folder of one seed",
    ),
    Row(
        lambda: api.pack(results("old", "mnist1d"), "file.parquet", megabytes=0.001),
        "0.001",
        "one sample of each task takes more than 0.001 MB; allow more, or name fewer tasks",
    ),
)


class Answer(NamedTuple):
    message: str  # without what differs from machine to machine
    sites: tuple[tuple[str, int], ...]  # file and line where it was raised, after those of errors that it wraps


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    """What comes back for every row of the table, each asked in an empty folder."""
    return [answer(row, tmp_path_factory.mktemp("asked").resolve()) for row in TABLE]


def answer(row: Row, where: Path) -> Answer:
    """What is raised in answer to a row; the command line has to end with exit code 2."""
    messages, places = [], []
    plain = RequestError.__init__

    def recorded(self: RequestError, message: str) -> None:
        frame = sys._getframe(1)
        messages.append(message)
        places.append((frame.f_code.co_filename, frame.f_lineno))
        plain(self, message)

    with pytest.MonkeyPatch.context() as patch, registries_put_back():
        patch.chdir(where)
        patch.setattr(RequestError, "__init__", recorded)
        try:
            code = row.ask()
        except RequestError:
            code = 2
    assert code == 2, f"{row.message}: the request was not refused"
    return Answer(normal(messages[-1], where), tuple(places))


def normal(message: str, where: Path) -> str:
    """The message without the folder, the number of registered names, times, a free port, and words of other libraries."""
    message = re.sub(r"(\.safetensors file) \(.*?\);", r"\1 (...);", message)
    message = message.replace(str(cache()), "CACHE")
    message = re.sub(r"about \d+ s", "about N s", message.replace(f"{where}/", ""))
    return re.sub(r"^port \d+", "port N", re.sub(r"\.\.\. \d+ in all", "... N in all", message))


def sites() -> Iterator[tuple[Path, int, int]]:
    """File, first and last line of every `raise RequestError(...)`."""
    rooms = [Path(bench.__file__).parent, home("methods"), home("tasks")]
    for path in sorted(path for room in rooms for path in room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            raised = node.exc.func if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else None
            if raised is not None and getattr(raised, "id", getattr(raised, "attr", "")) == "RequestError":
                yield path, node.lineno, node.end_lineno or node.lineno


@pytest.mark.parametrize("place", range(len(TABLE)), ids=[row.message[:50] for row in TABLE])
def test_the_whole_message_is_the_one_in_the_table(answers, place):
    assert answers[place].message == TABLE[place].message


def test_every_message_stands_in_the_table(answers):
    seen = {(str(Path(file).resolve()), line) for one in answers for file, line in one.sites}
    found = list(sites())
    missing = [
        f"{path}:{first}"
        for path, first, last in found
        if not any((str(path.resolve()), line) in seen for line in range(first, last + 1))
    ]
    assert len(found) > 60
    assert missing == []


@pytest.mark.parametrize("row", TABLE, ids=[row.message[:50] for row in TABLE])
def test_a_message_names_what_was_given_and_the_way_out_in_plain_words(row):
    assert row.given in row.message
    assert re.search(r"allowed|needed|must|did you mean|; |: ", row.message)
    assert not row.message[0].isupper()
    assert row.message[-1] not in ".!"
    assert len(row.message) <= LONGEST
    assert re.search(OLD_WORDS, row.message) is None
