"""A script without the guard of multiprocessing is not started again by processes of ours."""

from __future__ import annotations

import os
import subprocess
import sys

from reference import ROOT

from bench.core import processes

# More metrics than are checked in one process, and no verdict of them.
SCRIPT = """
print("started", flush=True)
from pathlib import Path

import bench
from bench.validation import verdicts

verdicts.SHIPPED_VERDICTS = Path("none")
metrics = ["sparseness", "complexity", "effective_complexity", "quantus_sparseness", "quantus_complexity"]
metrics += ["quantus_effective_complexity", "pointing_game", "top_k_intersection"]
result = bench.evaluate(task="mnist1d", methods="random", metrics=metrics, samples=2, batch_size=2, progress=False)
print(len(result.scores))
"""


def test_an_unguarded_script_runs_once(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert ended.stdout.split() == ["started", "16"], ended.stderr[-2000:]


def test_processes_start_from_the_command_line_from_notebooks_and_from_tests(monkeypatch):
    main = type(sys)("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert processes.can_spawn()  # a notebook: no file
    for file, spec, safe in (
        ("/site-packages/bench/__main__.py", "bench.__main__", True),
        ("/usr/bin/attribution-bench", None, True),
        ("/home/me/mine.py", None, False),
        ("/home/me/mine.py", "mine", False),
    ):
        main.__file__ = file
        main.__spec__ = type("Spec", (), {"name": spec})() if spec else None
        assert processes.can_spawn() is safe, file


def test_processors_are_counted():
    assert 1 <= processes.processors() <= (os.cpu_count() or 1)
