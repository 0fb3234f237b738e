"""Descriptions, settings and references of methods, metrics and tasks, from the registries and the bibliography."""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.core.entries import Entry
from bench.page.data import plain
from bench.registry import decorators

ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "c": "\u0327", "v": "\u030c"}


def descriptions(names: Iterable[str], kind: str) -> dict[str, dict[str, Any]]:
    """Name -> description, for the names that are registered; a name with settings in brackets has those of its entry."""
    entries: dict[str, Mapping[str, Entry]] = {
        "method": decorators.METHODS,
        "metric": decorators.METRICS,
        "task": decorators.TASKS,
    }
    registered = {name: entries[kind].get(name.split("[")[0]) for name in names}
    return {name: _description(entry) for name, entry in registered.items() if entry is not None}


def _description(entry: Entry) -> dict[str, Any]:
    module = inspect.getmodule(entry.fn)
    return plain(
        {
            "summary": entry.summary,
            "doc": inspect.cleandoc(entry.fn.__doc__ or ""),
            "about": inspect.cleandoc((module.__doc__ if module else "") or ""),
            "cite": entry.cite,
            "family": entry.family,
            "cost": entry.cost,
            "version": entry.version,
            "params": [[name, repr(value)] for name, value in entry.params],
            "needs": sorted(entry.needs),
            "promises": sorted(entry.promises),
        }
    )


def cited(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """The keys of the references of entries: their sources, and those in their text, [key]."""
    keys = set()
    for entry in entries:
        keys |= {entry["cite"]} | set(re.findall(r"\[([a-z]+\d{4}[a-z0-9]*)\]", f"{entry['about']} {entry['doc']}"))
    return keys - {""}


def bibliography(keys: Iterable[str]) -> dict[str, dict[str, str]]:
    """Key -> BibTeX entry, formatted text and link, for the keys in references.bib."""
    package = Path(__file__).parents[1]
    path = next((p for p in (package / "references.bib", package.parent / "references.bib") if p.is_file()), None)
    wanted = set(keys)
    lines = path.read_text(encoding="utf-8").splitlines() if path else []
    by_key = {match[1]: line for line in lines if (match := re.match(r"@\w+\{([\w-]+),", line))}
    return {key: _reference(by_key[key]) for key in sorted(wanted & set(by_key))}


def _reference(line: str) -> dict[str, str]:
    fields = _fields(line)
    authors = [_first_last(name) for name in fields.get("author", "").split(" and ")]
    byline = ", ".join(authors[:3]) + (" et al." if len(authors) > 3 else "")
    venue = next((fields[name] for name in ("journal", "booktitle", "howpublished") if name in fields), "")
    link = f"https://doi.org/{fields['doi']}" if "doi" in fields else ""
    if "eprint" in fields and not link:
        link = f"https://arxiv.org/abs/{fields['eprint']}"
        venue = venue or f"arXiv:{fields['eprint']}"
    parts = [f"{byline} ({fields.get('year', 'n.d.')})", fields.get("title", ""), venue]
    return {"bibtex": line, "text": ". ".join(part for part in parts if part) + ".", "link": link}


def _fields(line: str) -> dict[str, str]:
    """The fields of a BibTeX entry, without braces, accents as letters."""
    fields = {}
    for match in re.finditer(r"(\w+)=\{", line):
        depth, end = 1, match.end()
        while depth and end < len(line):
            depth += {"{": 1, "}": -1}.get(line[end], 0)
            end += 1
        fields[match[1]] = _unicode(line[match.end() : end - 1])
    return fields


def _unicode(text: str) -> str:
    r"""LaTeX's accents (`{\"u}`, `\'{e}`) as letters, without braces."""
    accented = re.sub(
        r"\{?\\([\"'`^~cv])\s*\{?(\w)\}?\}?", lambda m: unicodedata.normalize("NFC", m[2] + ACCENTS[m[1]]), text
    )
    return accented.replace("``", "“").replace("''", "”").replace("\\&", "&").replace("{", "").replace("}", "")


def _first_last(name: str) -> str:
    """`Last, First` as `First Last`."""
    last, _, first = name.partition(", ")
    return f"{first} {last}".strip()
