"""A verdict's key covers all code that a metric and its check reach, and nothing else."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_conformance import Quiet, wrong

from bench.metrics import correlation, faithfulness
from bench.metrics.quantus import adapter
from bench.perturbation import probe
from bench.registry.decorators import METRICS
from bench.validation import conformance, source
from bench.validation.reach import reached
from bench.validation.verdicts import code_hash, up_to_date

PLUGIN = '''
"""A metric with a helper."""
from bench.perturbation.probe import Probe

STEPS = 20


def mine(probe: Probe, attribution):
    """Area under the deletion curve."""
    return height(probe.deletion(attribution, STEPS))


def height(curves):
    if curves.dim() != 2:
        raise ValueError("curves are needed")
    return curves.mean(1)  # by steps


def unused(curves):
    return curves
'''


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Writes a module and loads it, each time to a folder of its own but under the same name."""

    def load(text: str, name: str = "mine_under_test") -> ModuleType:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Lets a loaded module's source be a copy in which a text is replaced."""

    def edit(module: ModuleType, old: str, new: str) -> None:
        text = Path(module.__file__).read_text()
        assert old in text
        copy = tmp_path / "edited.py"
        copy.write_text(text.replace(old, new))
        monkeypatch.setattr(module, "__file__", str(copy))

    return edit


def hashes(*names: str) -> dict[str, str]:
    return {name: code_hash(METRICS[name]) for name in names}


def changed(before: dict[str, str]) -> set[str]:
    now = hashes(*before)
    return {name for name in before if now[name] != before[name]}


def test_a_changed_helper_makes_the_verdict_asked_again(load, tmp_path):
    out, asked = tmp_path / "out", []
    for text in (
        PLUGIN,
        PLUGIN.replace("# by steps", "# over all steps"),
        PLUGIN.replace("curves.mean(1)", "curves.median(1).values"),
    ):
        bar = Quiet()
        up_to_date([wrong("mine", load(text).mine)], out, bar)
        asked.append(bar.seen)
    assert asked == [1, 0, 1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# by steps", ""),
        ('"""Area under the deletion curve."""', '"""Its area."""'),
        (
            "return height(probe.deletion(attribution, STEPS))",
            "return height(\n        probe.deletion(attribution, STEPS)\n    )",
        ),
        ('"curves are needed"', '"no curves"'),
        ("return curves\n", "return -curves\n"),
        ("\nSTEPS", "\n\n\nSTEPS"),
    ],
)
def test_what_cannot_change_a_score_does_not_change_the_hash(load, old, new):
    assert old in PLUGIN
    assert reached(load(PLUGIN).mine).hash == reached(load(PLUGIN.replace(old, new)).mine).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("STEPS = 20", "STEPS = 10"),
        ("STEPS = 20", "STEPS = 20\nSTEPS += 1"),
        ("curves.mean(1)", "curves.mean(0)"),
        ("!= 2", "!= 3"),
        ("ValueError", "TypeError"),
        ("def height(curves):", "@torch.no_grad()\ndef height(curves):"),
    ],
)
def test_what_can_change_a_score_changes_the_hash(load, old, new):
    text = "import torch\n" + PLUGIN
    assert old in text
    assert reached(load(text).mine).hash != reached(load(text.replace(old, new)).mine).hash


