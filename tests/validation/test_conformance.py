"""The judge of the metrics is judged: its problems in closed form, and metrics that are wrong on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.core.entries import Metric
from bench.core.vocabulary import RANKING_FAMILIES
from bench.engine.explain import explain_all
from bench.page import data
from bench.perturbation.probe import Probe
from bench.registry.decorators import METRICS
from bench.registry.selection import with_params
from bench.report.terminal import conformance_text
from bench.validation import conformance
from bench.validation.closed_form import CONTROLS, KINDS, SHAPES, Pairs, exact, problem
from bench.validation.ladders import ALL_KINDS, COLUMNS
from bench.validation.verdicts import SHIPPED_VERDICTS, code_hash, read_verdicts, up_to_date, verdict_by_id

every_problem = pytest.mark.parametrize(("kind", "shape"), [(kind, shape) for kind in KINDS for shape in SHAPES])


def logit(kind: str, shape: str, inputs: Tensor) -> Tensor:
    """Logit of the explained class at other inputs (B, N, C, *S) of the problem's samples: (B, N)."""
    asked = problem(kind, shape)
    answers = asked.model(inputs.flatten(0, 1)).view(len(inputs), len(asked), 2)
    return answers.gather(2, asked.targets.view(1, -1, 1).expand(len(inputs), -1, 1))[..., 0]


def without(asked, places: list[int]) -> Tensor:
    """The problem's inputs with all channels of these places at the baseline."""
    inputs = asked.inputs.clone()
    inputs.flatten(2)[:, :, places] = 0
    return inputs


@every_problem
def test_contributions_sum_to_what_the_input_changes(kind, shape):
    asked = problem(kind, shape)
    full, empty = logit(kind, shape, torch.stack([asked.inputs, torch.zeros_like(asked.inputs)]))
    torch.testing.assert_close(exact(asked).flatten(1).sum(1), full - empty, atol=1e-5, rtol=1e-5)


