"""Sentences about a name that is not one of those allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN_AT_MOST = 8  # names; of more, the nearest are shown
NEAREST = 3


def unknown(what: str, name: str, allowed: Iterable[str], *, of: str = "", listing: str = "") -> str:
    """`unknown WHAT 'name' of OF; did you mean 'nearest'? (allowed: ...)`.

    `listing`: the command that shows all names, for sets that are too large for one line.
    """
    names = list(allowed)
    near = difflib.get_close_matches(name, names, n=NEAREST, cutoff=0.4)
    question = f"; did you mean '{near[0]}'?" if near else ""
    given = f"unknown {what} '{name}'" + (f" of {of}" if of else "")
    if len(names) <= SHOWN_AT_MOST:
        return f"{given}{question} (allowed: {', '.join(names) or 'none'})"
    where = f"; `{listing}` shows them" if listing else ""
    shown = "".join(f"{one}, " for one in near or names[:NEAREST])
    return f"{given}{question} ({shown}... {len(names)} in all{where})"


def several(what: str, pattern: str, names: Sequence[str]) -> str:
    """`'PATTERN' matches N WHATs (name, name, ...); name one of them`, for a pattern that may stand for one thing only."""
    shown = ", ".join(names[:SHOWN_AT_MOST]) + (", ..." if len(names) > SHOWN_AT_MOST else "")
    return f"'{pattern}' matches {len(names)} {what}s ({shown}); name one of them"
