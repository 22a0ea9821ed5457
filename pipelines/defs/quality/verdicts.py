"""What the costly checks ask: of each lane where lanes differ, of the tables once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import dagster as dg

from ingest.errors import IngestError
from ingest.proof.facts import EmptyLaneError
from pipelines import quality_schema, quality_tables
from pipelines.defs.quality.assets import gentle_trino
from pipelines.errors import PipelineError
from pipelines.lake_recheck import recheck
from pipelines.lanes import Lane
from pipelines.quality_lanes import together
from pipelines.quality_verdict import Verdict, unknown
from pipelines.reconcile import Extent, Reconciled, Runs, reconcile
from pipelines.reconcile_findings import HEADERS, Explained, explained
from pipelines.report.proof import figures, sentences
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.settings import PipelineSettings
from pipelines.trino_client import Trino

STILL_HOLDS = "what_was_proven_still_holds"
REWRITTEN = "rewritten_files_hold_what_was_proven"
_UPTO = "rewritten_upto_ms"
_LOOK_BACK = 200


def evaluated(check: str, ask: Callable[[], Verdict]) -> Verdict:
    """The verdict; a system that is away or refuses leaves it unknown, which is red."""
    try:
        return ask()
    except (IngestError, PipelineError) as error:
        return unknown(check, str(error))


def costly_asks(scope: Scope, lakehouse: Lakehouse) -> dict[str, Callable[[], Verdict]]:
    """What each of the checks on schema and tables asks."""
    settings, own = lakehouse.settings_of(scope), lakehouse.pipeline_settings
    contract, bounds = scope.contract, own.quality
    lanes = lakehouse.lanes(scope)

    def each(check: str, ask: Callable[[Lane], Verdict]) -> Callable[[], Verdict]:
        return lambda: of_each(check, lanes, ask)

    return {
        quality_schema.IN_FORCE: each(
            quality_schema.IN_FORCE, lambda lane: quality_schema.in_force(lane.settings)
        ),
        quality_schema.CLICKHOUSE: each(
            quality_schema.CLICKHOUSE, lambda lane: quality_schema.in_clickhouse(lane.settings)
        ),
        quality_schema.ICEBERG: each(
            quality_schema.ICEBERG,
            lambda lane: quality_schema.in_iceberg(lane.settings, lakehouse.trino()),
        ),
        quality_tables.LATE: lambda: quality_tables.late(settings, contract, bounds),
        quality_tables.DEBT: lambda: quality_tables.small_files(settings, contract, own),
        quality_tables.DISK: lambda: quality_tables.disk_days(settings, contract, bounds),
    }


def of_each(check: str, lanes: Sequence[Lane], ask: Callable[[Lane], Verdict]) -> Verdict:
    """One verdict over all lanes; a lane that cannot be asked hides no other."""
    return together({one.name: evaluated(check, partial(ask, one)) for one in lanes})


def still_hold(scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard) -> Verdict:
    """Everything on every lane's ledger compared again."""
    trino, watch = gentle_trino(lakehouse), guard.guard()
    extent = extent_of(lakehouse.pipeline_settings, again=True)
    return of_each(
        STILL_HOLDS, lakehouse.lanes(scope), lambda lane: _again(lane, trino, watch, extent)
    )


def rewritten_hold(
    scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard, since_ms: int
) -> Verdict:
    """What was rewritten after ``since_ms``, held against every lane's ledger."""
    trino, watch = gentle_trino(lakehouse), guard.guard()
    extent = extent_of(lakehouse.pipeline_settings)
    return of_each(
        REWRITTEN,
        lakehouse.lanes(scope),
        lambda lane: _recheck(lane, trino, (watch, extent), since_ms),
    )


def rechecked_upto(instance: dg.DagsterInstance, scope: Scope) -> int:
    """Time of the newest rewrite that was found to hold in every lane; 0: there was none."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(scope.lake_table, REWRITTEN), limit=_LOOK_BACK
    )
    for record in history:
        found = record.evaluation
        if not isinstance(found, dg.AssetCheckEvaluation) or not found.passed:
            continue
        told = [
            int(str(value.value))
            for name, value in found.metadata.items()
            if name.split("/")[0] == _UPTO
        ]
        if told:
            return min(told)
    return 0


def extent_of(own: PipelineSettings, *, again: bool = False) -> Extent:
    """Units as the settings say."""
    return Extent(
        unit_sequences=own.quality.unit_sequences,
        again=again,
        give_up_after_s=own.maintenance.give_up_after_s,
    )


def _recheck(lane: Lane, trino: Trino, how: tuple[Runs, Extent], since_ms: int) -> Verdict:
    done = recheck(lane.settings, trino, *how, since_ms=since_ms)
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


def _again(lane: Lane, trino: Trino, guard: Runs, extent: Extent) -> Verdict:
    try:
        done = reconcile(lane.settings, trino, guard, extent)
    except EmptyLaneError as error:
        if lane.settings.lanes.count == 1:
            raise
        return Verdict(STILL_HOLDS, passed=True, text=str(error))
    return _verdict(done, explained(lane.settings, trino, done.report.findings))


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
