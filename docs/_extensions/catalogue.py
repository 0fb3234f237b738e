"""Pages that are written from the registry and the tables when the site is built; nothing here is committed as text.

Before Sphinx reads its sources, `docs/generated/` is filled with one Markdown file for each list: methods, metrics, tasks,
verdicts, references, and the public names of the API. Hand-written pages include them.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import bench
from bench.core.entries import Entry, Metric, Task
from bench.core.vocabulary import CONTROLS, COSTS, FAMILY_ORDER, MEANINGS, PROMISES, RANKING_FAMILIES
from bench.engine.loading import load_all
from bench.page.sources import bibliography
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.validation.ladders import STEP_LABELS
from bench.validation.verdicts import SHIPPED_VERDICTS, read_verdicts

ROOT = Path(bench.__file__).parents[1]
CITED = re.compile(r"\[([a-z]+\d{4}[a-z0-9]*)\]")
FIRST_BOARD = "mnist1d"  # the one with most samples
METHOD_FAMILIES = {
    "gradient": "Gradients of the model with respect to its input.",
    "propagation": "The class's logit is passed back through the layers by a rule.",
    "activation": "Weighted sums of the feature maps of a convolutional layer.",
    "perturbation": "Queries of the model on inputs of which parts are masked.",
    "control": "Controls explain nothing, or what is known already. They say what a score is worth.",
}


def prose(text: str) -> str:
    """A docstring as Markdown: indented parts become code, and no character of the rest is markup by accident."""
    parts, code = [], []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if block.startswith("    ") or all(line.startswith("    ") for line in block.splitlines()):
            code.append(textwrap.dedent(block))
            continue
        parts += _fenced(code)
        code = []
        parts.append(_sentence(block))
    return "\n\n".join(parts + _fenced(code))


def _fenced(blocks: list[str]) -> list[str]:
    return ["```text\n" + "\n\n".join(blocks) + "\n```"] if blocks else []


def _sentence(text: str) -> str:
    """One paragraph: code spans stay, citations become links, everything else is escaped."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else _linked(_escaped(piece)) for piece in pieces)


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_<|$~#{}])", r"\\\1", text)


def _linked(text: str) -> str:
    return CITED.sub(lambda match: citation(match[1]), text)


def citation(key: str) -> str:
    """`selvaraju2017gradcam` as a link to its entry in the list of references: (Selvaraju et al., 2017)."""
    found = bibliography([key]).get(key)
    if found is None:
        return key
    people, year = re.match(r"(.*?) \((\d{4}|n\.d\.)\)", found["text"]).groups()  # type: ignore[union-attr]
    names = [name.split()[-1] for name in people.removesuffix(" et al.").split(", ")]
    short = f"{names[0]} and {names[1]}" if len(names) == 2 and "et al." not in people else names[0]
    more = " et al." if len(names) > 2 or people.endswith("et al.") else ""
    return f"[{short}{more}, {year}](#{key})"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in lines)


def described(entry: Entry) -> str:
    """The summary as a cell of a table."""
    return _sentence(entry.summary) + ("" if entry.summary.endswith("?") else ".")


def settings(entry: Entry) -> str:
    return ", ".join(f"`{name}={value!r}`" for name, value in entry.params) or "none"


def _facts(lines: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}:** {text}" for name, text in lines.items() if text)


# --- methods, metrics, tasks


def methods() -> str:
    families = sorted({entry.family for entry in METHODS.values()}, key=[*METHOD_FAMILIES].index)
    parts = [
        table(
            ["method", "family", "cost", "what it does"],
            (
                [f"[`{e.name}`](#method-{e.name})", e.family, e.cost, described(e)]
                for e in _by_family(METHODS, families)
            ),
        )
    ]
    for family in families:
        parts.append(f"## Family: {family}\n\n{METHOD_FAMILIES[family]}")
        parts += [_method(entry) for entry in METHODS.values() if entry.family == family]
    return "\n\n".join(parts)


def _method(entry: Entry) -> str:
    module = inspect.getmodule(entry.fn)
    promises = "; ".join(f"`{name}`: {PROMISES[name]}" for name in sorted(entry.promises)) or "none"
    facts = {
        "Source": citation(entry.cite) if entry.cite else "",
        "Cost": entry.cost,
        "Promises": promises,
        "Hyper-parameters": settings(entry),
        "Needs": ", ".join(f"`{name}`" for name in sorted(entry.needs)),
    }
    about = prose((module.__doc__ if module else None) or entry.fn.__doc__ or "")
    return f"(method-{entry.name})=\n### `{entry.name}`\n\n{about}\n\n{_facts(facts)}"


