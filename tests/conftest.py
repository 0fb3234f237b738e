"""Problems that every law runs on: the real networks with their shipped weights, one for signals and one for images."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

# Read when torch is first imported, here and in programs that tests start: the tests run in several processes (pytest -n 2),
# and the threads of small networks would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

from bench.core.problem import Problem
from bench.engine import loading
from bench.network.device import place
from bench.perturbation.probe import Probe
from bench.registry import decorators
from bench.task_tools import data

sys.path.insert(0, str(Path(__file__).parent))
loading.load_all()


def signal_problem(samples: int = 6, batch_size: int = 4) -> Problem:
    """MNIST-1D with its shipped network."""
    task = decorators.TASKS["mnist1d"]
    return with_targets(task.fn(tuple(task.samples()[:samples])), batch_size)


def image_problem(samples: int = 4, batch_size: int = 3, size: int = 36) -> Problem:
    """The HMT network with its shipped weights, on tiles drawn here."""
    from bench.task_tools.weights import shipped

    network = sys.modules["bench.tasks.hmt"].network
    model, fingerprint = shipped("hmt", network())
    rng = np.random.default_rng(0)
    inputs = some_tiles(rng, samples, size)
    truth = torch.zeros(samples, size, size, dtype=torch.bool)
    for row in range(samples):
        truth[row, size // 4 + row : size // 2 + row, size // 3 :] = True
    problem = Problem(
        model=model,
        inputs=inputs,
        sample_ids=tuple(f"tile/{row}" for row in range(samples)),
        baseline=torch.zeros(3, 1, 1),
        layers=("pool1", "pool2"),
        top_k=0.9,
        fingerprint=fingerprint,
        background=some_tiles(rng, 3, size),
        bounds=torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1),
        truth=truth,
    )
    return with_targets(problem, batch_size)


def some_tiles(rng: np.random.Generator, samples: int, size: int) -> torch.Tensor:
    """Blurred noise in the colours of a stain."""
    coarse = torch.from_numpy(rng.random((samples, 3, size // 6, size // 6), dtype=np.float32))
    tiles = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    return tiles * torch.tensor([0.9, 0.6, 0.8]).view(1, 3, 1, 1)


def with_targets(problem: Problem, batch_size: int) -> Problem:
    """The problem as the runner hands it over: on its device, and with the classes that the model predicts."""
    return Probe(replace(place(problem, torch.device("cpu")), batch_size=batch_size)).problem


@pytest.fixture(params=["signal", "image"])
def problem(request: pytest.FixtureRequest) -> Problem:
    return some_problem(request.param)


def some_problem(kind: str) -> Problem:
    """The problem that laws run on: "signal" or "image", with a truth."""
    made = signal_problem() if kind == "signal" else image_problem()
    return made if made.truth is not None else replace(made, truth=upper_half(made.inputs))


def upper_half(inputs: torch.Tensor) -> torch.Tensor:
    """A truth (N, *S) for laws that need one: the places above each sample's median."""
    heights = inputs.sum(1)
    middle = heights.flatten(1).median(1).values.view(-1, *(1,) * (heights.dim() - 1))
    return heights > middle


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is written into the user's cache; the data sets that it holds can be read."""
    users, own = data.cache(), tmp_path_factory.mktemp("cache")
    for path in users.iterdir() if users.is_dir() else ():
        if path.name != "catalogue":
            (own / path.name).symlink_to(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(own))
        yield


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """Speed is measured as users have it, with a thread for each core."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For small networks, whose threads would only wait for each other, long where other work runs beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    reason = "playwright is not installed (pip install playwright)"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=chromium, args=flags)
        yield found
        found.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In several processes the slowest file comes first, so that none is left alone with it at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.name != "test_reference.py")


@pytest.fixture(scope="session")
def run_for_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a page, of `pages.run`, and beside it its plug-in; made once, for copies."""
    import pages

    folder = tmp_path_factory.mktemp("for_pages")
    with registries_put_back():
        return pages.run(folder / "results", folder / pages.PLUGIN_FILE)


@pytest.fixture(scope="module")
def results_with_page(run_for_pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `run_for_pages` for the tests of a module."""
    return Path(shutil.copytree(run_for_pages.parent, tmp_path_factory.mktemp("copy") / "own")) / "results"


@contextmanager
def registries_put_back(package: str = "bench.plugins") -> Iterator[None]:
    """Plug-ins that are loaded in the block are gone after it; the registries stay the same objects."""
    registries: list[dict[str, Any]] = [decorators.TASKS, decorators.METHODS, decorators.METRICS]
    before = [dict(registry) for registry in registries]
    try:
        yield
    finally:
        for registry, entries in zip(registries, before, strict=True):
            registry.clear()
            registry.update(entries)
        for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def registries_as_before() -> Iterator[None]:
    """Plug-ins that a module's tests load are gone after them."""
    with registries_put_back():
        yield
