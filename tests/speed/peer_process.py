"""A process of its own for peers, as a user meets them: torch's memory settings are the defaults there, and not the harness's.

`keep_freed_memory` holds for a whole process and makes large batches two to three times as fast; in ours it would do so for a
peer too, which does not set it. The two processes take turns and never run at once.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Peers:
    """Asks the other process to time a peer."""

    def __init__(self, line: Any) -> None:
        self._line = line

    def seconds(self, name: str, kind: str) -> float:
        """Seconds of one call, there."""
        self._line.send((name, kind))
        answer = self._line.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return float(answer)


@contextmanager
def started() -> Iterator[Peers]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    kept = os.environ.pop("GOMP_SPINCOUNT", None)  # the harness's own setting of OpenMP, too
    process.start()
    if kept is not None:
        os.environ["GOMP_SPINCOUNT"] = kept
    try:
        yield Peers(ours)
    finally:
        ours.send(None)
        process.join(30)


def _serve(line: Any) -> None:
    import sys
    from pathlib import Path

    import torch  # noqa: F401  (before the harness sets OpenMP for itself)

    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    import peers_of_methods

    problems = peers_of_methods.problems()
    while (asked := line.recv()) is not None:
        name, kind = asked
        problem, plain = problems[kind]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                peers_of_methods.PEERS[name][0](problem, plain)
            line.send(time.perf_counter() - start)
        except Exception as error:  # told in the process that asked
            line.send(f"{name}: {type(error).__name__}: {error}")
