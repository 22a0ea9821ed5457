"""When each device was last heard, and which of them are silent by their own habit.

A device is heard when a message of it is stored. What the hot table does not hold yet is no
silence: everything is judged as of the time up to which the hot path has stored everything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.clickhouse_client import translate
from ingest.contract import Contract
from ingest.hot_entry import peek_entry
from ingest.kept import open_bucket
from ingest.nats_link import NatsLink
from ingest.proof.canonical_sql import quoted
from ingest.stream_info import stream_state
from pipelines.storage_days import table_of

MOMENTS = 200
"""Newest moments of a device from which its usual interval is learned."""
_QUERY_SETTINGS = {"max_threads": 1, "priority": 10}


@dataclass(frozen=True)
class Device:
    """One device: Unix times in seconds; ``interval_s`` is its median gap, None when heard once."""

    name: str
    last_s: int
    interval_s: float | None
    readings: int


@dataclass(frozen=True)
class Silent:
    """A device that should have been heard: ``allowed_s`` after ``last_s`` at the latest."""

    device: Device
    allowed_s: float
    quiet_s: float


@dataclass(frozen=True)
class LastSeen:
    """All devices heard lately, newest first, as of a Unix time; those silent for longest first."""

    as_of_s: float
    devices: list[Device]
    silent: list[Silent]


def device_column(contract: Contract) -> str:
    """The column that names the device: the first of the business key, else of the key."""
    return (contract.business_key or contract.key)[0]


async def complete_until(link: NatsLink, lanes: Sequence[str]) -> float:
    """Unix time up to which the hot path has stored what came into every lane.

    Now, when nothing is unread; 0 before a lane's first run. Raises StreamUnavailableError.
    """
    return min([await _complete_until(link, one, several=len(lanes) > 1) for one in lanes])


async def _complete_until(link: NatsLink, lane: str, *, several: bool) -> float:
    # The stream first: what comes in meanwhile would look unread and only make the time earlier.
    now_s, state = time.time(), await stream_state(link, lane)
    entry = await peek_entry(await open_bucket(link), lane)
    if entry is None:  # a lane that never had a message holds no other up
        return now_s if several and not state.last_seq else 0.0
    return now_s if entry.done.sequence >= state.last_seq else entry.done.stored_at_us / 1e6


def devices(client: Client, contract: Contract, since_s: float) -> list[Device]:
    """Devices heard since then. Raises SinkUnavailableError, SchemaMismatchError."""
    name = quoted(device_column(contract))
    query = (
        "SELECT device, -moments[1], arrayReduce('medianExact', gaps), length(gaps), readings"
        " FROM (SELECT device, groupArraySorted({moments:UInt64})(-at) AS moments,"
        " arraySlice(arrayDifference(moments), 2) AS gaps, sum(n) AS readings"
        f" FROM (SELECT {name} AS device, toInt64(toUnixTimestamp(_stored_at)) AS at, count() AS n"
        f" FROM {table_of(contract)}"
        " WHERE toDate(_stored_at) >= toDate(toDateTime({since:UInt32}, 'UTC'))"
        " AND _stored_at >= toDateTime({since:UInt32}, 'UTC') GROUP BY device, at)"
        " GROUP BY device) ORDER BY 2 DESC, 1"
    ).replace("{moments:UInt64}", str(MOMENTS))
    try:
        rows = client.query(
            query, {"since": max(int(since_s), 0)}, settings=_QUERY_SETTINGS
        ).result_rows
    except ClickHouseError as error:
        raise translate(error, sent=False) from error
    return [
        Device(str(device), int(last), float(median) if gaps else None, int(count))
        for device, last, median, gaps, count in rows
    ]


def silent(
    heard: list[Device], as_of_s: float, *, intervals: float, least_s: float
) -> list[Silent]:
    """Devices quiet for more than ``intervals`` of their own and ``least_s``; longest first.

    One that was heard a single time has no habit and is not silent.
    """
    found = []
    for one in heard:
        if one.interval_s is None:
            continue
        allowed_s, quiet_s = max(intervals * one.interval_s, least_s), as_of_s - one.last_s
        if quiet_s > allowed_s:
            found.append(Silent(one, allowed_s, quiet_s))
    return sorted(found, key=lambda one: (-one.quiet_s, one.device.name))
