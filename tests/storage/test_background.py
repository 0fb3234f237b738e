"""Scores that are written while the next are computed."""

from __future__ import annotations

import threading

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
    numbers = [store.path(record(number).key, TASK, METHOD).is_file() for number in range(100)]
    return {number for number, there in enumerate(numbers) if there}


def test_all_is_written_at_the_end_of_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "WAITING", 3)
    store = Store(tmp_path)
    hand_over(store, 20)
    assert written(store) == set(range(20))


def test_what_was_handed_over_is_written_also_when_the_block_is_stopped(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        hand_over(store, 5, KeyboardInterrupt())
    assert written(store) == set(range(5))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("broken", [0, 7, 19])
def test_a_file_that_cannot_be_written_ends_the_block(tmp_path, monkeypatch, broken):
    class Full(Store):
        def write(self, record, task, method, metric):
            if metric.name == f"metric_{broken}":
                raise OSError("no space left on device")
            super().write(record, task, method, metric)

    monkeypatch.setattr(background, "WAITING", 2)
    with pytest.raises(OSError, match="no space left"):
        hand_over(Full(tmp_path), 20)
    assert broken not in written(Store(tmp_path))


def test_few_records_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "WAITING", 4)
    may_write, handed_over = threading.Event(), []

    class Slow(Store):
        def write(self, record, task, method, metric):
            may_write.wait(30)

    def hand_all_over():
        with BackgroundWriter(Slow(tmp_path)) as writer:
            for number in range(10):
                writer.write(record(number), TASK, METHOD, metric(number))
                handed_over.append(number)

    thread = threading.Thread(target=hand_all_over)
    thread.start()
    for _ in range(300):
        if len(handed_over) == 4:
            break
        thread.join(0.01)
    thread.join(0.2)
    assert len(handed_over) == 4  # the fifth waits until there is room
    may_write.set()
    thread.join(30)
    assert len(handed_over) == 10
