"""Letters for groups of methods that cannot be distinguished."""

from __future__ import annotations

import re
from string import ascii_lowercase

import numpy as np

LETTER = r"[a-z]|\(\d+\)"  # of a group; after z they are numbers in brackets


def letters(differ: np.ndarray) -> list[str]:
    """Compact letter display [piepho2004]: two items share a letter exactly when they do not differ.

    Items come best first, and letters are given out in that order: (M, M) bool -> M texts.
    """
    columns = [frozenset(range(len(differ)))]
    for i, j in zip(*np.nonzero(np.triu(differ)), strict=True):
        split = [part for c in columns for part in ((c - {i}, c - {j}) if {i, j} <= c else (c,))]
        unique = list(dict.fromkeys(split))
        columns = [c for c in unique if c and not any(c < other for other in unique)]
    columns.sort(key=lambda c: sorted(c))
    return ["".join(_name(k) for k, c in enumerate(columns) if item in c) for item in range(len(differ))]


def _name(k: int) -> str:
    return ascii_lowercase[k] if k < 26 else f"({k + 1})"


def share_a_letter(one: str, other: str) -> bool:
    """Whether two texts of `letters` have one in common; letters after z are numbers in brackets."""
    first, second = (set(re.findall(LETTER, group)) for group in (one, other))
    return bool(first & second)
