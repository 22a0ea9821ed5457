"""The stream, its dead letters and the tables that `ingest` feeds from it."""

from __future__ import annotations

import dagster as dg

from pipelines.defs.stream.assets import fed_by_ingest
from pipelines.defs.stream.dead_letters import report
from pipelines.defs.stream.schedules import report_job, report_schedule
from pipelines.defs.stream.sensors import watermark_sensor
from pipelines.scope import Scope
from pipelines.settings import load_pipeline_settings


def definitions(scope: Scope) -> dg.Definitions:
    """The area of one contract."""
    maintenance = load_pipeline_settings().maintenance
    job = report_job(scope)
    return dg.Definitions(
        assets=[*fed_by_ingest(scope), report(scope)],
        jobs=[job],
        schedules=[report_schedule(scope, job, maintenance.dlq_report_at)],
        sensors=[watermark_sensor(scope, maintenance.watermarks_every_s)],
    )
