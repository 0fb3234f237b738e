"""Asks whether methods keep their promises on one network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.api.attribution import asked_for, ids_of
from bench.api.progress import bar
from bench.api.request import (
    OWN_MODEL,
    Names,
    Paths,
    at_least_one,
    checked_choice,
    in_profile,
    load_plugins,
    methods_of,
)
from bench.core.entries import Entry
from bench.core.problem import Problem
from bench.core.vocabulary import CONTROLS, PROFILES
from bench.engine.plan import answerable, load
from bench.network import device as devices
from bench.perturbation.probe import Probe
from bench.storage import exactness as stored
from bench.storage.check import check_folder
from bench.validation import exactness
from bench.validation.network_checks import Network

SAMPLES = 4
BATCH = 16  # inputs at once, for a task that states more: the few samples of a check need no more memory


def check_model(
    problem: Problem | str,
    methods: Names = None,
    *,
    profile: str = "quick",
    samples: int = SAMPLES,
    seed: int = 0,
    name: str = OWN_MODEL,
    out: str | Path | None = None,
    device: str = "auto",
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
    progress: bool | None = None,
) -> pd.DataFrame:
    """Checks which promises of methods hold on a network: one row per method and check.

    Each check measures something on the network itself: by how much a map misses what the output gains over the baseline,
    what features get that the network does not read, whether another class gets another map, how far the gradient is from
    finite differences, by how much the map changes when it is computed in float64, and whether it is the same when it is asked
    again.

    Args:
        problem: see `bench.Problem.from_model`; or the name of a registered task.
        methods: names, with wildcards and hyper-parameters ('lrp*', 'integrated_gradients[steps=128]'); by default those that
            the profile takes, without controls.
        profile: "quick", "standard" or "full": which methods are checked where they are not named.
        samples: how many samples, from the first; the checks that explain again use the first two of them.
        seed: of methods that draw random numbers.
        name: what the problem is called in `out`; the name under which `evaluate` wrote its board.
        out: results folder; the rows are added to its exactness.csv, and its report page shows them beside the methods' names.
        device: "auto", "cpu" or "cuda".
        data: folder that holds data sets, for tasks that need it.
        offline: never download.
        plugins: files or folders with methods and tasks of one's own.
        progress: False shows no progress bar.

    Returns:
        A table with the columns method, method_id, check, asks (what the check asks), verdict (holds, fails, not checked, or
        skipped: the method cannot explain this network), measured (a share: 0.12 is 12 %), tolerance (the largest share that
        holds), and note: a sentence with the outcome, or why there is none. The row `rules` names the rules of the network's
        layers, for methods that have their own.

    Raises:
        RequestError: a name, a value or the problem cannot be used.
        BenchError: the task's model cannot be explained, or `out` holds files that cannot be read.
    """
    load_plugins(plugins)
    if out is not None:
        check_folder(Path(out))
    checked_choice(profile, PROFILES, "profile")
    chosen = methods_of(methods)
    if methods is None:
        chosen = [one for one in in_profile(chosen, None, profile)[0] if one.family != CONTROLS]
    whole, task = _problem(problem, name, at_least_one(samples, "samples"), seed, device, data, offline=offline)
    network = Network(whole, task.id, seed)
    rows = []
    with bar(progress, unit="method", total=len(chosen)) as shown:
        for method in chosen:
            for row in exactness.check_method(method, network):
                shown.set_description_str(f"{method.name}: {row['check']}")
                rows.append(row)
            shown.update()
    table = pd.DataFrame(rows, columns=stored.COLUMNS)
    if out is not None:
        stored.write(Path(out), table, task=task.name, fingerprint=whole.fingerprint)
    return table


def _problem(
    problem: Problem | str, name: str, samples: int, seed: int, device: str, data: str | Path | None, *, offline: bool
) -> tuple[Problem, Entry]:
    """The first samples of a problem or a registered task, as a run hands them to methods, and the task."""
    task, plan = asked_for(problem, name, samples, device, data, offline=offline)
    devices.keep_freed_memory()
    loaded = answerable(load(task, ids_of(task, plan), plan))
    return Probe(replace(loaded, batch_size=min(loaded.batch_size, BATCH)), names=(seed, task.id)).problem, task
