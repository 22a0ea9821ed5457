"""UTC days of storage: what the hot table holds of them, and whether more can still come."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.clickhouse_client import translate
from ingest.contract import Contract
from ingest.marks import Mark
from ingest.proof.canonical_sql import quoted
from ingest.ranges import SequenceRange

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stretch:
    """Rows of one lane and epoch on one day: their number, least and largest sequence."""

    lane: str
    epoch: str
    range: SequenceRange
    rows: int


@dataclass(frozen=True)
class HotDay:
    """One partition of the hot table: active parts, bytes on disk, and its rows by stretch."""

    day: date
    rows: int
    bytes: int
    parts: int
    stretches: tuple[Stretch, ...] = ()


def partitions(client: Client, contract: Contract) -> list[HotDay]:
    """The table's partitions from ClickHouse's books, oldest first; no rows are read.

    Raises SinkUnavailableError and what else ``ingest.clickhouse_client.translate`` gives.
    """
    rows = _rows(
        client,
        "SELECT partition, sum(rows), sum(bytes_on_disk), count() FROM system.parts"
        " WHERE active AND database = {database:String} AND table = {table:String}"
        " GROUP BY partition ORDER BY partition",
        database=contract.namespace,
        table=contract.table,
    )
    return [
        HotDay(date.fromisoformat(str(day)), int(count), int(size), int(parts))
        for day, count, size, parts in rows
    ]


def stretches(client: Client, contract: Contract, day: date) -> tuple[Stretch, ...]:
    """What the day's partition holds, by lane and epoch. Raises as ``partitions``."""
    rows = _rows(
        client,
        f"SELECT _lane, _epoch, min(_seq), max(_seq), count() FROM {table_of(contract)}"
        " WHERE toDate(_stored_at) = {day:Date} GROUP BY _lane, _epoch ORDER BY _lane, min(_seq)",
        day=day.isoformat(),
    )
    return tuple(
        Stretch(str(lane), str(epoch), SequenceRange(int(first), int(last)), int(count))
        for lane, epoch, first, last, count in rows
    )


def drop(client: Client, contract: Contract, day: date) -> None:
    """Drops the day's partition; harmless when there is none. Raises as ``partitions``."""
    try:
        client.command(
            f"ALTER TABLE {table_of(contract)} DROP PARTITION '{day.isoformat()}'",
            settings={"max_partition_size_to_drop": 0},
        )
    except ClickHouseError as error:
        raise translate(error, sent=False) from error


def still_written(
    day: date,
    done: Mark | None,
    *,
    last_seq: int,
    now_us: int,
    pending: bool = False,
    path: str = "hot",
) -> str | None:
    """Why the path may still store rows of the day, None when it cannot.

    ``done`` is the last message whose effect is in its table, ``last_seq`` the stream's last.
    What comes into the stream from now on is stored today, so a past day is closed once everything
    is read.
    """
    if done is None:
        return f"the {path} path has not stored anything yet"
    if done.stored_at_us >= bounds_us(day)[1]:
        return None
    if pending or done.sequence < last_seq:
        return (
            f"the {path} path is at sequence {done.sequence:,} of {last_seq:,}, stored"
            f" {moment(done.stored_at_us):%Y-%m-%d %H:%M} UTC: rows of {day} may still come"
        )
    if now_us < bounds_us(day)[1]:
        return f"{day} is not over"
    return None


def now_us() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def bounds_us(day: date) -> tuple[int, int]:
    """First microsecond of the day, and the first one after it, since the Unix epoch."""
    first = (day - _EPOCH.date()).days * DAY_US
    return first, first + DAY_US


def moment(us: int) -> datetime:
    """The time of microseconds since the Unix epoch."""
    return _EPOCH + timedelta(microseconds=us)


def table_of(contract: Contract) -> str:
    """The hot table's quoted name."""
    return f"{quoted(contract.namespace)}.{quoted(contract.table)}"


def _rows(client: Client, query: str, **parameters: object) -> list[tuple[Any, ...]]:
    try:
        return [tuple(row) for row in client.query(query, parameters).result_rows]
    except ClickHouseError as error:
        raise translate(error, sent=False) from error
