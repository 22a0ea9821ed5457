"""When what needs no trigger is done: in the quiet hours, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from pipelines.scope import Scope
from pipelines.settings import MaintenanceSettings


def maintenance_schedules(
    scope: Scope,
    jobs: Mapping[str, dg.UnresolvedAssetJobDefinition],
    settings: MaintenanceSettings,
) -> list[dg.ScheduleDefinition]:
    """A schedule for each kind of maintenance but compaction, which small files trigger."""
    times = {
        "manifests": settings.manifests_at,
        "snapshots": settings.snapshots_at,
        "statistics": settings.statistics_at,
        "orphans": settings.orphans_at,
    }
    return [
        dg.ScheduleDefinition(
            name=f"{what}_{scope.name}",
            job=jobs[what],
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        for what, cron in times.items()
    ]
