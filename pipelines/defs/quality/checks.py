"""The checks on stream and tables: cheap ones by a sensor, costly ones by a schedule.

All of them can be executed from Dagster's pages as well. Annotations are real types here.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from pipelines import quality_cheap, quality_schema, quality_tables
from pipelines.defs.quality.assets import HOT_HEAVY
from pipelines.defs.quality.verdicts import (
    REWRITTEN,
    STILL_HOLDS,
    costly_asks,
    evaluated,
    rechecked_upto,
    rewritten_hold,
    still_hold,
)
from pipelines.quality_lanes import cheap_verdicts
from pipelines.quality_look import look_at
from pipelines.report.verdicts import result, tell
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope

COSTLY = {
    quality_schema.IN_FORCE: "the contract file is what the registry has in force",
    quality_schema.CLICKHOUSE: "ClickHouse's table has the columns of the contract in force",
    quality_schema.ICEBERG: "Iceberg's table, in Trino too, has the columns in force",
    quality_tables.LATE: "few of the last day's readings came long after their event",
    quality_tables.DEBT: "compaction keeps up with the small files",
    quality_tables.DISK: "the disks of ClickHouse last for some days",
}


def asset_of(scope: Scope, check: str) -> dg.AssetKey:
    """The asset that a check is about."""
    keys = {
        quality_cheap.FRESH_HOT: scope.hot_table,
        quality_cheap.REFUSED: scope.dead_letters,
        quality_cheap.PROOF_AGE: scope.proof,
        quality_schema.IN_FORCE: scope.stream,
        quality_schema.CLICKHOUSE: scope.hot_table,
        quality_tables.LATE: scope.hot_table,
        quality_tables.DISK: scope.hot_table,
    }
    return keys.get(check, scope.lake_table)


def cheap_checks(scope: Scope) -> dg.AssetChecksDefinition:
    """The checks that a sensor evaluates without a run."""

    @dg.multi_asset_check(
        name=f"cheap_verdicts_{scope.name}", specs=_specs(scope, quality_cheap.CHECKS)
    )
    def cheap(lakehouse: Lakehouse) -> Iterator[dg.AssetCheckResult]:
        found = look_at(lakehouse.lanes(scope))
        for verdict in cheap_verdicts(found, lakehouse.pipeline_settings.quality):
            yield result(verdict, asset_of(scope, verdict.check))

    return cheap


def costly_checks(scope: Scope) -> dg.AssetChecksDefinition:
    """The checks that ask the tables and Trino."""

    @dg.multi_asset_check(
        name=f"costly_verdicts_{scope.name}", specs=_specs(scope, COSTLY), pool=HOT_HEAVY
    )
    def costly(
        context: dg.AssetCheckExecutionContext, lakehouse: Lakehouse
    ) -> Iterator[dg.AssetCheckResult]:
        for check, ask in costly_asks(scope, lakehouse).items():
            verdict = evaluated(check, ask)
            yield result(verdict, asset_of(scope, check))
            tell(context.instance, verdict, asset_of(scope, check))

    return costly


def still_holds(scope: Scope) -> dg.AssetChecksDefinition:
    """Everything on the ledger compared again."""

    @dg.asset_check(
        asset=asset_of(scope, STILL_HOLDS),
        name=STILL_HOLDS,
        description="stream, sinks and dead letters still hold what the ledger says was proven",
        pool=HOT_HEAVY,
    )
    def again(
        context: dg.AssetCheckExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> dg.AssetCheckResult:
        verdict = evaluated(STILL_HOLDS, lambda: still_hold(scope, lakehouse, guard))
        tell(context.instance, verdict, asset_of(scope, STILL_HOLDS))
        return result(verdict, asset_of(scope, STILL_HOLDS))

    return again


def rewritten_holds(scope: Scope) -> dg.AssetChecksDefinition:
    """Files that compaction wrote, held against the ledger."""

    @dg.asset_check(
        asset=scope.lake_table,
        name=REWRITTEN,
        description="after compaction Trino finds in the new files what the ledger says was proven",
        pool=HOT_HEAVY,
    )
    def recheck_lake(
        context: dg.AssetCheckExecutionContext, lakehouse: Lakehouse, guard: BudgetGuard
    ) -> dg.AssetCheckResult:
        since_ms = rechecked_upto(context.instance, scope)
        verdict = evaluated(REWRITTEN, lambda: rewritten_hold(scope, lakehouse, guard, since_ms))
        tell(context.instance, verdict, scope.lake_table)
        return result(verdict, scope.lake_table)

    return recheck_lake


def _specs(scope: Scope, checks: dict[str, str]) -> Sequence[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=asset_of(scope, name), description=text)
        for name, text in checks.items()
    ]
