"""Retention and rehydration of the hot table.

Annotations are real types here: Dagster does not find the Config class by its name (1.13).
"""

import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
from pydantic import Field

from pipelines.cancel import Cancel
from pipelines.cost import Cost
from pipelines.hot_retention import Verdict, retire, too_young
from pipelines.last_seen import LastSeen, complete_until, devices, silent
from pipelines.rehydrate import Extent, Rehydrated, rehydrate
from pipelines.report.products import of_last_seen, of_rehydration, of_retention
from pipelines.resources.decisions import decided, postpone
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.storage_days import HotDay, now_us, partitions
from pipelines.trino_side import TrinoSides

OWNERS = ["team:data"]
HOT_HEAVY = "hot_heavy"


class RetentionConfig(dg.Config):
    """Options of one run."""

    dry_run: bool = Field(default=False, description="Only say which days would be dropped")


def retention(scope: Scope) -> dg.AssetsDefinition:
    """Days dropped from the hot table: old, proven, and in the lake."""

    @dg.asset(
        key=scope.of_hot_table("retention"),
        deps=[scope.hot_table, scope.proof, scope.lake_table],
        description="Drops days of storage that are older than hot.retention_days, that the ledger "
        "proves, and that the lake holds with the same contents at this moment. Every other day "
        "is kept, with the reason.",
        kinds={"clickhouse"},
        owners=OWNERS,
        group_name=scope.name,
        pool=HOT_HEAVY,
        output_required=False,
    )
    def drop_old_days(
        context: dg.AssetExecutionContext,
        config: RetentionConfig,
        lakehouse: Lakehouse,
        guard: BudgetGuard,
    ) -> Iterator[dg.MaterializeResult[None]]:
        done = decided(context, lambda: _retired(scope, lakehouse, guard, dry_run=config.dry_run))
        if done is None:
            return
        metadata = of_retention(*done)
        if config.dry_run:
            context.log_event(dg.AssetObservation(context.asset_key, metadata=metadata))
            return
        yield dg.MaterializeResult(metadata=metadata)

    return drop_old_days


def rehydration(scope: Scope, first_day: date) -> dg.AssetsDefinition:
    """A day of storage brought back from the lake, by hand."""

    @dg.asset(
        key=scope.of_hot_table("rehydration"),
        deps=[scope.lake_table],
        partitions_def=dg.DailyPartitionsDefinition(first_day.isoformat()),
        description="Brings one UTC day of storage back into ClickHouse, each row exactly once; "
        "safe to repeat at any point. The day then stays for maintenance.rehydrated_keep_days.",
        kinds={"clickhouse", "iceberg"},
        owners=OWNERS,
        group_name=scope.name,
        pool=HOT_HEAVY,
        output_required=False,
    )
    def bring_back(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> Iterator[dg.MaterializeResult[None]]:
        day = date.fromisoformat(context.partition_key)
        done = decided(context, lambda: _rehydrated(scope, lakehouse, guard, day))
        if done is None:
            raise dg.Failure(
                f"the budget left no room for {day}; run it again, it goes on where it ended",
                allow_retries=False,
            )
        yield dg.MaterializeResult(metadata=of_rehydration(done))

    return bring_back


def last_seen(scope: Scope) -> dg.AssetsDefinition:
    """When each device was last heard, and who is silent."""

    @dg.asset(
        key=scope.of_hot_table("last_seen"),
        deps=[scope.hot_table],
        description="Devices heard lately, and those silent for longer than their own habit "
        "allows. Judged as of the time up to which the hot path has stored everything.",
        kinds={"clickhouse"},
        owners=OWNERS,
        group_name=scope.name,
        pool=HOT_HEAVY,
        output_required=False,
    )
    def look_for_silence(
        context: dg.AssetExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> Iterator[dg.MaterializeResult[None]]:
        objection = decided(context, lambda: guard.objection() or "")
        if objection:
            postpone(context, f"the hot path comes first: {objection}")
        if objection != "":
            return
        done = decided(context, lambda: seen_lately(scope, lakehouse))
        if done is not None:
            yield dg.MaterializeResult(metadata=of_last_seen(done))

    return look_for_silence


def seen_lately(scope: Scope, lakehouse: Lakehouse) -> LastSeen:
    """All devices heard within maintenance.seen_within_days, and the silent ones."""
    settings = lakehouse.pipeline_settings.maintenance
    lanes = [one.name for one in lakehouse.lanes(scope)]
    as_of_s = lakehouse.nats(lambda link: complete_until(link, lanes))
    with lakehouse.clickhouse() as client:
        since_s = as_of_s - settings.seen_within_days * 86_400
        heard = devices(client, scope.contract, since_s)
    quiet = silent(
        heard, as_of_s, intervals=settings.silent_intervals, least_s=settings.silent_least_s
    )
    return LastSeen(as_of_s, heard, quiet)


def _retired(
    scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard, *, dry_run: bool
) -> tuple[list[Verdict], list[Cost]]:
    settings = lakehouse.settings_of(scope)
    patience_s = lakehouse.pipeline_settings.maintenance.give_up_after_s
    trino, watch = lakehouse.trino(), guard.guard()
    verdicts: list[Verdict] = []
    costs: list[Cost] = []
    with lakehouse.clickhouse() as client:
        for day in partitions(client, scope.contract):
            young = too_young(day.day, settings.hot.retention_days, now_us())
            if young is not None:
                verdicts.append(Verdict(day, dropped=False, why=young))
                continue

            def unit(cancel: Cancel, day: HotDay = day) -> Verdict:
                sides = TrinoSides(trino, cancel)
                return retire(settings, client, scope.contract, day, sides, dry_run=dry_run)

            done = watch.run(f"retention of {day.day}", unit, give_up_after_s=patience_s)
            verdicts.append(done.result)
            costs.append(done.cost)
    return verdicts, costs


def _rehydrated(scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard, day: date) -> Rehydrated:
    settings = lakehouse.pipeline_settings.maintenance
    extent = Extent(
        day=day,
        block_rows=settings.rehydrate_block_rows,
        keep_days=settings.rehydrated_keep_days,
        give_up_after_s=settings.give_up_after_s,
    )
    with tempfile.TemporaryDirectory(prefix=f"{scope.name}-{day}-") as folder:
        return rehydrate(
            lakehouse.settings_of(scope), scope.contract, guard.guard(), extent, Path(folder)
        )
