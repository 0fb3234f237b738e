"""Letters for groups of methods that cannot be distinguished."""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import ascii_lowercase

import numpy as np

LETTER = r"[a-z]|\(\d+\)"  # of a group; after z they are numbers in brackets


def letters(differ: np.ndarray) -> list[str]:
    """Compact letter display [piepho2004]: two items share a letter exactly when they do not differ.

    Items come best first, and letters are given out in that order: (M, M) bool -> M texts.
    """
    columns = [(1 << len(differ)) - 1]  # sets of items as bits
    for i, j in np.argwhere(np.triu(differ)).tolist():
        one, other = 1 << i, 1 << j
        pair = one | other
        whole = [c for c in columns if c & pair != pair]
        parts = dict.fromkeys(c & ~bit for c in columns if c & pair == pair for bit in (one, other))
        columns = whole + [c for c in parts if c and not _is_inside(c, whole) and not _is_inside(c, parts)]
    sets = sorted([item for item in range(len(differ)) if c >> item & 1] for c in columns)
    return ["".join(_name(k) for k, c in enumerate(sets) if item in c) for item in range(len(differ))]


def _is_inside(c: int, columns: Iterable[int]) -> bool:
    """Whether a set is a proper subset of another one."""
    return any(c & other == c != other for other in columns)


def _name(k: int) -> str:
    return ascii_lowercase[k] if k < 26 else f"({k + 1})"


def share_a_letter(one: str, other: str) -> bool:
    """Whether two texts of `letters` have one in common; letters after z are numbers in brackets."""
    first, second = (set(re.findall(LETTER, group)) for group in (one, other))
    return bool(first & second)
