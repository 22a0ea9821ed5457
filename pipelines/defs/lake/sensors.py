"""Compaction starts when the table's files ask for it and the hot path has room."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import dagster as dg

from ingest.errors import IngestError, Transient
from ingest.sinks.iceberg import IcebergSink
from pipelines.lake_debt import debt
from pipelines.lake_files import file_count, lake_files
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.settings import MaintenanceSettings
from pipelines.watermarks import impatient

AGAIN_AFTER_S = 900
"""A run that was stopped, or failed, is asked for again after this long at the earliest."""

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def compaction_sensor(
    scope: Scope, job: dg.UnresolvedAssetJobDefinition, settings: MaintenanceSettings
) -> dg.SensorDefinition:
    """Asks for one compaction at a time, once for a snapshot of the table."""

    @dg.sensor(
        name=f"compaction_{scope.name}",
        description=f"Small files of {scope.contract.namespace}.{scope.name}.",
        job=job,
        minimum_interval_seconds=settings.debt_check_every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def small_files(
        context: dg.SensorEvaluationContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> dg.RunRequest | dg.SkipReason:
        if _is_under_way(context, job.name):
            return dg.SkipReason(f"a run of {job.name} is under way")
        try:
            return _asked(scope, lakehouse, guard)
        except IngestError as error:
            if isinstance(error, Transient):
                return dg.SkipReason(f"the table cannot be looked at now: {error}")
            raise

    return small_files


def _asked(scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard) -> dg.RunRequest | dg.SkipReason:
    settings = lakehouse.pipeline_settings.maintenance
    sink = IcebergSink(impatient(lakehouse.settings), scope.contract, scope.lane)
    table = sink.load()
    count, bound = file_count(table), settings.debt_files
    if count is not None and count <= bound:
        return dg.SkipReason(f"{count} files in all; {bound} too many start a run")
    files = lake_files(table)
    owed = debt(files, settings, datetime.now(UTC))
    if owed.files < bound:
        return dg.SkipReason(f"{owed}; {bound} too many start a run")
    objection = guard.objection()
    if objection is not None:
        return dg.SkipReason(f"{owed}, but the hot path comes first: {objection}")
    return dg.RunRequest(
        run_key=f"{files.snapshot_id}-{int(time.time() // AGAIN_AFTER_S)}",
        tags={"debt": str(owed.files)},
    )


def _is_under_way(context: dg.SensorEvaluationContext, job_name: str) -> bool:
    filters = dg.RunsFilter(job_name=job_name, statuses=_UNDER_WAY)
    return bool(context.instance.get_run_ids(filters, limit=1))
