"""The proof: an asset that is materialised by comparing all sides of a lane.

Annotations are real types here: Dagster does not find the Config class by its name (1.13).
"""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from ingest.proof.report import STREAM
from ingest.proof.rollup import NAME as ROLLUP
from pipelines.reconcile import Extent
from pipelines.reconcile_lanes import reconcile_lanes
from pipelines.report.proof import CHECKS, MEANING
from pipelines.report.proof_lanes import check_results, metadata
from pipelines.resources.decisions import decided
from pipelines.resources.guard import BudgetGuard
from pipelines.resources.lakehouse import Lakehouse
from pipelines.scope import Scope
from pipelines.trino_client import MAINTENANCE, Trino

OWNERS = ["team:data"]
HOT_HEAVY = "hot_heavy"


class ReconcileConfig(dg.Config):
    """Options of one run."""

    upto: int = Field(0, description="Last sequence to compare; 0: as far as both sinks are")


def sides_of(scope: Scope) -> list[str]:
    """The sides that have a check of their own."""
    return [side for side in CHECKS if side != ROLLUP or scope.contract.rollup is not None]


def proof(scope: Scope) -> dg.AssetsDefinition:
    """The reconciliation of a lane with a check for each side."""

    @dg.multi_asset(
        name=f"compare_sides_{scope.name}",
        specs=[
            dg.AssetSpec(
                scope.proof,
                deps=[scope.stream, scope.dead_letters, scope.hot_table, scope.lake_table],
                description="stream = ClickHouse = Iceberg + dead letters, by the contents of "
                "every row. Each engine adds up its own; what is equal goes to the ledger, and a "
                "run reads only what is new.",
                kinds={"nats", "clickhouse", "iceberg", "trino"},
                owners=OWNERS,
                group_name=scope.name,
                metadata={"ledger": f"ledger.{scope.lane}"},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECKS[side],
                asset=scope.proof,
                description=MEANING[side],
                blocking=side not in (STREAM, ROLLUP),
            )
            for side in sides_of(scope)
        ],
        # Nothing is reported when the budget leaves the run for later.
        can_subset=True,
        pool=HOT_HEAVY,
    )
    def reconciliation(
        context: dg.AssetExecutionContext,
        config: ReconcileConfig,
        lakehouse: Lakehouse,
        guard: BudgetGuard,
    ) -> Iterator[dg.MaterializeResult[None]]:
        own = lakehouse.pipeline_settings
        extent = Extent(
            unit_sequences=own.quality.unit_sequences,
            upto=config.upto or None,
            give_up_after_s=own.maintenance.give_up_after_s,
        )
        result = decided(context, lambda: _compared(scope, lakehouse, guard, extent))
        if result is not None:
            yield result

    return reconciliation


def gentle_trino(lakehouse: Lakehouse) -> Trino:
    """Trino for scans: in the queue of the maintenance, with as few threads as it has."""
    threads = lakehouse.pipeline_settings.maintenance.threads
    return lakehouse.trino(MAINTENANCE).with_session({"max_drivers_per_task": str(threads)})


def _compared(
    scope: Scope, lakehouse: Lakehouse, guard: BudgetGuard, extent: Extent
) -> dg.MaterializeResult[None]:
    done = reconcile_lanes(lakehouse.lanes(scope), gentle_trino(lakehouse), guard.guard(), extent)
    return dg.MaterializeResult(
        asset_key=scope.proof,
        metadata=metadata(done),
        check_results=check_results(done, scope.proof, sides_of(scope)),
    )
