"""Do the tests notice when a line is wrong? Applies one small change at a time to a copy of the tree and runs its room's tests.

    python tests/mutants/driver.py [PATTERN ...] [--jobs N] [--limit SECONDS] [--resume]

The files beside this one list the mutants. A line `FILE | TESTS` names a source file and the tests (pytest's arguments) that
should notice; each pair of lines `- before`, `+ after` under it is a mutant, `before` a text that occurs once in the file.
A mutant is killed when a test fails within the limit. The tests are run without any change first, since tests that fail
anyway notice nothing.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WANTED = 0.95  # share of the mutants that are to be killed
# Loaded once, before the tests' processes are forked: these take longer than most of the tests.
LIBRARIES = (
    *("pytest", "hypothesis", "torch", "numpy", "pandas", "pyarrow.parquet", "scipy.stats", "matplotlib.pyplot"),
    *(
        "seaborn",
        "sklearn",
        "skimage.segmentation",
        "captum.attr",
        "zennit.rules",
        "quantus",
        "scikit_posthocs",
        "timm",
    ),
)
COLUMNS = ("key", "verdict", "seconds", "cpu_seconds", "mutant", "seen_by")


class TableError(Exception):
    """A line of the lists that cannot be used, by name."""


@dataclass(frozen=True)
class Mutant:
    """A text of a file that is replaced, and the tests that should notice; the same text: no change."""

    path: str
    before: str
    after: str
    tests: str

    def __str__(self) -> str:
        return f"{self.path}: {self.before}  ->  {self.after or '(nothing)'}" if self.before else f"tests {self.tests}"

    def key(self, root: Path) -> str:
        """Changes with the mutant, with its file, and with its tests."""
        files = [root / self.path, *(root / word.split("::")[0] for word in shlex.split(self.tests))]
        texts = [file.read_bytes() for file in files if file.is_file()]
        return hashlib.sha256(b"\0".join([str(self).encode(), self.tests.encode(), *texts])).hexdigest()[:16]


def read(lists: Iterable[Path]) -> Iterator[Mutant]:
    """The mutants of the lists, in their order."""
    for path in lists:
        source = tests = before = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("- ") and source and before is None:
                before = line[2:]
            elif line.rstrip() == "+" or (line.startswith("+ ") and before):
                if before is None or source is None or tests is None or before == line[2:]:
                    raise TableError(f"{path.name}:{number}: '{line}' changes nothing")
                yield Mutant(source, before, line[2:], tests)
                before = None
            elif " | " in line and before is None:
                source, _, tests = (word.strip() for word in line.partition(" | "))
            elif line.strip() and not line.startswith("#"):
                raise TableError(f"{path.name}:{number}: '{line}' is not 'FILE | TESTS', '- before' or '+ after'")
        if before is not None:
            raise TableError(f"{path.name}: '- {before}' has no '+ after'")


def applied(mutant: Mutant, root: Path) -> str:
    """The mutant's file with the change. Raises TableError where the text is not there once, or breaks the syntax."""
    file = root / mutant.path
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    times = text.count(mutant.before)
    if times != 1:
        raise TableError(f"{mutant.path}: '{mutant.before}' occurs {times} times, not once; change the list of mutants")
    changed = text.replace(mutant.before, mutant.after)
    if file.suffix == ".py":
        try:
            compile(changed, mutant.path, "exec")
        except SyntaxError as error:
            raise TableError(f"{mutant.path}: '{mutant.after}' is no Python there ({error.msg})") from error
    return changed


