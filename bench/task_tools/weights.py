"""The weights of a task's model: a safetensors file, and a .json file that says how they were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.core.errors import BenchError
from bench.core.files import atomic, home
from bench.core.hashing import model_digest


def path_of(stem: str) -> Path:
    return home("tasks") / "weights" / f"{stem}.safetensors"


def shipped(stem: str, network: nn.Module) -> tuple[nn.Module, str]:
    """The network with the shipped weights, in eval mode, and their fingerprint."""
    load(network, path_of(stem))
    network.eval().requires_grad_(False)
    return network, model_digest(network)


def load(network: nn.Module, path: Path) -> None:
    """Loads weights into a network. Raises BenchError if the file is missing or damaged, or does not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise BenchError(f"there are no weights at {path}; make them with `python -m bench train {path.stem}`")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BenchError(f"{path} is not a complete safetensors file ({error})") from error
    wanted = network.state_dict()
    wrong = [
        f"{name} is {_shape(state, name)}, the network has {_shape(wanted, name)}"
        for name in sorted(set(state) | set(wanted))
        if _shape(state, name) != _shape(wanted, name)
    ]
    if wrong:
        raise BenchError(f"the weights in {path} do not fit the network: {'; '.join(wrong)}")
    network.load_state_dict(state)


def save(network: nn.Module, path: Path, facts: dict[str, Any]) -> None:
    """Writes the weights and, beside them, the facts as .json; each file appears only when complete."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, part)
        part.chmod(0o644)  # safetensors makes files that only their owner can read
    with atomic(path.with_suffix(".json")) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _shape(state: dict[str, torch.Tensor], name: str) -> str:
    return "x".join(map(str, state[name].shape)) or "scalar" if name in state else "absent"
