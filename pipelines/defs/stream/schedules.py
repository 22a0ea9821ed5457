"""When the dead letters are reported."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.stream.dead_letters import report_key
from pipelines.scope import Scope


def report_job(scope: Scope) -> dg.UnresolvedAssetJobDefinition:
    """Reports now."""
    return dg.define_asset_job(
        f"report_dead_letters_{scope.name}",
        selection=dg.AssetSelection.assets(report_key(scope)),
        description=f"Reports the dead letters of {scope.lane}.",
    )


def report_schedule(
    scope: Scope, job: dg.UnresolvedAssetJobDefinition, cron: str
) -> dg.ScheduleDefinition:
    """Once an hour."""
    return dg.ScheduleDefinition(
        name=f"dead_letters_{scope.name}",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
