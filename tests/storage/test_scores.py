"""Files of scores: whole or absent, readable later; later rows take the place of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bench.core.entries import Metric
from bench.core.errors import BenchError
from bench.core.files import atomic
from bench.core.hashing import digest, model_digest
from bench.core.records import Record, ScoreKey
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.registry.selection import with_params
from bench.storage import parts
from bench.storage.parts import READ, SCHEMA
from bench.storage.scores import Store

PARTS = (TASKS["mnist1d"], METHODS["saliency"], METRICS["deletion"])
KEY = ScoreKey(*(part.id for part in PARTS), seed=0, fingerprint="weights")


def record(ids: str, values: list[float], status: str = "ok") -> Record:
    n = len(ids)
    return Record(
        key=KEY,
        sample_ids=tuple(ids),
        sample_digests=tuple(f"digest of {name}" for name in ids),
        scores=np.array(values),
        status=(status,) * n,
        note=("" if status == "ok" else "why",) * n,
        features=10,
        seconds=1.0,
        environment="test",
        curves=np.tile([1.0, 0.5, 0.0], (n, 1)),
    )


def test_rows_come_back_as_they_were_written(tmp_path):
    store = Store(tmp_path)
    store.write(record("ba", [2.0, 1.0]), *PARTS)
    store.mark_run(PARTS[0], "weights", [KEY])
    rows = store.read()
    assert rows["sample_id"].tolist() == ["a", "b"]
    assert rows["score"].tolist() == [1.0, 2.0]
    assert rows.loc[0, ["task", "method", "metric", "label"]].tolist() == [
        "mnist1d",
        "saliency",
        "deletion",
        "deletion AUC",
    ]
    assert not rows.loc[0, "higher_is_better"]
    assert rows.loc[0, "curve"].tolist() == [1.0, 0.5, 0.0]
    assert list(rows.columns) == READ
    assert pq.ParquetFile(next(tmp_path.rglob("*.parquet"))).schema_arrow.names == SCHEMA.names


def only_file(folder: Path) -> Path:
    """The only score file of a results folder."""
    (path,) = folder.rglob("*.parquet")
    return path


def only_folder(folder: Path) -> Path:
    """The folder of the only method."""
    (path,) = folder.glob("scores/task=*/method=*")
    return path


def column(folder: Path, name: str) -> list[object]:
    """A column of the only score file."""
    return pq.ParquetFile(only_file(folder)).read([name])[name].to_pylist()


def of_metric(name: str, ids: str, values: list[float]) -> tuple[Record, Metric]:
    """A record of another metric, and the metric."""
    metric = METRICS[name]
    return replace(record(ids, values), key=replace(KEY, metric=metric.id)), metric


def test_the_path_names_task_and_method_and_the_key_the_rest(tmp_path):
    Store(tmp_path).write(record("a", [1.0]), *PARTS)
    path = only_file(tmp_path).relative_to(tmp_path)
    assert path.as_posix() == f"scores/task=mnist1d/method=saliency/{KEY.stem}-00001.parquet"


def test_metrics_share_a_file(tmp_path):
    store = Store(tmp_path)
    drop, sparseness = of_metric("drop", "ab", [3.0, 4.0]), of_metric("sparseness", "b", [5.0])
    store.write_all([(record("ab", [1.0, 2.0]), PARTS[2]), drop, sparseness], *PARTS[:2])
    store.mark_run(PARTS[0], "weights", [KEY, drop[0].key, sparseness[0].key])
    only_file(tmp_path)
    rows = store.read()
    assert rows[["metric", "sample_id", "score"]].values.tolist() == [
        ["deletion", "a", 1.0],
        ["deletion", "b", 2.0],
        ["drop", "a", 3.0],
        ["drop", "b", 4.0],
        ["sparseness", "b", 5.0],
    ]
    assert store.done(*PARTS[:2], KEY) == {
        metric.id: {name: f"digest of {name}" for name in ids}
        for metric, ids in ((PARTS[2], "ab"), (drop[1], "ab"), (sparseness[1], "b"))
    }
    few = store.read_asked(PARTS[0], [PARTS[1]], [sparseness[1], METRICS["insertion"]], seed=0, fingerprint="weights")
    assert few["score"].tolist() == [5.0]


@pytest.mark.parametrize("most", [2, 3, 16])
def test_merged_files_hold_the_rows_that_count(tmp_path, monkeypatch, most):
    """Whatever is merged, and when, what is read and what is to do are the same."""
    monkeypatch.setattr(parts, "MOST", most)
    store = Store(tmp_path)
    store.mark_run(PARTS[0], "weights", [KEY, of_metric("drop", "a", [0.0])[0].key])
    for number, ids in enumerate(["ab", "bc", "ca", "d", "a", "be", "d"]):
        values = [number + place / 10 for place in range(len(ids))]
        status = "failed" if ids == "be" else "ok"
        store.write_all([(record(ids, values, status), PARTS[2]), of_metric("drop", ids, values)], *PARTS[:2])
        assert len(list(tmp_path.rglob("*.parquet"))) == (
            number + 1 if most == 16 else 1 + number % (most - 1) if number else 1
        )
    rows = store.read().query("metric == 'deletion'").set_index("sample_id")
    assert rows["score"].to_dict() == {"a": 4.0, "b": 5.0, "c": 2.0, "d": 6.0, "e": 5.1}
    assert rows["status"].to_dict() == {"a": "ok", "b": "failed", "c": "ok", "d": "ok", "e": "failed"}
    done = store.done(*PARTS[:2], KEY)
    assert sorted(done[PARTS[2].id]) == ["a", "c", "d"]
    assert sorted(done[METRICS["drop"].id]) == ["a", "b", "c", "d", "e"]


def test_a_merge_that_ends_before_old_files_are_removed_changes_nothing(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.mark_run(PARTS[0], "weights", [KEY])
    for ids, values in (("ab", [1.0, 2.0]), ("b", [3.0]), ("c", [4.0])):
        store.write(record(ids, values), *PARTS)
    before, done = store.read(), store.done(*PARTS[:2], KEY)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None if missing_ok else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            parts.merge(only_folder(tmp_path), KEY.stem)
    assert len(list(tmp_path.rglob("*.parquet"))) == 4
    pd.testing.assert_frame_equal(store.read(), before)
    assert store.done(*PARTS[:2], KEY) == done
    store.write(record("a", [9.0]), *PARTS)
    assert store.read()["score"].tolist() == [9.0, 3.0, 4.0]


def test_files_of_versions_with_one_for_each_metric_are_read_as_the_oldest(tmp_path):
    store = Store(tmp_path)
    store.mark_run(PARTS[0], "weights", [KEY])
    store.write(record("ab", [1.0, 2.0]), *PARTS)
    path = only_file(tmp_path)
    path.rename(path.with_name(f"{KEY.hash}.parquet"))
    assert store.read()["score"].tolist() == [1.0, 2.0]
    assert store.done(*PARTS[:2], KEY) == {PARTS[2].id: {"a": "digest of a", "b": "digest of b"}}
    assert store.done(*PARTS[:2], replace(KEY, seed=1)) == {}
    store.write(record("b", [3.0]), *PARTS)
    assert store.read()["score"].tolist() == [1.0, 3.0]


@pytest.mark.parametrize("field", ["task", "method", "metric", "seed", "fingerprint"])
def test_the_key_depends_on_every_field(field):
    changed = replace(KEY, **{field: 1 if field == "seed" else "other"})
    assert changed.hash != KEY.hash
    assert (replace(KEY).hash, replace(KEY).stem) == (KEY.hash, KEY.stem)
    assert (changed.stem == KEY.stem) == (field == "metric")  # metrics share a file


def test_later_rows_replace_earlier_ones_of_the_same_samples(tmp_path):
    store = Store(tmp_path)
    store.write(record("ab", [1.0, 2.0], "failed"), *PARTS)
    store.write(record("bc", [3.0, 4.0]), *PARTS)
    store.mark_run(PARTS[0], "weights", [KEY])
    rows = store.read()
    assert rows["sample_id"].tolist() == ["a", "b", "c"]
    assert rows["status"].tolist() == ["failed", "ok", "ok"]
    assert store.done(*PARTS[:2], KEY) == {PARTS[2].id: {"b": "digest of b", "c": "digest of c"}}


def test_a_file_that_is_no_score_file_is_named(tmp_path):
    Store(tmp_path).write(record("a", [1.0]), *PARTS)
    only_file(tmp_path).write_bytes(b"PAR1 but no more")
    Store(tmp_path).mark_run(PARTS[0], "weights", [KEY])
    with pytest.raises(BenchError, match=rf"{KEY.stem}-00001.parquet: not a score file"):
        Store(tmp_path).read()


def test_what_only_a_sweep_asked_for_is_read_once_a_run_asks_for_it(tmp_path):
    store, task = Store(tmp_path), PARTS[0]
    variant = with_params(PARTS[2], "baseline=blur,steps=10")
    other = replace(KEY, metric=variant.id)
    store.mark_run(task, "weights", [KEY], {"methods": ["slow"]})
    store.write(record("a", [1.0]), *PARTS)
    store.mark_sweep(task, "weights", [KEY, other])
    store.write(replace(record("a", [2.0]), key=other), *PARTS[:2], variant)
    assert store.read()["score"].tolist() == [1.0]
    assert store.left_out("methods") == {"mnist1d": ["slow"]}  # as the run left it
    asked = store.read_asked(task, [PARTS[1]], [PARTS[2], variant], seed=0, fingerprint="weights")
    assert asked.set_index("metric_id")["score"].to_dict() == {PARTS[2].id: 1.0, variant.id: 2.0}
    store.mark_sweep(task, "weights", [KEY, other])  # once more: still nobody else has asked
    store.mark_run(task, "weights", [KEY])
    assert store.read()["score"].tolist() == [1.0]
    store.mark_run(task, "weights", [other])
    assert sorted(store.read()["score"]) == [1.0, 2.0]
    store.mark_sweep(task, "weights", [KEY, other])
    assert sorted(store.read()["score"]) == [1.0, 2.0]


def test_a_sweep_alone_shows_no_scores(tmp_path):
    store = Store(tmp_path)
    store.mark_sweep(PARTS[0], "weights", [KEY])
    store.write(record("a", [1.0]), *PARTS)
    assert store.tasks() == ["mnist1d"]
    assert store.read().empty


def test_asked_scores_are_of_the_method_metric_seed_and_weights_asked_for(tmp_path):
    store = Store(tmp_path)
    store.write(record("ab", [1.0, 2.0]), *PARTS)
    for methods, metrics, seed, weights, rows in (
        ([PARTS[1]], [PARTS[2]], 0, "weights", 2),
        ([PARTS[1]], [PARTS[2]], 1, "weights", 0),
        ([PARTS[1]], [PARTS[2]], 0, "others", 0),
        ([METHODS["random"]], [PARTS[2]], 0, "weights", 0),
        ([PARTS[1]], [METRICS["drop"]], 0, "weights", 0),
    ):
        assert len(store.read_asked(PARTS[0], methods, metrics, seed=seed, fingerprint=weights)) == rows


def test_a_mark_that_is_no_json_is_named(tmp_path):
    Store(tmp_path).mark_run(PARTS[0], "weights", [KEY])
    next(tmp_path.rglob("current.json")).write_text("", encoding="utf-8")
    with pytest.raises(BenchError, match=r"current\.json: not JSON .*; move it away and run again"):
        Store(tmp_path).read()


def test_an_empty_store_reads_as_an_empty_table(tmp_path):
    rows = Store(tmp_path).read()
    assert len(rows) == 0
    assert "score" in rows.columns


def test_atomic_leaves_the_old_file_and_no_part_when_writing_fails(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")

    def fail() -> None:
        with atomic(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]
    assert path.read_text() == "old"
    with atomic(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"


def test_digest_tells_apart_values_types_shapes_and_boundaries():
    zeros = np.zeros(6, dtype=np.float32)
    different = [
        digest("ab", "c"),
        digest("a", "bc"),
        digest(zeros),
        digest(zeros.reshape(2, 3)),
        digest(zeros.astype(np.float64)),
        digest(1),
        digest("1"),
    ]
    assert len(set(different)) == len(different)
    assert digest(zeros[::2]) == digest(zeros[:3])  # memory layout is no content


def test_a_model_is_known_by_its_weights_and_structure():
    from torch import nn

    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = model_digest(model)
    assert model_digest(model) == before
    assert model_digest(nn.Sequential(model[0], nn.Tanh())) != before
    model[0].weight.data[0, 0] += 1
    assert model_digest(model) != before


def test_the_seconds_of_the_rows_are_those_of_the_record(tmp_path):
    store = Store(tmp_path)
    store.write(record("abcd", [1.0, 2.0, 3.0, 4.0]), *PARTS)
    assert column(tmp_path, "seconds") == [0.25] * 4


def test_a_curve_with_a_gap_is_no_curve(tmp_path):
    store, curves = Store(tmp_path), np.array([[1.0, np.nan, 0.0], [1.0, 0.5, 0.0]])
    store.write(replace(record("ab", [np.nan, 1.0]), curves=curves), *PARTS)
    assert column(tmp_path, "curve") == [None, [1.0, 0.5, 0.0]]
