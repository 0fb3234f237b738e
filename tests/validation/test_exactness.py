"""What is measured about a method on one network: answers worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pandas as pd
import pytest
import torch
from conftest import with_targets
from torch import Tensor, nn

from bench.core.entries import Entry
from bench.core.problem import Problem
from bench.registry.decorators import METHODS
from bench.registry.selection import select
from bench.storage.exactness import COLUMNS
from bench.validation import exactness, twins
from bench.validation.exactness import check_method, standing
from bench.validation.network_checks import APART, FAILS, GAP, HOLDS, NOT_CHECKED, SKIPPED, Network, percent

pytestmark = pytest.mark.usefixtures("one_thread")
COMPLETE = sorted(name for name, method in METHODS.items() if "complete" in method.promises)


def problem_of(
    model: Callable[[Tensor], Tensor] | nn.Module, inputs: Tensor | Sequence, target: int = 0, **more
) -> Problem:
    """Inputs as a list of feature vectors, or a tensor (N, C, *S)."""
    values = inputs if isinstance(inputs, Tensor) else torch.tensor(inputs)
    return with_targets(Problem.from_model(model, values, target, **more), 8)


def checks_of(method: Entry | str, problem: Problem) -> pd.DataFrame:
    chosen = select(METHODS, [method], "method")[0] if isinstance(method, str) else method
    return pd.DataFrame(check_method(chosen, Network(problem, "test", 0)), columns=COLUMNS)


def check_of(name: str, method: Entry | str, problem: Problem) -> pd.Series:
    table = checks_of(method, problem).set_index("check")
    assert name in table.index, f"{name} was not asked; {dict(table['note'])}"
    return table.loc[name]


def made(fn: Callable[..., Tensor], *promises: str, injected: tuple[str, ...] = ("problem",)) -> Entry:
    return Entry(fn.__name__, fn, "test", "", 1, (), injected, promises=frozenset(promises))


class Function(nn.Module):
    """Logits of feature vectors (N, 1, F) by a formula."""

    def __init__(self, formula: Callable[[Tensor], Sequence[Tensor]]) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(list(self.formula(x.flatten(1).T)), 1)


KINK = Function(lambda x: ((x[0] - 0.4).relu() + x[1], x[0] - x[1]))  # at (1, 2): 2.6, at 0: 0
SIGNALS = torch.sin(torch.arange(3 * 2 * 20.0)).view(3, 2, 20)


def linear_problem() -> Problem:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(72, 3))
    return problem_of(model, SIGNALS, baseline=0.25, background=SIGNALS[:2])


def small_network(*, inplace: bool = False) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(2, 6, 3, padding=1), nn.ReLU(inplace), nn.Conv1d(6, 6, 3, padding=1), nn.ReLU(inplace),
        nn.MaxPool1d(2), nn.Flatten(), nn.Linear(60, 3),
    )  # fmt: skip


# --- complete


@pytest.mark.parametrize("name", COMPLETE)
def test_on_a_linear_network_nothing_is_missing(name):
    """1e-6 of the gain: float32 sums of 40 features round by about 1e-7 each."""
    row = check_of("complete", name, linear_problem())
    assert row["verdict"] == HOLDS
    assert row["measured"] < 1e-6
    assert standing(checks_of(name, linear_problem())).kind == exactness.EXACT


def test_one_point_of_the_path_misses_a_kink_by_the_share_worked_out_by_hand():
    """Halfway, at (0.5, 1), the slopes are (1, 1): the map is (1, 2), its sum 3, and the gain 2.6."""
    row = check_of("complete", "integrated_gradients[steps=1]", problem_of(KINK, [[1.0, 2.0]]))
    assert row["verdict"] == FAILS
    assert row["measured"] == pytest.approx(0.4 / 2.6, rel=1e-6)
    assert row["tolerance"] == GAP == 0.01
    assert row["note"] == (
        "the maps miss 15 % of what the output gains over the baseline: that of sample '0' sums to 3, and the gain is 2.6; "
        "integrated_gradients[steps=4] may close the gap"
    )


def test_the_gap_of_several_samples_is_that_of_their_sums():
    """At (0.3, 1) the map is (0, 1), exact; at (1.2, 2) its sum is 3.2, and the gain 2.8; at (1, 2) as above."""
    row = check_of("complete", "integrated_gradients[steps=1]", problem_of(KINK, [[0.3, 1.0], [1.0, 2.0], [1.2, 2.0]]))
    assert row["measured"] == pytest.approx(2 * 0.4 / (1 + 2.6 + 2.8), rel=1e-6)
    assert re.search(r"sample '[12]' sums to 3", row["note"])  # the worst are two, to rounding


def test_a_fourth_power_by_one_point_misses_half():
    """The slope halfway is 4 / 8; the gain is 1. The other feature adds 1 to both."""
    power = Function(lambda x: (x[0] ** 4 + x[1], x[1]))
    row = check_of("complete", "integrated_gradients[steps=1]", problem_of(power, [[1.0, 1.0]]))
    assert row["measured"] == pytest.approx(0.5 / 2, rel=1e-6)


def test_a_map_that_misses_more_than_half_is_not_to_be_trusted():
    flat = Function(lambda x: ((x[0] - 0.6).relu() + 0.1 * x[1], x[1]))  # at (1, 1): 0.5; halfway the first slope is 0
    found = standing(checks_of("integrated_gradients[steps=1]", problem_of(flat, [[1.0, 1.0]])))
    assert found[:2] == (exactness.DISTRUST, "gap 80 %")
    assert found.note.endswith("; integrated_gradients[steps=4] or another baseline may close the gap.")


def test_rescaling_a_kink_is_exact():
    table = checks_of(
        "deep_lift", problem_of(nn.Sequential(nn.Flatten(), nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), [[1.0, 2.0]])
    )
    assert table.set_index("check").loc["complete", "measured"] < 1e-6


def test_there_is_no_share_of_a_gain_of_0():
    even = Function(lambda x: (x[0] - x[1], x[0]))
    row = check_of("complete", "integrated_gradients", problem_of(even, [[1.0, 1.0]]))
    assert row["verdict"] == NOT_CHECKED
    assert row["note"] == "the explained output is the same at the inputs and at the baseline"


# --- null


def test_features_that_the_network_is_not_given_are_told_from_the_others():
    """This map is the input itself: the largest value that is not read is that of the outer half of the mirror image."""

    def brightness(problem: Problem) -> Tensor:
        return problem.inputs.sum(1)

    row = check_of("null", made(brightness, "null"), problem_of(KINK, [[8.0, 1.0, 2.0, 4.0]]))
    assert row["verdict"] == FAILS  # the mirror image is 4, 2, 1, 8, of which 1 and 8 are asked
    assert row["measured"] == 1.0
    row = check_of("null", made(brightness, "null"), problem_of(KINK, [[1.0, 3.0, 2.0, 4.0]]))
    assert row["measured"] == pytest.approx(3 / 4)
    row = check_of("null", made(lambda problem: -brightness(problem), "null"), problem_of(KINK, [[1.0, 3.0, 2.0, 4.0]]))
    assert row["measured"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("shape", [(2, 1, 30), (2, 3, 12, 10), (2, 3, 9, 20), (2, 2, 4, 6, 5)])
def test_the_widened_network_answers_as_the_network_itself(shape):
    torch.manual_seed(0)
    size = torch.Size(shape[1:]).numel()
    model = nn.Sequential(nn.Flatten(), nn.Linear(size, 4), nn.ReLU(), nn.Linear(4, 2))
    values = torch.randn(shape)
    ends = {"background": values[:1], "bounds": (-9.0, 9.0), "truth": values.sum(1) > 0, "layers": ["2"]}
    problem = problem_of(model, values, **ends)
    wide = twins.widened(problem)
    assert wide.problem.inputs[0].numel() == 2 * size
    assert torch.equal(wide.problem.model(wide.problem.inputs), problem.model(values))
    assert wide.problem.truth.shape == (2, *wide.problem.shape)
    assert wide.problem.background.shape == (1, *wide.problem.inputs.shape[1:])
    assert wide.problem.model.get_submodule(wide.problem.layers[0]) is problem.model.get_submodule("2")
    changed = wide.problem.inputs.clone()
    wide.unread(changed[:, 0]).fill_(99.0)
    assert (changed == 99.0).any()
    assert torch.equal(wide.problem.model(changed), problem.model(values))


@pytest.mark.parametrize(
    "name", ["feature_ablation", "shapley_sampling[orders=2]", "lrp_epsilon", "deep_lift", "saliency"]
)
@pytest.mark.parametrize("shape", [(2, 2, 100), (2, 2, 300, 3), (2, 2, 16, 16)])
def test_cells_and_rules_leave_nothing_to_features_that_are_not_read(name, shape):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape[1:]).numel(), 5), nn.ReLU(), nn.Linear(5, 3))
    assert check_of("null", name, problem_of(model, torch.randn(shape)))["verdict"] == HOLDS


# --- class


def test_a_map_that_ignores_the_class_breaks_its_promise():
    def ignores(problem: Problem) -> Tensor:
        return problem.inputs[:, 0]

    row = check_of("class", made(ignores, "class"), problem_of(KINK, [[1.0, 2.0]]))
    assert (row["verdict"], row["measured"], row["tolerance"]) == (FAILS, 0.0, APART)
    assert row["note"] == "the map of sample '0' is the same for the outputs 0 and 1: it does not explain the class"


def test_a_sample_whose_maps_say_nothing_for_either_class_is_left_out():
    def of_positive_inputs(problem: Problem) -> Tensor:
        return torch.where(problem.targets == 0, 1.0, 0.5)[:, None] * problem.inputs[:, 0].clamp_min(0)

    method = made(of_positive_inputs, "class")
    row = check_of("class", method, problem_of(KINK, [[-1.0, -2.0], [1.0, 2.0]]))
    assert (row["verdict"], row["measured"]) == (HOLDS, 0.5)  # of the second sample: (1, 2) against (0.5, 1)
    row = check_of("class", method, problem_of(KINK, [[-1.0, -2.0], [-2.0, -1.0], [1.0, 2.0], [2.0, 1.0]]))
    assert row["verdict"] == NOT_CHECKED  # of the first two samples
    assert row["note"] == "the maps of the two classes say nothing that could be compared"


def test_a_map_of_another_class_that_is_not_finite_is_not_compared():
    def divides(problem: Problem) -> Tensor:
        return problem.inputs[:, 0] / (problem.targets[:, None] == 0)

    row = check_of("class", made(divides, "class"), problem_of(KINK, [[1.0, 2.0]]))
    assert row["verdict"] == NOT_CHECKED


def test_one_logit_as_two_has_another_map_for_the_class_whose_logit_is_0():
    one = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 1))
    row = check_of("class", "saliency", problem_of(one, SIGNALS, 1, output="sigmoid"))
    assert (row["verdict"], row["measured"]) == (HOLDS, 1.0)  # a map of zeros


def test_of_two_outputs_that_mirror_each_other_an_unsigned_map_is_rightly_the_same():
    mirrored = Function(lambda x: (x[0] ** 2 + x[1], -(x[0] ** 2) - x[1]))
    row = check_of("class", "saliency", problem_of(mirrored, [[1.0, 2.0]]))
    assert row["verdict"] == NOT_CHECKED
    assert row["note"].startswith("the outputs of the network rise and fall together")


def test_a_third_output_serves_where_the_second_mirrors_the_first():
    three = Function(lambda x: (x[0] ** 2 + x[1], -(x[0] ** 2) - x[1], x[0] - 9))
    assert check_of("class", "saliency", problem_of(three, [[1.0, 2.0]]))["verdict"] == HOLDS


def test_a_network_of_one_value_has_no_other_class():
    value = Function(lambda x: (x[0] ** 2 + x[1],))
    row = check_of("class", "saliency", problem_of(value, [[1.0, 2.0]], output="identity"))
    assert (row["verdict"], row["note"]) == (NOT_CHECKED, "the network has one output")


# --- linear


def test_on_a_linear_network_a_promise_of_linearity_is_asked():
    assert check_of("linear", "gradient_x_input", linear_problem())["verdict"] == HOLDS

    def twice(problem: Problem) -> Tensor:
        return 2 * METHODS["gradient_x_input"].fn(problem)

    row = check_of("linear", made(twice, "linear"), linear_problem())
    assert (row["verdict"], row["measured"]) == (FAILS, pytest.approx(1.0, rel=1e-5))
    assert check_of("linear", "gradient_x_input", problem_of(KINK, [[1.0, 2.0]]))["verdict"] == NOT_CHECKED


# --- finite differences


@pytest.mark.parametrize(
    ("name", "values"), [("saliency", [4.0, 1.0]), ("sensitivity", [16.0, 1.0]), ("gradient_x_input", [-8.0, 3.0])]
)
def test_maps_that_are_a_formula_of_the_gradient_are_compared_with_differences(name, values):
    problem = problem_of(Function(lambda x: (x[1] - x[0] ** 2, x[1])), [[2.0, 3.0]])
    assert METHODS[name].fn(problem)[0].tolist() == values
    row = check_of("differences", name, problem)
    assert row["verdict"] == HOLDS
    assert row["measured"] < 1e-6  # the second derivative does not matter to central differences


def test_a_gradient_that_is_not_the_slope_is_found():
    """A straight-through estimator: the output is a staircase, and its gradient is said to be 1."""
    staircase = Function(lambda x: (x[0] + (x[0].round() - x[0]).detach() + 0.5 * x[1], x[1]))
    problem = problem_of(staircase, [[2.2, 3.0]])
    row = check_of("differences", "saliency", problem)
    assert (row["verdict"], row["measured"]) == (FAILS, pytest.approx(1.0))
    assert row["note"].startswith("the map is not that of finite differences at ")
    assert check_of("gradient", "smoothgrad", problem)["note"].startswith(
        "the network's gradient is not that of finite"
    )
    assert standing(checks_of("smoothgrad", problem)).chip == "not to be trusted"


def test_the_step_is_halved_until_no_kink_lies_inside():
    """2e-6 from the kink: the first step is 1e-4 of the range, 1."""
    near = Function(lambda x: ((x[0] - 0.5).relu() + x[1], x[1]))
    slopes = twins.measured_slopes(twins.in_float64(problem_of(near, [[0.500002, 1.5]])))
    first = slopes.places == 0
    assert slopes.smooth.all()
    assert slopes.measured[first].flatten().tolist() == pytest.approx([1.0] * int(first.sum()), rel=1e-6)


def test_a_feature_on_a_kink_is_left_out():
    on_it = Function(lambda x: (x[0].relu() + 0.5 * x[1] ** 2, x[1]))
    row = check_of("differences", "saliency", problem_of(on_it, [[0.0, 2.0]]))  # (0, 2); differences give (0.5, 2)
    assert row["verdict"] == HOLDS
    assert row["note"].endswith("more lie on a kink")


@pytest.mark.parametrize("name", ["grad_cam", "integrated_gradients"])
def test_methods_that_go_through_gradients_are_asked_about_the_networks_gradient(name):
    row = check_of("gradient", name, problem_of(small_network(), SIGNALS))
    assert row["verdict"] == HOLDS
    assert row["measured"] < 1e-9  # between kinks the network is linear


@pytest.mark.parametrize("name", ["lrp_epsilon", "deep_lift", "guided_backprop", "occlusion", "random"])
def test_methods_without_the_networks_gradient_are_not_asked_about_it(name):
    asked = set(checks_of(name, problem_of(small_network(), SIGNALS))["check"])
    assert asked & {"gradient", "differences"} == set()


# --- float64, repeat, defined


def test_a_map_that_is_another_in_float64_says_by_how_much():
    """(1, 2) in float64 and (1, 2.5) in float32: off by 0.5 of sqrt(5)."""

    def rounded(problem: Problem) -> Tensor:
        return problem.inputs[:, 0] + torch.tensor([0.0, 0.5 if problem.inputs.dtype == torch.float32 else 0.0])

    row = check_of("float64", made(rounded), problem_of(KINK, [[1.0, 2.0]]))
    assert (row["verdict"], row["measured"]) == (FAILS, pytest.approx(0.5 / 5**0.5, rel=1e-6))
    assert row["note"] == "computed in float64 the map of sample '0' differs by 22 %: rounding decides it"


CONSTANT = torch.ones(2, 2)  # float32 for ever


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            Function(lambda x: (x[0] + 1e8 - 1e8, x[1])),
            "the network has other outputs in float64, so the two cannot be compared",
        ),
        (Function(lambda x: (x[0].float(), x[1].float())), "the network returns float32 for inputs in float64"),
        (
            Function(lambda x: CONSTANT @ x),
            "the network does not compute in float64 (RuntimeError: expected m1 and m2 to ",
        ),
    ],
    ids=["rounding", "cast", "constant"],
)
def test_a_network_without_a_twin_in_float64_says_why(model, why):
    row = check_of("float64", "input_magnitude", problem_of(model, [[1.3, 2.0]]))
    assert row["verdict"] == NOT_CHECKED
    assert row["note"].startswith(why)


def test_a_network_in_float64_has_no_other_twin():
    problem = problem_of(Function(lambda x: (x[0] ** 2 + x[1], x[1])), torch.tensor([[1.0, 2.0]], dtype=torch.float64))
    table = checks_of("saliency", problem).set_index("check")
    assert table.loc["float64", "note"] == "the network computes in float64 already"
    assert table.loc["differences", "verdict"] == HOLDS


def test_two_calls_that_differ_are_measured():
    calls: list[int] = []

    def counts(problem: Problem) -> Tensor:
        calls.append(1)
        return problem.inputs[:, 0] + 0.5 * (len(calls) > 1)

    row = check_of("repeat", made(counts), problem_of(KINK, [[1.0, 2.0]]))
    assert (row["verdict"], row["measured"]) == (FAILS, pytest.approx(0.25))


def test_maps_that_say_nothing_are_counted_and_not_asked_further():
    table = checks_of("constant", problem_of(KINK, [[1.0, 2.0], [2.0, 1.0]])).set_index("check")
    assert table.loc["defined", ["verdict", "measured", "note"]].tolist() == [
        FAILS, 1.0, "2 of 2 maps say nothing: the attribution is constant",
    ]  # fmt: skip
    assert set(table["note"].drop("defined")) == {"its maps say nothing"}


def test_a_few_empty_maps_are_counted_and_no_failure():
    """A class may have no evidence in a sample: half of the maps may be empty."""

    def of_positive_inputs(problem: Problem) -> Tensor:
        return problem.inputs[:, 0].clamp_min(0)

    samples = [[1.0, 2.0], [2.0, 1.0], [-1.0, -2.0], [-2.0, -1.0]]
    table = checks_of(made(of_positive_inputs), problem_of(KINK, samples))
    assert table.set_index("check").loc["defined", ["verdict", "measured"]].tolist() == [HOLDS, 0.5]
    assert standing(table).note == "Holds here: float64, repeat; 2 of 4 maps say nothing: the attribution is constant."
    table = checks_of(made(of_positive_inputs), problem_of(KINK, [*samples, [-3.0, -4.0]]))
    assert table.set_index("check").loc["defined", ["verdict", "measured"]].tolist() == [FAILS, 0.6]
    assert standing(table).kind == exactness.DISTRUST


# --- which methods apply, and the rules of layers


def test_an_operation_without_a_rule_is_named():
    sine = Function(lambda x: (x[0].sin() + x[1], x[1]))
    table = checks_of("lrp_epsilon", problem_of(sine, [[1.0, 2.0]]))
    assert table[["check", "verdict"]].values.tolist() == [["applies", SKIPPED]]
    assert table["note"][0].startswith("lrp_epsilon has no rule for the operation ")
    assert standing(table).chip == "not this network"


def test_what_a_method_raises_is_its_reason():
    def breaks(problem: Problem) -> Tensor:
        raise ValueError("no luck")

    table = checks_of(made(breaks), problem_of(KINK, [[1.0, 2.0]]))
    assert table[["check", "verdict"]].values.tolist() == [["applies", FAILS]]
    assert table["note"][0].startswith("it raised ValueError: no luck (test_exactness.py:")
    assert standing(table).kind == exactness.DISTRUST


def test_a_broken_contract_is_the_methods_fault_and_a_network_that_cannot_be_traced_is_not():
    def of_channels(problem: Problem) -> Tensor:
        return problem.inputs

    branches = Function(lambda x: (x[0] + x[1], x[1]) if x.sum() > 0 else (x[0], x[1]))
    row = check_of("applies", made(of_channels), problem_of(branches, [[1.0, 2.0]]))
    assert (row["verdict"], row["note"]) == (FAILS, "it returned shape (1, 1, 2), (1, 2) is needed")
    row = check_of("applies", "lrp_epsilon", problem_of(branches, [[1.0, 2.0]]))
    assert row["verdict"] == SKIPPED
    assert row["note"].startswith("torch.fx cannot trace the model's forward")


class Residual(nn.Module):
    """2 convolutions of 3 with a batch norm behind them, one batch norm alone, an addition, a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.alone = nn.BatchNorm1d(2)
        self.one, self.norm1 = nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.two, self.norm2 = nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.three, self.dense = nn.Conv1d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = self.norm1(self.one(self.alone(x))).relu()
        second = self.three(self.norm2(self.two(first)).relu())
        return self.dense(nn.functional.max_pool1d((first + second).relu(), 2).mean(-1))