def metrics() -> str:
    verdict = verdicts_by_name()
    parts = []
    for family in FAMILY_ORDER:
        found = [metric for metric in METRICS.values() if metric.family == family]
        if found:
            rows = (
                [f"[`{e.name}`](#metric-{e.name})", _direction(e), _passed(verdict, e), described(e)] for e in found
            )
            parts.append(f"## Family: {family}")
            parts.append(table(["metric", "better", "checks", "what it measures"], rows))
            parts += [_metric(entry, verdict) for entry in found]
    return "\n\n".join(parts)


def _metric(entry: Metric, verdict: Mapping[str, Mapping[str, Any]]) -> str:
    low, high = entry.limits
    limits = "" if low is None and high is None else f"{_bound(low, '-∞')} to {_bound(high, '∞')}"
    why = verdict.get(entry.name, {}).get("failure_reasons", "")
    facts = {
        "Axis label": _escaped(entry.label),
        "Better": _direction(entry),
        "Range": limits,
        "Source": citation(entry.cite) if entry.cite else "",
        "Cost": entry.cost,
        "Hyper-parameters": settings(entry),
        "Needs": ", ".join(f"`{name}`" for name in sorted(entry.needs)),
        "Checks": _passed(verdict, entry) + (f" ({_escaped(why)})" if why else ""),
    }
    return f"(metric-{entry.name})=\n### `{entry.name}`\n\n{prose(entry.fn.__doc__ or '')}\n\n{_facts(facts)}"


def _bound(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g}"


def _direction(entry: Metric) -> str:
    return "higher" if entry.higher_is_better else "lower"


def tasks() -> str:
    return "\n\n".join(map(_task, TASKS.values()))


def _task(entry: Task) -> str:
    module = inspect.getmodule(entry.fn)
    sizes = ", ".join(f"{name} {'all' if size is None else size}" for name, size in entry.profiles)
    facts = {
        "Source": citation(entry.cite) if entry.cite else "",
        "Samples by profile": sizes,
        "Settings": settings(entry),
    }
    about = prose((module.__doc__ if module else None) or "")
    return f"(task-{entry.name})=\n## `{entry.name}`\n\n{described(entry)}\n\n{about}\n\n{_facts(facts)}"


def _by_family(registry: Mapping[str, Any], families: list[str]) -> list[Any]:
    return sorted(registry.values(), key=lambda entry: families.index(entry.family))


# --- verdicts, references, API


def verdicts_by_name() -> dict[str, dict[str, Any]]:
    """Metric -> its line of the shipped conformance table."""
    found = read_verdicts(SHIPPED_VERDICTS)
    return {line["metric"]: line for line in found.to_dict("records")}


def _passed(verdict: Mapping[str, Mapping[str, Any]], entry: Metric) -> str:
    return str(verdict.get(entry.name, {}).get("verdict", "")) or "not checked"


def verdicts() -> str:
    """Every judged metric with the share of cases in which it kept each order, and the reasons of those that fail."""
    found = read_verdicts(SHIPPED_VERDICTS)
    families = [family for family in FAMILY_ORDER if family in set(found["family"])]
    parts = []
    for family in families:
        lines = found[found["family"] == family]
        steps = [name for name in STEP_LABELS if name in found and lines[name].notna().any()]
        rows = (
            [f"[`{line['metric']}`](#metric-{line['metric']})", line["verdict"]]
            + ["" if pd.isna(line[name]) else f"{line[name]:.2f}" for name in steps]
            + [_escaped(line["failure_reasons"])]
            for line in lines.to_dict("records")
            if line["metric"] in METRICS
        )
        head = ["metric", "verdict", *(STEP_LABELS[name] for name in steps), "why it fails"]
        parts.append(f"### {family.capitalize()}\n\n" + table(head, rows))
    return "\n\n".join(parts)


def leaderboard(task: str) -> pd.DataFrame:
    """A committed board of the reference run, one row per method."""
    path = ROOT / "results" / "reference" / "leaderboards" / f"{task}.csv"
    return pd.read_csv(path, keep_default_na=True).set_index("method")


def ranks() -> str:
    """Rank with interval of every method of the reference run on every task, in the order of the first task's board."""
    boards = {name: leaderboard(name) for name in sorted(TASKS, key=lambda name: name != FIRST_BOARD)}
    rows = ([_named(name), *(_rank(board, name) for board in boards.values())] for name in boards[FIRST_BOARD].index)
    return table(["method", *(f"`{name}`" for name in boards)], rows)


