"""The checks on stream and tables: cheap ones by a sensor, costly ones by a schedule.

All of them can be executed from Dagster's pages as well. Annotations are real types here.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from ingest.errors import IngestError
from pipelines import quality_cheap, quality_schema, quality_tables
from pipelines.defs.quality.assets import HOT_HEAVY, gentle_trino
from pipelines.errors import PipelineError
from pipelines.lake_recheck import recheck
from pipelines.quality_look import look
from pipelines.quality_verdict import Verdict, unknown
from pipelines.reconcile import Extent, Reconciled, reconcile
from pipelines.reconcile_findings import HEADERS, Explained, explained
from pipelines.report.proof import figures, sentences
from pipelines.report.verdicts import result, tell
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.settings import PipelineSettings

STILL_HOLDS = "what_was_proven_still_holds"
REWRITTEN = "rewritten_files_hold_what_was_proven"
_UPTO = "rewritten_upto_ms"
_LOOK_BACK = 200
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
        found = look(lakehouse.settings_of(scope), scope.contract)
        for verdict in quality_cheap.verdicts(found, lakehouse.pipeline_settings.quality):
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
        for check, ask in _costly(scope, lakehouse).items():
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
        verdict = evaluated(STILL_HOLDS, lambda: _again(scope, lakehouse, guard))
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
        since_ms = _rechecked_upto(context.instance, scope)
        verdict = evaluated(REWRITTEN, lambda: _recheck(scope, lakehouse, guard, since_ms))
        tell(context.instance, verdict, scope.lake_table)
        return result(verdict, scope.lake_table)

    return recheck_lake


def evaluated(check: str, ask: Callable[[], Verdict]) -> Verdict:
    """The verdict; a system that is away or refuses leaves it unknown, which is red."""
    try:
        return ask()
    except (IngestError, PipelineError) as error:
        return unknown(check, str(error))


def _specs(scope: Scope, checks: dict[str, str]) -> Sequence[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=asset_of(scope, name), description=text)
        for name, text in checks.items()
    ]


def _costly(scope: Scope, lakehouse: Lakehouse) -> dict[str, Callable[[], Verdict]]:
    settings, own = lakehouse.settings_of(scope), lakehouse.pipeline_settings
    contract, bounds = scope.contract, own.quality
    return {
        quality_schema.IN_FORCE: lambda: quality_schema.in_force(settings),
        quality_schema.CLICKHOUSE: lambda: quality_schema.in_clickhouse(settings),
        quality_schema.ICEBERG: lambda: quality_schema.in_iceberg(settings, lakehouse.trino()),
        quality_tables.LATE: lambda: quality_tables.late(settings, contract, bounds),
        quality_tables.DEBT: lambda: quality_tables.small_files(settings, contract, own),
        quality_tables.DISK: lambda: quality_tables.disk_days(settings, contract, bounds),
    }


def _recheck(scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard, since_ms: int) -> Verdict:
    settings, own = lakehouse.settings_of(scope), lakehouse.pipeline_settings
    done = recheck(
        settings, gentle_trino(lakehouse), guard.guard(), _extent(own), since_ms=since_ms
    )
    text = f"{done.sequences:,} proven sequences from {done.first:,} on hold" if done.first else ""
    if done.findings:
        text = "; ".join(map(str, done.findings[:5]))
    elif done.stopped:
        text = f"could not be evaluated: {done.left} units were left, {done.stopped}"
    numbers = {
        _UPTO: done.upto_ms,
        "sequences": done.sequences,
        "rows": done.rows,
        "findings": len(done.findings),
    }
    return Verdict(
        REWRITTEN,
        passed=not done.findings and not done.stopped,
        text=text or "no file was rewritten since the last look",
        numbers=numbers,
        headers=("finding",),
        rows=[(str(one),) for one in done.findings],
        known=not done.stopped,
    )


def _rechecked_upto(instance: dg.DagsterInstance, scope: Scope) -> int:
    """Time of the newest rewrite that was found to hold; 0 when there was none."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(scope.lake_table, REWRITTEN), limit=_LOOK_BACK
    )
    for record in history:
        found = record.evaluation
        if isinstance(found, dg.AssetCheckEvaluation) and found.passed and _UPTO in found.metadata:
            return int(str(found.metadata[_UPTO].value))
    return 0


def _extent(own: PipelineSettings, *, again: bool = False) -> Extent:
    return Extent(
        unit_sequences=own.quality.unit_sequences,
        again=again,
        give_up_after_s=own.maintenance.give_up_after_s,
    )


def _again(scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard) -> Verdict:
    settings, own = lakehouse.settings_of(scope), lakehouse.pipeline_settings
    trino = gentle_trino(lakehouse)
    done = reconcile(settings, trino, guard.guard(), _extent(own, again=True))
    return _verdict(done, explained(settings, trino, done.report.findings))


def _verdict(done: Reconciled, found: Sequence[Explained]) -> Verdict:
    text = f"{done.sequences:,} sequences that were proven still hold"
    if found:
        text = sentences(found)
    elif done.stopped:
        text = f"could not be evaluated: {done.left:,} sequences were left, {done.stopped}"
    return Verdict(
        STILL_HOLDS,
        passed=not found and not done.stopped,
        text=text,
        numbers=figures(done),
        headers=HEADERS,
        rows=[one.row() for one in found],
        known=not done.stopped,
    )