def copied(root: Path, to: Path) -> Path:
    """A copy of the files that git tracks, or would."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, to / name)
    (to / ".git").mkdir(exist_ok=True)  # so that no test looks for a repository above
    return to


def start(tests: str, tree: Path, log: Path) -> int:
    """Starts the tests in a process of their own, which imports the package from the tree; its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        for number, file in ((0, os.devnull), (1, log), (2, log)):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), number)
        os.chdir(tree)
        sys.path[:] = [str(tree), *(entry for entry in sys.path if Path(entry or ".").resolve() not in (ROOT, HERE))]
        os.environ["PYTHONPATH"] = str(tree)
        sys.argv = ["pytest"]
        import pytest

        usual = ["-x", "--tb=line", "-p", "no:cacheprovider", f"--rootdir={tree}"]
        usual += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of plug-ins among LIBRARIES
        code = int(pytest.main([*usual, *shlex.split(tests)]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def verdict(code: int) -> str:
    """What pytest's exit code says of a mutant."""
    if code == 0:
        return "survived"
    return "killed" if code in (1, 2, 3) or code < 0 else "error"  # 2: a file of tests could not be loaded


@dataclass
class Running:
    """A mutant whose tests run."""

    mutant: Mutant
    tree: Path
    original: bytes
    log: Path
    since: float

    def seen_by(self) -> str:
        """The first test that failed, from pytest's output."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return said[0][:160] if said else " ".join(lines[-1:])[:160]


class Found(NamedTuple):
    """What the tests said of a mutant."""

    mutant: Mutant
    verdict: str
    seconds: float
    cpu: float  # seconds of the processor
    seen_by: str  # the first test that failed


def run(mutants: Sequence[Mutant], trees: Sequence[Path], limit: float) -> Iterator[Found]:
    """Runs each mutant's tests, as many at once as there are trees."""
    waiting, free, running = list(mutants), list(trees), dict[int, Running]()
    while waiting or running:
        while waiting and free:
            mutant, tree = waiting.pop(0), free.pop()
            log = tree.parent / f"{tree.name}.log"
            log.write_text("")
            original = (tree / mutant.path).read_bytes() if mutant.before else b""
            if mutant.before:
                (tree / mutant.path).write_text(applied(mutant, tree), encoding="utf-8")
            running[start(mutant.tests, tree, log)] = Running(mutant, tree, original, log, time.monotonic())
        time.sleep(0.05)
        for child, one in list(running.items()):
            seconds = time.monotonic() - one.since
            ended, status, usage = os.wait4(child, os.WNOHANG)
            if not ended and seconds < limit:
                continue
            if not ended:
                os.killpg(child, signal.SIGKILL)
                _, _, usage = os.wait4(child, 0)
            found = verdict(os.waitstatus_to_exitcode(status)) if ended else "timeout"
            if one.mutant.before:
                (one.tree / one.mutant.path).write_bytes(one.original)
            del running[child]
            free.append(one.tree)
            yield Found(one.mutant, found, seconds, usage.ru_utime + usage.ru_stime, one.seen_by())


def kept(path: Path) -> dict[str, list[str]]:
    """What an earlier call found, by key."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row[0]: row for row in list(csv.reader(file))[1:]}


def report(found: Sequence[tuple[Mutant, str]]) -> int:
    """Prints what was not killed and the score; the exit code."""
    for mutant, what in found:
        if what != "killed":
            print(f"{what.upper()} {mutant}\n    {mutant.tests}")
    killed = sum(what == "killed" for _, what in found)
    print(f"{killed} of {len(found)} mutants killed ({100 * killed / max(1, len(found)):.1f} %)")
    return 0 if found and killed >= WANTED * len(found) else 1


def options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="*", help="only mutants whose file, texts or tests contain one of these")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default 2)")
    parser.add_argument("--limit", type=float, default=60, help="seconds for a mutant's tests (default 60)")
    parser.add_argument("--trust", action="store_true", help="do not run the tests without any change first")
    parser.add_argument("--resume", action="store_true", help="keep what --results says of unchanged mutants and tests")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "build" / "mutants.csv", help="default build/mutants.csv"
    )
    return parser.parse_args(words)


def verdicts_of(mutants: Sequence[Mutant], asked: argparse.Namespace) -> dict[Mutant, str]:
    """Runs what --resume does not spare, and writes the table of results as it goes."""
    before = kept(asked.results) if asked.resume else {}
    selections = [] if asked.trust else dict.fromkeys(mutant.tests for mutant in mutants)
    unchanged = [Mutant("", "", "", tests) for tests in selections]
    keys = {mutant: mutant.key(ROOT) for mutant in [*unchanged, *mutants]}
    found = {mutant: before[key][1] for mutant, key in keys.items() if before.get(key, ["", ""])[1] in GOOD}
    asked.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, asked.results.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerows([COLUMNS, *(before[keys[mutant]] for mutant in found)])
        trees = [copied(ROOT, Path(folder).resolve() / f"tree{i}") for i in range(asked.jobs)]
        for wave in (unchanged, mutants):
            broken = {one.tests for one in unchanged if found.get(one, "survived") != "survived"}
            found |= {one: "untested" for one in wave if one.tests in broken and one.before}
            left = [one for one in wave if one not in found]
            for mutant, what, seconds, cpu, test in run(left, trees, asked.limit):
                found[mutant] = what
                test = "" if what == "survived" else test
                table.writerow([keys[mutant], what, f"{seconds:.1f}", f"{cpu:.1f}", mutant, test])
                file.flush()
                print(f"{what:8} {seconds:5.1f} s, {cpu:5.1f} s of CPU  {mutant}", flush=True)
    for tests in broken:
        print(f"not run, since they fail without any change: {tests}", file=sys.stderr)
    return found


def main(words: Sequence[str] | None = None) -> int:
    asked = options(words)
    try:
        every = list(read(sorted(HERE.glob("*.txt"))))
        mutants = [m for m in every if not asked.pattern or any(p in f"{m} {m.tests}" for p in asked.pattern)]
        for mutant in mutants:
            applied(mutant, ROOT)
    except TableError as error:
        print(error, file=sys.stderr)
        return 2
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    for name in LIBRARIES:
        importlib.import_module(name)
    found = verdicts_of(mutants, asked)
    return report([(mutant, found[mutant]) for mutant in mutants])


GOOD = ("killed", "survived")

if __name__ == "__main__":
    sys.exit(main())
