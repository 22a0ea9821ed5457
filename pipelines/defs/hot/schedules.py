"""When days are dropped and silence is looked for."""

from __future__ import annotations

import dagster as dg

from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope


def retention_schedule(
    scope: Scope, job: dg.UnresolvedAssetJobDefinition, cron: str
) -> dg.ScheduleDefinition:
    """Once a day; skipped while the hot table keeps everything."""

    @dg.schedule(
        name=f"retention_{scope.name}",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def retention(lakehouse: Lakehouse) -> dg.RunRequest | dg.SkipReason:
        if not lakehouse.settings.hot.retention_days:
            return dg.SkipReason("hot.retention_days (IOT_HOT__RETENTION_DAYS) is 0: all is kept")
        return dg.RunRequest()

    return retention


def last_seen_schedule(
    scope: Scope, job: dg.UnresolvedAssetJobDefinition, cron: str
) -> dg.ScheduleDefinition:
    """Every few minutes."""
    return dg.ScheduleDefinition(
        name=f"last_seen_{scope.name}",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
