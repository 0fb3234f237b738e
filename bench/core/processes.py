"""How many processors there are, and whether processes can be started from the program that runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

OWN = ("bench.__main__", "pytest.__main__")  # programs that are started with `python -m`
SCRIPTS = ("attribution-bench", "pytest")


def processors() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def can_spawn() -> bool:
    """Whether processes can be spawned without harm.

    A spawned process imports the main module. That is safe for this command line, for notebooks and for the interpreter. A
    user's script may lack the guard `if __name__ == "__main__":`, and would run again in each process.
    """
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None:
        return True
    return getattr(main.__spec__, "name", "") in OWN or Path(file).name in SCRIPTS
