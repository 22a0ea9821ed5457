"""When checks run that nothing but time triggers."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.quality.jobs import Jobs
from pipelines.scope import Scope
from pipelines.settings import QualitySettings


def quality_schedules(
    scope: Scope, jobs: Jobs, settings: QualitySettings
) -> list[dg.ScheduleDefinition]:
    """The costly checks, and the comparison of everything again."""
    return [
        dg.ScheduleDefinition(
            name=f"{name}_{scope.name}",
            job=job,
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        for name, job, cron in (
            ("costly_checks", jobs.costly, settings.costly_checks_at),
            ("prove_again", jobs.again, settings.prove_again_at),
        )
    ]
