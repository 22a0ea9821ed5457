"""A lake table with many small files, made by the lake writer, and what maintains it."""

from __future__ import annotations

import json
from typing import Any

from pipelines.compaction import Compactor
from pipelines.guard import Guard
from pipelines.lake_files import LakeFiles, lake_files
from pipelines.lake_upkeep import Upkeep
from pipelines.settings import MaintenanceSettings
from pipelines.trino_client import MAINTENANCE, Trino, quoted
from tests.support.lakehouse import lakehouse_of
from tests.support.lane import TestLane

QUICK_BUDGET = {
    "IOT_BUDGET__SAMPLE_EVERY_S": "0.2",
    "IOT_BUDGET__LEARN_S": "0.5",
    "IOT_BUDGET__QUIET_S": "0.5",
    "IOT_BUDGET__REST_S": "0.1",
    "IOT_BUDGET__HOT_LAG_MAX_S": "20",
    "IOT_BUDGET__P99_LEAST_SLACK_S": "20",
    "IOT_BUDGET__P99_MAX_S": "60",
    "IOT_BUDGET__CPU_BUSY_MAX": "2",
    "IOT_BUDGET__STALE_AFTER_S": "10",
}
"""A budget that decides within a second and is not broken by a busy test machine."""


def trino_of(lane: TestLane) -> Trino:
    """Maintenance statements on the lane's Trino."""
    return lakehouse_of(lane).trino(MAINTENANCE)


def compactor_of(lane: TestLane, guard: Guard | None = None, **changes: Any) -> Compactor:
    """Compaction of the lane's table; ``changes`` are maintenance settings."""
    settings = MaintenanceSettings(**changes)
    return Compactor(lane.contract, lane.sink(), trino_of(lane), guard, settings)


def upkeep_of(lane: TestLane, guard: Guard | None = None, **changes: Any) -> Upkeep:
    """Upkeep of the lane's table; ``changes`` are maintenance settings."""
    settings = MaintenanceSettings(**changes)
    return Upkeep(lane.contract, lane.sink(), trino_of(lane), guard, settings)


def files_of(lane: TestLane) -> LakeFiles:
    """The table's files now."""
    return lake_files(lane.lake_table())


def assert_proven(lane: TestLane) -> None:
    """Every side agrees on every reading, whatever the ledger says."""
    done = lane.ingest("verify", "--full", "--output", "json", check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert json.loads(done.stdout)["proven"] is True, done.stdout


def many_rows(lane: TestLane, rows: int, ts: str) -> None:
    """One file of ``rows`` rows of another lane in the partition of ``ts``, slow to rewrite."""
    at = f"TIMESTAMP '{ts} UTC'"
    values = {"device_id": "comment", "ts": at, "value": "extendedprice", "_stored_at": at}
    values |= {"_seq": "orderkey", "_idx": "linenumber", "_lane": "'OTHER'", "_epoch": "'x'"}
    values |= dict.fromkeys(("site", "metric", "unit", "quality"), "shipmode")
    table = quoted("iceberg", lane.contract.namespace, lane.contract.table)
    # The store takes no temporary files of a sort.
    unsorted = trino_of(lane).with_session({"iceberg.sorted_writing_enabled": "false"})
    unsorted.execute(
        f"INSERT INTO {table} ({', '.join(map(quoted, values))})"
        f" SELECT {', '.join(values.values())} FROM tpch.sf1.lineitem LIMIT {rows}"
    )


def newest_statement(lane: TestLane) -> tuple[str, str | None]:
    """State and error of the newest compaction statement on the lane's table."""
    rows = (
        lakehouse_of(lane)
        .trino()
        .query(
            "SELECT state, error_code FROM system.runtime.queries"
            " WHERE query LIKE ? AND query NOT LIKE '%runtime.queries%'"
            " ORDER BY created DESC LIMIT 1",
            (f"%{lane.contract.namespace}%optimize%",),
        )
    )
    return rows[0] if rows else ("", None)
