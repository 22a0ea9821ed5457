"""Maintenance of the lake table: each kind of it an asset that says what it changed and cost.

Annotations are real types here: Dagster does not find the Config class by its name (1.13).
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from ingest.nats_link import NatsLink
from ingest.sinks.iceberg import IcebergSink
from ingest.stream_info import stream_state
from pipelines.compaction import Compactor
from pipelines.lake_upkeep import Upkeep, Upkept, last_commit, upload_may_wait
from pipelines.lanes import named
from pipelines.report import upkeep as report
from pipelines.report.tables import markdown_table
from pipelines.resources.decisions import decided, postpone
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.table_objects import Objects, table_objects
from pipelines.trino_client import MAINTENANCE

POOL = "lake_commit"
_EXAMPLES = 20


class CompactionConfig(dg.Config):
    """Choices of one compaction; as they are, everything that is owed is merged."""

    partitions: list[str] = Field(
        default_factory=list,
        description="Partitions to compact by their labels (2026-01-31 for a day); none: all",
    )
    dry_run: bool = Field(default=False, description="Only say what would be merged")


def compaction(scope: Scope) -> dg.AssetsDefinition:
    """Small files merged, partition by partition, inside the hot path's budget."""

    @_asset(scope, "compaction", "Small files merged into large ones, coldest partition first.")
    def compact(
        context: dg.AssetExecutionContext,
        config: CompactionConfig,
        lakehouse: Lakehouse,
        guard: BudgetGuard,
    ) -> Iterator[dg.MaterializeResult[None]]:
        def compactor() -> Compactor:
            return Compactor(
                scope.contract,
                lakehouse.sink(scope),
                lakehouse.trino(MAINTENANCE),
                guard.guard(),
                lakehouse.pipeline_settings.maintenance,
            )

        if config.dry_run:
            look = decided(context, lambda: compactor().look())
            if look is not None:
                context.log_event(
                    dg.AssetObservation(context.asset_key, metadata=report.of_debt(look[1]))
                )
            return
        done = decided(context, lambda: compactor().run(config.partitions))
        if done is None:
            return
        if done.stopped and not done.done:
            postpone(context, done.stopped)
            return
        yield dg.MaterializeResult(metadata=report.of_compaction(done))

    return compact


def manifests(scope: Scope) -> dg.AssetsDefinition:
    """Manifests merged."""

    @_asset(scope, "manifests", "Manifests merged, so that scans are planned from a few of them.")
    def merge_manifests(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> Iterator[dg.MaterializeResult[None]]:
        yield from _told(context, lambda: _upkeep(scope, lakehouse, guard).manifests())

    return merge_manifests


def snapshots(scope: Scope) -> dg.AssetsDefinition:
    """Old snapshots expired."""

    @_asset(scope, "snapshots", "Snapshots beyond their retention expired, with their files.")
    def expire_snapshots(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> Iterator[dg.MaterializeResult[None]]:
        def expire() -> Upkept:
            kept_h = lakehouse.pipeline_settings.maintenance.snapshot_retention_h
            return _upkeep(scope, lakehouse, guard).snapshots(timedelta(hours=kept_h))

        yield from _told(context, expire)

    return expire_snapshots


def statistics(scope: Scope) -> dg.AssetsDefinition:
    """Statistics for Trino's planner."""

    @_asset(scope, "statistics", "Distinct values of the key columns, for Trino's planner.")
    def analyze(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> Iterator[dg.MaterializeResult[None]]:
        yield from _told(context, lambda: _upkeep(scope, lakehouse, guard).statistics())

    return analyze


def orphans(scope: Scope) -> dg.AssetsDefinition:
    """Files that no snapshot has removed."""

    @_asset(scope, "orphans", "Files in no snapshot and beyond their retention removed.")
    def remove_orphans(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> Iterator[dg.MaterializeResult[None]]:
        objection = decided(context, lambda: _upload_may_wait(scope, lakehouse) or "")
        if objection:
            postpone(context, objection)
        if objection != "":
            return
        removed: dict[str, int] = {}

        def remove() -> Upkept:
            before = _old_objects(scope, lakehouse)
            done = _upkeep(scope, lakehouse, guard).orphans(_orphan_age(lakehouse))
            left = _old_objects(scope, lakehouse)
            removed.update({key: size for key, size in before.items() if key not in left})
            return done

        done = decided(context, remove)
        if done is not None:
            examples = markdown_table(("object", "bytes"), list(removed.items())[:_EXAMPLES])
            yield dg.MaterializeResult(
                metadata={
                    **report.of_upkeep(done),
                    "removed_files": len(removed),
                    "removed_bytes": sum(removed.values()),
                    "removed": examples,
                }
            )

    return remove_orphans


def _asset(
    scope: Scope, what: str, description: str
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    return dg.asset(
        key=scope.of_lake_table(what),
        deps=[scope.lake_table],
        description=description,
        kinds={"trino", "iceberg"},
        owners=["team:data"],
        group_name=scope.name,
        pool=POOL,
        output_required=False,
    )


def _told(
    context: dg.AssetExecutionContext, work: Callable[[], Upkept]
) -> Iterator[dg.MaterializeResult[None]]:
    done = decided(context, work)
    if done is not None:
        yield dg.MaterializeResult(metadata=report.of_upkeep(done))


def _upkeep(scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard) -> Upkeep:
    return Upkeep(
        scope.contract,
        lakehouse.sink(scope),
        lakehouse.trino(MAINTENANCE),
        guard.guard(),
        lakehouse.pipeline_settings.maintenance,
    )


def _upload_may_wait(scope: Scope, lakehouse: Lakehouse) -> str | None:
    """Why orphans must not be removed now. The streams are looked at before the table."""
    lanes = lakehouse.lanes(scope)

    async def last_sequences(link: NatsLink) -> list[int]:
        return [(await stream_state(link, one.name)).last_seq for one in lanes]

    ends = lakehouse.nats(last_sequences)
    table = lakehouse.sink(scope).load()
    now, age = datetime.now(UTC), _orphan_age(lakehouse)
    for lane, last in zip(lanes, ends, strict=True):
        mark = IcebergSink(lane.settings, lane.contract, lane.name).watermark(table)
        lag = max(last - (mark.sequence if mark else 0), 0)
        why = upload_may_wait(last_commit(table, lane.name, mark), lag, age, now)
        if why is not None:
            return named({lane.name: why}, several=len(lanes) > 1)
    return None


def _old_objects(scope: Scope, lakehouse: Lakehouse) -> Objects:
    location = lakehouse.sink(scope).load().location()
    bound = datetime.now(UTC) - _orphan_age(lakehouse)
    return table_objects(lakehouse.settings.s3, location, before=bound)


def _orphan_age(lakehouse: Lakehouse) -> timedelta:
    return timedelta(hours=lakehouse.pipeline_settings.maintenance.orphan_retention_h)
