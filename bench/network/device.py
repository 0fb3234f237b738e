"""The device of a run, and settings that make it faster without changing a score."""

from __future__ import annotations

import ctypes
import platform
from dataclasses import replace

import torch
from torch import Tensor

from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.core.problem import Problem
from bench.core.vocabulary import DEVICES


def choose(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU if there is one. A GPU computes in full float32, as a CPU does."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    if name not in DEVICES:
        raise RequestError(unknown("device", name, DEVICES))
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("device 'cuda' cannot be used: torch finds no GPU on this machine; use 'cpu' or 'auto'")
    return torch.device(name)


def describe(device: torch.device) -> str:
    """One line on what scores were computed with."""
    chip = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    return f"torch {torch.__version__}, {device.type} ({chip}), {platform.system()}"


def place(problem: Problem, device: torch.device) -> Problem:
    """The problem on the device, its model in the memory format that suits it.

    Inputs keep their format: masks are made faster that way, and the first convolution converts its input.
    """
    form = memory_format(problem.inputs)

    def moved(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.to(device)

    return replace(
        problem,
        model=problem.model.to(device).to(memory_format=form).eval(),
        inputs=problem.inputs.to(device),
        baseline=problem.baseline.to(device),
        targets=problem.targets.to(device),
        truth=moved(problem.truth),
        labels=moved(problem.labels),
        background=moved(problem.background),
        bounds=moved(problem.bounds),
    )


def memory_format(inputs: Tensor) -> torch.memory_format:
    """Channels-last for images, which is nearly twice as fast on a CPU; contiguous for signals."""
    return torch.channels_last if inputs.dim() == 4 else torch.contiguous_format


def out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on the device or the machine."""
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def synchronise() -> None:
    """Waits for the GPU, if one is in use."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def keep_freed_memory() -> None:
    """Tells glibc to reuse freed memory instead of returning it to the system and asking for it again.

    Without this, large batches on a CPU spend most of their time in page faults (up to three times slower). Does nothing
    without glibc.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD of malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
