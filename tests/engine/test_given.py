"""Maps that were made elsewhere as a method: which map a sample gets, what enters the id, and what cannot be scored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import signal_problem

from bench.api.request import own_task
from bench.core.errors import RequestError
from bench.core.problem import Problem
from bench.engine import given
from bench.engine.explain import explain_all
from bench.engine.plan import Plan, load
from bench.registry.decorators import METRICS, TASKS
from bench.task_tools.data import Data

PROBLEM = replace(signal_problem(5), sample_ids=tuple("abcde"))
MAPS = torch.linspace(-1, 1, 5 * 40).view(5, 40).sin()
KEYED = dict(zip("abcde", MAPS, strict=True))


def plan(problem: Problem = PROBLEM, samples: int | None = None, *more: Any) -> Plan:
    tasks = [own_task(problem), *more]
    return Plan(tasks, [], [], lambda task: samples, Data(None, True), torch.device("cpu"))


def method(source: Any, **asked: Any) -> given.GivenMaps:
    (made,), _ = given.methods({"mine": source}, plan(**asked))
    return made


def loaded(samples: str = "abcde") -> Problem:
    return load(plan().tasks[0], tuple(samples), plan())


def test_every_sample_gets_the_map_of_its_id_in_any_order_and_batch():
    problem = replace(loaded("dbeac"), batch_size=2)
    made = explain_all(method(KEYED), problem, task="model@1", seed=0)
    assert torch.equal(made.attribution, MAPS[[3, 1, 4, 0, 2]])
    assert set(made.status) == {"ok"}


def test_a_sample_without_a_map_is_skipped_with_the_reason_and_the_others_are_explained():
    some = method({name: KEYED[name] for name in "ab"}, samples=2)
    problem = replace(loaded("cabd"), batch_size=4)
    made = explain_all(some, problem, task="model@1", seed=0)
    assert made.status == ("skipped", "ok", "ok", "skipped")
    assert made.note == ("no map of this sample in the maps given", "", "", "no map of this sample in the maps given")
    assert torch.equal(made.attribution[1:3], MAPS[:2])


def test_a_model_that_the_maps_are_not_of_is_skipped():
    other = replace(loaded(), fingerprint="other weights")
    made = explain_all(method(KEYED), other, task="model@1", seed=0)
    assert set(made.status) == {"skipped"}
    assert set(made.note) == {"no map of any sample of this task in the maps given"}


def test_the_id_changes_with_any_value_and_with_the_sample_that_it_is_of():
    ids = {method(KEYED).id, method(KEYED | {"e": KEYED["e"] + 1e-6}).id, method(KEYED | {"e": KEYED["d"]}).id}
    ids.add(method(KEYED | {"d": KEYED["e"], "e": KEYED["d"]}).id)
    assert len(ids) == 4
    three = {name: KEYED[name] for name in "abc"}
    assert method(three | {"d": KEYED["d"]}, samples=3).id != method(three | {"e": KEYED["d"]}, samples=3).id
    assert all(one.startswith("mine@1[maps=") for one in ids)


def test_the_id_does_not_depend_on_the_form_of_the_maps(tmp_path):
    np.savez(tmp_path / "table.npz", sample_ids=np.array(list("edcba")), maps=MAPS.flip(0).numpy())
    np.savez(tmp_path / "keyed.npz", **{name: values.numpy() for name, values in KEYED.items()})
    forms = [
        KEYED,
        MAPS,
        MAPS.numpy(),
        MAPS.clone().requires_grad_(),
        MAPS.to_sparse(),
        tmp_path / "table.npz",
        str(tmp_path / "keyed.npz"),
    ]
    assert len({method(form).id for form in forms}) == 1


def test_a_task_whose_samples_lack_maps_in_between_names_the_way_to_score_the_others():
    ids = TASKS["mnist1d"].samples()[:3]
    asked = replace(plan(samples=3), tasks=[TASKS["mnist1d"]])
    with pytest.raises(
        RequestError,
        match=f"1 of the 3 samples of mnist1d have no map, for example '{ids[0]}'; add them, or "
        "score the others alone with bench.score",
    ):
        given.methods({"mine": dict(zip(ids[1:], MAPS, strict=False))}, asked)
    with pytest.raises(RequestError, match=r"add them, or ask for 1 sample$"):
        given.methods({"mine": dict(zip([ids[0], ids[2]], MAPS, strict=False))}, asked)


def test_half_precision_is_read_as_single_and_one_double_makes_all_double():
    problem = loaded("ab")
    for maps, kind in (
        ({name: values.half() for name, values in KEYED.items()}, torch.float32),
        ({name: values.numpy().astype(">f4") for name, values in KEYED.items()}, torch.float32),
        (KEYED | {"e": KEYED["e"].double()}, torch.float64),
        ({name: values.numpy() + 1e-12 for name, values in KEYED.items()}, torch.float32),
        ({name: values.double().numpy() + 1e-12 for name, values in KEYED.items()}, torch.float64),
    ):
        made = explain_all(method(maps), problem, task="model@1", seed=0)
        assert made.attribution.dtype == kind
        expected = torch.stack([torch.as_tensor(np.asarray(maps[name], dtype=float)) for name in "ab"])
        assert torch.equal(made.attribution.double(), expected)


def test_channels_are_summed_and_that_is_noted_once():
    inputs = torch.rand(4, 3, 8, 8)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    problem = Problem.from_model(model, inputs)
    maps = torch.randn(4, 3, 8, 8)
    summed, notes = given.methods({"mine": maps, "flat": maps.sum(1)}, plan(problem))
    assert notes == ["maps mine have an axis of channels, (N, C, *S); they are summed over it"]
    keyed, of_keyed = given.methods({"mine": {str(row): values for row, values in enumerate(maps)}}, plan(problem))
    assert of_keyed == notes
    first = load(plan(problem).tasks[0], ("0", "1", "2", "3"), plan(problem))
    for one in (*summed, *keyed):
        assert torch.equal(explain_all(one, first, task="model@1", seed=0).attribution, maps.sum(1))
    with pytest.raises(RequestError, match=r"shape \(4, 2, 8, 8\)"):
        given.methods({"mine": maps[:, :2]}, plan(problem))


def test_of_several_tasks_those_that_the_maps_are_not_of_are_skipped():
    both = plan(PROBLEM, 2, TASKS["mnist1d"])
    (made,), _ = given.methods({"mine": KEYED}, both)
    ids = tuple(TASKS["mnist1d"].samples()[:2])
    other = explain_all(made, load(TASKS["mnist1d"], ids, both), task="mnist1d@1", seed=0)
    own = explain_all(made, loaded("ab"), task="model@1", seed=0)
    assert (set(other.status), set(own.status)) == ({"skipped"}, {"ok"})
    assert made.samples == 5


def test_the_ids_of_one_task_are_not_taken_for_those_of_another(tmp_path):
    """MNIST-1D and the planted signals name their samples alike; a file says which they are of, or is refused."""
    ids = TASKS["mnist1d"].samples()[:2]
    arrays = dict(zip(ids, MAPS.numpy()[:2], strict=True))
    both = replace(plan(samples=2), tasks=[TASKS["mnist1d"], TASKS["planted_signal"]])
    with pytest.raises(RequestError, match="is a sample of mnist1d and of planted_signal; ask for one of these tasks"):
        given.methods({"mine": arrays}, both)
    np.savez(tmp_path / "maps.npz", **arrays, task=np.array("planted_signal@1"))
    (made,), _ = given.methods({"mine": tmp_path / "maps.npz"}, both)
    status = [set(explain_all(made, load(task, tuple(ids), both), task=task.id, seed=0).status) for task in both.tasks]
    assert status == [{"skipped"}, {"ok"}]


def test_a_problem_of_one_s_own_takes_maps_of_any_task(tmp_path):
    """It may be that task's problem, put together by hand."""
    np.savez(
        tmp_path / "maps.npz", **{name: values.numpy() for name, values in KEYED.items()}, task=np.array("tissue@1")
    )
    assert method(tmp_path / "maps.npz").samples == 5


def test_a_task_that_cannot_be_loaded_is_left_to_the_run():
    def no_data() -> list[str]:
        raise OSError("no disk")

    broken = replace(own_task(PROBLEM), samples=no_data)
    (made,), _ = given.methods({"mine": KEYED}, replace(plan(), tasks=[broken]))
    assert made.samples == 0


def test_metrics_that_need_a_method_say_why_they_cannot_score_maps():
    reasons = {name: given.why_not(metric) for name, metric in METRICS.items()}
    assert reasons["drop"] == ""
    assert (
        reasons["max_sensitivity"]
        == "metric max_sensitivity asks the method for other maps, so it cannot score given maps"
    )
    assert reasons["seconds"] == "metric seconds measures what an explanation costs, so it cannot score given maps"
    asking = {name for name, metric in METRICS.items() if {"explain", "cost"} & set(metric.injected)}
    assert {name for name, reason in reasons.items() if reason} == asking
