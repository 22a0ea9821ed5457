"""The lake table's maintenance."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.lake.assets import compaction, manifests, orphans, snapshots, statistics
from pipelines.defs.lake.jobs import maintenance_jobs
from pipelines.defs.lake.schedules import maintenance_schedules
from pipelines.defs.lake.sensors import compaction_sensor
from pipelines.scope import Scope
from pipelines.settings import load_pipeline_settings


def definitions(scope: Scope) -> dg.Definitions:
    """The area of one contract."""
    settings = load_pipeline_settings().maintenance
    jobs = maintenance_jobs(scope)
    kinds = (compaction, manifests, snapshots, statistics, orphans)
    return dg.Definitions(
        assets=[kind(scope) for kind in kinds],
        jobs=list(jobs.values()),
        schedules=maintenance_schedules(scope, jobs, settings),
        sensors=[compaction_sensor(scope, jobs["compaction"], settings)],
    )
