"""What a run needs to know before it compares: how far both sinks are, and who remembers what."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from pyiceberg.table import Table

from ingest.contract import Contract
from ingest.errors import IngestError, RecordInvalidError, StreamConfigError
from ingest.hot_entry import EntryStore
from ingest.kept import open_bucket
from ingest.lanes import lane_contract
from ingest.ledger import Ledger, LedgerEntry
from ingest.marks import Mark
from ingest.nats_link import NatsLink, connect
from ingest.proof.iceberg_side import iceberg_side
from ingest.proof.plan import Known, closed
from ingest.proof.side import Columns, Side
from ingest.proof.sql_side import SqlSide
from ingest.proof.stream_side import StreamSide
from ingest.registry import Registry, RegistryStore
from ingest.settings import Settings
from ingest.sinks.iceberg import IcebergSink
from ingest.stream_info import StreamState, stream_state

HOT = "clickhouse"
DAY_US = 86_400_000_000


class OpenLake(Protocol):
    """Opens the lake's side of a proof on the table as it was loaded; blocks."""

    def __call__(
        self, settings: Settings, table: Table, lane: str, columns: Columns, *, full: bool
    ) -> Side:
        """The lane's rows; ``full`` looks into every file, whatever its bounds say."""


class NothingClosedError(IngestError):
    """A path has not stored anything yet, so no range is closed."""


class EmptyLaneError(NothingClosedError):
    """The lane's stream has never held a message."""

    def __init__(self, lane: str) -> None:
        super().__init__(f"nothing to compare on {lane}: it never had a message")
        self.lane = lane


@dataclass
class Facts:
    """One lane with its sides; ``upto`` is the mark that both sinks have reached."""

    settings: Settings
    contract: Contract
    link: NatsLink
    store: RegistryStore
    registry: Registry
    columns: Columns
    state: StreamState
    table: Table
    ledger: Ledger
    entries: tuple[LedgerEntry, ...]
    hot_done: Mark | None
    lake_watermark: Mark | None
    stream: StreamSide
    hot: SqlSide
    lake: Side

    @property
    def lane(self) -> str:
        """Name of the lane and its stream."""
        return self.store.lane

    def known(self, upto: int | None) -> Known:
        """What a plan is made from; ``upto`` ends the range earlier.

        Raises NothingClosedError, RecordInvalidError.
        """
        mark = self._closed()
        if upto is not None:
            mark = Mark(mark.epoch, min(upto, mark.sequence), 0)
        days = self.settings.hot.retention_days
        since_us = time.time_ns() // 1000 - days * DAY_US if days else 0
        return Known(self.registry, mark, self.state.first_seq, self.entries, since_us)

    def _closed(self) -> Mark:
        marks = {"hot": self.hot_done, "lake": self.lake_watermark}
        for path, mark in marks.items():
            if mark is None and not self.state.last_seq:
                raise EmptyLaneError(self.lane)
            if mark is None:
                raise NothingClosedError(
                    f"nothing to compare on {self.lane}: the {path} path has stored nothing yet"
                    f" (`ingest run {path}`)"
                )
        order = [epoch.id for epoch in self.registry.record.epochs]
        found = [mark for mark in marks.values() if mark is not None]
        for mark in found:
            if mark.epoch not in order:
                raise RecordInvalidError(
                    f"a sink of {self.lane} is at epoch {mark.epoch}, which the registry does not"
                    " know: the registry was restored from an older copy"
                )
        return closed(self.registry, found)


@contextlib.asynccontextmanager
async def gathered(
    settings: Settings,
    *,
    full: bool,
    every_entry: bool = False,
    open_lake: OpenLake = iceberg_side,
) -> AsyncIterator[Facts]:
    """The lane's facts as of now, connected; closed on exit.

    ``every_entry`` reads the whole ledger, as ``full`` does; ``open_lake`` chooses who reads the
    lake.
    Raises StreamUnavailableError, SinkUnavailableError, StreamConfigError, SchemaMismatchError.
    """
    lane = lane_contract(settings).stream
    link = await connect(settings.nats, "ingest-verify", patient=False)
    sides: list[Side] = []
    try:
        bucket = await open_bucket(link)
        store = RegistryStore(link, bucket, lane)
        registry = await store.read()
        if registry is None:
            raise StreamConfigError(f"the lane {lane} is not registered; run `ingest init` first")
        columns = Columns(registry)
        ledger = Ledger(link, lane)
        entries = await _entries(ledger, every=full or every_entry)
        # The sinks' positions before their rows: whatever they say is stored, is there to be read.
        entry = await EntryStore(bucket, lane, "").peek()
        sink = IcebergSink(settings, columns.newest, lane)
        table = await asyncio.to_thread(sink.load)
        hot = hot_side(settings, lane, columns)
        lake = await asyncio.to_thread(open_lake, settings, table, lane, columns, full=full)
        sides += [hot, lake]
        yield Facts(
            settings=settings,
            contract=columns.newest,
            link=link,
            store=store,
            registry=registry,
            columns=columns,
            state=await stream_state(link, lane),
            table=table,
            ledger=ledger,
            entries=entries,
            hot_done=entry.done if entry else None,
            lake_watermark=sink.watermark(table),
            stream=StreamSide(link, lane, columns, settings),
            hot=hot,
            lake=lake,
        )
    finally:
        for side in sides:
            side.close()
        await link.close()


def hot_side(settings: Settings, lane: str, columns: Columns) -> SqlSide:
    """The hot table's rows."""
    contract = columns.newest
    return SqlSide(
        HOT,
        f"`{contract.namespace}`.`{contract.table}`",
        lane,
        columns,
        settings.clickhouse,
        by_day=True,
        settings={},
    )


async def _entries(ledger: Ledger, *, every: bool) -> tuple[LedgerEntry, ...]:
    if every:
        return tuple(await ledger.entries())
    newest = await ledger.last()
    return (newest.entry,) if newest else ()
