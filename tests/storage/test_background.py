"""Scores that are written while the next are computed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from bench.core.entries import Entry, Metric, Task
from bench.core.records import Record, ScoreKey
from bench.storage import background
from bench.storage.background import BackgroundWriter
from bench.storage.scores import Store

TASK = Task("toy", print, "", "", 1, (), ())
METHOD = Entry("grad", print, "gradient", "", 1, (), ())


def metric(number: int) -> Metric:
    return Metric(f"metric_{number}", print, "faithfulness", "", 1, (), ())


def record(number: int) -> Record:
    return Record(
        key=ScoreKey(TASK.id, METHOD.id, metric(number).id, 0, "weights"),
        sample_ids=("a", "b"),
        sample_digests=("1", "2"),
        scores=np.array([float(number), 0.5]),
        features=4,
        status=("ok", "ok"),
        note=("", ""),
        seconds=0.1,
        environment="here",
        curves=None,
    )


def hand_over(store: Store, number: int, then: BaseException | None = None) -> None:
    with BackgroundWriter(store) as writer:
        for one in range(number):
            writer.write(record(one), TASK, METHOD, metric(one))
        if then is not None:
            raise then


def written(store: Store) -> set[int]:
    """Which of the metrics have scores."""
    store.mark_run(TASK, "weights", [record(number).key for number in range(100)])
    return {int(name.removeprefix("metric_")) for name in store.read()["metric"]}


def test_all_is_written_at_the_end_of_the_block(tmp_path, monkeypatch):
    store = Store(tmp_path)
    hand_over(store, 20)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1  # all of a method
    assert written(store) == set(range(20))


def test_no_record_waits_long_for_the_next(tmp_path, monkeypatch):
    """What is held is on disk soon, also while the next record takes its time."""
    monkeypatch.setattr(background, "HELD", 0.2)
    with BackgroundWriter(Store(tmp_path)) as writer:
        for number in range(3):
            writer.write(record(number), TASK, METHOD, metric(number))
        for _ in range(100):
            if list(tmp_path.rglob("*.parquet")):
                break
            time.sleep(0.1)
        assert written(Store(tmp_path)) == {0, 1, 2}
        writer.write(record(3), TASK, METHOD, metric(3))
    assert written(Store(tmp_path)) == {0, 1, 2, 3}
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


def test_records_of_another_seed_or_method_are_written_apart(tmp_path):
    other = replace(METHOD, name="other")
    with BackgroundWriter(Store(tmp_path)) as writer:
        for method, seed in ((METHOD, 0), (METHOD, 1), (other, 1)):
            key = ScoreKey(TASK.id, method.id, metric(0).id, seed, "weights")
            writer.write(replace(record(0), key=key), TASK, method, metric(0))
    assert sorted(path.parent.name for path in tmp_path.rglob("*.parquet")) == [
        "method=grad",
        "method=grad",
        "method=other",
    ]


def test_what_was_handed_over_is_written_also_when_the_block_is_stopped(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        hand_over(store, 5, KeyboardInterrupt())
    assert written(store) == set(range(5))
    assert not list(tmp_path.rglob("*.part"))


def one_by_one(store: Store, number: int) -> None:
    """Hands over a record of each of so many methods, which are not written together."""
    with BackgroundWriter(store) as writer:
        for one in range(number):
            method = replace(METHOD, name=f"method_{one}")
            key = replace(record(one).key, method=method.id)
            writer.write(replace(record(one), key=key), TASK, method, metric(one))
            store.handed_over = one + 1


@pytest.mark.parametrize("broken", [0, 7, 19])
def test_a_file_that_cannot_be_written_ends_the_block(tmp_path, broken):
    class Full(Store):
        handed_over = 0

        def write_all(self, scored, task, method):
            if method.name == f"method_{broken}":
                raise OSError("no space left on device")
            super().write_all(scored, task, method)

    with pytest.raises(OSError, match="no space left"):
        one_by_one(Full(tmp_path), 20)
    assert broken not in written(Store(tmp_path))


def test_few_records_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "WAITING", 4)
    may_write = threading.Event()

    class Slow(Store):
        def write_all(self, scored, task, method):
            may_write.wait(30)

    store = Slow(tmp_path)
    thread = threading.Thread(target=one_by_one, args=(store, 10))
    thread.start()
    thread.join(1.0)
    # the first is being written, the second is what came after it, and four wait; the next waits until there is room
    assert store.handed_over == 6
    may_write.set()
    thread.join(30)
    assert store.handed_over == 10
