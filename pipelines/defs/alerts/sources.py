"""What Dagster knows to be wrong with a lane: checks, runs, and devices of its last look."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg
from dagster import AssetCheckKey, DagsterEventType, DagsterInstance

from pipelines.alerts import Look, Open, Problem
from pipelines.report.products import SILENT
from pipelines.scope import Scope

_RUNS = 100
_EVALUATED = DagsterEventType.ASSET_CHECK_EVALUATION
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_DETAIL = 2_000
_TITLE = 300


def red_checks(
    context: dg.SensorEvaluationContext, scope: Scope, known: Mapping[str, Open]
) -> dict[str, Problem]:
    """The checks of the lane whose newest evaluation failed, or that could not be evaluated.

    One that is being evaluated stays what it was.
    """
    keys = sorted(_checks(context, scope))
    records = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    found: dict[str, Problem] = {}
    for key, record in records.items():
        name = f"check:{key.asset_key.to_user_string()}:{key.name}"
        status = record.status.value
        if status == "PLANNED" and name in known:
            found[name] = Problem("check", known[name].title, since=known[name].since)
        if status != "FAILED":
            continue
        since = datetime.fromtimestamp(record.create_timestamp, UTC).isoformat(timespec="seconds")
        found[name] = _check_problem(key, record.event, since)
    return found


def finished_runs(instance: DagsterInstance, scope: Scope, look: Look, now: datetime) -> None:
    """Tells runs of the lane that failed since the last look, and those that succeed again.

    The first look begins with what fails from then on.
    """
    after = look.memory.runs_after
    if not after:
        look.memory.runs_after = now.isoformat()
        return
    records = instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_after=datetime.fromisoformat(after)),
        limit=_RUNS,
        order_by="update_timestamp",
        ascending=True,
    )
    for record in records:
        look.memory.runs_after = record.update_timestamp.replace(tzinfo=UTC).isoformat()
        run = record.dagster_run
        if not _is_of(scope, run):
            continue
        key, name = _run_key(run)
        if run.status is dg.DagsterRunStatus.SUCCESS:
            look.recovered(key)
        elif run.tags.get("dagster/will_retry") != "true":
            title = f"run of {name} failed"
            since = record.update_timestamp.replace(tzinfo=UTC).isoformat(timespec="seconds")
            detail = f"run {run.run_id}: {_why(instance, run.run_id)}"[:_DETAIL]
            look.raised(key, Problem("run", title, detail, since=since))


def silent_devices(instance: DagsterInstance, scope: Scope) -> dict[str, Problem] | None:
    """The silent devices of the last look; None when there was none."""
    event = instance.get_latest_materialization_event(scope.of_hot_table("last_seen"))
    materialization = event.asset_materialization if event else None
    value = materialization.metadata.get(SILENT) if materialization else None
    if value is None or not isinstance(value.value, Mapping):
        return None
    return {
        f"silence:{device}": Problem(
            "silence",
            f"{device} is silent",
            since=datetime.fromtimestamp(last_s, UTC).isoformat(timespec="seconds"),
        )
        for device, last_s in value.value.items()
        if isinstance(last_s, int | float)
    }


def _checks(context: dg.SensorEvaluationContext, scope: Scope) -> list[AssetCheckKey]:
    repository = context.repository_def
    assert repository is not None
    keys = repository.asset_graph.asset_check_keys
    return [key for key in keys if _owns(scope, key.asset_key)]


def _owns(scope: Scope, key: dg.AssetKey) -> bool:
    """Whether the asset is the lane's: its stream, its tables, or made from or done to them."""
    roots = (scope.stream, scope.dead_letters, scope.hot_table, scope.lake_table, scope.proof)
    product = scope.lake_product("").path[-1]
    return any(key.path[: len(root.path)] == root.path for root in roots) or (
        key.path[:2] == scope.lake_table.path[:2] and key.path[-1].startswith(product)
    )


def _is_of(scope: Scope, run: dg.DagsterRun) -> bool:
    if run.asset_selection:
        return any(_owns(scope, key) for key in run.asset_selection)
    return re.search(rf"(^|_){re.escape(scope.name)}$", run.job_name) is not None


def _run_key(run: dg.DagsterRun) -> tuple[str, str]:
    """What later runs of the same work share, and its name for people."""
    selected = sorted(key.to_user_string() for key in run.asset_selection or ())
    name = ", ".join(selected) if run.job_name.startswith("__") else run.job_name
    partition = run.tags.get("dagster/partition", "")
    return f"run:{name}:{partition}", f"{name} for {partition}" if partition else name


def _why(instance: DagsterInstance, run_id: str) -> str:
    """The first failure of the run in its own words."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        data = entry.get_dagster_event().step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return str(data.user_failure_data.description)
        if data.error is not None:
            return str((data.error.cause or data.error).message).strip()
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.RUN_FAILURE):
        return str(entry.get_dagster_event().message or "")
    return "its process ended without a word"


def _check_problem(key: AssetCheckKey, event: dg.EventLogEntry | None, since: str) -> Problem:
    name = f"{key.name} of {key.asset_key.to_user_string()}"
    inner = event.dagster_event if event is not None else None
    evaluated = inner is not None and inner.event_type is _EVALUATED
    evaluation = inner.asset_check_evaluation_data if inner and evaluated else None
    if evaluation is None:
        return Problem("check", f"{name} could not be evaluated", since=since)
    told = (evaluation.description or "").strip()
    numbers = {
        label: float(value.value)
        for label, value in evaluation.metadata.items()
        if isinstance(value.value, int | float) and math.isfinite(value.value)
    }
    warns = evaluation.severity is dg.AssetCheckSeverity.WARN
    return Problem(
        "check",
        f"{name} is red: {told}"[:_TITLE] if told else f"{name} is red",
        detail=told[:_DETAIL],
        severity="warning" if warns else "error",
        since=since,
        numbers=numbers,
    )
