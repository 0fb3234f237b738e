"""The command `check`, and how it shows what it found."""

from __future__ import annotations

import argparse
import difflib
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bench import api, plots
from bench.api.exactness import SAMPLES
from bench.api.request import OWN_MODEL
from bench.cli import own_data
from bench.cli.names import KINDS
from bench.core.errors import DataMissing, RequestError
from bench.core.nearest import unknown
from bench.report.terminal import conformance_text
from bench.storage.exactness import FILE
from bench.validation import exactness, verdicts
from bench.validation.network_checks import FAILS, NOT_CHECKED

WIDTH = 120  # of lines
OF_NETWORKS = ("profile", "samples", "seed", "device")  # options that only `check --task` has
RESULTS = Path("results")
LEGEND = ("null", "class", "gradient", "float64", "repeat")  # checks that the text names
TITLES = {  # of groups of methods, in their order
    exactness.EXACT: "exact here",
    exactness.PROMISED: "as promised",
    exactness.GAP: "not exact",
    exactness.DISTRUST: "not to be trusted",
    exactness.ELSEWHERE: "not for this network",
}


def check(arguments: argparse.Namespace) -> int:
    if arguments.task:
        return _check_networks(arguments)
    own_data.word(arguments)  # refuses options of a user's own network
    if not arguments.what:
        raise RequestError("nothing to check was given; name files, `methods`, `metrics`, or a network with --task")
    for option in OF_NETWORKS:
        if getattr(arguments, option) is not None:
            raise RequestError(f"--{option} belongs to `check --task`; add a task or leave --{option} out")
    asked = set(arguments.what)
    if len(asked) > 1 and asked & set(KINDS):
        raise RequestError(
            f"check {' '.join(arguments.what)}: files, `methods` and `metrics` are checked one at a time; give one of them"
        )
    for word in arguments.what:
        if not Path(word).exists() and word not in KINDS and difflib.get_close_matches(word, KINDS, cutoff=0.8):
            raise RequestError(unknown("word", word, KINDS, of="check") + "; or give files")
    for kind, others in (("metrics", "method"), ("methods", "metric")):
        if asked == {kind} and getattr(arguments, others):
            raise RequestError(f"check {kind} takes --{kind[:-1]}, not --{others}; did you mean `check {others}s`?")
    if asked == {"metrics"}:
        return _check_metrics(arguments)
    if asked == {"methods"}:
        return _show(api.check_methods(arguments.method, plugins=arguments.plugins))
    names = [*(arguments.method or ()), *(arguments.metric or ())]
    return _show(
        api.check_plugins(
            [Path(path) for path in arguments.what],
            names=names or None,
            plugins=arguments.plugins,
            data=arguments.data,
            offline=arguments.offline,
        )
    )


