"""A sweep: a run whose metrics are all settings of the swept metrics. It has no loop and no files of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.core.entries import Task
from bench.core.errors import ContractError
from bench.core.vocabulary import FEATURES
from bench.engine.plan import Plan, load
from bench.engine.settings import BASELINES, Setting, settings
from bench.registry.decorators import call


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep asks for: the settings, and the run that computes their scores."""

    task: Task
    sample_ids: tuple[str, ...]
    settings: tuple[Setting, ...]
    fingerprint: str  # of the task
    plan: Plan  # with the metrics of the settings


def sweep_plan(plan: Plan, *, baselines: Sequence[str] = BASELINES, features: Sequence[str] = FEATURES) -> SweepPlan:
    """The sweep of the plan's methods on its one task. `engine.runner.run` of its plan computes what the store lacks."""
    (task,) = plan.tasks
    ids = call(task.samples, {"data": plan.data})[: plan.samples(task)]
    if not ids:
        raise ContractError(f"task {task.name} has no samples")
    first = load(task, ids[:1], plan)
    chosen = settings(first, baselines=baselines, features=features)
    asked = replace(plan, metrics=[setting.metric for setting in chosen], for_reports=False)
    return SweepPlan(task, tuple(ids), chosen, first.fingerprint, asked)
