"""The daily summary of each device as an asset with a partition for each UTC day of event time.

Annotations are real types here: Dagster does not find its context class by its name (1.13).
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from ingest.sinks.iceberg import IcebergSink
from pipelines.cancel import Cancel
from pipelines.cost import Guarded
from pipelines.daily_sql import Source
from pipelines.daily_summary import DailySummary, Summary
from pipelines.report.products import of_summary
from pipelines.resources.decisions import decided, postpone
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.trino_client import MAINTENANCE, QUERIES
from pipelines.watermarks import impatient

OWNERS = ["team:data"]
LAKE_COMMIT = "lake_commit"


def daily_summary(scope: Scope, first_day: date) -> dg.AssetsDefinition:
    """``<table>_daily``, by the groups and the value of the contract's rollup."""

    @dg.asset(
        key=scope.lake_product("daily"),
        deps=[scope.lake_table],
        partitions_def=dg.DailyPartitionsDefinition(first_day.isoformat(), end_offset=1),
        description="One row for each UTC day of event time and device: count, least, most, mean, "
        "first and last value, share of late readings. A day is replaced as a whole, from one "
        "snapshot of the lake; late readings ask for their day again.",
        kinds={"trino", "iceberg"},
        owners=OWNERS,
        group_name=scope.name,
        pool=LAKE_COMMIT,
        metadata={"dagster/table_name": f"{scope.contract.namespace}.{scope.name}_daily"},
        output_required=False,
    )
    def summarise(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> Iterator[dg.MaterializeResult[None]]:
        day = date.fromisoformat(context.partition_key)
        done = decided(context, lambda: _summarised(scope, lakehouse, guard, day))
        if done is None:
            return
        if done.result is None:
            postpone(context, "the lake table is empty")
            return
        assert scope.contract.rollup is not None
        metadata = of_summary(done.result, scope.contract.rollup.group_by, done.cost)
        yield dg.MaterializeResult(metadata=metadata)

    return summarise


def summary_of(scope: Scope, lakehouse: Lakehouse, *, patient: bool = True) -> DailySummary:
    """The scope's daily summary on Trino; an impatient one waits for seconds only."""
    late_after_s = lakehouse.pipeline_settings.maintenance.late_after_s
    trino = lakehouse.trino(MAINTENANCE if patient else QUERIES, patient=patient)
    settings = lakehouse.settings if patient else impatient(lakehouse.settings)
    sink = IcebergSink(settings, scope.contract, scope.lane)
    return DailySummary(trino, scope.contract, sink, late_after_s)


def _summarised(
    scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard, day: date
) -> Guarded[Summary | None]:
    daily = summary_of(scope, lakehouse)
    patience_s = lakehouse.pipeline_settings.maintenance.give_up_after_s

    def unit(cancel: Cancel) -> Summary | None:
        source: Source | None = daily.source()
        return daily.summarise(day, source, cancel) if source else None

    return guard.guard().run(f"summary of {day}", unit, give_up_after_s=patience_s)