def _show(table: pd.DataFrame) -> int:
    """Prints a block for each plug-in, then which fail."""
    groups = table.groupby(["kind", "name"], sort=False)
    failed = []
    for (kind, name), laws in groups:
        print(f"{kind} {name}")
        for law in laws.to_dict("records"):
            shown = "; ".join(filter(None, [law["asks"] if law["verdict"] == "pass" else "", law["note"]]))
            start = f"  {law['law']:<9} {law['verdict'].upper() if law['verdict'] == 'fail' else law['verdict']:<8} "
            print(textwrap.fill(shown, WIDTH, initial_indent=start, subsequent_indent=" " * len(start)))
        if "fail" in set(laws["verdict"]):
            failed.append(f"{kind} {name}")
    print(f"{len(groups) - len(failed)} of {len(groups)} pass" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _check_metrics(arguments: argparse.Namespace) -> int:
    start = time.perf_counter()
    before = verdicts.read_verdicts(verdicts.SHIPPED_VERDICTS)
    out = arguments.out or RESULTS
    table = api.check(arguments.metric, out=out, use_cached=arguments.use_cached, plugins=arguments.plugins)
    if table.empty:
        print("none of these metrics has a check: costs are measurements")
        return 0
    picture = out / "plots" / "conformance"
    plots.save(plots.conformance(table), picture, svg=True)
    print(conformance_text(table))
    print(
        f"{(table['verdict'] == 'pass').sum()} of {len(table)} metrics pass; {time.perf_counter() - start:.0f} s; "
        f"written to {out / verdicts.VERDICTS_FILE} and {picture}.png"
    )
    failed = set(table.loc[table["verdict"] == "fail", "metric_id"])
    return 1 if failed - set(before.loc[before["verdict"] == "fail", "metric_id"]) else 0


def _check_networks(arguments: argparse.Namespace) -> int:
    """`check --task`: methods on the network of each task, or on the user's own."""
    for what, names in (("`" + " ".join(arguments.what) + "`", arguments.what), ("--metric", arguments.metric)):
        if names:
            raise RequestError(f"check --task asks methods about a network, and takes --method; leave {what} out")
    chosen = {option: getattr(arguments, option) for option in OF_NETWORKS if getattr(arguments, option) is not None}
    arguments.samples = arguments.samples or SAMPLES
    problem = own_data.problem(arguments)
    name = arguments.name or own_data.word(arguments) or OWN_MODEL
    tasks = [name] if problem is not None else api.list_tasks(arguments.task, plugins=arguments.plugins)
    failed = False
    for task in tasks:
        try:
            table = api.check_model(
                task if problem is None else problem,
                arguments.method,
                name=name,
                out=arguments.out,
                data=arguments.data,
                offline=arguments.offline,
                plugins=arguments.plugins,
                **chosen,
            )
        except DataMissing as error:
            print(f"skipped {task}: {error}")
            continue
        print(network_text(table, task))
        failed |= FAILS in set(table["verdict"])
    if arguments.out:
        print(f"written to {arguments.out / FILE}; `python -m bench report --out {arguments.out}` shows it on the page")
    return 1 if failed else 0


def network_text(table: pd.DataFrame, task: str) -> str:
    """The methods by what follows from their checks, each with the reason; then how many of each."""
    found = {str(name): (exactness.standing(rows), rows) for name, rows in table.groupby("method", sort=False)}
    unasked = table[(table["verdict"] == NOT_CHECKED) & (table["check"] != "linear")]
    common = unasked[unasked.duplicated(["check", "note"], keep=False)]
    width = 2 + max((len(name) for name, (one, _) in found.items() if one.kind != exactness.ELSEWHERE), default=0)
    lines, counts = [task], []
    for kind, title in TITLES.items():
        some = {name: rows for name, (standing, rows) in found.items() if standing.kind == kind}
        if not some:
            continue
        lines.append(f"\n{title}")
        counts.append(f"{len(some)} {title}")
        if kind == exactness.ELSEWHERE:
            lines += _by_reason({name: found[name][0].note for name in some})
            continue
        for name, rows in some.items():
            texts = _texts(found[name][0], rows, unasked.drop(common.index))
            lines += _block(f"  {name:<{width}}", texts)
    known = [name for name in exactness.ASKS if name in set(table["check"]) and name in LEGEND]
    ends = [f"{name}: {exactness.ASKS[name]}" for name in known]
    for (check, note), rows in common.groupby(["check", "note"], sort=False):
        lines += ["", *_block("", [f"{check} was not checked, for {len(rows)} methods: {note}"])]
    return "\n".join(
        [*lines, *(["", *_block("", ["; ".join(ends)])] if ends else []), f"{len(found)} methods: {', '.join(counts)}"]
    )


def _texts(standing: exactness.Standing, rows: pd.DataFrame, unasked: pd.DataFrame) -> list[str]:
    """What a method's block says: what follows and why, the rules of layers, and what only it could not be asked."""
    notes = dict(zip(rows["check"], rows["note"], strict=True))
    rules, own = notes.get(exactness.RULES), unasked[unasked["method"] == rows["method"].iloc[0]]
    return [
        standing.note,
        *([f"layers: {rules}"] if rules else []),
        *(f"not checked: {check}, {note}" for check, note in zip(own["check"], own["note"], strict=True)),
    ]


def _by_reason(notes: Mapping[str, str]) -> list[str]:
    """Methods and why they cannot explain a network, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for name, note in notes.items():
        reasons.setdefault(note.removeprefix(f"{name.split('[')[0]} "), []).append(name)
    return [
        line
        for reason, names in reasons.items()
        for line in [*_block("  ", [", ".join(names)]), *_block("      ", [reason])]
    ]


def _block(start: str, texts: Sequence[str]) -> list[str]:
    """Paragraphs beside or below `start`, as lines."""
    indent, lines = " " * len(start), []
    for text in texts:
        lines.append(textwrap.fill(text, WIDTH, initial_indent=start, subsequent_indent=indent))
        start = indent
    return lines
