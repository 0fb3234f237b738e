"""What the registries and the bibliography tell of a method, a metric or a task: description, settings, source."""

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


def known(names: Iterable[str], kind: str) -> dict[str, dict[str, Any]]:
    """Name -> what is registered under it, for those that are; settings in brackets belong to the same entry."""
    entries: dict[str, Mapping[str, Entry]] = {
        "method": decorators.METHODS,
        "metric": decorators.METRICS,
        "task": decorators.TASKS,
    }
    found = {name: entries[kind].get(name.split("[")[0]) for name in names}
    return {name: _told(entry) for name, entry in found.items() if entry is not None}


def _told(entry: Entry) -> dict[str, Any]:
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
    """The keys that entries name as their source, or in their text: [key]."""
    found = set()
    for entry in entries:
        found |= {entry["cite"]} | set(re.findall(r"\[([a-z]+\d{4}[a-z0-9]*)\]", f"{entry['about']} {entry['doc']}"))
    return found - {""}


def bibliography(keys: Iterable[str]) -> dict[str, dict[str, str]]:
    """Key -> its BibTeX entry, as text for people, and a link; for the keys that references.bib holds."""
    package = Path(__file__).parents[1]
    path = next((p for p in (package / "references.bib", package.parent / "references.bib") if p.is_file()), None)
    wanted = set(keys)
    lines = path.read_text(encoding="utf-8").splitlines() if path else []
    found = {match[1]: line for line in lines if (match := re.match(r"@\w+\{([\w-]+),", line))}
    return {key: _reference(found[key]) for key in sorted(wanted & set(found))}


def _reference(line: str) -> dict[str, str]:
    fields = _fields(line)
    people = [_person(name) for name in fields.get("author", "").split(" and ")]
    who = ", ".join(people[:3]) + (" et al." if len(people) > 3 else "")
    where = next((fields[name] for name in ("journal", "booktitle", "howpublished") if name in fields), "")
    link = f"https://doi.org/{fields['doi']}" if "doi" in fields else ""
    if "eprint" in fields and not link:
        link = f"https://arxiv.org/abs/{fields['eprint']}"
        where = where or f"arXiv:{fields['eprint']}"
    parts = [f"{who} ({fields.get('year', 'n.d.')})", fields.get("title", ""), where]
    return {"bibtex": line, "text": ". ".join(part for part in parts if part) + ".", "link": link}


def _fields(line: str) -> dict[str, str]:
    """The fields of a BibTeX entry, braces balanced, accents as letters."""
    found = {}
    for match in re.finditer(r"(\w+)=\{", line):
        depth, end = 1, match.end()
        while depth and end < len(line):
            depth += {"{": 1, "}": -1}.get(line[end], 0)
            end += 1
        found[match[1]] = _letters(line[match.end() : end - 1])
    return found


def _letters(text: str) -> str:
    r"""LaTeX's accents (`{\"u}`, `\'{e}`) as letters, without braces."""
    accented = re.sub(
        r"\{?\\([\"'`^~cv])\s*\{?(\w)\}?\}?", lambda m: unicodedata.normalize("NFC", m[2] + ACCENTS[m[1]]), text
    )
    return accented.replace("``", "“").replace("''", "”").replace("\\&", "&").replace("{", "").replace("}", "")


def _person(name: str) -> str:
    """`Last, First` as `First Last`."""
    last, _, first = name.partition(", ")
    return f"{first} {last}".strip()
