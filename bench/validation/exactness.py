"""Which promises of methods hold on one network, and what follows for each method: trust it, mind its gap, or leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from torch import nn

from bench.core.entries import Entry
from bench.core.errors import BenchError, ContractError
from bench.engine.explain import reason, why_skipped
from bench.network import applied
from bench.network.batch_norm import BATCH_NORMS
from bench.network.graph import traced
from bench.storage.exactness import COLUMNS
from bench.validation import network_checks as checks
from bench.validation.network_checks import FAILS, HOLDS, NOT_CHECKED, SKIPPED, Answer, Asked, percent

APPLIES, DEFINED, COMPLETE, RULES, DIFFERENCES = "applies", "defined", "complete", "rules", "differences"
EXACTLY = (COMPLETE, DIFFERENCES, "linear")  # checks against an exact answer


@dataclass(frozen=True)
class Check:
    """A question about a method on the network at hand."""

    name: str
    asks: str
    ask: Callable[[Asked], Answer]
    promise: str = ""  # asked only of methods that promise it
    asked_of: Callable[[Asked], bool] = lambda _: True


def _by_gradients(asked: Asked) -> bool:
    """Whether the map is made from gradients of the network itself."""
    return asked.backwards > 0 and not asked.rules


def _rules(asked: Asked) -> Answer:
    merged = _batch_norms(asked.network.problem.model) - sum(
        number for (kind, _), number in asked.rules[0].items() if kind == "batch norm"
    )
    return Answer(HOLDS, applied.in_words(asked.rules[0], merged))


def _batch_norms(model: nn.Module) -> int:
    """How often the model applies batch norm as a module."""
    graph = traced(model)
    known = dict(graph.named_modules())
    return sum(
        node.op == "call_module" and isinstance(known[str(node.target)], BATCH_NORMS) for node in graph.graph.nodes
    )


def _is_formula(asked: Asked) -> bool:
    return _by_gradients(asked) and asked.method.name in checks.FORMULAS


CHECKS = (
    Check(DEFINED, "most maps are finite, and not the same everywhere", checks.defined),
    Check(RULES, "every layer of the network has a rule", _rules, asked_of=lambda asked: bool(asked.rules)),
    Check(COMPLETE, "the map sums to what the output gains over the baseline", checks.complete, "complete"),
    Check("null", "features that do not reach the network get zero", checks.null, "null"),
    Check("class", "another class gets another map", checks.other_class, "class"),
    Check("linear", "on a linear network: weight times distance from the baseline", checks.linear, "linear"),
    Check(DIFFERENCES, "the map is that of finite differences", checks.differences, asked_of=_is_formula),
    Check(
        "gradient",
        "the network's gradient is that of finite differences",
        checks.differences,
        asked_of=lambda asked: _by_gradients(asked) and not _is_formula(asked),
    ),
    Check("float64", "the map is that of the network in float64", checks.precision),
    Check("repeat", "the same seed gives the same map", checks.repeat),
)
ASKS = {APPLIES: "the method can explain this network"} | {check.name: check.asks for check in CHECKS}


def check_method(method: Entry, network: checks.Network) -> Iterator[dict[str, Any]]:
    """One row (COLUMNS) per check of a method on a network, as they come."""

    def row(name: str, answer: Answer) -> dict[str, Any]:
        values = (
            method.name,
            method.id,
            name,
            ASKS[name],
            answer.verdict,
            answer.measured,
            answer.tolerance,
            answer.note,
        )
        return dict(zip(COLUMNS, values, strict=True))

    asked = _explained(method, network)
    if isinstance(asked, Answer):
        yield row(APPLIES, asked)
        return
    nothing = False
    for check in CHECKS:
        if check.promise and check.promise not in method.promises:
            continue
        if not check.asked_of(asked):
            continue
        silenced = nothing and check.name != RULES
        answer = Answer(NOT_CHECKED, "its maps say nothing") if silenced else _answer(check, asked)
        nothing |= check.name == DEFINED and answer.measured == 1.0
        yield row(check.name, answer)


def _explained(method: Entry, network: checks.Network) -> Asked | Answer:
    """The method's maps, or why there are none."""
    missing = why_skipped(method, network.problem)
    if missing:
        return Answer(SKIPPED, missing)
    with applied.watched() as rules:
        try:
            maps, backwards = network.explain(method, network.problem)
        except ContractError as error:
            return Answer(FAILS, reason(error))
        except BenchError as error:  # such as a network that cannot be traced
            return Answer(SKIPPED, reason(error))
        except Exception as error:  # a method may raise anything
            return Answer(FAILS, f"it raised {reason(error)}")
    return Asked(network, method, maps, backwards, rules)


def _answer(check: Check, asked: Asked) -> Answer:
    """The answer of a check; what stops it, where it cannot be asked."""
    try:
        return check.ask(asked)
    except BenchError as error:
        return Answer(NOT_CHECKED, reason(error))
    except Exception as error:  # a method may raise anything
        return Answer(NOT_CHECKED, f"it raised {reason(error)}")


class Standing(NamedTuple):
    """What the checks of a method mean for its user."""

    kind: str  # one of KINDS
    chip: str  # in a few words
    note: str  # in a sentence


EXACT, PROMISED, GAP, DISTRUST, ELSEWHERE = KINDS = ("exact", "as promised", "gap", "distrust", "skipped")
CHIPS = {EXACT: "exact here", PROMISED: "as promised", DISTRUST: "not to be trusted", ELSEWHERE: "not this network"}


def standing(rows: pd.DataFrame) -> Standing:
    """What follows from the rows of one method."""
    skipped, failed = (rows[rows["verdict"] == name] for name in (SKIPPED, FAILS))
    if len(skipped):
        return Standing(ELSEWHERE, CHIPS[ELSEWHERE], _sentence(skipped))
    gap = failed[failed["check"] == COMPLETE]
    if len(failed) > len(gap):
        return Standing(DISTRUST, CHIPS[DISTRUST], _sentence(failed))
    if len(gap):
        share = float(gap["measured"].iloc[0])
        return Standing(DISTRUST if share > checks.HALF else GAP, f"gap {percent(share)}", _sentence(gap))
    held = rows[(rows["verdict"] == HOLDS) & ~rows["check"].isin([DEFINED, RULES])]
    some = rows[(rows["check"] == DEFINED) & (rows["measured"] > 0)]  # maps say nothing
    exact = held[held["check"].isin(EXACTLY)]
    if len(exact):
        return Standing(EXACT, CHIPS[EXACT], _sentence(pd.concat([exact, some])))
    found = f"Holds here: {', '.join(held['check']) or 'nothing could be checked'}"
    return Standing(PROMISED, CHIPS[PROMISED], f"{'; '.join([found, *some['note']])}.")


def _sentence(rows: pd.DataFrame) -> str:
    """The notes of some rows, from a capital letter, unless they start with a name, to a full stop."""
    text, name = "; ".join(rows["note"]), str(rows["method"].iloc[0]).split("[")[0]
    named = text.startswith((name, "torch."))
    return f"{text if named else text[:1].upper() + text[1:]}."


def standings(table: pd.DataFrame, task: str, fingerprint: str) -> dict[str, Standing]:
    """Method id -> standing, of the checks of a task's network as it is now; older ones are left out."""
    rows = table[(table["task"] == task) & (table["fingerprint"] == fingerprint)]
    return {str(name): standing(part) for name, part in rows.groupby("method_id", sort=False)}
