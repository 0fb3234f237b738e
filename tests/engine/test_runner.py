"""The four laws, through the runner and a real store."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import signal_problem
from torch import Tensor

from bench.core.entries import Entry, Metric, Task
from bench.core.errors import BenchError, ContractError, DataMissing, RequestError
from bench.core.problem import Problem
from bench.engine import plan as planned
from bench.engine import runner, schedule, work
from bench.engine.plan import Plan
from bench.engine.runner import run
from bench.engine.sandbox import unchanged
from bench.engine.schedule import Budget
from bench.network.timing import Pace
from bench.registry.decorators import METHODS, METRICS, TASKS
from bench.registry.selection import with_params
from bench.storage.maps import GALLERY_SIZE, MapStore
from bench.storage.scores import Store
from bench.task_tools.data import Data


class Silent:
    """A progress bar that only counts."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.done = 0.0

    def update(self, n: float | None = 1) -> None:
        self.done += n or 0

    def set_description_str(self, desc: str | None = None) -> None: ...

    def refresh(self) -> None: ...


FAST = ["drop", "deletion", "quantus_faithfulness_correlation", "quantus_sparseness"]


def plan(samples: int = 6, **changes: object) -> Plan:
    asked = Plan(
        tasks=[TASKS["mnist1d"]],
        methods=[METHODS[name] for name in ("random", "saliency", "smoothgrad")],
        metrics=[METRICS[name] for name in FAST],
        samples=lambda task: samples,
        data=Data(offline=True),
        device=torch.device("cpu"),
        batch_size=8,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A results folder after `plan()`, made once; tests that go on from it take a copy."""
    folder = tmp_path_factory.mktemp("first") / "results"
    run(plan(), Store(folder), Silent())
    return folder


@pytest.fixture
def store(first, tmp_path) -> Store:
    return Store(Path(shutil.copytree(first, tmp_path / "first")))


@pytest.fixture(scope="module")
def of_twenty(tmp_path_factory) -> pd.Series:
    """The scores of twenty samples, in batches of 8."""
    folder = tmp_path_factory.mktemp("twenty")
    run(plan(20), Store(folder), Silent())
    return scores(Store(folder))


def scores(store: Store) -> pd.Series:
    names = ["method", "metric", "sample_id"]
    rows = store.read().astype(dict.fromkeys(names, object)).set_index(names)  # categories are those of a store
    assert rows.index.is_unique
    return rows["score"].sort_index()


def method(name: str, fn: Callable[..., object], needs: tuple[str, ...] = ()) -> Entry:
    injected = tuple(fn.__code__.co_varnames[: fn.__code__.co_argcount])
    return Entry(name, fn, "test", "", 1, (), injected, frozenset(needs))


def test_every_cell_has_a_row_per_sample_and_the_bar_ends_full(tmp_path):
    bar = Silent()
    outcome = run(plan(batch_size=None), Store(tmp_path), bar)  # the size that is found by timing
    assert len(scores(Store(tmp_path))) == 3 * 4 * 6
    assert outcome.rows == {"ok": 72}
    assert bar.total is not None
    assert bar.done == pytest.approx(bar.total)


def test_a_second_run_asks_the_model_nothing(store):
    before = scores(store)
    again = run(plan(), store, Silent())
    assert (again.queries, again.rows, again.kept) == (0, {}, 72)
    pd.testing.assert_series_equal(scores(store), before)


def test_fresh_computes_all_again_and_finds_the_same(store):
    before = scores(store)
    again = run(plan(fresh=True), store, Silent())
    assert again.queries > 0
    assert again.rows == {"ok": 72}
    pd.testing.assert_series_equal(scores(store), before)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_and_chunks_do_not_change_a_score(tmp_path, monkeypatch, batch_size, of_twenty):
    monkeypatch.setattr(schedule, "CHUNK_LIMITS", (3, 3))
    run(plan(20, batch_size=batch_size), Store(tmp_path), Silent())
    # percentages of float32 probabilities
    pd.testing.assert_series_equal(scores(Store(tmp_path)), of_twenty, atol=1e-4, rtol=0)


def test_sample_order_does_not_change_a_score(tmp_path):
    task = TASKS["mnist1d"]
    backwards = replace(task, samples=lambda: task.samples()[:8][::-1])
    run(plan(8), Store(tmp_path / "a"), Silent())
    run(plan(8, tasks=[backwards]), Store(tmp_path / "b"), Silent())
    pd.testing.assert_series_equal(scores(Store(tmp_path / "b")), scores(Store(tmp_path / "a")), atol=1e-4, rtol=0)


def test_what_ran_before_does_not_change_a_score(tmp_path, first):
    for name in ("smoothgrad", "random", "saliency"):
        for metric in reversed(FAST):
            run(plan(methods=[METHODS[name]], metrics=[METRICS[metric]]), Store(tmp_path), Silent())
    pd.testing.assert_series_equal(scores(Store(tmp_path)), scores(Store(first)), atol=1e-4, rtol=0)


def test_more_samples_compute_only_those(tmp_path):
    run(plan(4), Store(tmp_path), Silent())
    few = scores(Store(tmp_path))
    outcome = run(plan(6), Store(tmp_path), Silent())
    assert (outcome.rows, outcome.kept) == ({"ok": 3 * 4 * 2}, 3 * 4 * 4)
    more = scores(Store(tmp_path))
    pd.testing.assert_series_equal(more[few.index], few)
    assert len(more) == 72


def test_a_changed_input_is_a_new_question(store):
    task = TASKS["mnist1d"]

    def nudged(sample_ids: tuple[str, ...]) -> Problem:
        problem = task.fn(sample_ids)
        inputs = problem.inputs.clone()
        inputs[[name == task.samples()[1] for name in sample_ids]] += 0.01
        return replace(problem, inputs=inputs)

    outcome = run(plan(tasks=[replace(task, fn=nudged)]), store, Silent())
    assert outcome.rows == {"ok": 3 * 4}
    assert len(scores(store)) == 72


def test_new_weights_or_another_seed_or_version_are_other_cells(store):
    task = TASKS["mnist1d"]
    retrained = replace(task, fn=lambda sample_ids: replace(task.fn(sample_ids), fingerprint="other"))
    rescaled = replace(task, fn=lambda sample_ids: replace(task.fn(sample_ids), top_k=0.5))
    darker = replace(task, fn=lambda sample_ids: replace(task.fn(sample_ids), baseline=torch.full((1, 1), -1.0)))
    for changed in (
        plan(tasks=[retrained]),
        plan(tasks=[rescaled]),
        plan(tasks=[darker]),
        plan(seed=1),
        plan(methods=[replace(entry, version=2) for entry in plan().methods]),
        plan(metrics=[replace(entry, version=entry.version + 1) for entry in plan().metrics]),
    ):
        assert run(changed, store, Silent()).rows == {"ok": 72}


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "other"},
        {"baseline": torch.full((1, 1), -1.0)},
        {"layers": ("relu1",)},
        {"top_k": 0.5},
        {"background": torch.zeros(3, 1, 40)},
        {"bounds": torch.tensor([-1.0, 1.0]).view(2, 1, 1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_that_can_change_a_score_is_in_the_fingerprint(change):
    task = TASKS["mnist1d"]
    ids = task.samples()[:1]
    other = replace(task, fn=lambda sample_ids: replace(task.fn(sample_ids), **change))
    found = planned.load(other, ids, plan()).fingerprint
    assert found != planned.load(task, ids, plan()).fingerprint
    assert found == planned.load(other, ids, plan()).fingerprint


def test_each_chunk_is_loaded_once_and_the_task_once_more_for_its_facts(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_LIMITS", (4, 4))
    task, loaded = TASKS["mnist1d"], []

    def counted(sample_ids: tuple[str, ...]) -> Problem:
        loaded.append(len(sample_ids))
        return task.fn(sample_ids)

    asked = plan(10, tasks=[replace(task, fn=counted)])
    run(asked, Store(tmp_path), Silent())
    assert loaded == [1, 4, 4, 2]
    loaded.clear()
    run(asked, Store(tmp_path), Silent())  # what is stored is judged by the inputs as they are now
    assert loaded == [1, 4, 4, 2]


def test_a_view_changes_what_stands_for_absent_features_and_what_is_read(tmp_path):
    task = TASKS["mnist1d"]
    metrics = [with_params(METRICS["deletion"], settings) for settings in ("output=logit", "baseline=mean", "steps=10")]
    run(plan(metrics=[METRICS["deletion"], *metrics], batch_size=8), Store(tmp_path), Silent())
    rows = Store(tmp_path).read()
    problem = task.fn(tuple(task.samples()[:6]))
    mean = problem.inputs.mean(2, keepdim=True).expand_as(problem.inputs)
    with torch.inference_mode():
        logits, gone, empty = (problem.model(x) for x in (problem.inputs, mean, torch.zeros_like(problem.inputs)))
    target = logits.argmax(1)
    ends = {
        "deletion": (logits.softmax(1), empty.softmax(1)),
        "deletion[output=logit]": (logits, empty),
        "deletion[baseline=mean]": (logits.softmax(1), gone.softmax(1)),
    }
    assert set(rows["metric"]) == {*ends, "deletion[steps=10]"}
    for name, (full, absent) in ends.items():
        curves = rows[(rows["metric"] == name) & (rows["method"] == "saliency")].set_index("sample_id")["curve"]
        for row, sample in enumerate(problem.sample_ids):
            wanted = [float(values[row, target[row]]) for values in (full, absent)]
            assert curves[sample][[0, -1]].tolist() == pytest.approx(wanted, abs=1e-5)


def test_a_baseline_that_the_task_does_not_have_is_skipped_with_the_reason(tmp_path):
    task = TASKS["mnist1d"]
    bare = replace(task, fn=lambda sample_ids: replace(task.fn(sample_ids), background=None))
    variant = with_params(METRICS["drop"], "baseline=background")
    outcome = run(plan(tasks=[bare], metrics=[METRICS["drop"], variant]), Store(tmp_path), Silent())
    assert outcome.rows == {"ok": 18, "skipped": 18}
    rows = Store(tmp_path).read()
    assert set(rows.loc[rows["metric"] == variant.name, "status"]) == {"skipped"}
    assert rows.loc[rows["metric"] == variant.name, "note"].str.contains("background").all()


def test_curves_of_a_granularity_end_at_its_number_of_features(tmp_path):
    many = with_params(METRICS["deletion"], "steps=32,baseline=mean,features=patch10")
    run(plan(metrics=[many]), Store(tmp_path), Silent())
    rows = Store(tmp_path).read()
    assert set(rows["features"]) == {10}
    assert {len(curve) for curve in rows["curve"]} == {11}


def raises(problem: Problem) -> Tensor:
    raise RuntimeError("out of luck")


def not_finite(problem: Problem) -> Tensor:
    return problem.inputs[:, 0] / 0


def constant(problem: Problem) -> Tensor:
    return torch.ones(len(problem), *problem.shape)


def wrong_shape(problem: Problem) -> Tensor:
    return problem.inputs


def not_a_tensor(problem: Problem) -> object:
    return problem.inputs.numpy()


def not_floating(problem: Problem) -> Tensor:
    return problem.inputs[:, 0] > 0


def leaves_a_hook(problem: Problem) -> Tensor:
    problem.model.relu2.register_forward_hook(lambda *_: None)
    return problem.inputs[:, 0].clone()


def changes_weights(problem: Problem) -> Tensor:
    problem.model.dense.weight.data.mul_(2)
    return problem.inputs[:, 0].clone()


def changes_inputs(problem: Problem) -> Tensor:
    return problem.inputs.mul_(2)[:, 0].clone()


def changes_the_target(problem: Problem) -> Tensor:
    problem.targets.add_(1)
    return problem.inputs[:, 0].clone()


def swaps_a_module(problem: Problem) -> Tensor:
    problem.model.relu1 = torch.nn.Tanh().eval()
    return problem.inputs[:, 0].clone()


def halves(problem: Problem) -> Tensor:
    problem.model.half()
    return problem.inputs[:, 0].clone()


def replaces_forward(problem: Problem) -> Tensor:
    problem.model.forward = lambda x: x
    return problem.inputs[:, 0].clone()


def strides(problem: Problem) -> Tensor:
    problem.model.conv1.stride = (2,)
    return problem.inputs[:, 0].clone()


def draws_globally(problem: Problem) -> Tensor:
    return torch.rand(len(problem), *problem.shape)


def turns_gradients_off(problem: Problem) -> Tensor:
    torch.set_grad_enabled(False)
    return problem.inputs[:, 0].clone()


def trains(problem: Problem) -> Tensor:
    problem.model.train()
    return problem.inputs[:, 0].clone()


def needs_bounds(problem: Problem) -> Tensor:
    raise AssertionError("must not be called")


MISBEHAVIOUR = [
    (raises, "failed", "RuntimeError: out of luck (test_runner.py:"),
    (not_finite, "undefined", "the attribution is not finite"),
    (constant, "undefined", "the attribution is constant"),
    (wrong_shape, "failed", "it returned shape (1, 1, 40), (1, 40) is needed"),
    (not_a_tensor, "failed", "it returned ndarray, a tensor of shape (1, 40) is needed"),
    (not_floating, "failed", "it returned torch.bool, a floating type is needed"),
    (leaves_a_hook, "failed", "it left a hook on relu2"),
    (changes_weights, "failed", "it changed the weights dense.weight"),
    (changes_inputs, "failed", "it changed its inputs"),
    (changes_the_target, "failed", "it changed its targets"),
    (swaps_a_module, "failed", "it changed the kind of relu1"),
    (halves, "failed", "it changed the weights conv1.bias, conv1.weight"),
    (replaces_forward, "failed", "it changed the forward function of the model"),
    (strides, "failed", "it changed the settings of conv1"),
    (draws_globally, "failed", "it drew from the global random state of torch; draw from `rng` instead"),
    (turns_gradients_off, "failed", "it changed torch's global grad mode or default dtype"),
    (trains, "failed", "it changed the mode of the model, conv1"),
    (needs_bounds, "skipped", "needs_bounds needs bounds, which the task does not have"),
]


@pytest.mark.parametrize(("fn", "status", "note"), MISBEHAVIOUR, ids=[fn.__name__ for fn, _, _ in MISBEHAVIOUR])
def test_a_method_that_misbehaves_becomes_rows_and_the_next_is_not_touched(tmp_path, fn, status, note, first):
    odd = method(fn.__name__, fn, ("bounds",) if fn is needs_bounds else ())
    # scores are compared bit by bit: in batches of one size, which a run finds by timing otherwise
    both = plan(methods=[odd, METHODS["saliency"]], metrics=[METRICS["drop"]])
    outcome = run(both, Store(tmp_path), Silent())
    rows = Store(tmp_path).read().groupby("method")
    assert set(rows.get_group(fn.__name__)["status"]) == {status}
    assert rows.get_group(fn.__name__)["note"].str.startswith(note).all()
    assert rows.get_group(fn.__name__)["score"].isna().all()
    assert outcome.failed == (status == "failed")
    alone = scores(Store(first))["saliency"]["drop"]
    np.testing.assert_array_equal(rows.get_group("saliency")["score"].to_numpy(), alone.to_numpy())


def test_only_the_guilty_sample_of_a_batch_fails(tmp_path):
    guilty = TASKS["mnist1d"].samples()[2]

    def dislikes(problem: Problem) -> Tensor:
        if guilty in problem.sample_ids:
            raise ValueError("not this one")
        return problem.inputs[:, 0].clone()

    asked = plan(methods=[method("dislikes", dislikes)], metrics=[METRICS["drop"]], batch_size=6)
    assert run(asked, Store(tmp_path), Silent()).rows == {"ok": 5, "failed": 1}
    rows = Store(tmp_path).read().set_index("sample_id")
    assert rows.index[rows["status"] == "failed"].tolist() == [guilty]


def test_a_failure_is_tried_again_and_replaced(tmp_path):
    broken = [True]

    def sometimes(problem: Problem) -> Tensor:
        if broken:
            raise RuntimeError("not yet")
        return problem.inputs[:, 0].clone()

    asked = plan(methods=[method("sometimes", sometimes)], metrics=[METRICS["drop"]])
    assert run(asked, Store(tmp_path), Silent()).rows == {"failed": 6}
    broken.clear()
    assert run(asked, Store(tmp_path), Silent()).rows == {"ok": 6}
    assert set(Store(tmp_path).read()["status"]) == {"ok"}
    assert run(asked, Store(tmp_path), Silent()).queries == 0


def test_a_run_that_is_stopped_leaves_whole_files_and_goes_on(tmp_path):
    class Stops(Silent):
        steps = 0

        def update(self, n: float | None = 1) -> None:
            self.steps += 1
            if self.steps == 7:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan(), Store(tmp_path), Stops())
    kept = len(Store(tmp_path).read())
    assert 0 < kept < 72
    assert not list(tmp_path.rglob("*.part"))
    outcome = run(plan(), Store(tmp_path), Silent())
    assert (outcome.kept, sum(outcome.rows.values())) == (kept, 72 - kept)


def test_a_task_without_data_is_skipped_and_a_broken_one_told(tmp_path):
    def away(sample_ids: tuple[str, ...]) -> Problem:
        raise DataMissing("away: fetch it")

    def corrupt(sample_ids: tuple[str, ...]) -> Problem:
        raise BenchError("tile.tif: truncated")

    tasks = [
        Task("away", away, "image", "", 1, (), ("sample_ids",), samples=lambda: ["a"]),
        Task("corrupt", corrupt, "image", "", 1, (), ("sample_ids",), samples=lambda: ["a"]),
        TASKS["mnist1d"],
    ]
    outcome = run(plan(tasks=tasks), Store(tmp_path), Silent())
    assert outcome.skipped_tasks == {"away": "away: fetch it"}
    assert outcome.failed_tasks == {"corrupt": "tile.tif: truncated"}
    assert outcome.rows == {"ok": 72}


def test_random_subsets_are_shared_by_all_methods(tmp_path):
    subsets = [METRICS["quantus_faithfulness_correlation"]]
    controls = [METHODS["random"], METHODS["input_magnitude"]]  # these ask the model nothing themselves
    one = run(plan(methods=controls[:1], metrics=subsets), Store(tmp_path / "one"), Silent())
    two = run(plan(methods=controls, metrics=subsets), Store(tmp_path / "two"), Silent())
    assert two.queries == one.queries == 6 + 6 * (1 + 32)
    assert two.tally.shared - one.tally.shared == 6 * (1 + 32)


def test_memory_of_a_run_is_bounded_by_the_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_LIMITS", (4, 4))
    sizes = []

    def watched(problem: Problem) -> Tensor:
        sizes.append(len(problem))
        return problem.inputs[:, 0].clone()

    run(plan(10, methods=[method("watched", watched)], metrics=[METRICS["drop"]]), Store(tmp_path), Silent())
    assert max(sizes) == 4


def test_maps_of_the_gallery_are_kept(tmp_path):
    run(plan(8), Store(tmp_path), Silent())
    maps = MapStore(tmp_path).read("mnist1d")
    assert maps["inputs"]["sample_ids"].tolist() == TASKS["mnist1d"].samples()[:GALLERY_SIZE]
    drawn = {str(arrays["method_id"]): arrays["maps"].shape for arrays in maps.values() if "maps" in arrays}
    assert len({str(arrays["fingerprint"]) for arrays in maps.values()}) == 1
    assert drawn == {entry.id: (6, 40) for entry in plan().methods}


def test_curves_are_stored_and_their_area_is_the_score(tmp_path):
    run(plan(metrics=[METRICS["drop"], with_params(METRICS["deletion"], "steps=32")]), Store(tmp_path), Silent())
    rows = Store(tmp_path).read()
    rows = rows[rows["curve"].notna()]
    assert set(rows["metric"]) == {"deletion[steps=32]"}
    removed = [step * 40 // 32 / 40 for step in range(33)]  # 32 steps over 40 points are not quite even
    areas = [np.trapezoid(curve, removed) for curve in rows["curve"]]
    np.testing.assert_allclose(areas, rows["score"], atol=1e-6)


def shifts(problem: Problem) -> None:
    problem.model.conv1.bias.data.add_(1)


def switches_mode(problem: Problem) -> None:
    problem.model.train()


def hooks_in(problem: Problem) -> None:
    problem.model.conv1.register_forward_hook(lambda *_: _[2] * 2)


def swaps(problem: Problem) -> None:
    problem.model.relu1 = torch.nn.Tanh().eval()


def casts(problem: Problem) -> None:
    problem.model.half()


def doubles(problem: Problem) -> None:
    """Every weight keeps its value."""
    problem.model.double()


def scales_inputs(problem: Problem) -> None:
    problem.inputs.mul_(2)


def moves_targets(problem: Problem) -> None:
    problem.targets.add_(1).remainder_(10)


def inverts_truth(problem: Problem) -> None:
    problem.truth.logical_not_()


def moves_the_baseline(problem: Problem) -> None:
    problem.baseline.add_(1)


HARMS = [shifts, switches_mode, hooks_in, swaps, casts, doubles, scales_inputs, moves_targets, inverts_truth]


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory) -> pd.Series:
    folder = tmp_path_factory.mktemp("unharmed")
    run(plan(metrics=[METRICS["drop"], METRICS["localisation_auc"]]), Store(folder), Silent())
    return scores(Store(folder))


@pytest.mark.parametrize("harm", [*HARMS, moves_the_baseline], ids=lambda harm: harm.__name__)
def test_a_metric_that_breaks_the_model_is_told_and_the_next_is_not_touched(tmp_path, harm, unharmed):
    def harmful(probe: object, attribution: Tensor) -> Tensor:
        harm(probe.problem)  # type: ignore[attr-defined]
        return attribution.sum(1)

    odd = Metric("harmful", harmful, "faithfulness", "", 1, (), ("probe", "attribution"))
    run(plan(metrics=[odd, METRICS["drop"], METRICS["localisation_auc"]]), Store(tmp_path), Silent())
    rows = Store(tmp_path).read()
    assert set(rows.loc[rows["metric"] == "harmful", "status"]) == {"failed"}
    pd.testing.assert_series_equal(scores(Store(tmp_path))[unharmed.index], unharmed)


@pytest.mark.parametrize(
    ("who", "draw", "state"),
    [
        ("torch", lambda: torch.rand(3), lambda: torch.get_rng_state().tolist()),
        ("NumPy", lambda: np.random.rand(3), lambda: [str(part) for part in np.random.get_state()]),
        ("Python", random.random, random.getstate),
    ],
    ids=["torch", "NumPy", "Python"],
)
def test_a_plug_in_that_draws_globally_leaves_the_global_random_states_as_they_were(who, draw, state):
    problem = signal_problem(samples=2)
    before = state()

    def plug_in() -> None:
        with unchanged(problem):
            draw()

    with pytest.raises(ContractError, match=f"^it drew from the global random state of {who}; "):
        plug_in()
    assert state() == before


def test_a_board_is_about_the_weights_asked_for_last(store):
    task = TASKS["mnist1d"]
    other = replace(task, fn=lambda sample_ids: replace(task.fn(sample_ids), fingerprint="other"))
    first = set(store.read()["fingerprint"])
    run(plan(tasks=[other]), store, Silent())
    second = set(store.read()["fingerprint"])
    again = run(plan(), store, Silent())
    assert (again.queries, set(store.read()["fingerprint"])) == (0, first)
    assert first != second


def test_a_skipped_sample_is_scored_once_it_can_be(tmp_path):
    task = TASKS["mnist1d"]
    hit = Metric(
        "hit", lambda attribution: attribution.sum(1), "localisation", "", 1, (), ("attribution",), frozenset({"truth"})
    )

    def without_truth(sample_ids: tuple[str, ...]) -> Problem:
        return replace(task.fn(sample_ids), truth=None)

    asked = plan(metrics=[hit], tasks=[replace(task, fn=without_truth)])
    assert run(asked, Store(tmp_path), Silent()).rows == {"skipped": 18}
    assert run(plan(metrics=[hit]), Store(tmp_path), Silent()).rows == {"ok": 18}


def test_a_method_may_reuse_its_buffer(tmp_path):
    buffer = torch.zeros(1, 40)

    def reuses(problem: Problem) -> Tensor:
        return buffer.copy_(problem.inputs[:, 0])

    def does_not(problem: Problem) -> Tensor:
        return problem.inputs[:, 0].clone()

    asked = plan(methods=[method("reuses", reuses), method("does_not", does_not)], batch_size=1)
    run(asked, Store(tmp_path), Silent())
    found = scores(Store(tmp_path))
    np.testing.assert_array_equal(found["reuses"].to_numpy(), found["does_not"].to_numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda problem: replace(problem, sample_ids=problem.sample_ids[::-1]), "it was asked for samples"),
        (lambda problem: replace(problem, inputs=problem.inputs[1:]), "inputs are torch.float32"),
        (lambda problem: replace(problem, inputs=problem.inputs.long()), "inputs are torch.int64"),
        (lambda problem: replace(problem, inputs=problem.inputs / 0), "inputs hold 40 values that are not finite"),
    ],
)
def test_a_task_that_breaks_its_promise_is_told(tmp_path, change, message):
    task = TASKS["mnist1d"]
    odd = replace(task, name="odd", fn=lambda sample_ids: change(task.fn(sample_ids)))
    outcome = run(plan(tasks=[odd]), Store(tmp_path), Silent())
    assert outcome.failed_tasks["odd"].startswith(message)


def test_a_task_that_lists_a_sample_twice_is_told_by_name(tmp_path):
    task = TASKS["mnist1d"]
    twice = replace(task, name="twice", samples=lambda: [task.samples()[0]] * 2)
    outcome = run(plan(tasks=[twice]), Store(tmp_path), Silent())
    assert outcome.failed_tasks["twice"].startswith("sample id 'test/")
    assert outcome.rows == {}


def test_curves_too_short_or_too_long_are_told_and_the_rest_goes_on(tmp_path):
    point = Metric("point", lambda attribution: attribution[:, :1], "faithfulness", "", 1, (), ("attribution",))
    endless = Metric(
        "endless", lambda attribution: attribution.repeat(1, 2), "faithfulness", "", 1, (), ("attribution",)
    )
    outcome = run(plan(metrics=[point, endless, METRICS["drop"]]), Store(tmp_path), Silent())
    assert outcome.rows == {"failed": 36, "ok": 18}


def test_a_task_without_class_names_or_with_labels_never_predicted_has_a_gallery(tmp_path):
    task = TASKS["mnist1d"]

    def bare(sample_ids: tuple[str, ...]) -> Problem:
        problem = task.fn(sample_ids)
        return replace(problem, class_names=(), labels=torch.full((len(problem),), 12))

    run(plan(tasks=[replace(task, fn=bare)]), Store(tmp_path), Silent())
    assert MapStore(tmp_path).read("mnist1d")["inputs"]["label"].tolist() == ["12"] * 6


def test_memory_does_not_grow_with_the_samples(tmp_path, monkeypatch):
    from bench.network.cost import PeakMemory

    monkeypatch.setattr(schedule, "CHUNK_LIMITS", (10, 10))
    asked = plan(metrics=[m for m in METRICS.values() if m.family == "faithfulness"], batch_size=64)
    peaks = []
    for samples in (10, 40):
        with PeakMemory() as memory:
            run(replace(asked, samples=lambda _, n=samples: n), Store(tmp_path / str(samples)), Silent())
        peaks.append(memory.peak)
    assert peaks[1] < 1.05 * peaks[0]  # four chunks need what one needs


# --- Budgets: rounds of samples


@pytest.fixture
def short_rounds(monkeypatch):
    monkeypatch.setattr(schedule, "ROUND_LIMITS", (3, 3))


def test_rounds_do_not_change_a_score(tmp_path, short_rounds, of_twenty):
    outcome = run(plan(20, budget=Budget(1e9)), Store(tmp_path), Silent())
    assert not outcome.stopped
    assert outcome.tasks["mnist1d"]["samples"] == outcome.tasks["mnist1d"]["asked"] == 20
    # percentages of float32 probabilities
    pd.testing.assert_series_equal(scores(Store(tmp_path)), of_twenty, atol=1e-4, rtol=0)


def test_a_budget_stops_after_whole_rounds_and_the_next_run_goes_on(tmp_path, short_rounds, monkeypatch):
    monkeypatch.setattr(Budget, "left", property(lambda budget: 0.0 if budget.longest else 1e9))
    tasks = [TASKS["mnist1d"], replace(TASKS["mnist1d"], name="again")]
    for rounds in (1, 2, 3):
        told: list[Task] = []
        outcome = run(plan(7, tasks=tasks, budget=Budget(10)), Store(tmp_path), Silent(), told.append)
        rows = Store(tmp_path).read()
        numbers = rows.groupby(["task", "method", "metric"], observed=True)["sample_id"].nunique()
        assert len(numbers) == 2 * 3 * 4
        assert set(numbers) == {min(7, 3 * rounds)}  # all methods and metrics have the same samples
        assert {facts["samples"] for facts in outcome.tasks.values()} == {min(7, 3 * rounds)}
        assert outcome.stopped == (rounds < 3)
        assert sorted(task.name for task in told) == ["again", "mnist1d"]
    assert outcome.kept == 2 * 72


def test_a_budget_that_is_over_in_the_first_round_is_refused_and_what_was_scored_is_kept(tmp_path, short_rounds):
    with pytest.raises(RequestError, match=r"budget of 1 s is less than one round .* about .* \(3 of mnist1d\); "):
        run(plan(6, budget=Budget(1e-9)), Store(tmp_path), Silent())


def test_tasks_are_told_as_they_end_cheap_ones_first(tmp_path):
    task = TASKS["mnist1d"]
    large = replace(task, name="large", samples=lambda: task.samples()[:6])
    small = replace(task, name="small", samples=lambda: task.samples()[:2])
    told: list[tuple[str, int]] = []

    def finished(task: Task) -> None:
        told.append((task.name, len(Store(tmp_path).read(task.name))))

    run(plan(tasks=[large, small]), Store(tmp_path), Silent(), finished)
    assert told == [("small", 3 * 4 * 2), ("large", 3 * 4 * 6)]


# --- Time: the model is timed beside the run


def test_the_batch_size_is_found_once_for_a_task_and_the_model_timed_in_each_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_LIMITS", (3, 3))
    monkeypatch.setattr(work, "SHARE", 0.0)  # at the end of a chunk, and after its first method
    searches, checks = [], []
    monkeypatch.setattr(runner, "pace", lambda problem: searches.append(1) or Pace(5, 1e-3, 2e-3))
    monkeypatch.setattr(work, "timed", lambda problem: checks.append(problem.batch_size) or Pace(5, 3e-3, 4e-3))
    done = run(plan(6, batch_size=None), Store(tmp_path), Silent()).work["mnist1d"]
    assert (len(searches), set(checks), done.batch_size) == (1, {5}, 5)
    assert len(checks) == 4
    assert done.forwards > done.backwards > 0
    # the first part is between both speeds, the others at the later one
    slow = Pace(5, 3e-3, 4e-3).floor(done.forwards, done.backwards)
    assert 0.75 * slow < done.floor < 0.99 * slow


def test_each_part_of_a_run_is_held_against_the_speed_that_the_model_has_then(monkeypatch):
    """A machine on which everything takes three times as long from the second part on: the ratio does not change."""
    clock, slower = [0.0], [1.0]
    monkeypatch.setattr(work.time, "perf_counter", lambda: clock[0])

    def timed(problem: Problem) -> Pace:
        clock[0] += 5.0
        return Pace(1, slower[0], slower[0])

    def use(forwards: int, backwards: int) -> None:
        for _ in range(forwards):
            with torch.no_grad():
                problem.model(problem.inputs)
        if backwards:
            problem.model(problem.inputs.clone().requires_grad_()).sum().backward()
        clock[0] += 1.5 * slower[0] * (forwards + 2 * backwards)

    monkeypatch.setattr(work, "timed", timed)
    monkeypatch.setattr(work, "SHARE", 1.0)
    problem, done = signal_problem(samples=1), work.Work(1, Pace(1, 1.0, 1.0))
    with done.watched(problem) as laps:
        use(9, 1)
        laps.lap()
        slower[0] = 3.0
        laps.lap()  # nothing was done: the model is not timed, and counts as before
        use(20, 1)
        laps.lap()
        use(30, 0)
    assert (done.forwards, done.backwards) == (61, 2)
    assert done.seconds == pytest.approx(1.5 * (11 + 3 * 22 + 3 * 30))  # without the timing itself
    assert done.floor == pytest.approx(11 + 2 * 22 + 3 * 30)  # the second part has one end before the change


def test_a_given_batch_size_is_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "pace", None)
    monkeypatch.setattr(work, "timed", None)
    done = run(plan(batch_size=7), Store(tmp_path), Silent()).work["mnist1d"]
    assert (done.batch_size, done.pace) == (7, None)
    assert np.isnan(done.floor)
