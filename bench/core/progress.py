"""What the engine reports of its progress."""

from __future__ import annotations

from typing import Any, Protocol


class Progress(Protocol):
    """What the runner tells of its work; a tqdm bar fits."""

    total: float | None

    def update(self, n: float | None = 1) -> Any: ...
    def set_description_str(self, desc: str | None = None) -> Any: ...
    def refresh(self) -> Any: ...
