"""Progress bars for a terminal, a notebook and a log file."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

WITHOUT_COUNTS = "{desc} {percentage:3.0f}%|{bar}| {elapsed}"  # where steps differ in length


def bar(show: bool | None, *, unit: str = "", total: float | None = None) -> Any:
    """A tqdm bar. `show` None: in a terminal, a notebook or a log file; False: never.

    Without a unit it shows the share that is done. A log file gets a line every ten seconds instead of a moving bar.
    """
    from tqdm.auto import tqdm

    terminal = sys.stderr.isatty() or "ipykernel" in sys.modules
    made = tqdm(
        unit=unit,
        total=total,
        bar_format=None if unit else WITHOUT_COUNTS,
        dynamic_ncols=True,
        mininterval=0.1 if terminal else 10,
        disable=show is False,
    )
    made.set_description_str = partial(made.set_description_str, refresh=terminal)
    return made


def announce(text: str) -> None:
    """Prints a line above the bars, on stderr."""
    from tqdm.auto import tqdm

    tqdm.write(text, file=sys.stderr)
