"""Asks the laws of methods on small problems: one finding per method and law."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.core.entries import Entry
from bench.core.errors import BenchError, NotApplicable
from bench.core.problem import Problem
from bench.core.vocabulary import CONTROLS, SOFTMAX
from bench.engine.explain import reason
from bench.validation.law_problems import SIZES, usual
from bench.validation.laws import LAWS, Law
from bench.validation.module_state import ModuleState

KNOWN = "known answer"  # the kind of a law's own problem
PASS, FAIL, SKIPPED = "pass", "fail", "skipped"


@dataclass(frozen=True)
class Finding:
    """What a check of a plug-in found."""

    kind: str  # method, metric or task
    name: str
    law: str
    verdict: str  # PASS, FAIL or SKIPPED
    note: str = ""  # what is wrong and the way out, why it was skipped, or on which inputs it passed


def check_method(method: Entry) -> Iterator[Finding]:
    """One finding per law (LAWS), as they come. Before each, what the method's file keeps is put back as it was."""
    module, stopped = ModuleState(method.fn), {kind: dict[str, str]() for kind in (*SIZES, KNOWN)}
    for law in LAWS:
        yield _finding(method, law, module, stopped)


def _finding(method: Entry, law: Law, module: ModuleState, stopped: dict[str, dict[str, str]]) -> Finding:
    """A law on every kind of problem: it fails where it fails on one, and is skipped where it is skipped on all.

    `stopped`: kind of problem -> laws that are not kept there, and why laws that come after them are not asked.
    """
    if law.promise and law.promise not in method.promises:
        return Finding("method", method.name, law.name, SKIPPED, f"`{law.promise}` is not promised")
    if method.family == CONTROLS and not law.controls:
        return Finding("method", method.name, law.name, SKIPPED, "a control need not")
    found: dict[str, list[tuple[str, str]]] = {
        PASS: [],
        FAIL: [],
        SKIPPED: [],
    }  # verdict -> kinds of problem, and notes
    for kind, problem in _problems(law, method):
        before = stopped[kind]
        why = before.get("shape", before.get(law.after, ""))
        verdict, note = (SKIPPED, why) if why else _asked(method, law, problem)
        if verdict != PASS:
            before[law.name] = note if verdict == SKIPPED else f"not asked, since `{law.name}` fails"
        found[verdict].append((kind, note))
        module.put_back()
    verdict = next((one for one in (FAIL, PASS) if found[one]), SKIPPED)
    shown = found[verdict] if verdict != PASS else found[SKIPPED]
    note = f"{shown[0][1]} ({', '.join(kind for kind, _ in shown)})" if shown else ""
    return Finding("method", method.name, law.name, verdict, note)


def _problems(law: Law, method: Entry) -> Sequence[tuple[str, Problem]]:
    """The problems of a law by kind, with an output that the method can serve."""
    output = SOFTMAX if SOFTMAX in method.outputs else next(iter(method.outputs), SOFTMAX)
    found = [(KNOWN, law.problem())] if law.problem is not None else [(kind, usual(kind)) for kind in SIZES]
    return [(kind, replace(problem, output=output)) for kind, problem in found]


def _asked(method: Entry, law: Law, problem: Problem) -> tuple[str, str]:
    """The verdict of a law on a problem, and what is wrong or why it is skipped."""
    try:
        wrong = law.broken(method, problem)
    except NotApplicable as error:
        return SKIPPED, reason(error)
    except BenchError as error:
        return FAIL, reason(error)
    except Exception as error:  # a method may raise anything
        way_out = "where it cannot serve such inputs or models, raise bench.NotApplicable with the reason"
        return FAIL, f"it raised {reason(error)}; {way_out}"
    return (FAIL, wrong) if wrong else (PASS, "")
