"""Days are summarised when the lake holds another number of readings than their summary."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from ingest.errors import IngestError, Transient
from pipelines.daily_summary import OutdatedDay, due
from pipelines.defs.products.assets import summary_of
from pipelines.errors import PipelineError
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.settings import MaintenanceSettings

AT_ONCE = 5
"""Days asked for in one tick."""


def daily_sensor(
    scope: Scope, job: dg.UnresolvedAssetJobDefinition, settings: MaintenanceSettings
) -> dg.SensorDefinition:
    """Asks for days that are out of date.

    Late readings bring an old day back at once; the current day comes once an hour.
    """

    @dg.sensor(
        name=f"daily_{scope.name}",
        description=f"Days whose row in {scope.name}_daily is out of date.",
        job=job,
        minimum_interval_seconds=settings.daily_every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def outdated_days(lakehouse: Lakehouse) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        try:
            outdated = summary_of(scope, lakehouse, patient=False).outdated()
        except (IngestError, PipelineError) as error:
            if isinstance(error, Transient):
                return dg.SkipReason(f"the days cannot be counted now: {error}")
            raise
        wanted = due(outdated, settings.daily_from, now.date(), AT_ONCE)
        if not wanted:
            return dg.SkipReason(_nothing(outdated, settings))
        return dg.SensorResult([_request(one, now) for one in wanted])

    return outdated_days


def _request(one: OutdatedDay, now: datetime) -> dg.RunRequest:
    """The key changes with the readings, and with the hour, so that a failed day comes again."""
    hour = now.strftime("%Y-%m-%dT%H")
    is_today = one.day == now.date()
    key = f"{one.day}@{hour}" if is_today else f"{one.day}:{one.lake_readings}@{hour}"
    return dg.RunRequest(
        run_key=key,
        partition_key=one.day.isoformat(),
        tags={"readings": str(one.lake_readings), "summarised": str(one.summarised)},
    )


def _nothing(outdated: list[OutdatedDay], settings: MaintenanceSettings) -> str:
    if not outdated:
        return "every day's summary counts what the lake holds"
    first, last = outdated[0].day, outdated[-1].day
    return (
        f"{len(outdated)} days ({first} to {last}) lie before maintenance.daily_from"
        f" ({settings.daily_from}) or in the future"
    )