def test_the_rules_that_were_applied_are_counted_by_kind_of_layer():
    row = check_of("rules", "lrp_epsilon", problem_of(Residual(), SIGNALS))
    assert row["note"] == (
        "batch norm 1 (shared in proportion), conv 3 (epsilon), ReLU 3 (passed on), add 1 (shared in proportion), "
        "max pool 1 (gradient), mean 1 (shared in proportion), linear 1 (epsilon), batch norm merged 2"
    )
    assert "conv 1 (flat), " in check_of("rules", "lrp_composite", problem_of(Residual(), SIGNALS))["note"]
    assert "ReLU 3 (guided)" in check_of("rules", "guided_backprop", problem_of(Residual(), SIGNALS))["note"]
    assert check_of("rules", "deep_lift", problem_of(small_network(), SIGNALS))["note"] == (
        "conv 2 (gradient), ReLU 2 (rescale), max pool 1 (rescale), linear 1 (gradient)"  # the flattening is no layer
    )


@pytest.mark.parametrize("name", ["lrp_epsilon", "deep_lift", "guided_backprop", "saliency"])
def test_layers_that_work_in_place_change_no_answer(name):
    one, other = (checks_of(name, problem_of(small_network(inplace=each), SIGNALS)) for each in (False, True))
    pd.testing.assert_frame_equal(one, other)


def test_a_flat_rule_on_a_dense_first_layer_names_the_layer():
    model = nn.Sequential(nn.Flatten(), nn.Linear(40, 8), nn.ReLU(), nn.Linear(8, 3))
    table = checks_of("lrp_composite", problem_of(model, SIGNALS))
    assert table["note"].tolist() == [
        "lrp_composite would give every feature the same relevance: layer 1 is dense and comes first, and the flat rule "
        "spreads its relevance evenly over all its inputs; lrp_epsilon does not"
    ]
    assert check_of("defined", "lrp_epsilon", problem_of(model, SIGNALS))["verdict"] == HOLDS


def test_a_flat_rule_on_a_dense_layer_that_sees_one_place_at_a_time_serves():
    class PerPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(2, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(self.one(x.permute(0, 2, 1)).relu()).mean(1)

    assert check_of("defined", "lrp_composite", problem_of(PerPlace(), SIGNALS))["verdict"] == HOLDS


# --- words


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (3e-7, "less than 0.01 %"), (0.0052, "0.52 %"), (0.0996, "10 %"), (0.12, "12 %"), (2.5, "250 %")],
)
def test_shares_are_short(share, text):
    assert percent(share) == text