@every_problem
def test_contributions_are_what_places_change_alone_or_by_shapleys_formula(kind, shape):
    asked = problem(kind, shape)
    places = asked.shape.numel()
    pairs = asked.model.features
    partner = {place: place for place in range(places)}
    if isinstance(pairs, Pairs):
        partner |= dict(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        partner |= dict(zip(pairs.second.tolist(), pairs.first.tolist(), strict=True))
    # Only its partner changes what a place adds, so of all orders of the places two kinds are left: before and after it.
    first = [without(asked, [partner[place]]) for place in range(places) if partner[place] != place]
    found = exact(asked).flatten(1)
    full = logit(kind, shape, asked.inputs[None])[0]
    for place in range(places):
        last = full - logit(kind, shape, without(asked, [place])[None])[0]
        other = partner[place]
        if other != place:
            pair = torch.stack([without(asked, [other]), without(asked, [place, other])])
            alone = logit(kind, shape, pair)
            last = (last + alone[0] - alone[1]) / 2
        torch.testing.assert_close(found[:, place], last, atol=2e-5, rtol=1e-4)
    assert isinstance(pairs, Pairs) == bool(first)


@every_problem
def test_a_problem_has_both_classes_and_no_certainty(kind, shape):
    asked = problem(kind, shape)
    p = Probe(asked).full
    assert set(asked.targets.tolist()) == {0, 1}
    assert 0.55 < float(p.median()) < 0.99
    assert asked.truth.flatten(1).any(1).all()
    assert not asked.truth.flatten(1).all(1).any()


def wrong(name: str, fn, **changes: object) -> Metric:
    """A metric of that name like `deletion`, but for what is changed."""
    return replace(METRICS["deletion"], name=name, fn=fn, params=(), injected=("probe", "attribution"), **changes)


def mean_deletion(probe: Probe, attribution: Tensor) -> Tensor:
    return probe.deletion(attribution, 20).mean(1)


def first_batch_only(probe: Probe, attribution: Tensor) -> Tensor:
    scores = probe.deletion(attribution, 20).mean(1)
    return torch.where(torch.arange(len(scores)) < probe.problem.batch_size, scores, scores[0])


def neighbours(probe: Probe, attribution: Tensor) -> Tensor:
    scores = probe.deletion(attribution, 20).mean(1)
    return scores + 0.1 * scores.mean()


def constant(attribution: Tensor) -> Tensor:
    return torch.full((len(attribution),), 0.5)


def absolute(probe: Probe, attribution: Tensor) -> Tensor:
    """Correlation of |attribution| with |what each place changes|."""
    lost = (probe.full[:, None] - probe.leave_one_out("pixel")).abs()
    return torch.stack(
        [torch.corrcoef(torch.stack(both))[0, 1] for both in zip(attribution.abs().flatten(1), lost, strict=True)]
    )


def grey_only(probe: Probe, attribution: Tensor) -> Tensor:
    if probe.problem.inputs.shape[1] == 3:
        raise IndexError("too many channels")
    return probe.deletion(attribution, 20).mean(1)


def test_a_sound_metric_passes_and_its_flag_inverted_fails():
    sound = conformance.check(wrong("sound", mean_deletion))
    assert sound.passed, sound.faults
    assert sound.input_shapes == list(SHAPES)
    assert sound.uses_sign == "yes"
    assert all(value > 0.8 for value in sound.superiority.values())
    inverted = conformance.check(wrong("inverted", mean_deletion, higher_is_better=True))
    assert not inverted.passed
    assert inverted.faults[0] == "the scores run against the stated direction (higher is better)"


def test_one_that_reads_only_the_first_batch_is_caught():
    found = conformance.check(wrong("first", first_batch_only))
    assert "a sample's score depends on the batch size on 1-D" in found.faults


def test_one_whose_scores_depend_on_other_samples_is_caught():
    found = conformance.check(wrong("neighbours", neighbours))
    assert "a sample's score depends on the other samples on 1-D" in found.faults


def test_a_constant_is_caught():
    found = conformance.check(wrong("constant", constant))
    assert not found.passed
    assert found.faults[0] == "noisy(1) is not scored worse than noisy(0.1) on 1-D, grey, RGB"


def test_one_that_is_blind_to_signs_is_told_so_and_not_asked_to_put_the_negative_last():
    found = conformance.check(wrong("absolute", absolute, higher_is_better=True))
    assert found.uses_sign == "no"
    assert ("random", "negated") not in found.superiority
    assert found.passed, found.faults


def test_one_that_raises_on_colours_fails_there_and_accepts_the_rest():
    found = conformance.check(wrong("grey", grey_only))
    assert found.input_shapes == ["1-D", "grey"]
    assert [fault for fault in found.faults if fault.startswith("fails on RGB: IndexError: too many channels")]


def test_effects_of_scaling_shifting_and_absolute_values_are_in_the_verdict():
    found = conformance.check(wrong("sound", mean_deletion))
    assert found.changes["times_10"] == 0  # the order is all that counts
    assert found.changes["plus_1"] == 0
    assert found.changes["absolute"] > 0.1


def test_superiority_by_hand():
    assert conformance.superiority(np.array([1.0, 2.0, -1.0, 0.0, np.nan])) == (2 + 0.5) / 4
    assert np.isnan(conformance.superiority(np.array([np.nan])))


def test_a_control_is_the_same_for_a_sample_alone_as_among_others():
    asked = problem("linear", "1-D")
    together = explain_all(CONTROLS["noisy(1)"], asked, task="t", seed=0).attribution
    alone = explain_all(CONTROLS["noisy(1)"], asked.take([3]), task="t", seed=0).attribution
    torch.testing.assert_close(alone[0], together[3])


class Quiet:
    """A progress bar that counts."""

    total: float | None = None
    seen = 0

    def update(self, n: float | None = 1) -> None:
        self.seen += int(n or 0)

    def set_description_str(self, desc: str | None = None) -> None: ...
    def refresh(self) -> None: ...


def test_only_what_is_not_known_is_checked_again(tmp_path):
    metric = wrong("mine", mean_deletion)
    first, again, changed = Quiet(), Quiet(), Quiet()
    table = up_to_date([metric], tmp_path, first)
    up_to_date([metric], tmp_path, again)
    up_to_date([wrong("mine", first_batch_only)], tmp_path, changed)
    assert (first.seen, again.seen, changed.seen) == (1, 0, 1)
    assert table["verdict"].tolist() == ["pass"]
    assert verdict_by_id(tmp_path) == {metric.id: "fail"}  # of the newest code


def test_the_shipped_table_is_of_the_metrics_as_they_are():
    shipped = read_verdicts(SHIPPED_VERDICTS)
    known = set(zip(shipped["metric_id"], shipped["code"], strict=True))
    stale = [m.name for m in conformance.judged(METRICS.values()) if (m.id, code_hash(m)) not in known]
    assert not stale, "renew it with `python -m bench check metrics --out OUT` and copy OUT/conformance.csv"


def test_own_metrics_pass_but_for_those_that_are_told_in_the_docs():
    shipped = read_verdicts(SHIPPED_VERDICTS).set_index("metric")
    own = shipped[~shipped.index.str.startswith("quantus_") & shipped["family"].isin(RANKING_FAMILIES)]
    assert own.index[own["verdict"] == "fail"].tolist() == ["road"]


# Two lines of a table as version 0.1 wrote it.
OLD = """\
metric,metric_id,code,family,verdict,why,sign,takes,exact > noisy(0.1),noisy(0.1) > noisy(1),noisy(1) > random,\
random > negated,exact > noisy(1),exact > from zero,exact > half model,half model > model-free,\
batch,times 10,plus 1,absolute,seconds
deletion,"deletion@2[steps=20,features=pixel]",123456789012,faithfulness,pass,,counts,"1-D, grey, RGB",\
0.9187,0.9979,0.9938,1,,,,,7.317e-08,0,0,1.587,0.601
quantus_monotonicity,quantus_monotonicity@1[steps=20],12e4567,faithfulness,fail,"noisy(1) is not told from noisy(0.1) on 1-D",\
ignored,"1-D, grey, RGB",0.5,0.5,0.5,,,,,,0,0,0,0,0.5972
"""


def test_a_table_of_an_older_version_is_read_with_the_columns_of_today(tmp_path):
    path = tmp_path / "conformance.csv"
    path.write_text(OLD)
    table = read_verdicts(path)
    assert set(table) == {"code", *COLUMNS}
    assert table["code"].tolist() == ["123456789012", "12e4567"]
    assert table["uses_sign"].tolist() == ["yes", "no"]
    assert table["input_shapes"].tolist() == ["1-D, grey, RGB"] * 2
    assert table["failure_reasons"].tolist() == ["", "noisy(1) is not told from noisy(0.1) on 1-D"]
    assert table.query("exact_vs_noisy_0_1 > 0.9 and times_10 == 0")["metric"].tolist() == ["deletion"]
    assert table.query("random_vs_negated == 1 and plus_1 == 0 and noisy_0_1_vs_noisy_1 > 0.99")["metric"].tolist() == [
        "deletion"
    ]
    assert verdict_by_id(tmp_path) == {
        "deletion@2[steps=20,features=pixel]": "pass",
        "quantus_monotonicity@1[steps=20]": "fail",
    }


def test_page_and_terminal_show_the_steps_of_the_ladders(tmp_path):
    (tmp_path / "conformance.csv").write_text(OLD)
    table = read_verdicts(tmp_path / "conformance.csv")
    shown = data.conformance(table)
    assert {step["key"]: step["label"] for step in shown["steps"]} == {
        "exact_vs_noisy_0_1": "exact > noisy(0.1)",
        "noisy_0_1_vs_noisy_1": "noisy(0.1) > noisy(1)",
        "noisy_1_vs_random": "noisy(1) > random",
        "random_vs_negated": "random > negated",
    }
    assert shown["changes"] == ["batch", "times_10", "plus_1", "absolute"]
    assert shown["lines"][0]["noisy_0_1_vs_noisy_1"] == 0.9979
    text = conformance_text(table)
    assert "exact>n(0.1)" in text
    assert text.endswith("failed checks:\n  quantus_monotonicity: noisy(1) is not told from noisy(0.1) on 1-D")


def test_ladders_name_all_kinds_of_problems():
    assert tuple(KINDS) == ALL_KINDS


def test_columns_need_no_quoting_in_a_query():
    assert all(name.isidentifier() for name in COLUMNS)


def test_a_step_with_p_of_3_percent_counts_as_not_scored_worse():
    """Of 14 gaps that are not 0, 11 are positive: p = 0.029; of 17, 14: p = 0.0064."""
    for positive, negative, right in ((11, 3, False), (14, 3, True)):
        gaps = np.r_[np.ones(positive), -np.ones(negative), np.zeros(32 - positive - negative)]
        verdict = conformance.Verdict(wrong("mine", mean_deletion, higher_is_better=True))
        conformance._judge_order(
            verdict, ("noisy(0.1)", "noisy(1)"), {"1-D": {"noisy(0.1)": gaps, "noisy(1)": 0 * gaps}}
        )
        assert verdict.passed is right


def test_another_baseline_than_the_problems_is_not_covered_and_another_output_is():
    assert conformance.check(with_params(METRICS["deletion"], "baseline=blur")).row()["verdict"] == "untested"
    verdict = conformance.check(with_params(METRICS["deletion"], "output=logit"))
    assert (verdict.row()["verdict"], verdict.row()["uses_sign"]) == ("pass", "yes")


@pytest.mark.parametrize(("right", "faults"), [(24, []), (22, ["noisy(1) is not scored worse than exact on 1-D"])])
def test_an_order_that_chance_might_have_made_is_none(right, faults):
    """By tossing coins 22 of 32 samples have the right order with a probability of 2.5 %, and 24 with one of 0.35 %."""
    found = {"1-D": {"exact": np.where(np.arange(32) < right, 1.0, -1.0), "noisy(1)": np.zeros(32)}}
    judged = conformance.Verdict(METRICS["insertion"])
    conformance._judge_order(judged, ("exact", "noisy(1)"), found)
    assert judged.faults == faults


@pytest.mark.parametrize(("right", "verb"), [(10, "not scored worse"), (8, "scored better")])
def test_an_order_that_chance_might_have_reversed_is_not_reversed(right, verb):
    found = {"1-D": {"exact": np.where(np.arange(32) < right, 1.0, -1.0), "noisy(1)": np.zeros(32)}}
    judged = conformance.Verdict(METRICS["insertion"])
    conformance._judge_order(judged, ("exact", "noisy(1)"), found)
    assert judged.faults[-1] == f"noisy(1) is {verb} than exact on 1-D"


@pytest.mark.parametrize(("gap", "same"), [(5e-4, True), (5e-3, False)])
def test_what_differs_by_more_than_a_thousandth_of_the_scores_spread_is_another_score(gap, same):
    scores = np.array([-1.0, 1.0, 0.0])
    assert conformance._same(scores, scores + np.array([0, 0, gap])) == same
