"""The copy of the registries in the cache: the same answers as without it, no PyTorch, and never an old answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import registries_put_back

import bench
from bench.cli.main import main
from bench.core.errors import RequestError
from bench.engine import catalogue, loading
from bench.registry.decorators import METHODS, METRICS, TASKS

LIBRARIES = ("torch", "pandas", "scipy", "matplotlib", "captum", "zennit", "pyarrow", "quantus")
RUN = f"""
import sys
from bench.cli.main import main
code = main(sys.argv[1:])
print("LIBRARIES", *(name for name in {LIBRARIES} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""
PLUGIN = '''from bench.registry import method
{imports}

@method(cite="", family="test")
def {name}(problem, *, width={width}):
    """{doc}."""
    raise NotImplementedError
'''


class Answer(NamedTuple):
    code: int
    out: str
    said: str
    libraries: list[str]


def start(words: list[str], cache: Path) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    paths = [str(Path(bench.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        env=os.environ | {"BENCH_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> Answer:
    out, said = process.communicate(timeout=120)
    said, _, libraries = said.rpartition("LIBRARIES")
    return Answer(process.returncode, out, said, libraries.split())


def ask(words: str, cache: Path) -> Answer:
    return answer(start(words.split(), cache))


# --- the command line, each request in a process of its own


@pytest.fixture(scope="module")
def cold(tmp_path_factory) -> tuple[Path, list[Answer]]:
    """A cache, and the answers of two processes that found it empty at the same time."""
    cache = tmp_path_factory.mktemp("cold")
    both = [start(["list", "--json"], cache) for _ in range(2)]
    return cache, [answer(process) for process in both]


def test_two_processes_that_fill_the_cache_at_once_answer_alike_and_leave_one_copy(cold):
    cache, (first, second) = cold
    assert first == second
    assert "torch" in first.libraries
    assert [path.suffix for path in (cache / "catalogue").iterdir()] == [".json"]


def test_with_the_copy_a_list_is_the_same_to_the_byte_and_loads_no_library(cold, capsys):
    cache, (without, _) = cold
    assert ask("list --json", cache) == without._replace(libraries=[])
    for words in ("list", "list tasks", "list methods", "list metrics"):
        capsys.readouterr()
        assert main(words.split()) == 0
        assert ask(words, cache) == Answer(0, capsys.readouterr().out, "", [])


@pytest.mark.parametrize(
    "words",
    [
        "run --task mnsit1d",
        "run --task mnist1d[x=1]",
        "run --method grad_kam",
        "run --all --method smoothgrad[samples=many]",
        "run --metric dorp",
        "run --metric drop[baseline=blurr]",
        "run --task mnist1d --method lrp* zz*",
        "explain mnist1d --method grad_cam,grad_kam",
        "explain planted*",
        "sweep mnsit1d",
        "check metrics --metric nosuch",
        "train mnist2d",
        "evaluate mnist2d",
        "fetch hmd",
    ],
)
def test_with_the_copy_a_wrong_request_is_refused_in_the_same_words_and_loads_no_library(cold, capsys, words):
    assert main(words.split()) == 2
    assert ask(words, cold[0]) == Answer(2, "", capsys.readouterr().err, [])


def test_python_lists_names_without_a_library(cold):
    program = f"import bench, sys; print(*bench.list_methods('lrp*')); sys.exit(any(one in sys.modules for one in {LIBRARIES}))"
    paths = os.pathsep.join([str(Path(bench.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"BENCH_CACHE": str(cold[0]), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.returncode) == (bench.list_methods("lrp*"), 0)


def test_a_cache_that_cannot_be_written_changes_no_answer(cold, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder", encoding="utf-8")
    assert ask("list --json", in_the_way / "cache") == cold[1][0]
    assert in_the_way.read_text(encoding="utf-8") == "no folder"


def test_a_plugin_that_chooses_what_it_registers_is_asked_before_its_name_is_refused(cold, tmp_path):
    """What a plug-in reads besides Python files is not watched, so a refusal never rests on the copy alone."""
    chooser = tmp_path / "chooser.py"
    chooser.write_text(
        "from pathlib import Path\nfrom bench.registry import method\n\n"
        "def one(problem):\n    '''One.'''\n\n"
        "one.__name__ = Path(__file__).with_suffix('.txt').read_text()\nmethod(cite='', family='test')(one)\n",
        encoding="utf-8",
    )
    chooser.with_suffix(".txt").write_text("before", encoding="utf-8")
    first = ask(f"list methods --plugins {chooser}", cold[0])
    assert "  before " in first.out
    assert ask(f"list methods --plugins {chooser}", cold[0]) == first._replace(libraries=[])
    chooser.with_suffix(".txt").write_text("after", encoding="utf-8")
    nowhere = f"--data {tmp_path / 'nowhere'} --plugins {chooser}"  # refused too, but after the names
    assert "data folder" in ask(f"run --task mnist1d --method after {nowhere}", cold[0]).said


# --- when the copy is asked, with a small project in this process


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one method in empty registries, and how often it was loaded."""
    folders = {kind: tmp_path / kind for kind in ("methods", "tasks")}
    for folder in folders.values():
        folder.mkdir()
    (folders["methods"] / "first.py").write_text(
        PLUGIN.format(imports="", name="first", width=3, doc="Does it"), encoding="utf-8"
    )
    (tmp_path / "bench" / "engine").mkdir(parents=True)
    (tmp_path / "bench" / "__init__.py").write_text('__version__ = "1"\n', encoding="utf-8")
    monkeypatch.setattr(catalogue, "__file__", str(tmp_path / "bench" / "engine" / "catalogue.py"))
    monkeypatch.setattr(catalogue, "home", folders.get)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # a user's Python keeps compiled copies
    with registries_put_back("bench.tried"):
        yield Project(tmp_path, folders["methods"], monkeypatch)


class Project:
    def __init__(self, folder: Path, methods: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.methods, self.loads, self.before = folder, methods, 0, time.time() - 60
        patch.setattr(catalogue, "load_all", self.load)

    def load(self, plugins: tuple[Path, ...]) -> None:
        self.loads += 1
        for path in (self.methods, *plugins):
            loading.discover(path, "bench.tried")

    def known(self, *plugins: Path) -> tuple[dict[str, str], bool]:
        """Name and summary of the methods as a new process sees them, and whether it had to load them."""
        for registry in (METHODS, METRICS, TASKS):
            registry.clear()
        for name in [name for name in sys.modules if name.startswith("bench.tried.")]:
            del sys.modules[name]
        before = self.loads
        found = catalogue.registered(plugins)
        return {entry.id: entry.summary for entry in found.methods.values()}, self.loads > before

    def write(self, path: Path, name: str, *, width: object = 3, doc: str = "Does it", imports: str = "") -> Path:
        """A plug-in that was written a minute before the test began: its time stays the same when it is written again."""
        path.write_text(PLUGIN.format(name=name, width=width, doc=doc, imports=imports), encoding="utf-8")
        os.utime(path, (self.before,) * 2)
        return path

    @property
    def copy(self) -> Path:
        (path,) = (self.folder / "cache" / "catalogue").iterdir()
        return path


FIRST = {"first@1[width=3]": "Does it"}


def test_the_copy_is_used_while_nothing_changes(project):
    assert [project.known() for _ in range(3)] == [(FIRST, True), (FIRST, False), (FIRST, False)]


def test_a_changed_file_is_loaded_again_even_if_size_and_time_are_the_same(project):
    project.known()
    path = project.methods / "first.py"
    state = path.stat()
    project.write(path, "first", doc="Made it")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert project.known() == ({"first@1[width=3]": "Made it"}, True)


def test_another_version_of_the_harness_is_noticed(project):
    project.known()
    (project.folder / "bench" / "__init__.py").write_text('__version__ = "2"\n', encoding="utf-8")
    assert [project.known(), project.known()] == [(FIRST, True), (FIRST, False)]


def test_files_that_come_and_go_are_noticed(project):
    project.known()
    second = project.write(project.methods / "second.py", "second")
    both = FIRST | {"second@1[width=3]": "Does it"}
    assert [project.known(), project.known()] == [(both, True), (both, False)]
    second.unlink()
    assert [project.known(), project.known()] == [(FIRST, True), (FIRST, False)]


def test_plugins_have_a_copy_of_their_own_and_are_watched(project):
    mine = project.write(project.folder / "mine.py", "mine")
    both = FIRST | {"mine@1[width=3]": "Does it"}
    assert [project.known(mine), project.known(mine)] == [(both, True), (both, False)]
    assert [project.known(), project.known()] == [(FIRST, True), (FIRST, False)]
    project.write(mine, "mine", width=4)
    both = FIRST | {"mine@1[width=4]": "Does it"}
    assert [project.known(mine), project.known(mine)] == [(both, True), (both, False)]
    mine.unlink()
    with pytest.raises(RequestError, match="does not exist"):
        project.known(mine)


def test_a_module_that_a_plugin_imports_is_watched(project, monkeypatch):
    monkeypatch.syspath_prepend(str(project.folder))
    monkeypatch.delitem(sys.modules, "helper_of_mine", raising=False)
    helper = project.folder / "helper_of_mine.py"
    helper.write_text("WIDTH = 5\n", encoding="utf-8")
    os.utime(helper, (time.time() - 60,) * 2)
    mine = project.write(
        project.folder / "mine.py", "mine", width="WIDTH", imports="from helper_of_mine import WIDTH\n"
    )
    five = FIRST | {"mine@1[width=5]": "Does it"}
    assert [project.known(mine), project.known(mine)] == [(five, True), (five, False)]
    helper.write_text("WIDTH = 66\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "helper_of_mine")
    assert project.known(mine) == (FIRST | {"mine@1[width=66]": "Does it"}, True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"first", b"other"),
        lambda content: content.partition(b"\n")[2],
        lambda content: b"\xff\xfe" + content,
        lambda content: catalogue._hash(b"[]").encode() + b"\n[]",
        lambda content: catalogue._hash(b"{").encode() + b"\n{",
    ],
)
def test_a_damaged_copy_is_not_believed_and_is_written_again(project, damage):
    project.known()
    content = project.copy.read_bytes()
    project.copy.write_bytes(damage(content))
    assert project.known() == (FIRST, True)
    assert project.copy.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "value"),
    [("sys.version", "3.99"), ("BENCH_SOMETHING", "1"), ("entry points", None)],
)
def test_another_python_another_setting_or_another_package_is_another_copy(project, monkeypatch, name, value):
    project.known()
    if name == "sys.version":
        monkeypatch.setattr(sys, "version", value)
    elif name == "entry points":
        point = type("Point", (), {"group": "bench.methods", "name": "x", "value": "x:y", "dist": None})
        monkeypatch.setattr(catalogue, "entry_points", lambda group: [point] if group == "bench.methods" else [])
    else:
        monkeypatch.setenv(name, value)
    assert project.known() == (FIRST, True)
    assert project.known() == (FIRST, False)


def test_an_installation_is_noticed(project, monkeypatch):
    packages = project.folder / "site-packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(str(packages))
    assert [project.known()[1], project.known()[1]] == [True, False]
    (packages / "another.dist-info").mkdir()
    os.utime(packages, (time.time() + 1,) * 2)
    assert [project.known()[1], project.known()[1]] == [True, False]


def test_a_file_that_is_edited_while_it_is_loaded_leaves_no_copy(project, monkeypatch):
    def load_and_edit(plugins):
        project.load(plugins)
        project.write(project.methods / "first.py", "first", doc="Does it better")

    monkeypatch.setattr(catalogue, "load_all", load_and_edit)
    project.known()
    assert not (project.folder / "cache" / "catalogue").exists()


def test_settings_that_json_does_not_hold_leave_no_copy(project):
    project.write(project.methods / "second.py", "second", width="[1, 2]")
    for _ in range(2):
        assert project.known() == (FIRST | {"second@1[width=[1, 2]]": "Does it"}, True)


def test_what_the_user_registered_in_this_process_is_known(project):
    project.known()
    METHODS.clear()
    sys.modules.pop("bench.tried.first", None)
    loading.discover(project.write(project.folder / "typed.py", "typed"), "bench.tried")
    assert list(catalogue.registered().methods) == ["typed", "first"]


def test_a_copy_has_every_field_and_its_functions_cannot_be_called():
    for kind, registry in (("tasks", TASKS), ("methods", METHODS), ("metrics", METRICS)):
        told = json.loads(json.dumps([catalogue._told(entry) for entry in registry.values()]))
        kinds = {"tasks": catalogue.Task, "methods": catalogue.Entry, "metrics": catalogue.Metric}
        copies = catalogue._entries(kinds[kind], told)
        assert list(copies) == list(registry)
        for name, entry in registry.items():
            for field in vars(entry).keys() - set(catalogue.FUNCTIONS):
                assert repr(getattr(copies[name], field)) == repr(getattr(entry, field)) or (
                    isinstance(getattr(entry, field), frozenset)
                    and getattr(copies[name], field) == getattr(entry, field)
                )
            assert copies[name].summary == entry.summary
        with pytest.raises(RuntimeError, match="no function"):
            copies[next(iter(copies))].fn(1)


def test_old_copies_are_removed(project, monkeypatch):
    monkeypatch.setattr(catalogue, "KEPT", 2)
    for number in range(4):
        project.known(project.write(project.folder / f"mine_{number}.py", f"mine_{number}"))
    assert len(list((project.folder / "cache" / "catalogue").iterdir())) == 2
    assert not project.known(project.folder / "mine_3.py")[1]
