"""Stable hashes of values, tensors and models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from torch import Tensor, nn


def digest(*parts: object) -> str:
    """A stable hash of texts, numbers, bytes, arrays and tensors (hex, 32 digits)."""
    return _hash(parts).hexdigest()


def digests(same: Iterable[object], last: Iterable[object]) -> list[str]:
    """`digest(*same, one)` for each one of the last, the rest hashed once."""
    start = _hash(same)
    return [_hash([one], start.copy()).hexdigest() for one in last]


def _hash(parts: Iterable[object], h: hashlib.blake2b | None = None) -> hashlib.blake2b:
    h = h or hashlib.blake2b(digest_size=16)
    for part in parts:
        _absorb(h, part)
    return h


def _absorb(h: hashlib.blake2b, part: object) -> None:
    if isinstance(part, Tensor):
        part = part.detach().cpu().contiguous().numpy()
    if isinstance(part, np.ndarray):
        h.update(f"{part.dtype}{part.shape}".encode())
        part = np.ascontiguousarray(part).tobytes()
    data = part if isinstance(part, bytes) else repr(part).encode()
    h.update(len(data).to_bytes(8, "little"))
    h.update(data)


def model_digest(model: nn.Module) -> str:
    """A hash of a model's structure and of every weight and buffer."""
    state = model.state_dict()
    return digest(str(model), *(part for name in sorted(state) for part in (name, state[name])))
