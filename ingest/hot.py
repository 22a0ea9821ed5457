"""The hot path: read a lane, decode, refuse, insert into ClickHouse, move the watermark."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from ingest.errors import StreamUnavailableError
from ingest.hot_entry import EntryStore
from ingest.hot_insert import HotInserter
from ingest.hot_takeover import HotTakeOver
from ingest.lane import Backoff, Lane
from ingest.marks import Mark
from ingest.messages import Messages
from ingest.reader import LaneReader, ReaderInterruptedError, ReadLimit
from ingest.registry import Registry
from ingest.sinks.clickhouse import ClickHouseSink

log = structlog.get_logger(__name__)

IDLE_S = 0.05


class HotWriter:
    """The one writer of a lane's hot path, until it drains or is fenced."""

    def __init__(
        self,
        lane: Lane,
        entries: EntryStore,
        sink: ClickHouseSink,
        make_reader: Callable[[], LaneReader],
    ) -> None:
        self._lane = lane
        self._entries = entries
        self._reader = make_reader()
        self._inserter = HotInserter(lane, entries, sink)
        self._take_over = HotTakeOver(lane, entries, sink, self._inserter, make_reader)
        self._registry: Registry | None = None
        self._last_read: Mark | None = None

    async def run(self) -> None:
        """Writes until asked to stop; then what was read is durable and on record.

        Raises FencedError, DataLostError, SchemaMismatchError and the other terminal errors.
        """
        await self._until_available(self._start)
        pause = Backoff(self._lane.settings.writer.backoff_max_s)
        while True:
            try:
                await self._open()
                pause = Backoff(self._lane.settings.writer.backoff_max_s)
                await self._pump()
                break
            except ReaderInterruptedError as interruption:
                log.info("reopening", lane=self._lane.name, reason=str(interruption))
            except StreamUnavailableError as error:
                log.warning("stream_waiting", lane=self._lane.name, problem=str(error))
                await self._lane.pause(pause, error)
            await self._lane.link.wait_connected()
        await self._inserter.finish()
        await self._inserter.write_done()
        await self._reader.close()

    async def _start(self) -> None:
        self._registry = await self._lane.store.open(self._lane.contract)
        await self._take_over.start(self._registry)
        await self._reader.delete_predecessors()

    async def _open(self) -> None:
        """Opens the reader at the position, after proof that lane and history are as they were."""
        interruptions = self._lane.link.interruptions
        await self._entries.confirm()
        extra = [self._last_read] if self._last_read else []
        if await self._take_over.follow_history(extra):
            self._last_read = None
            self._inserter.forget()
        self._registry = await self._lane.store.read()
        self._lane.metrics.watermark("clickhouse", self._entries.entry.done.sequence)
        await self._reader.open(self._position())
        if self._lane.link.interruptions != interruptions:
            raise ReaderInterruptedError("the connection was lost while opening")
        self._lane.metrics.event("ingest_reader_openings").inc()

    def _position(self) -> int:
        """The first sequence that is neither on record nor in flight."""
        entry = self._entries.entry
        return (entry.pending.last_mark if entry.pending else entry.done).sequence + 1

    async def _pump(self) -> None:
        """Batches from the reader to the sink until drained."""
        hot = self._lane.settings.hot
        limit = ReadLimit(
            hot.batch_max_rows,
            hot.batch_max_bytes // 2,
            hot.batch_max_age_s,
            hot.batch_many_messages,
            hot.batch_many_age_s,
        )
        stopping = self._lane.stopping.soon
        while True:
            if stopping.is_set():
                self._reader.drain()
            since = time.monotonic()
            messages = await self._reader.read(limit, IDLE_S)
            if messages is not None:
                await self._process(messages, since)
                continue
            if self._inserter.flight_over:
                await self._inserter.finish()
            if not self._inserter.in_flight:
                await self._inserter.write_done()
            if stopping.is_set():
                return

    async def _process(self, messages: Messages, since: float) -> None:
        """One run of messages: decode, refuse, cut, store."""
        hot = self._lane.settings.hot
        assert self._registry is not None
        async for batch in self._lane.batches(
            messages,
            self._registry,
            max_rows=hot.batch_max_rows,
            max_bytes=hot.batch_max_bytes,
            since=since,
        ):
            await self._inserter.store(batch)
            self._last_read = batch.last

    async def _until_available(self, step: Callable[[], object]) -> None:
        pause = Backoff(self._lane.settings.writer.backoff_max_s)
        while True:
            try:
                await step()  # type: ignore[misc]
            except (StreamUnavailableError, ReaderInterruptedError) as error:
                log.warning("start_waiting", lane=self._lane.name, problem=str(error))
                await self._lane.pause(pause, error)
                await self._lane.link.wait_connected()
            else:
                return
