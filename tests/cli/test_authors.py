"""The commands for authors: `check`, `new`, `init`, and `run` with a bench.toml."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import registries_put_back

import bench
from bench import api
from bench.api.authoring import COLUMNS
from bench.cli import config
from bench.cli.main import main
from bench.cli.parser import parser
from bench.core.errors import RequestError

pytestmark = pytest.mark.usefixtures("one_thread")

HEAD = "import torch\n\nimport bench\n\n\n"
GRADIENT = """    x = problem.inputs.clone().requires_grad_()
    logits = problem.model(x).gather(1, problem.targets[:, None])
    (slope,) = torch.autograd.grad(logits.sum(), x)
"""
MISTAKES = {
    "keeps_state": f'''{HEAD}MEAN = 0.0


@bench.method(cite="", family="gradient")
def keeps_state(problem):
    """Gradient less a running mean. -> (N, *S)"""
    global MEAN
{GRADIENT}    MEAN = 0.9 * MEAN + 0.1 * slope.mean()
    return (slope - MEAN).sum(1)
''',
    "over_the_batch": f'''{HEAD}@bench.method(cite="", family="gradient")
def over_the_batch(problem):
    """Gradient from 0 to 1. -> (N, *S)"""
{GRADIENT}    maps = slope.sum(1)
    return (maps - maps.min()) / (maps.max() - maps.min())
''',
    "global_draws": f'''{HEAD}@bench.method(cite="", family="gradient")
def global_draws(problem):
    """Gradient with noise. -> (N, *S)"""
{GRADIENT}    return slope.sum(1) + 0.1 * torch.randn(len(problem), *problem.shape)
''',
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with registries_put_back():
        yield


def lines(text: str) -> dict[str, str]:
    """Law -> verdict and note, of what `check` prints for one plug-in."""
    found, law = {}, ""
    for line in text.splitlines():
        if line.startswith("   "):
            found[law] += f" {line.strip()}"
        elif line.startswith("  "):
            law, rest = line.split(maxsplit=1)
            found[law] = " ".join(rest.split())
    return found


@pytest.mark.parametrize(
    ("name", "law", "start", "end"),
    [
        (
            "keeps_state",
            "state",
            "FAIL what was explained before changes the map: sample '",
            "keep nothing between calls (it changed MEAN) (signal, grey image, colour image)",
        ),
        (
            "over_the_batch",
            "batch",
            "FAIL the map changes when a sample is explained beside others: sample '",
            "compute each sample on its own (signal, grey image, colour image)",
        ),
        (
            "global_draws",
            "unchanged",
            "FAIL it drew from the global random state of torch; draw from `rng` instead",
            "(signal, grey image, colour image)",
        ),
    ],
)
def test_check_names_a_typical_mistake_by_its_law_and_answers_with_exit_code_1(capsys, name, law, start, end):
    Path(f"{name}.py").write_text(MISTAKES[name], encoding="utf-8")
    assert main(["check", f"{name}.py"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"method {name}\n")
    found = lines(printed)
    assert found[law].startswith(start)
    assert found[law].endswith(end)
    assert found["shape"] == "pass returns one floating-point number for each place, (N, *S)"
    assert f"0 of 1 pass; FAILED: method {name}" in printed


@pytest.mark.parametrize("kind", ["method", "metric", "task"])
def test_what_new_writes_passes_check_and_runs(capsys, kind):
    assert main(["new", kind, f"mine_{kind}", "--to", "own"]) == 0
    path = Path("own", f"mine_{kind}.py")
    assert f"check it with `python -m bench check {path}`" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8").startswith(f'"""Mine {kind}: ')
    assert main(["check", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{kind} mine_{kind}\n")
    assert "FAIL" not in printed
    assert printed.endswith("1 of 1 pass\n")
    names = {"task": "mnist1d", "method": "saliency", "metric": "drop"} | {kind: f"mine_{kind}"}
    words = ["run", *(word for one, name in names.items() for word in (f"--{one}", name)), "--method", names["method"]]
    assert main([*words, "random", "--samples", "2", "--no-plots", "--plugins", str(path), "--out", "results"]) == 0


def test_several_files_and_a_folder_are_checked_together(capsys):
    main(["new", "method", "one", "--to", "own"])
    main(["new", "task", "two", "--to", "own"])
    Path("keeps_state.py").write_text(MISTAKES["keeps_state"], encoding="utf-8")
    capsys.readouterr()
    assert main(["check", "own", "keeps_state.py"]) == 1
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if not line.startswith(" ")] == [
        "task two",
        "method one",
        "method keeps_state",
        "2 of 3 pass; FAILED: method keeps_state",
    ]


def test_a_law_that_holds_on_some_inputs_names_those_where_it_was_not_asked(capsys):
    text = f'''{HEAD}@bench.method(cite="", family="gradient")
def only_images(problem):
    """Mean over channels, of images. -> (N, *S)"""
    if len(problem.shape) == 1:
        raise bench.NotApplicable("signals have no edges")
    return problem.inputs.mean(1)
'''
    Path("only_images.py").write_text(text, encoding="utf-8")
    assert main(["check", "only_images.py"]) == 0
    asked = "pass returns one floating-point number for each place, (N, *S); signals have no edges (signal)"
    assert lines(capsys.readouterr().out)["shape"] == asked


def test_registered_methods_and_those_of_plugins_are_checked_by_name(capsys):
    Path("over_the_batch.py").write_text(MISTAKES["over_the_batch"], encoding="utf-8")
    assert main(["check", "methods", "--method", "saliency"]) == 0
    words = ["check", "methods", "--method", "saliency", "over_the_batch", "--plugins", "over_the_batch.py"]
    assert main(words) == 1
    assert main(["check", "over_the_batch.py", "--method", "over*"]) == 1
    assert capsys.readouterr().out.count("FAILED: method over_the_batch") == 2


def test_the_same_from_python():
    Path("global_draws.py").write_text(MISTAKES["global_draws"], encoding="utf-8")
    table = bench.check_plugins("global_draws.py", progress=False)
    assert list(table) == COLUMNS
    assert set(table.loc[table["verdict"] == "fail", "law"]) == {"unchanged", "repeat"}
    both = bench.check_methods(["grad_cam", "global_draws"], progress=False)
    pd.testing.assert_frame_equal(both[both["name"] == "global_draws"].reset_index(drop=True), table)
    assert set(both.loc[both["name"] == "grad_cam", "verdict"]) == {"pass", "skipped"}


def test_check_metrics_writes_verdicts_as_before(capsys):
    assert main(["check", "metrics", "--metric", "drop", "--use-cached", "--out", "results"]) == 0
    assert "1 of 1 metrics pass" in capsys.readouterr().out
    assert list(pd.read_csv("results/conformance.csv")["metric"]) == ["drop"]


# --- bench.toml


def written(text: str, name: str = config.NAME) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def facts(out: str) -> dict[str, object]:
    return json.loads(Path(out, "run.json").read_text(encoding="utf-8"))


def test_init_writes_a_file_that_run_does(capsys):
    assert main(["init"]) == 0
    assert capsys.readouterr().out == "bench.toml is written; `python -m bench run` does what it says\n"
    assert main(["run", "--samples", "2", "--no-plots"]) == 0
    assert "bench: reads bench.toml (tasks, methods, metrics, profile, seed, out, plugins)" in capsys.readouterr().err
    ran = facts("results")
    assert ran["config"] == "bench.toml"
    assert [name.split("@")[0] for name in ran["methods"]] == [
        "grad_cam",
        "random",
        "integrated_gradients",
        "smoothgrad",
    ]
    assert "smoothgrad@1[samples=8,sigma=0.15]" in ran["methods"]
    assert [name.split("@")[0] for name in ran["metrics"]] == ["drop", "deletion", "insertion"]
    assert (ran["profile"], ran["seed"], ran["tasks"]["mnist1d"]["samples"]) == ("quick", 0, 2)


def test_options_of_the_command_line_win_each_for_itself(capsys):
    study = (
        "tasks = ['tissue']\nmethods = ['saliency', 'random']\nmetrics = 'drop'\nsamples = 3\nseed = 5\nout = 'kept'\n"
    )
    written(study, "study/bench.toml")
    words = ["run", "--config", "study/bench.toml", "--task", "mnist1d", "--seed", "7", "--no-plots"]
    assert main(words) == 0
    ran = facts("study/kept")
    assert list(ran["tasks"]) == ["mnist1d"]
    assert [name.split("@")[0] for name in ran["methods"]] == ["random", "saliency"]
    assert (ran["seed"], ran["tasks"]["mnist1d"]["samples"]) == (7, 3)
    assert ran["config"] == "study/bench.toml"


def test_a_run_without_a_file_has_none():
    assert main(["run", "--task", "mnist1d", "--method", "random", "--metric", "drop", "--samples", "2"]) == 0
    assert facts("results")["config"] is None


def test_all_takes_no_names_from_the_file():
    from bench.cli.main import with_file

    written("methods = ['saliency']\nsamples = 3\n")
    words = ["run", "--all"]
    found = with_file(parser().parse_args(words), words)
    assert (found.method, found.samples, found.all) == (None, 3, True)
    words = ["run", "--task", "mnist1d"]
    found = with_file(parser().parse_args(words), words)
    assert (found.method, found.samples, found.task) == (["saliency"], 3, ["mnist1d"])


def test_every_key_is_an_option_of_run_and_every_value_arrives():
    text = """
tasks = ["a"]
methods = ["b", "c[x=1,y=2]"]
metrics = "d"
maps = {e = "f.npz", g = "/abs/h.npz"}
beside = "scores.parquet"
profile = "full"
samples = 3
budget = 90
precision = "bfloat16"
seed = 4
device = "cpu"
batch_size = 8
out = "o"
data = "/abs"
offline = true
plugins = ["p.py", "q"]
images = "photos"
masks = "m"
size = 96
inputs = "x.npy"
truth = "t.npy"
model = "net.py:build"
weights = "w.safetensors"
labels = "y.csv"
classes = "c.txt"
output = "sigmoid"
readout = "logits"
channels = "separate"
baseline = [0.5, 1]
top_k = 0.2
target = 3
name = "mine"
"""
    values = config.read(written(text, "deep/study.toml"))
    assert values == {
        "task": ["a"],
        "method": ["b", "c[x=1,y=2]"],
        "metric": ["d"],
        "maps": ["e=deep/f.npz", "g=/abs/h.npz"],
        "beside": Path("deep/scores.parquet"),
        "profile": "full",
        "samples": 3,
        "budget": "90",
        "precision": "bfloat16",
        "seed": 4,
        "device": "cpu",
        "batch_size": 8,
        "out": Path("deep/o"),
        "data": Path("/abs"),
        "offline": True,
        "plugins": [Path("deep/p.py"), Path("deep/q")],
        "images": Path("deep/photos"),
        "masks": Path("deep/m"),
        "size": 96,
        "inputs": Path("deep/x.npy"),
        "truth": Path("deep/t.npy"),
        "model": "deep/net.py:build",
        "weights": Path("deep/w.safetensors"),
        "labels": Path("deep/y.csv"),
        "classes": Path("deep/c.txt"),
        "model_output": "sigmoid",
        "readout": "logits",
        "channels": "separate",
        "model_baseline": ["0.5", "1"],
        "top_k": 0.2,
        "model_target": 3,
        "name": "mine",
    }
    assert len(values) == len(config.KEYS)
    options = vars(parser().parse_args(["run"]))
    assert set(values) <= set(options)
    assert config.read(written("plugins = []\n")) == {"plugins": []}
    assert config.read(written("beside = 'reference'\n", "deep/study.toml")) == {"beside": "reference"}
    assert config.read(written("model = 'timm:resnet18'\nreadout = 0\nbaseline = 'white'\n")) == {
        "model": "timm:resnet18",
        "readout": 0,
        "model_baseline": ["white"],
    }


def test_tasks_that_are_named_take_no_model_of_the_file():
    from bench.cli.main import with_file

    written("tasks = ['arrays']\ninputs = 'x.npy'\nmodel = 'net.py:build'\nimages = 'photos'\nsamples = 3\n")
    for words, inputs, images in (
        (["--method", "random"], Path("x.npy"), Path("photos")),  # refused: what the file says is not mended
        (["--task", "mnist1d"], None, None),
        (["--task", "image_folder"], None, Path("photos")),
        (["--all"], None, None),
    ):
        found = with_file(parser().parse_args(["run", *words]), ["run", *words])
        assert (found.inputs, found.images, found.samples) == (inputs, images, 3), words


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("tasks = 3", "tasks is 3; a name, or a list of names"),
        ("methods = []", "methods is []; a name, or a list of names"),
        ("methods = [1, 2]", "methods is [1, 2]; a name"),
        ("metrics = ['']", "metrics is ['']; a name"),
        ("profile = 'quik'", "profile is 'quik'; one of quick, standard, full is needed"),
        ("maps = 'f.npz'", "maps is 'f.npz'; a table of names and files, such as"),
        ("beside = 3", "beside is 3; the path of a release file or a results folder, or"),
        ("maps = {a = 3}", "maps is {'a': 3}; a table of names and files"),
        ("samples = 0", "samples is 0; a whole number of at least 1 is needed"),
        ("samples = 2.5", "samples is 2.5; a whole number"),
        ("samples = true", "samples is true; a whole number"),
        ("seed = -1", "seed is -1; a whole number of at least 0"),
        ("budget = -3", "budget is -3; a duration such as"),
        ("device = 'gpu'", "device is 'gpu'; one of auto, cpu, cuda"),
        ("out = 1", "out is 1; the path of a folder, as text, is needed"),
        ("model = 3", 'model is 3; "timm:NAME" or "FILE.py:FUNCTION" is needed'),
        ("top_k = 1", "top_k is 1; a share between 0 and 1 is needed"),
        ("readout = -1", "readout is -1; a key, as text, or a whole number of at least 0 is needed"),
        ("baseline = []", "baseline is []; a colour, as text, a number, or a list of numbers, is needed"),
        ("name = ''", "name is ''; a name, as text, is needed"),
        ("offline = 'yes'", "offline is 'yes'; true or false is needed"),
        ("plugins = {a = 1}", "plugins is {'a': 1}; a list of files or folders"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(line, needed):
    with pytest.raises(RequestError) as raised:
        config.read(written(f"{line}\n"))
    assert needed in str(raised.value)


def test_nothing_is_overwritten():
    path = api.init()
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(RequestError, match=r"bench\.toml exists and is not overwritten"):
        api.init()
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_template_parses_as_the_settings_that_it_shows():
    values = config.read(api.init(to="study"))
    assert values["method"] == ["integrated_gradients", "smoothgrad[samples=8]", "grad_cam", "random"]
    assert values["plugins"] == []
