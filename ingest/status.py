"""One look at a lane: every part is asked for itself, and one that is away hides no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from nats.js.errors import APIError
from pyiceberg.table import Table

from ingest import status_nats, status_sinks
from ingest.contract import Contract
from ingest.errors import IngestError
from ingest.lanes import lane_contract
from ingest.nats_link import NatsLink, connect
from ingest.settings import Settings
from ingest.sinks.iceberg import IcebergSink
from ingest.status_record import LaneStatus

Result = TypeVar("Result")


async def lane_status(settings: Settings) -> LaneStatus:
    """Status of the contract's lane; ``problems`` names what could not be asked.

    Raises ContractError when the contract cannot be read.
    """
    contract = lane_contract(settings)
    status = LaneStatus(lane=contract.stream, contract=contract.name)
    sink = IcebergSink(settings, contract, contract.stream)
    table, _ = await asyncio.gather(
        _asked(status, "Iceberg", lambda: asyncio.to_thread(sink.load)),
        _ask_clickhouse(status, settings, contract),
    )
    if table is not None:
        status.iceberg = status_sinks.iceberg_table(sink, table)
        with _noted(status, "Iceberg"):
            status.lake = status_sinks.lake_status(sink, table, None, None)
    async with _link(status, settings) as link:
        if link is not None:
            await _ask_nats(status, link, sink, table)
    return status


async def _ask_nats(
    status: LaneStatus, link: NatsLink, sink: IcebergSink, table: Table | None
) -> None:
    lane = status.lane
    facts = await _asked(status, f"stream {lane}", lambda: status_nats.stream_facts(link, lane))
    with _noted(status, "key-value buckets"):
        holder = await status_nats.lease_holder(link, "hot", lane)
        status.hot = status_nats.hot_status(await status_nats.hot_entry(link, lane), holder)
        if table is not None:
            holder = await status_nats.lease_holder(link, "lake", lane)
            fence = await status_nats.lake_fence(link, lane)
            status.lake = status_sinks.lake_status(sink, table, fence, holder)
    status.dlq = await _asked(status, "DLQ", lambda: status_nats.dead_letters(link, lane))
    status.verified = await _asked(status, "ledger", lambda: status_nats.verified(link, lane))
    if facts is None:
        return
    status.stream = facts.status
    with _noted(status, f"stream {lane}"):
        if status.hot is not None:
            status.hot = await status_nats.with_stream(link, status.hot, facts)
        if status.lake is not None:
            status.lake = await status_nats.with_stream(link, status.lake, facts)


async def _ask_clickhouse(status: LaneStatus, settings: Settings, contract: Contract) -> None:
    status.clickhouse = await _asked(
        status,
        "ClickHouse",
        lambda: asyncio.to_thread(status_sinks.clickhouse_table, settings, contract),
    )


async def _asked(
    status: LaneStatus, part: str, ask: Callable[[], Awaitable[Result]]
) -> Result | None:
    """The part's answer, or None with the reason noted."""
    with _noted(status, part):
        return await ask()
    return None


@contextlib.contextmanager
def _noted(status: LaneStatus, part: str) -> Iterator[None]:
    """An error of the part is noted instead of raised; the first one counts."""
    try:
        yield
    except (IngestError, APIError) as error:
        status.problems.setdefault(part, str(error))


@contextlib.asynccontextmanager
async def _link(status: LaneStatus, settings: Settings) -> AsyncIterator[NatsLink | None]:
    link = await _asked(
        status, "NATS", lambda: connect(settings.nats, "ingest-status", patient=False)
    )
    try:
        yield link
    finally:
        if link is not None:
            await link.close()