def family_ranks() -> str:
    """Mean rank within each ranking family, for the two tasks of which both families exist and samples are many."""
    columns = [f"mean_rank_{family}" for family in RANKING_FAMILIES]
    boards = {name: leaderboard(name).dropna(subset=["rank"]) for name in ("mnist1d", "tissue")}
    head = ["method", *(f"`{name}`: {family}" for name in boards for family in RANKING_FAMILIES)]
    rows = (
        [_named(name)]
        + [f"{board.at[name, c]:.1f}" if name in board.index else "" for board in boards.values() for c in columns]
        for name in boards["mnist1d"].index
    )
    return table(head, rows)


def _named(method: str) -> str:
    link = f"[`{method}`](#method-{method})"
    return f"{link} (control)" if METHODS[method].family == CONTROLS else link


def _rank(board: pd.DataFrame, method: str) -> str:
    if method not in board.index:
        return "not run"
    line = board.loc[method]
    if pd.isna(line["rank"]):
        return str(line["status"])
    low, high = line["rank_low"], line["rank_high"]
    # A no-break space and hyphen: intervals stay in one line.
    return f"{line['rank']:g}" + ("" if pd.isna(low) else f"\N{NO-BREAK SPACE}({low:g}\N{NON-BREAKING HYPHEN}{high:g})")


def trust() -> str:
    """Each ranking metric: how its order of the methods agrees with the known truth in the reference run, and its weight."""
    folder = ROOT / "results" / "reference" / "leaderboards"
    cells: dict[str, dict[str, str]] = {}
    names = [name for name in TASKS if (folder / f"{name}_metrics.csv").is_file()]
    for task in names:
        weights = pd.read_csv(folder / f"{task}_metrics.csv").set_index("metric")["rank_weight"]
        found = pd.read_csv(folder / f"{task}_trust.csv")
        taus = found[found["truth_metric"] == "mean rank"].set_index("metric")
        for name, weight in weights.items():
            tau = taus.loc[name] if name in taus.index else None
            agreement = "" if tau is None else f"{tau['tau']:.2f} ({tau['tau_low']:.2f} to {tau['tau_high']:.2f}), "
            cells.setdefault(str(name), {})[task] = agreement + (f"weight {weight:.2g}" if weight > 0 else "none")
    rows = (
        [f"[`{name}`](#metric-{name})", *(cells[name].get(task, "") for task in names)]
        for name, metric in METRICS.items()
        if metric.family == "faithfulness" and name in cells
    )
    return table(["metric", *(f"`{name}`" for name in names)], rows)


def references() -> str:
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    found = bibliography(re.findall(r"@\w+\{([\w-]+),", text))
    return "\n\n".join(
        f"({key})=\n**{key}.** {_escaped(entry['text'])}" + (f" <{entry['link']}>" if entry["link"] else "")
        for key, entry in found.items()
    )


def public_names() -> str:
    """An autodoc directive for each public name."""
    parts = []
    for name in bench.__all__:
        kind = "autoclass" if inspect.isclass(getattr(bench, name)) else "autofunction"
        members = "\n   :members:" if kind == "autoclass" else ""
        parts.append(f"## `{name}`\n\n```{{eval-rst}}\n.. {kind}:: bench.{name}{members}\n```")
    return "\n\n".join(parts)


def columns() -> str:
    """What each column of the result tables holds."""
    rows = ([", ".join(f"`{one}`" for one in names.split(", ")), _escaped(text)] for names, text in MEANINGS.items())
    return table(["column", "meaning"], rows)


def costs() -> str:
    rows = ([f"`{name}`", "more" if most is None else f"at most {most}"] for name, most in COSTS.items())
    return table(["cost", "inputs per sample that a method sends through the model, forwards or backwards"], rows)


def promises() -> str:
    return table(
        ["promise", "what is true of every attribution of the method"], ([f"`{k}`", v] for k, v in PROMISES.items())
    )


PAGES = {
    "methods": methods,
    "metrics": metrics,
    "tasks": tasks,
    "verdicts": verdicts,
    "trust": trust,
    "ranks": ranks,
    "family_ranks": family_ranks,
    "references": references,
    "api": public_names,
    "columns": columns,
    "costs": costs,
    "promises": promises,
}


def write_pages(folder: Path) -> None:
    """Fills the folder with the generated pages."""
    load_all()
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (folder / f"{name}.md").write_text(page() + "\n", encoding="utf-8")


def as_rst(lines: list[str]) -> list[str]:
    """The project's plain docstrings as reStructuredText: code spans doubled, asterisks of shapes escaped."""
    text = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", "\n".join(lines))
    pieces = re.split(r"(``[^`]+``)", text)
    return "".join(p if p.startswith("``") else re.sub(r"([*|]|\w_(?!\w))", r"\\\1", p) for p in pieces).split("\n")


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "generated"))

    def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        if what == "property" and lines:
            lines[0] = lines[0].replace(": ", " – ")  # Napoleon takes what stands before a colon for a type
        lines[:] = as_rst(lines)

    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
