"""Names, hyper-parameters and plug-in files: what a user may ask for, and what is said when it does not exist."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from conftest import registries_put_back
from torch import nn

from bench.core.errors import RequestError
from bench.core.problem import Problem
from bench.engine import loading
from bench.engine.explain import explain_all
from bench.engine.loading import discover
from bench.registry import decorators
from bench.registry.decorators import METHODS, METRICS, TASKS, method
from bench.registry.selection import select, split, with_params

PACKAGE = "bench.tried"

# The whole of what a user writes to add a method.
TWELVE_LINES = '''"""Gradient times input [shrikumar2017deeplift]."""

import torch
from bench.registry import method


@method(cite="shrikumar2017deeplift", family="gradient")
def my_gradient_x_input(problem, *, factor=1.0):
    """Gradient of the class's logit times the input. -> (N, *S)"""
    x = problem.inputs.clone().requires_grad_()
    logits = problem.model(x).gather(1, problem.targets[:, None])
    return (factor * torch.autograd.grad(logits.sum(), x)[0] * problem.inputs).sum(1)
'''


@pytest.fixture(autouse=True)
def registries_as_before():
    with registries_put_back(PACKAGE):
        yield


def plugin(folder: Path, name: str, text: str = TWELVE_LINES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


def method_text(name: str, body: str = "return None") -> str:
    return (
        "from bench.registry import method\n\n\n"
        f'@method(cite="", family="test")\ndef {name}(problem):\n    """Does it."""\n    {body}\n'
    )


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (METHODS["smoothgrad"], "smoothgrad@1[samples=32,sigma=0.15]"),
        (METHODS["random"], "random@1"),
        (METRICS["drop"], "drop@1[k=None]"),
        (TASKS["mnist1d"], "mnist1d@1"),
        (TASKS["hmt"], "hmt@1[size=150]"),
    ],
)
def test_id_is_name_version_and_hyper_parameters(entry, wanted):
    assert entry.id == wanted


def test_arguments_without_default_are_injected_and_the_others_are_hyper_parameters():
    smoothgrad = METHODS["smoothgrad"]
    assert smoothgrad.injected == ("problem", "rng")
    assert smoothgrad.params == (("samples", 32), ("sigma", 0.15))


def test_version_enters_the_id():
    @decorators.method(cite="", family="test", version=3)
    def third(problem, *, width=2):
        return problem

    assert decorators.METHODS["third"].id == "third@3[width=2]"


def test_summary_is_the_first_sentence():
    @decorators.method(cite="", family="test")
    def told(problem):
        """Says\n        this. Not that."""

    assert decorators.METHODS["told"].summary == "Says this"


def test_metric_label_is_its_name_in_words_unless_given():
    @decorators.metric(cite="", family="test", higher_is_better=True)
    def two_words(attribution):
        return attribution

    assert decorators.METRICS["two_words"].label == "two words"


@pytest.mark.parametrize(
    ("decorator", "offered"),
    [
        (decorators.method(cite="", family="test"), "method lost (allowed: problem, rng)"),
        (
            decorators.metric(cite="", family="test", higher_is_better=True),
            "metric lost (allowed: attribution, cost, explain, probe, rng)",
        ),
        (decorators.task(cite="", family="test", samples=list, profiles={}), "task lost (allowed: data, sample_ids)"),
    ],
    ids=["method", "metric", "task"],
)
def test_an_unknown_argument_is_refused_with_those_allowed(decorator, offered):
    def lost(moon):
        return moon

    with pytest.raises(RequestError, match=f"^unknown argument without a default 'moon' of {re.escape(offered)}$"):
        decorator(lost)
    assert "lost" not in {**decorators.METHODS, **decorators.METRICS, **decorators.TASKS}


@pytest.mark.parametrize(
    ("known", "kind", "wrong", "nearest"),
    [
        (METHODS, "method", "smothgrad", "smoothgrad"),
        (METHODS, "method", "smothgrad[samples=8]", "smoothgrad"),
        (METRICS, "metric", "deletoin", "deletion"),
        (TASKS, "task", "mnist", "mnist1d"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(known, kind, wrong, nearest):
    name = wrong.split("[")[0]
    with pytest.raises(RequestError, match=f"^unknown {kind} '{name}'; did you mean '{nearest}'\\?"):
        select(known, [wrong], kind)


def test_a_name_unlike_any_other_gets_the_list():
    with pytest.raises(RequestError, match=r"^unknown task 'qqq' \(allowed: .*hmt, .*mnist1d"):
        select(TASKS, ["qqq"], "task")


def test_wildcards_and_order_of_the_registry():
    known = {name: METHODS[name] for name in ("random", "saliency", "smoothgrad", "sise")}
    names = [entry.name for entry in select(known, ["s*", "random"], "method")]
    assert names == ["random", "saliency", "smoothgrad", "sise"]
    assert [entry.name for entry in select(known, ["s?l*"], "method")] == ["saliency"]


def test_a_wildcard_that_matches_nothing_is_an_error():
    with pytest.raises(RequestError, match=r"unknown method 'zz\*'"):
        select(METHODS, ["zz*"], "method")


def test_an_entry_asked_for_twice_is_taken_once():
    twice = select(METHODS, ["smoothgrad", "smooth*d", "smoothgrad[samples=32]"], "method")
    assert [entry.name for entry in twice] == ["smoothgrad", "smoothgrad_squared"]


def test_settings_change_hyper_parameters_and_so_the_id():
    few, default = select(METHODS, ["smoothgrad[samples=8,sigma=.5]", "smoothgrad"], "method")
    assert few.id == "smoothgrad@1[samples=8,sigma=0.5]"
    assert few.params == (("samples", 8), ("sigma", 0.5))
    assert default.id == METHODS["smoothgrad"].id


def test_settings_of_a_wildcard_hold_for_all_it_matches():
    found = select(METRICS, ["d*op[k=0.5]", "topk_*[k=0.5]"], "metric")
    assert [entry.id for entry in found] == ["drop@1[k=0.5]", "topk_deletion@1[k=0.5]"]


def test_settings_need_not_be_numbers():
    @decorators.method(cite="", family="test")
    def named(problem, *, layer="first"):
        return problem

    assert with_params(decorators.METHODS["named"], "layer=last").params == (("layer", "last"),)


def test_a_wrong_hyper_parameter_is_told_with_the_nearest():
    said = r"unknown setting 'sample' of smoothgrad; did you mean 'samples'\? \(allowed: samples, sigma\)"
    with pytest.raises(RequestError, match=said):
        select(METHODS, ["smoothgrad[sample=8]"], "method")


def test_a_hyper_parameter_where_there_is_none():
    with pytest.raises(RequestError, match=r"unknown setting 'k' of random \(allowed: none\)"):
        select(METHODS, ["random[k=1]"], "method")


@pytest.mark.parametrize(
    ("registry", "pattern", "message"),
    [
        (METHODS, "smoothgrad[samples=8,samples=9]", "smoothgrad[samples=8,samples=9]: samples is given twice; give it once"),
        (METHODS, "smoothgrad[samples]", "smoothgrad[samples]: settings are written name=value, for example"),
        (METHODS, "smoothgrad[]", "smoothgrad[]: settings are written name=value, for example smoothgrad[samples=32]"),
        (METHODS, "smoothgrad[samples=8,]", "smoothgrad[samples=8,]: settings are written name=value"),
        (METHODS, "smoothgrad[sigma=1e400]", "smoothgrad[sigma=1e400]: sigma must be a finite number; the default is 0.15"),
        (METHODS, "smoothgrad[sigma=nan]", "smoothgrad[sigma=nan]: sigma must be a number; the default is 0.15"),
        (METHODS, "smoothgrad[samples=1e400]", "smoothgrad[samples=1e400]: samples must be a whole number; the default is 32"),
        (METHODS, "smoothgrad[samples=True]", "smoothgrad[samples=True]: samples must be a whole number; the default is 32"),
        (METHODS, "negated[of=a/b]", "negated[of=a/b]: of must be a text without '/', '\\' and '..'"),
        (METHODS, "negated[of=..]", "negated[of=..]: of must be a text without"),
        (METHODS, "negated[of=a\\b]", "negated[of=a\\b]: of must be a text without"),
        (METHODS, "negated[of=]", "negated[of=]: of must be a text without"),
        (METHODS, ",", "',' names no method; name at least one, for example "),
        (METHODS, "", "'' names no method; name at least one, for example "),
        (METRICS, "drop[k=inf]", "drop[k=inf]: k must be a number; the default is None"),
        (METRICS, "drop[k=1e999]", "drop[k=1e999]: k must be a finite number; the default is None"),
        (METRICS, "drop[baselin=blur]", "unknown setting 'baselin' of drop; did you mean 'baseline'?"),
        (METRICS, "drop[baseline=blurr]", "unknown baseline 'blurr' of drop; did you mean 'blur'? (allowed: task, "),
        (METRICS, "drop[output=logits]", "unknown output 'logits' of drop; did you mean 'logit'? (allowed: softmax, logit)"),
        (METRICS, "drop[features=patch]", "unknown features 'patch' of drop; did you mean 'patchN'? (allowed: pixel, "),
        (METRICS, "deletion[features=patch0]", "unknown features 'patch0' of deletion; did you mean 'patchN'? (allowed: "),
        (METRICS, "sparseness[baseline=blur]", "unknown setting 'baseline' of sparseness (allowed: none)"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_with_those_allowed(registry, pattern, message):
    with pytest.raises(RequestError) as error:
        select(registry, [pattern], "method")
    assert str(error.value).startswith(message)


def test_a_long_list_is_cut_to_the_nearest():
    with pytest.raises(RequestError) as error:
        select(METHODS, ["smothgrad"], "method")
    total = len(METHODS)
    assert re.fullmatch(
        r"unknown method 'smothgrad'; did you mean 'smoothgrad'\? \(smoothgrad, (\w+, ){2}\.\.\. "
        rf"{total} in all; `python -m bench list methods` shows them\)",
        str(error.value),
    )


def test_no_pattern_at_all_is_refused():
    with pytest.raises(RequestError, match=r"^no metric was given; name at least one, for example "):
        select(METRICS, [], "metric")
    with pytest.raises(RequestError, match=r"^',' holds no name; separate names by commas"):
        split(["drop", ","])


def test_names_are_separated_by_commas_outside_brackets():
    assert split(["a,b[x=1,y=2]", " c , d,"]) == ["a", "b[x=1,y=2]", "c", "d"]


@pytest.mark.parametrize(
    ("pattern", "name", "identity"),
    [
        ("deletion[baseline=blur,output=logit]", "deletion[baseline=blur,output=logit]",
         "deletion@2[steps=20,features=pixel,baseline=blur,output=logit]"),
        ("deletion[output=logit, steps=10]", "deletion[steps=10,output=logit]",
         "deletion@2[steps=10,features=pixel,output=logit]"),
        ("drop[features=patch64]", "drop[features=patch64]", "drop@1[k=None,features=patch64]"),
        ("drop[features=segment7,k=0.5]", "drop[k=0.5,features=segment7]", "drop@1[k=0.5,features=segment7]"),
        ("drop[baseline=task,output=softmax,features=pixel]", "drop", "drop@1[k=None]"),
        ("deletion[features=patch64]", "deletion[features=patch64]", "deletion@2[steps=20,features=patch64]"),
    ],
)  # fmt: skip
def test_settings_of_the_view_enter_name_and_id_where_they_differ(pattern, name, identity):
    (entry,) = select(METRICS, [pattern], "metric")
    assert (entry.name, entry.id) == (name, identity)


def test_only_settings_that_are_no_hyper_parameters_belong_to_the_view():
    assert with_params(METRICS["deletion"], "features=patch64,baseline=mean").view == (("baseline", "mean"),)
    assert with_params(METRICS["drop"], "features=patch64,baseline=mean").view == (
        ("baseline", "mean"),
        ("features", "patch64"),
    )


def test_a_users_file_of_twelve_lines_is_a_method(tmp_path):
    assert len(TWELVE_LINES.splitlines()) == 12
    discover(plugin(tmp_path, "mine"), PACKAGE)
    (entry,) = select(decorators.METHODS, ["my_gradient_x_input[factor=2]"], "method")
    assert entry.id == "my_gradient_x_input@1[factor=2]"

    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False))
    model[1].weight.data = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    problem = Problem(
        model=model.eval().requires_grad_(False),
        inputs=torch.tensor([[[1.0, 1.0, 1.0]], [[2.0, 3.0, 0.5]]]),
        sample_ids=("a", "b"),
        baseline=torch.zeros(1, 1),
        layers=(),
        top_k=0.5,
        fingerprint="",
        targets=torch.tensor([0, 1]),
    )
    explained = explain_all(entry, problem, task="t", seed=0)
    assert explained.status == ("ok", "ok")
    assert explained.attribution.tolist() == [[2.0, 4.0, 6.0], [0.0, -6.0, 4.0]]


def test_a_folder_is_read_in_order_without_private_files(tmp_path):
    plugin(tmp_path, "second", method_text("second"))
    plugin(tmp_path, "first", method_text("first"))
    plugin(tmp_path, "_helper", "raise RuntimeError('not a plug-in')")
    (tmp_path / "notes.txt").write_text("no code", encoding="utf-8")
    before = list(decorators.METHODS)
    discover(tmp_path, PACKAGE)
    assert list(decorators.METHODS) == [*before, "first", "second"]


def test_discovering_again_runs_nothing_again(tmp_path):
    text = "from pathlib import Path\n\nwith Path(__file__).with_name('runs').open('a') as runs:\n    runs.write('x')\n"
    path = plugin(tmp_path, "counted", text)
    discover(path, PACKAGE)
    discover(path, PACKAGE)
    discover(tmp_path, PACKAGE)
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "x"


def test_loading_all_again_changes_nothing():
    before = [list(known.items()) for known in (decorators.TASKS, decorators.METHODS, decorators.METRICS)]
    loading.load_all()
    after = [list(known.items()) for known in (decorators.TASKS, decorators.METHODS, decorators.METRICS)]
    assert after == before


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"plug-in .*nowhere does not exist"):
        discover(tmp_path / "nowhere", PACKAGE)


def test_a_file_that_is_not_python_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("no code", encoding="utf-8")
    with pytest.raises(RequestError, match=r"notes\.txt is no Python file"):
        discover(tmp_path / "notes.txt", PACKAGE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def (:\n", "SyntaxError"),
    ],
)
def test_a_file_that_raises_is_named_and_leaves_nothing(tmp_path, text, said):
    path = plugin(tmp_path, "broken", text)
    before = set(sys.modules)
    with pytest.raises(RequestError, match=rf"broken\.py could not be loaded: {said}"):
        discover(path, PACKAGE)
    assert f"{PACKAGE}.broken" not in sys.modules
    assert set(sys.modules) - before == set()

    plugin(tmp_path, "broken", method_text("mended"))
    discover(path, PACKAGE)
    assert "mended" in decorators.METHODS


def test_a_wrong_signature_in_a_file_names_the_file(tmp_path):
    text = method_text("lost").replace("(problem)", "(problem, moon)")
    path = plugin(tmp_path, "lunar", text)
    with pytest.raises(RequestError, match=r"(?s)(?=.*lunar\.py)(?=.*'moon' of method lost)"):
        discover(path, PACKAGE)
    assert f"{PACKAGE}.lunar" not in sys.modules


def test_two_files_of_one_name_are_told_apart(tmp_path):
    discover(plugin(tmp_path / "a", "mine", method_text("first")), PACKAGE)
    with pytest.raises(RequestError, match=r"two plug-in files have the name mine\.py: .*a.mine\.py and .*b.mine\.py"):
        discover(plugin(tmp_path / "b", "mine", method_text("second")), PACKAGE)
    assert "second" not in decorators.METHODS


def test_two_files_cannot_register_one_name(tmp_path):
    plugin(tmp_path, "one", method_text("same"))
    plugin(tmp_path, "two", method_text("same"))
    with pytest.raises(RequestError, match=r"'same' is registered twice: in .*one\.py and .*two\.py"):
        discover(tmp_path, PACKAGE)


def test_a_users_method_cannot_replace_one_of_ours_unseen(tmp_path):
    with pytest.raises(RequestError, match=r"'saliency' is registered twice: in .*saliency\.py and .*mine\.py"):
        discover(plugin(tmp_path, "mine", method_text("saliency")), PACKAGE)
    assert decorators.METHODS["saliency"] is METHODS["saliency"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"cost": "fasst"},
            "unknown cost 'fasst' of method strange; did you mean 'fast'? (allowed: fast, medium, slow)",
        ),
        (
            {"promises": {"truth"}},
            "unknown promise 'truth' of method strange (allowed: complete, null, linear, class)",
        ),
        ({"needs": {"thruth"}}, "unknown entry in needs 'thruth' of method strange; did you mean 'truth'?"),
    ],
    ids=["cost", "promise", "needs"],
)
def test_an_unknown_cost_promise_or_need_is_refused(settings, message):
    with pytest.raises(RequestError, match=f"^{re.escape(message)}"):

        @method(cite="", family="test", **settings)
        def strange(problem):
            """Never registered at all."""


def test_plugin_files_can_import_each_other(tmp_path):
    (tmp_path / "zz_base.py").write_text("VALUE = 3\n")
    (tmp_path / "aa_user.py").write_text("from bench.plugins.zz_base import VALUE\n\nTWICE = 2 * VALUE\n")
    try:
        discover(tmp_path, "bench.plugins")
        assert sys.modules["bench.plugins.aa_user"].TWICE == 6
    finally:
        for name in ("bench.plugins.aa_user", "bench.plugins.zz_base"):
            sys.modules.pop(name, None)
