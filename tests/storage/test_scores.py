"""Files of scores: whole or absent, readable later, and replaced row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.core.errors import BenchError
from bench.core.files import atomic
from bench.core.hashing import digest, model_digest
from bench.core.records import Record, ScoreKey
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.registry.selection import with_params
from bench.storage.scores import READ, SCHEMA, Store

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


def test_the_path_names_task_and_method_and_the_key_the_rest(tmp_path):
    path = Store(tmp_path).path(KEY, *PARTS[:2])
    assert path.relative_to(tmp_path).as_posix() == f"scores/task=mnist1d/method=saliency/{KEY.hash}.parquet"


@pytest.mark.parametrize("field", ["task", "method", "metric", "seed", "fingerprint"])
def test_the_key_depends_on_every_field(field):
    assert replace(KEY, **{field: 1 if field == "seed" else "other"}).hash != KEY.hash
    assert replace(KEY).hash == KEY.hash


def test_later_rows_replace_earlier_ones_of_the_same_samples(tmp_path):
    store = Store(tmp_path)
    store.write(record("ab", [1.0, 2.0], "failed"), *PARTS)
    store.write(record("bc", [3.0, 4.0]), *PARTS)
    store.mark_run(PARTS[0], "weights", [KEY])
    rows = store.read()
    assert rows["sample_id"].tolist() == ["a", "b", "c"]
    assert rows["status"].tolist() == ["failed", "ok", "ok"]
    assert store.done(store.path(KEY, *PARTS[:2])) == {"b": "digest of b", "c": "digest of c"}


def test_a_file_that_is_no_score_file_is_named(tmp_path):
    path = Store(tmp_path).path(KEY, *PARTS[:2])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 but no more")
    Store(tmp_path).mark_run(PARTS[0], "weights", [KEY])
    with pytest.raises(BenchError, match=rf"{KEY.hash}.parquet: not a score file"):
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
    stored = pq.ParquetFile(store.path(KEY, *PARTS[:2])).read(["seconds"])["seconds"].to_pylist()
    assert stored == [0.25] * 4


def test_a_curve_with_a_gap_is_no_curve(tmp_path):
    store, curves = Store(tmp_path), np.array([[1.0, np.nan, 0.0], [1.0, 0.5, 0.0]])
    store.write(replace(record("ab", [np.nan, 1.0]), curves=curves), *PARTS)
    stored = pq.ParquetFile(store.path(KEY, *PARTS[:2])).read(["curve"])["curve"].to_pylist()
    assert stored == [None, [1.0, 0.5, 0.0]]
