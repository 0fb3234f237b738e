"""The driver of the mutation tests, on a room of its own: one test that notices a change, and one that does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import driver
import pytest

LIST = """# a comment
src.py | test_src.py
- a + b
+ a - b
- a * b
+ a * b * 1
- , None
+
"""


def mutants(tmp_path: Path, text: str) -> list[driver.Mutant]:
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    return list(driver.read([path]))


def test_a_list_is_pairs_of_lines_under_a_file_and_its_tests(tmp_path):
    assert [(m.path, m.before, m.after, m.tests) for m in mutants(tmp_path, LIST)] == [
        ("src.py", "a + b", "a - b", "test_src.py"),
        ("src.py", "a * b", "a * b * 1", "test_src.py"),
        ("src.py", ", None", "", "test_src.py"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.py | t.py\n- x\n+ x\n", "list.txt:3: '+ x' changes nothing"),
        ("a.py | t.py\n- x\n", "list.txt: '- x' has no '+ after'"),
        ("- x\n+ y\n", "list.txt:1: '- x' is not 'FILE | TESTS'"),
        ("a.py | t.py\nx -> y\n", "list.txt:2: 'x -> y' is not 'FILE | TESTS'"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path, text, message):
    with pytest.raises(driver.TableError) as error:
        mutants(tmp_path, text)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("source", "before", "after", "message"),
    [
        ("x = 1\n", "y = 1", "y = 2", "src.py: 'y = 1' occurs 0 times, not once; change the list of mutants"),
        ("x = 1\nx = 1\n", "x = 1", "x = 2", "src.py: 'x = 1' occurs 2 times, not once"),
        ("x = 1\n", "= 1", "=", "src.py: '=' is no Python there (invalid syntax)"),
    ],
)
def test_a_text_that_cannot_be_changed_is_named(tmp_path, source, before, after, message):
    (tmp_path / "src.py").write_text(source, encoding="utf-8")
    with pytest.raises(driver.TableError) as error:
        driver.applied(driver.Mutant("src.py", before, after, "test_src.py"), tmp_path)
    assert str(error.value).startswith(message)


def test_mutants_are_killed_survive_or_take_too_long_and_the_tree_stays_as_it_was(tmp_path):
    """In a program of its own, since the driver forks."""
    tree = tmp_path / "tree"
    (tree / "tests" / "mutants").mkdir(parents=True)
    (tree / "tests" / "mutants" / "driver.py").write_text(Path(driver.__file__).read_text(encoding="utf-8"))
    (tree / "src.py").write_text("def f(a, b):\n    while b < 0:\n        b += 1\n    return a + b, a * b\n")
    test = "from src import f\n\n\ndef test_f():\n    assert f(2, -1)[0] == 2\n    assert f(2, 3)[0] == 5\n"
    (tree / "test_src.py").write_text(test)
    listed = [
        "src.py | test_src.py",
        "- a + b",
        "+ a - b",
        "- a * b",
        "+ b * a",
        "- b += 1",
        "+ __import__('time').sleep(99)",
    ]
    (tree / "tests" / "mutants" / "list.txt").write_text("\n".join(listed) + "\n")
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    before = {path: path.read_bytes() for path in tree.rglob("*.*") if ".git" not in path.parts}

    def said(*words: str) -> str:
        command = [
            sys.executable,
            "-c",
            f"import driver, sys; driver.LIBRARIES = (); sys.exit(driver.main({list(words)}))",
        ]
        done = subprocess.run(command, cwd=tree / "tests" / "mutants", capture_output=True, text=True, timeout=120)
        assert done.returncode == 1, done.stderr
        return done.stdout

    first = said("--limit", "10")
    assert "SURVIVED src.py: a * b  ->  b * a" in first
    assert "TIMEOUT src.py: b += 1  ->  __import__('time').sleep(99)" in first
    assert first.endswith("1 of 3 mutants killed (33.3 %)\n")
    again = said("--resume", "a * b")
    assert again.startswith("SURVIVED src.py: a * b  ->  b * a")  # kept from the first call
    assert again.endswith("0 of 1 mutants killed (0.0 %)\n")
    assert {path: path.read_bytes() for path in before} == before