FORMS = {
    "a function passed to another": "def fn(a):\n    return list(map(helper, a))",
    "a class and its base": "class Base:\n    f = helper\n\n\nclass Mine(Base): ...\n\n\ndef fn(a):\n    return Mine().f()",
    "a table filled later": "TABLE = {}\nTABLE['x'] = helper\n\n\ndef fn(a):\n    return TABLE['x'](a)",
    "a table updated by a call": "TABLE = {}\nTABLE.update(x=helper)\n\n\ndef fn(a):\n    return TABLE['x'](a)",
    "a default argument": "def fn(a, *, by=helper):\n    return by(a)",
    "a decorator": "def fn_maker(f):\n    return lambda a: helper(f(a))\n\n\n@fn_maker\ndef fn(a):\n    return a",
    "a closure": "def maker(by):\n    def fn(a):\n        return by(a)\n    return fn\n\n\nfn = maker(helper)",
    "a partial": "import functools\n\n\ndef two(by, a):\n    return by(a)\n\n\nfn = functools.partial(two, helper)",
    "a branch of the module": "if True:\n    def inner(a):\n        return helper(a)\n\n\ndef fn(a):\n    return inner(a)",
    "an annotation": "class Tool:\n    def f(self):\n        return helper(0)\n\n\ndef fn(a: Tool):\n    return a.f()",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_helper_is_reached_through(load, form):
    texts = [f"def helper(a):\n    return a + {number}\n\n\n{FORMS[form]}\n" for number in (1, 2)]
    assert len({reached(load(text).fn).hash for text in texts}) == 2


@pytest.mark.parametrize(
    "use",
    [
        "import helpers_under_test\n\n\ndef fn(a):\n    return helpers_under_test.helper(a)",
        "import helpers_under_test as h\n\n\ndef fn(a):\n    return h.helper(a)",
        "from helpers_under_test import helper as h\n\n\ndef fn(a):\n    return h(a)",
        "from helpers_under_test import *\n\n\ndef fn(a):\n    return helper(a)",
        "def fn(a):\n    from helpers_under_test import helper\n\n    return helper(a)",
        "import helpers_under_test\n\n\ndef fn(a):\n    return getattr(helpers_under_test, 'hel' + 'per')(a)",
    ],
)
def test_a_helper_of_another_module_is_reached(load, use, monkeypatch):
    found = set()
    for number in (1, 2):
        load(f"def helper(a):\n    return a + {number}\n", "bench.plugins.helpers_under_test")
        text = use.replace("import helpers_under_test as", "import bench.plugins.helpers_under_test as").replace(
            "from helpers", "from bench.plugins.helpers"
        )
        if "import helpers_under_test\n" in text:
            text = text.replace("import helpers_under_test\n", "from bench.plugins import helpers_under_test\n")
        monkeypatch.setitem(sys.modules, "bench.plugins", ModuleType("bench.plugins"))
        sys.modules["bench.plugins"].helpers_under_test = sys.modules["bench.plugins.helpers_under_test"]
        found.add(reached(load(text, "bench.plugins.user_under_test").fn).hash)
    assert len(found) == 2


def test_correlations_reach_their_helper_and_areas_do_not(edit):
    before = hashes("faithfulness_correlation", "monotonicity_correlation", "deletion", "sparseness")
    edit(correlation, "nan_to_num()", "nan_to_num(1.0)")
    assert changed(before) == {"faithfulness_correlation", "monotonicity_correlation"}


def test_a_constant_is_reached_by_the_metrics_that_use_it(edit):
    before = hashes("comprehensiveness", "sufficiency", "drop")
    edit(faithfulness, "ERASER_SHARES = (0.01,", "ERASER_SHARES = (0.02,")
    assert changed(before) == {"comprehensiveness", "sufficiency"}


def test_all_metrics_of_quantus_reach_the_adapter_and_its_version(edit, monkeypatch):
    names = [name for name, metric in METRICS.items() if metric.family != "cost"]
    before = hashes(*names)
    edit(adapter, '"normalise": False', '"normalise": True')
    assert changed(before) == {name for name in names if name.startswith("quantus_")}
    monkeypatch.undo()
    assert changed(before) == set()
    monkeypatch.setattr("bench.validation.verdicts.version", lambda _: "0.7.0")
    assert changed(before) == {name for name in names if name.startswith("quantus_")}


def test_the_check_itself_is_part_of_every_key(edit):
    before = hashes("deletion", "sparseness")
    edit(conformance, "LEVEL = 0.01", "LEVEL = 0.05")
    assert changed(before) == set(before)


def test_the_questions_of_the_probe_are_part_of_every_key(edit):
    before = hashes("deletion", "sparseness")
    edit(
        probe,
        "def deletion(self, attribution: Tensor, steps: int,",
        "def deletion(self, attribution: Tensor, steps: float,",
    )
    assert changed(before) == set(before)


def test_direction_is_part_of_the_key():
    metric = METRICS["deletion"]
    assert code_hash(metric) != code_hash(wrong("deletion", metric.fn, higher_is_better=True, version=metric.version))


def test_a_function_without_source_is_known_by_its_code():
    found = []
    for number in (1, 1, 2):
        names: dict = {"__name__": "typed_in_under_test"}
        exec(f"def fn(a):\n    return a + {number}", names)
        found.append(reached(names["fn"]).hash)
    assert found[0] == found[1] != found[2]


def test_arguments_of_a_partial_count():
    assert reached(functools.partial(round, ndigits=1)).hash != reached(functools.partial(round, ndigits=2)).hash


def test_each_file_is_parsed_once_for_the_hashes_of_all_metrics():
    source._read.cache_clear()
    for metric in METRICS.values():
        code_hash(metric)
    count = source._read.cache_info()
    assert 0 < count.misses == count.currsize


def test_a_decorated_function_reaches_what_it_wraps(load):
    """`functools.wraps` alone knows of the inner function where the decorator's own closure does not."""
    module = load(PLUGIN)

    def outer(probe, attribution):
        return None

    before = reached(outer).hash
    functools.update_wrapper(outer, module.mine)
    outer.__module__, outer.__qualname__ = __name__, "nowhere"
    assert ("mine_under_test", "height") in reached(outer).definitions
    assert reached(outer).hash != before
