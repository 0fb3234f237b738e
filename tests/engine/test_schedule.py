"""In which order a run takes tasks and samples, when a budget stops it, and what it tells of the time left."""

from __future__ import annotations

import pytest

from bench.core.entries import Task
from bench.core.errors import RequestError
from bench.engine import schedule
from bench.engine.schedule import Budget, Forecast, Job, cheap_first, duration, legs


def job(name: str = "toy", samples: int = 10, values: int = 40, steps: int = 6) -> Job:
    task = Task(name, print, "", "", 1, (), ())
    return Job(task, [f"{name}/{number}" for number in range(samples)], values, steps)


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Bar:
    total: float | None = None
    done = 0.0
    text = ""

    def update(self, n: float | None = 1) -> None:
        self.done += n or 0

    def set_description_str(self, desc: str | None = None) -> None:
        self.text = desc or ""

    def refresh(self) -> None: ...


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(schedule, "time", made)
    return made


def test_cheap_tasks_come_first():
    large, many, small = job("large", 24, 67_500), job("many", 1000, 40), job("small", 16, 19_200)
    assert cheap_first([large, many, small]) == [many, small, large]


@pytest.mark.parametrize(
    ("samples", "values", "sizes"),
    [
        (1000, 40, [1000]),
        (1025, 40, [1024, 1]),
        (100, 67_500, [100]),  # 2**23 / 67,500 is 124
        (40, 2**22, [16, 16, 8]),  # few, though they exceed the memory that is meant for a chunk
    ],
)
def test_chunks_hold_as_many_samples_as_the_memory_allows(samples, values, sizes):
    chunks = job(samples=samples, values=values).chunks()
    assert [len(chunk) for chunk in chunks] == sizes
    assert [name for chunk in chunks for name in chunk] == job(samples=samples).sample_ids


def test_without_a_budget_one_task_follows_the_other():
    first, second = job("first", 3), job("second", 2000)
    assert legs([first, second], in_rounds=False) == [
        [(first, first.sample_ids)],
        [(second, second.sample_ids[:1024]), (second, second.sample_ids[1024:])],
    ]


def test_with_a_budget_tasks_take_turns():
    signals, images = job("signals", 130, 40), job("images", 10, 67_500)
    rounds = legs([signals, images], in_rounds=True)
    assert [[(one.task.name, len(ids)) for one, ids in leg] for leg in rounds] == [
        [("signals", 64), ("images", 8)],
        [("signals", 64), ("images", 2)],
        [("signals", 2)],
    ]
    for one in (signals, images):
        assert [name for leg in rounds for who, ids in leg if who is one for name in ids] == one.sample_ids


def test_a_budget_stops_before_the_round_that_is_not_likely_to_fit(clock):
    budget = Budget(100)
    assert budget.allows_a_round  # the first
    clock.now += 45
    budget.longest = 45
    assert budget.allows_a_round  # 55 are left, 49.5 are needed
    clock.now += 10
    assert not budget.allows_a_round
    assert budget.left == 45


def test_time_that_is_up_before_the_first_round_has_ended_is_told_with_what_a_round_takes(clock):
    signals, images = job("signals", 64), job("images", 8, 40)
    (leg,) = legs([signals, images], in_rounds=True)
    forecast, budget = Forecast(Bar(), [leg]), Budget(30)
    clock.now += 4  # what comes before the first step, such as checks of metrics
    assert list(forecast.begin(leg)) == leg
    budget.check(forecast)
    whole = signals.seconds(64) + images.seconds(8)
    clock.now += 40
    forecast.update(signals, 64, 3)
    needed = 4 + 40 * whole / (signals.seconds(64) / 2)
    text = f"30 s is less than one round of samples takes, about {duration(needed)} .64 of signals and 8 of images.; "
    with pytest.raises(RequestError, match=text):
        budget.check(forecast)
    budget.longest = 40
    budget.check(forecast)  # a board can be made, so the round may end


def test_the_bar_ends_full_whatever_the_shares_sum_to():
    jobs = [job("first", 7, steps=7), job("second", 13, steps=3)]
    asked, bar = legs(jobs, in_rounds=False), Bar()
    forecast = Forecast(bar, asked)
    for leg in asked:
        for one, ids in forecast.begin(leg):
            for _ in range(one.steps - 1):
                forecast.update(one, len(ids))
                assert bar.done <= bar.total
    forecast.end()
    assert bar.done == pytest.approx(bar.total, rel=1e-12)
    assert bar.done <= bar.total


def test_time_left_follows_the_task_s_own_pace(clock):
    first, second = job("first", 100, steps=10), job("second", 100, steps=10)  # half of the work each
    asked, bar = legs([first, second], in_rounds=False), Bar()
    forecast = Forecast(bar, asked)
    list(forecast.begin(asked[0]))
    forecast.step(first, "grad_cam", "deletion")
    assert bar.text == "first · grad_cam · deletion"  # nothing is known yet
    for _ in range(5):
        clock.now += 2
        forecast.update(first, 100)
    forecast.step(first, "grad_cam")
    assert bar.text == "first (10 s left, 30 s in all) · grad_cam"
    clock.now += 10
    forecast.update(first, 100, 5)
    list(forecast.begin(asked[1]))
    for _ in range(5):
        clock.now += 60
        forecast.update(second, 100)
    forecast.step(second, "sise")
    assert bar.text == "second (5 min left) · sise"


def test_what_is_expected_of_a_task_counts_until_enough_of_it_is_done(clock):
    first, second = job("first", 100, steps=10), job("second", 100, steps=10)
    asked, bar = legs([first, second], in_rounds=False), Bar()
    forecast = Forecast(bar, asked)
    list(forecast.begin(asked[0]))
    assert forecast.expect(first, 40.0) == pytest.approx(80.0)  # the other is taken to be as slow as was guessed
    forecast.step(first, "sise")
    assert bar.text == "first (40 s left, 80 s in all) · sise"
    for _ in range(5):
        clock.now += 2
        forecast.update(first, 100)
    forecast.step(first, "sise")
    assert bar.text == "first (10 s left, 30 s in all) · sise"
    clock.now += 10
    forecast.update(first, 100, 5)
    list(forecast.begin(asked[1]))
    assert forecast.expect(second, 300.0) == 0.0  # nothing comes after it
    forecast.step(second, "sise")
    assert bar.text == "second (5 min left) · sise"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (99.4, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "1.7 h"), (36_000, "10.0 h")],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text
