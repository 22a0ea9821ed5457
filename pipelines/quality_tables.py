"""Verdicts that ask the tables themselves: late readings, small files, room on the disks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest import clickhouse_client
from ingest.contract import Contract
from ingest.proof.canonical_sql import quoted
from ingest.settings import Settings
from ingest.sinks.iceberg import IcebergSink
from pipelines.lake_debt import debt
from pipelines.lake_files import lake_files
from pipelines.lanes import lanes_of
from pipelines.quality_verdict import Verdict
from pipelines.settings import PipelineSettings, QualitySettings

LATE = "few_readings_are_late"
DEBT = "few_small_files"
DISK = "disks_last_for_days"
GROWTH_DAYS = 7
"""Days of storage from which daily growth is taken."""
_QUERY = {"max_threads": 1, "max_execution_time": 60}


def late(settings: Settings, contract: Contract, bounds: QualitySettings) -> Verdict:
    """The share of the last day's readings of all lanes that came late, by hour.

    Raises IngestError.
    """
    time = quoted(contract.time_column)
    rows = _ask(
        settings,
        "SELECT toStartOfHour(_stored_at) AS hour, count(), countIf(age > {late:Float64}), max(age)"
        f" FROM (SELECT _stored_at, dateDiff('millisecond', {time}, _stored_at) / 1000 AS age"
        f" FROM {quoted(contract.namespace)}.{quoted(contract.table)}"
        " WHERE _lane IN {lanes:Array(String)} AND _stored_at > now64(6) - INTERVAL 1 DAY)"
        " GROUP BY hour ORDER BY hour",
        {"late": bounds.late_after_s, "lanes": [one.name for one in lanes_of(settings, contract)]},
    )
    count = sum(int(row[1]) for row in rows)
    tardy = sum(int(row[2]) for row in rows)
    share = tardy / max(count, 1)
    text = (
        f"{tardy:,} of {count:,} readings of the last day came more than"
        f" {bounds.late_after_s:g} s after their event: {share:.2%},"
        f" {bounds.late_share_max:.2%} allowed"
    )
    first = next((row[0] for row in rows if row[2]), None)
    if share > bounds.late_share_max and first is not None:
        text += f"; since {first:%Y-%m-%d %H:%M} UTC"
    numbers = {
        "readings": count,
        "late": tardy,
        "share": round(share, 6),
        "share_allowed": bounds.late_share_max,
        "latest_s": max((float(row[3]) for row in rows), default=0.0),
    }
    table = [(f"{hour:%Y-%m-%d %H:%M}", *rest) for hour, *rest in rows]
    headers = ("hour (UTC)", "readings", "late", "latest s")
    return Verdict(LATE, share <= bounds.late_share_max, text, numbers, headers, table)


def small_files(settings: Settings, contract: Contract, own: PipelineSettings) -> Verdict:
    """The files that merging would remove. Raises IngestError."""
    sink = IcebergSink(settings, contract, contract.stream)
    files = lake_files(sink.load())
    owed = debt(files, own.maintenance, datetime.now(UTC))
    bound = own.quality.debt_files_max
    worst = sorted(owed.due, key=lambda one: -one.files)[:20]
    text = f"{owed}, {bound:,} files allowed"
    numbers = {
        "files_too_many": owed.files,
        "files_allowed": bound,
        "files": len(files.files),
        "bytes_to_rewrite": owed.bytes,
    }
    headers = ("partition", "files too many", "bytes to rewrite")
    rows = [(one.partition.label, one.files, one.bytes) for one in worst]
    return Verdict(DEBT, owed.files <= bound, text, numbers, headers, rows)


def disk_days(settings: Settings, contract: Contract, bounds: QualitySettings) -> Verdict:
    """Days until ClickHouse's disks are full at the table's growth. Raises IngestError."""
    free, size = _ask(settings, "SELECT sum(free_space), sum(total_space) FROM system.disks", {})[0]
    held, recent, days = _ask(
        settings,
        "SELECT sum(bytes_on_disk),"
        " sumIf(bytes_on_disk, toDate(partition) > today() - {days:UInt8}),"
        " dateDiff('second', greatest(toDateTime(min(toDate(partition))),"
        " toDateTime(today() - {days:UInt8} + 1)), now()) / 86400"
        " FROM system.parts"
        " WHERE active AND database = {database:String} AND table = {table:String}",
        {"days": GROWTH_DAYS, "database": contract.namespace, "table": contract.table},
    )[0]
    return disk_verdict(
        free=int(free),
        size=int(size),
        held=int(held),
        daily=float(recent) / max(float(days), 1 / 24),
        retention_days=settings.hot.retention_days,
        bounds=bounds,
    )


def disk_verdict(
    *,
    free: int,
    size: int,
    held: int,
    daily: float,
    retention_days: int,
    bounds: QualitySettings,
) -> Verdict:
    """``free`` and ``size`` of the disks, ``held`` by the table, ``daily`` growth, all in bytes.

    A table that drops old days grows to so many days and no further.
    """
    room = max(daily * retention_days - held, 0.0) if retention_days else math.inf
    left = free / daily if daily > 0 and room > free else math.inf
    shown = "never" if math.isinf(left) else f"in {left:,.1f} days"
    text = (
        f"{free / 1e9:,.1f} GB of {size / 1e9:,.1f} GB are free and the table grows by"
        f" {daily / 1e9:,.3f} GB a day: full {shown}, {bounds.disk_days_min:g} days are least"
    )
    numbers: dict[str, int | float] = {
        "free_bytes": free,
        "total_bytes": size,
        "table_bytes": held,
        "bytes_per_day": round(daily),
        "days_least": bounds.disk_days_min,
    }
    if not math.isinf(left):
        numbers["days_left"] = round(left, 2)
    return Verdict(DISK, left >= bounds.disk_days_min, text, numbers)


def _ask(settings: Settings, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    client = clickhouse_client.connect(settings.clickhouse, database="")
    try:
        found = client.query(query, dict(values), settings=_QUERY)
    except ClickHouseError as error:
        raise clickhouse_client.translate(error, sent=False) from error
    finally:
        client.close()
    return [tuple(row) for row in found.result_rows]
