"""Whether the ranking of methods depends on settings that nobody justifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench import plots
from bench.analysis import sensitivity
from bench.api.progress import bar
from bench.api.request import Names, Paths, data_of, load_plugins, methods_of, one_task, samples_of
from bench.engine import sweep as engine
from bench.engine.plan import Outcome, Plan
from bench.engine.settings import FEATURES
from bench.network import device as devices
from bench.perturbation.baselines import BASELINES
from bench.report.terminal import sweep_text
from bench.report.write import write_sweep

COSTS = {"quick": {"fast"}, "standard": {"fast", "medium"}, "full": {"fast", "medium", "slow"}}


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
    baselines: Sequence[str] = tuple(BASELINES),
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
    load_plugins(plugins)
    entry = one_task(task)
    named = methods_of(methods)
    chosen = [one for one in named if methods is not None or one.cost in {"", *COSTS[profile]}]
    plan = Plan(
        tasks=[entry],
        methods=chosen,
        metrics=[],
        samples=lambda one: samples_of(one, samples, profile),
        seed=seed,
        data=data_of(data, offline=offline),
        device=devices.choose(device),
        batch_size=batch_size,
        fresh=fresh,
    )
    devices.keep_freed_memory()
    folder = Path(out) / "sweep" / entry.name
    with bar(progress) as shown:
        found, outcome = engine.run(plan, folder, shown, baselines=baselines, features=features)
        shown.set_description_str("done")
    tables, statements = sensitivity.tables(found), sensitivity.statement(found)
    write_sweep(tables, statements, folder)
    if tables["settings"]["rank"].notna().any():
        plots.save(plots.sweep(tables["settings"], tables["tau"], tables["factors"], entry.name), folder / "sweep")
    left_out = tuple(one.name for one in named if one not in chosen)
    return SweepResults(
        entry.name,
        tables,
        tuple(statements),
        outcome,
        len(found.settings),
        found.scores.shape[1],
        tuple(one.name for one in chosen),
        left_out,
        folder,
    )
