"""Every command and every code block of the documentation runs.

A fenced block is Python or shell; one of TOML is a file. A comment before it changes what happens to it:
`<!-- not run: reason -->` (its commands are parsed only) or `<!-- file: name.py -->` (it is saved under that name).
Blocks of a page run in order and share their variables; all pages share one folder, so that scores are computed once.
"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import bench
from bench.cli import main
from bench.cli.parser import parser

ROOT = Path(bench.__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, ROOT / "results" / "README.md", ROOT / "results" / "reference" / "README.md"]
BLOCK = re.compile(r"(?:<!-- (not run|file): ([^\n]+?) -->\n)?^(`{3,})(.*)\n((?:.*\n)*?)\3$", re.MULTILINE)
COMMAND = "python -m bench "


class Block(NamedTuple):
    language: str
    text: str
    mark: str  # "not run", "file" or nothing
    argument: str  # the reason, or the name of the file


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, mark, argument) for mark, argument, _, language, text in found]


def commands(text: str) -> list[list[str]]:
    """The arguments of every bench command in a shell block."""
    return [shlex.split(line.split(COMMAND)[1], comments=True) for line in lines(text) if COMMAND in line]


def lines(text: str) -> list[str]:
    """The lines of a shell block; a backslash at the end of one joins the next to it."""
    return text.replace("\\\n", " ").splitlines()


def is_run(block: Block) -> bool:
    return block.language in {"python", "bash"} and block.mark != "not run"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, registries_as_before) -> Iterator[Path]:
    """The working folder that all pages share; small networks are faster on one thread."""
    where, threads = tmp_path_factory.mktemp("docs"), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        yield where
    torch.set_num_threads(threads)


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_run, blocks(page)))], ids=lambda page: page.name)
def test_every_block_of_a_page_runs(page, folder, capsys):
    variables: dict[str, object] = {"__name__": "__main__"}
    for block in filter(is_run, blocks(page)):
        if block.mark == "file":
            (folder / block.argument).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.argument).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, page.name, "exec"), variables)
        else:
            for arguments in commands(block.text):
                assert main.main(arguments) == 0, f"{arguments}: {capsys.readouterr().err}"


def test_the_example_ranks_two_methods_above_random(folder):
    means = runpy.run_path(str(ROOT / "examples" / "maps_of_another_library.py"))["main"]()
    assert list(means.columns) == ["drop", "deletion", "insertion"]
    for name in ("captum occlusion", "integrated_gradients"):
        assert means.at[name, "deletion"] < means.at["random", "deletion"]
        assert means.at[name, "insertion"] > means.at["random", "insertion"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_block_is_run_or_says_why_not(page):
    """Shell blocks that are run hold bench commands alone; a block that is not run gives a reason."""
    for block in blocks(page):
        assert block.language in {"python", "bash", "text", "toml"} or block.language.startswith("{"), block
        if block.mark == "not run":
            assert len(block.argument.split()) >= 3
        elif block.language == "bash":
            assert all(line.startswith(COMMAND) for line in lines(block.text)), block.text


def test_no_code_is_hidden_from_these_tests_by_indentation():
    """A block that is indented instead of fenced would be shown as code and not run."""
    for page in TEXTS:
        text = BLOCK.sub("", page.read_text(encoding="utf-8"))
        assert not re.search(
            r"\n\n {4,}\S", re.sub(r"^(?:[-*]|\d+\.) .*(?:\n {2,}.*)*", "", text, flags=re.MULTILINE)
        ), page


def bench_commands() -> list[tuple[str, str]]:
    """Page and arguments of all commands, in blocks that are run or not, and in code spans."""
    found = []
    for page in TEXTS:
        text = page.read_text(encoding="utf-8")
        shell = [line for block in blocks(page) if block.language == "bash" for line in lines(block.text)]
        spans = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
        found += [(page.name, line.split(COMMAND)[1]) for line in [*shell, *spans] if COMMAND in line]
    return found


@pytest.mark.parametrize(("page", "arguments"), bench_commands())
def test_every_command_is_one_that_the_parser_knows(page, arguments, capsys):
    try:
        parsed = parser().parse_args(shlex.split(arguments, comments=True))
    except SystemExit:
        pytest.fail(f"{page}: {capsys.readouterr().err}")
    assert parsed.command


def test_the_readme_is_short_and_its_own_model_takes_ten_lines():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    (code,) = [block.text for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert len([line for line in code.splitlines() if line]) <= 10
