"""Whether the ranking of methods depends on settings that nobody justifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.api.progress import bar
from bench.api.request import (
    Names,
    Paths,
    at_least_one,
    checked_choice,
    data_of,
    in_profile,
    load_plugins,
    methods_of,
    one_task,
    samples_of,
)
from bench.core.vocabulary import BASELINES, FEATURES, PROFILES
from bench.engine.plan import Outcome, Plan
from bench.engine.runner import run
from bench.engine.sweep import sweep_plan
from bench.network import device as devices
from bench.report.terminal import sweep_text
from bench.report.write import write_sweep
from bench.storage.check import check_folder
from bench.storage.scores import Store


@dataclass(frozen=True, eq=False)
class SweepResults:
    """How methods rank under every setting."""

    task: str
    tables: Mapping[str, pd.DataFrame]  # settings, wins, tau, factors, survive
    statements: tuple[str, ...]  # what survives, in sentences
    outcome: Outcome
    settings: int
    samples: int
    methods: tuple[str, ...]
    left_out: tuple[str, ...]  # methods that the profile leaves out
    folder: Path

    def __str__(self) -> str:
        return sweep_text(self.tables)


def sweep(
    task: str,
    *,
    methods: Names = None,
    profile: str = "quick",
    samples: int | None = None,
    baselines: Sequence[str] = BASELINES[1:],
    features: Sequence[str] = FEATURES,
    seed: int = 0,
    out: str | Path = "results",
    device: str = "auto",
    batch_size: int | None = None,
    fresh: bool = False,
    data: str | Path | None = None,
    offline: bool = False,
    plugins: Paths = (),
    progress: bool | None = None,
) -> SweepResults:
    """Scores methods under other baselines, outputs, features and shares k, and says which differences survive."""
    checked_choice(profile, PROFILES, "profile")
    load_plugins(plugins)
    entry = one_task(task)
    amount = samples_of(entry, samples, profile)
    check_folder(Path(out))
    chosen, left_out = in_profile(methods_of(methods), methods, profile)
    plan = Plan(
        tasks=[entry],
        methods=chosen,
        metrics=[],
        samples=lambda _: amount,
        seed=seed,
        data=data_of(data, offline=offline),
        device=devices.choose(device),
        batch_size=None if batch_size is None else at_least_one(batch_size, "batch_size"),
        fresh=fresh,
    )
    devices.keep_freed_memory()
    asked = sweep_plan(plan, baselines=baselines, features=features)
    with bar(progress) as shown:
        outcome = run(asked.plan, Store(Path(out)), shown)
        shown.set_description_str("done")
    tables, statements = write_sweep(Path(out), asked)
    return SweepResults(
        task=entry.name,
        tables=tables,
        statements=tuple(statements),
        outcome=outcome,
        settings=len(asked.settings),
        samples=len(asked.sample_ids),
        methods=tuple(one.name for one in chosen),
        left_out=tuple(left_out),
        folder=Path(out) / "sweep" / entry.name,
    )
