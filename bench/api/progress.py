"""Progress bars for a terminal, a notebook and a log file."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any


def bar(show: bool | None, *, unit: str = "step", total: float | None = None) -> Any:
    """A tqdm bar. `show` None: in a terminal, a notebook or a log file; False: never.

    A log file gets a line every ten seconds instead of a moving bar.
    """
    from tqdm.auto import tqdm

    terminal = sys.stderr.isatty() or "ipykernel" in sys.modules
    made = tqdm(unit=unit, total=total, dynamic_ncols=True, mininterval=0.1 if terminal else 10, disable=show is False)
    made.set_description_str = partial(made.set_description_str, refresh=terminal)
    return made
