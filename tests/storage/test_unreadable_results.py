"""Results folders with files of another form, as another version may have written: refused with a sentence, and unchanged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bench
from bench.cli.main import main

RUN = (
    "run --task mnist1d --samples 2 --method random saliency --metric sparseness --device cpu --batch-size 2 --no-plots"
)
SCORES = "scores/task=mnist1d/method=saliency/*.parquet"
MARK = "scores/task=mnist1d/current.json"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A results folder that another version has written."""
    out = tmp_path_factory.mktemp("stored") / "results"
    assert main([*RUN.split(), "--out", str(out)]) == 0
    facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
    (out / "run.json").write_text(json.dumps(facts | {"bench": "0.0.7"}), encoding="utf-8")
    return out


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content, encoding="utf-8") and None


def table(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda path: pq.write_table(change(pq.ParquetFile(path).read()), path)


def with_text_scores(rows: pa.Table) -> pa.Table:
    return rows.set_column(rows.column_names.index("score"), "score", rows["score"].cast(pa.string()))


def without_version(rows: pa.Table) -> pa.Table:
    names = pa.array(["sparseness"] * len(rows))
    return rows.set_column(rows.column_names.index("metric_id"), "metric_id", names)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def commands(out: Path, other: Path) -> dict[str, list[str]]:
    return {
        "report": ["report", "--no-plots", "--out", str(out)],
        "page": ["report", "--page", str(out.parent / "page.html"), "--out", str(out)],
        "before": ["compare", str(out), str(other)],
        "after": ["compare", str(other), str(out)],
        "run": [*RUN.split(), "--out", str(out)],
        "sweep": ["sweep", "mnist1d", "--method", "random", "--samples", "2", "--device", "cpu", "--out", str(out)],
    }


ALL = ("report", "page", "before", "after", "run", "sweep")
ONE_METHOD = "run --task mnist1d --method saliency"


@pytest.mark.parametrize(
    ("pattern", "spoil", "flaw", "again", "refused"),
    [
        (SCORES, text(""), "it is not a whole parquet file", ONE_METHOD, ALL),
        (SCORES, table(lambda rows: rows.drop_columns("seed")), "it has no column seed", ONE_METHOD, ALL),
        (
            SCORES,
            table(lambda rows: rows.append_column("x", rows["seed"])),
            "its column x is not known",
            ONE_METHOD,
            ALL,
        ),
        (SCORES, table(with_text_scores), "its column score is string, not double", ONE_METHOD, ALL),
        (SCORES, table(without_version), "its metric_id 'sparseness' has no version", ONE_METHOD, ALL),
        (MARK, text(""), "it is not JSON", "run --task mnist1d", ALL),
        (MARK, text("[]"), "it has no task_id", "run --task mnist1d", ALL),
        (MARK, text('{"task_id": "mnist1d@1"}'), "it has no fingerprint", "run --task mnist1d", ALL),
        ("maps/task=mnist1d/inputs.npz", text("maps"), "it is not a whole .npz file", "run --task mnist1d", ALL),
        ("exactness.csv", text(""), "it is not a CSV table", "check --task TASK", ALL),
        ("exactness.csv", text("task\nx\n"), "it has no column fingerprint", "check --task TASK", ALL),
        ("conformance.csv", text(""), "it is not a CSV table", "check metrics", ("report", "page", "run")),
        (
            "conformance.csv",
            text("metric,rho\nx,1\n"),
            "it has no column metric_id",
            "check metrics",
            ("report", "run"),
        ),
    ],
)
def test_a_file_of_another_form_is_named_and_nothing_changes(
    stored, tmp_path, capsys, pattern, spoil, flaw, again, refused
):
    out = tmp_path / "results"
    shutil.copytree(stored, out)
    (path,) = out.glob(pattern) if "*" in pattern else [out / pattern]
    spoil(path)
    before = contents(out)
    for name in refused:
        assert main(commands(out, stored)[name]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            f"bench: {path} cannot be read: {flaw} (bench 0.0.7 wrote the folder, this is bench {bench.__version__}); "
            f"move it away, and `python -m bench {again} --out {out}` makes it again"
        )
        assert contents(out) == before
        assert not (tmp_path / "page.html").exists()


def test_facts_that_cannot_be_read_are_refused_without_a_version(stored, tmp_path, capsys):
    out = tmp_path / "results"
    shutil.copytree(stored, out)
    (out / "run.json").write_text("", encoding="utf-8")
    before = contents(out)
    for command in commands(out, stored).values():
        assert main(command) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            f"bench: {out}/run.json cannot be read: it does not hold the facts of a run as JSON; "
            f"move it away, and `python -m bench run --all --out {out}` makes it again"
        )
        assert contents(out) == before


def test_the_command_that_the_message_names_makes_the_file_again(stored, tmp_path):
    out = tmp_path / "results"
    shutil.copytree(stored, out)
    (path,) = out.glob(SCORES)
    path.rename(tmp_path / "away.parquet")
    assert main([*ONE_METHOD.split(), "--metric", "sparseness", "--samples", "2", "--no-plots", "--out", str(out)]) == 0
    made, kept = (pq.ParquetFile(one).read(["sample_id", "score"]) for one in (path, tmp_path / "away.parquet"))
    assert made == kept
