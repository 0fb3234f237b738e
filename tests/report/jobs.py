"""Jobs for processes, which find them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def process_id(_: int = 0) -> int:
    return os.getpid()


def killed(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def slept(path: Path) -> None:
    """Says in a file that it has begun, then lasts a minute."""
    path.write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(60)


def draw_nothing(out: Path, task: str, fingerprint: str, tables: Any, name: str, svg: bool) -> None:
    """Writes the files of a picture, as `writer.draw` does, without a picture in them."""
    for ending in ("png", "svg"):
        path = out / "plots" / f"{task}_{name}.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if svg or ending == "png":
            path.write_text(f"{task} {fingerprint} {name}", encoding="utf-8")


def draw_or_die(out: Path, task: str, fingerprint: str, tables: Any, name: str, svg: bool) -> None:
    """As `draw_nothing`, but at the heat map the process is killed."""
    if name == "heatmap":
        killed()
    draw_nothing(out, task, fingerprint, tables, name, svg)


def draw_slowly(out: Path, task: str, fingerprint: str, tables: Any, name: str, svg: bool) -> None:
    """Says in a file that it has begun, then lasts a minute."""
    (out / "plots").mkdir(exist_ok=True)
    slept(out / "plots" / f"{name}.pid")
