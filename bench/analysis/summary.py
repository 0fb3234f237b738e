"""What a board says, in a few numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from bench.analysis.groups import share_a_letter
from bench.core.vocabulary import BETTER, CONTROLS, RANDOM, WORSE, YES, Column


@dataclass(frozen=True)
class Summary:
    """What a task's board says. Methods are those with a rank, controls left out, best first."""

    n_samples: int
    methods: tuple[str, ...]
    top_group: tuple[str, ...]  # those that cannot be distinguished from the best of them
    above_random: tuple[str, ...]  # significantly better than the random control
    below_random: tuple[str, ...]  # significantly worse
    random: str  # where the random control stands: "last", "not last", "" where it has no rank
    neighbours: int  # pairs of neighbours in rank, controls included
    neighbours_distinct: int  # those of them that can be distinguished


def summary(board: pd.DataFrame) -> Summary:
    """The summary of one task's board."""
    ranked = board[board["rank"].notna()]
    methods = ranked[ranked["method_family"] != CONTROLS]
    pairs = list(pairwise(ranked["group"]))
    random = ranked.loc[ranked["method"] == RANDOM, "rank"]
    last = bool(len(random)) and random.iloc[0] == ranked["rank"].max()

    def named(column: str, value: str) -> tuple[str, ...]:
        return tuple(methods.loc[methods[column] == value, "method"])

    return Summary(
        n_samples=int(board[Column.N_SAMPLES].max()),
        methods=tuple(methods["method"]),
        top_group=named(Column.TOP_GROUP, YES),
        above_random=named(Column.VS_RANDOM, BETTER),
        below_random=named(Column.VS_RANDOM, WORSE),
        random="" if random.empty else "last" if last else "not last",
        neighbours=len(pairs),
        neighbours_distinct=sum(not share_a_letter(one, other) for one, other in pairs),
    )


def sentences(found: Summary) -> list[str]:
    """The summary in words."""
    if not found.methods:
        return ["No method is ranked."]
    return [one for one in (_about_top(found), _about_random(found), resolution(found)) if one]


def resolution(found: Summary) -> str:
    """How many neighbours in rank the samples distinguish."""
    if not found.neighbours:
        return ""
    return f"{found.neighbours_distinct} of {found.neighbours} pairs of neighbours in rank can be distinguished."


def _about_top(found: Summary) -> str:
    first, *rest = found.top_group
    others = len(found.methods) - 1
    if not rest:
        return f"{first} is significantly better than all other methods." if others else f"{first} is the only method."
    return f"{first} is the best method; {len(rest)} of the other {others} cannot be distinguished from it: {_listed(rest)}."


def _about_random(found: Summary) -> str:
    if not found.random:
        return ""
    text = f"{len(found.above_random)} of {len(found.methods)} methods are significantly better than the random control"
    if found.below_random:
        text += f", {len(found.below_random)} significantly worse ({_listed(found.below_random)})"
    return f"{text}; the control is {found.random}."


def _listed(names: list[str] | tuple[str, ...], most: int = 8) -> str:
    """Names as a text; where there are many, the first of them and how many more."""
    shown = list(names[:most])
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
