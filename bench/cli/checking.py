"""The command `check`, and how it shows what it found."""

from __future__ import annotations

import argparse
import difflib
import textwrap
import time
from pathlib import Path

import pandas as pd

from bench import api, plots
from bench.cli.names import KINDS
from bench.core.errors import RequestError
from bench.core.nearest import unknown
from bench.report.terminal import conformance_text
from bench.validation import verdicts

WIDTH = 120  # of lines


def check(arguments: argparse.Namespace) -> int:
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
    table = api.check(arguments.metric, out=arguments.out, use_cached=arguments.use_cached, plugins=arguments.plugins)
    if table.empty:
        print("none of these metrics has a check: costs are measurements")
        return 0
    picture = arguments.out / "plots" / "conformance"
    plots.save(plots.conformance(table), picture, svg=True)
    print(conformance_text(table))
    print(
        f"{(table['verdict'] == 'pass').sum()} of {len(table)} metrics pass; {time.perf_counter() - start:.0f} s; "
        f"written to {arguments.out / verdicts.VERDICTS_FILE} and {picture}.png"
    )
    failed = set(table.loc[table["verdict"] == "fail", "metric_id"])
    return 1 if failed - set(before.loc[before["verdict"] == "fail", "metric_id"]) else 0
