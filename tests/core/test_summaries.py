"""Laws over the registries: the first sentence of every docstring stands alone, as `list`, page and docs show it."""

from __future__ import annotations

import re

import pytest

from bench.core.entries import Entry, Task
from bench.registry.decorators import METHODS, METRICS, TASKS

ENTRIES = [*TASKS.values(), *METHODS.values(), *METRICS.values()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{type(entry).__name__}-{entry.name}")
def test_a_summary_is_a_whole_sentence(entry):
    text = entry.summary
    assert len(text.split()) >= 4
    assert re.match(r"[A-Z\d]", text)
    assert ".." not in text
    assert all(text.count(one) == text.count(other) for one, other in ("()", "[]", "{}"))
    assert text.count("`") % 2 == 0
    assert not re.search(r"(->|\(N\b[^()]*\)|[,;:.])$", text)


@pytest.mark.parametrize("entry", [*METHODS.values(), *METRICS.values()], ids=lambda entry: entry.name)
def test_the_first_sentence_ends_in_the_shape_of_the_result(entry):
    first = " ".join(entry.fn.__doc__.split("\n\n")[0].split())
    assert re.search(r"-> \(N, \*S\)$" if type(entry) is Entry else r"\((N,|N, steps \+ 1)\)$", first), first


def described(text: str) -> str:
    def fn() -> None: ...

    fn.__doc__ = text
    return Task("t", fn, "", "", 1, (), ()).summary


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("Mean of p over k = 0 ... L, highest first. (N,)", "Mean of p over k = 0 ... L, highest first"),
        ("Are the top ones enough? (N,)", "Are the top ones enough?"),
        ("One sentence\n    over two lines. -> (N, *S)\n\n    More.", "One sentence over two lines"),
        ("Gap of p(x) and p. Second sentence. (N, steps + 1)", "Gap of p(x) and p"),
        ("Share of AOPC (MoRF) lost (N,)", "Share of AOPC (MoRF) lost"),
        ("", ""),
    ],
)
def test_a_summary_is_the_first_sentence_without_the_shape(text, summary):
    assert described(text) == summary
