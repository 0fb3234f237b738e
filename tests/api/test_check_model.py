"""`bench.check_model`: from a problem or a task to rows, and to the file of a results folder."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

import bench
from bench.core.errors import RequestError
from bench.core.vocabulary import CONTROLS
from bench.registry.decorators import METHODS
from bench.storage import exactness as stored
from bench.storage.scores import Store
from bench.validation import exactness

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def problem() -> bench.Problem:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 20, 3))
    return bench.Problem.from_model(model, torch.randn(6, 1, 24))


def test_a_problem_of_ones_own_gives_one_row_per_method_and_check(problem):
    table = bench.check_model(problem, ["deep_lift", "cam"], progress=False)
    assert table.columns.tolist() == stored.COLUMNS
    assert table.loc[table["method"] == "deep_lift", "check"].tolist() == [
        "defined", "rules", "complete", "null", "class", "linear", "float64", "repeat",
    ]  # fmt: skip
    assert table.loc[table["method"] == "cam", ["check", "verdict"]].values.tolist() == [["applies", "skipped"]]
    assert table.set_index(["method", "check"]).loc[("deep_lift", "complete"), "verdict"] == "holds"


def test_methods_that_are_not_named_are_those_of_the_profile_without_controls(problem):
    table = bench.check_model(problem, samples=1, progress=False)
    quick = {name for name, method in METHODS.items() if method.in_profile("quick") and method.family != CONTROLS}
    assert set(table["method"]) == quick


def test_a_setting_closes_the_gap(problem):
    table = bench.check_model(
        problem, ["integrated_gradients[steps=4]", "integrated_gradients[steps=512]"], progress=False
    )
    few, many = table.loc[table["check"] == "complete", "measured"]
    assert many < few / 10


def test_the_map_that_is_checked_is_that_of_a_run(problem):
    """smoothgrad draws noise: by the names of task, method and sample."""
    seen: list[torch.Tensor] = []
    fn = METHODS["smoothgrad"].fn

    def kept(problem: bench.Problem, rng: object, *, samples: int = 32, sigma: float = 0.15) -> torch.Tensor:
        seen.append(fn(problem, rng, samples=samples, sigma=sigma))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "smoothgrad", replace(METHODS["smoothgrad"], fn=kept))
        bench.check_model(problem, "smoothgrad", samples=2, seed=3, progress=False)
    wanted = bench.attribute(problem, "smoothgrad", samples=2, seed=3)
    torch.testing.assert_close(seen[0], wanted, rtol=0, atol=1e-6)


def test_the_answers_of_a_run_and_its_check_share_task_fingerprint_and_method(problem, tmp_path):
    bench.evaluate(problem, methods=["saliency", "random"], metrics=["drop"], out=tmp_path, progress=False)
    bench.check_model(problem, "saliency", samples=2, out=tmp_path, progress=False)
    scores = Store(tmp_path).read()
    found = exactness.standings(stored.read(tmp_path), scores["task"][0], scores["fingerprint"][0])
    assert set(found) == set(scores["method_id"]) - {"random@1"}
    assert found["saliency@1"].chip == "exact here"


def test_a_registered_task_and_a_problem_of_its_name_share_the_fingerprint(tmp_path):
    bench.evaluate(task="mnist1d", methods=["saliency"], metrics=["drop"], samples=2, out=tmp_path, progress=False)
    bench.check_model("mnist1d", "saliency", samples=2, out=tmp_path, progress=False)
    table = pd.read_csv(tmp_path / stored.FILE)
    assert table["task"].unique().tolist() == ["mnist1d"]
    assert table["fingerprint"].unique().tolist() == Store(tmp_path).read()["fingerprint"].unique().tolist()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": "salency"}, "did you mean 'saliency'"),
        ({"profile": "fast"}, "unknown profile 'fast'"),
        ({"samples": 0}, "samples is 0"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
    ],
)
def test_a_wrong_request_is_refused(problem, wrong, message):
    with pytest.raises(RequestError, match=message):
        bench.check_model(problem, progress=False, **wrong)
