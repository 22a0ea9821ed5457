"""The lake path: read a lane, decode, refuse, spool to disk, commit to Iceberg."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from ingest.batches import Batch
from ingest.errors import StreamUnavailableError
from ingest.fault_points import FaultPoint, reach
from ingest.fence import Fence
from ingest.lake_commit import LakeCommitter
from ingest.lake_takeover import LakeTakeOver
from ingest.lane import Backoff, Lane
from ingest.marks import Mark
from ingest.messages import Messages
from ingest.reader import LaneReader, ReaderInterruptedError, ReadLimit
from ingest.registry import Registry
from ingest.sinks.iceberg import IcebergSink
from ingest.spool import Spool, SpoolFolder

log = structlog.get_logger(__name__)

IDLE_S = 0.05


class LakeWriter:
    """The one writer of a lane's lake path, until it drains or is fenced."""

    def __init__(
        self,
        lane: Lane,
        fence: Fence,
        sink: IcebergSink,
        make_reader: Callable[[], LaneReader],
        writer: str,
    ) -> None:
        self._lane = lane
        self._fence = fence
        self._reader = make_reader()
        self._committer = LakeCommitter(lane, sink, fence, writer)
        self._take_over = LakeTakeOver(lane, fence, sink, self._committer)
        self._spools = SpoolFolder(
            lane.settings.lake.spool_dir, lane.name, lane.contract.time_column
        )
        self._spool: Spool | None = None
        self._registry: Registry | None = None
        self._position = 1
        self._last_read: Mark | None = None

    async def run(self) -> None:
        """Writes until asked to stop; then what was read is committed.

        Raises FencedError, DataLostError, SinkBehindRecordError and the other terminal errors.
        """
        await self._start_when_available()
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
        await self._commit_spool()
        await self._committer.finish()
        await self._reader.close()

    async def _start_when_available(self) -> None:
        pause = Backoff(self._lane.settings.writer.backoff_max_s)
        self._spools.clear()
        while True:
            try:
                self._registry = await self._lane.store.open(self._lane.contract)
                await self._take_over.start(self._registry)
                await self._reader.delete_predecessors()
            except StreamUnavailableError as error:
                log.warning("start_waiting", lane=self._lane.name, problem=str(error))
                await self._lane.pause(pause, error)
                await self._lane.link.wait_connected()
            else:
                self._position = self._take_over.position
                return

    async def _open(self) -> None:
        """Opens the reader at the position, after proof that lane and history are as they were."""
        interruptions = self._lane.link.interruptions
        await self._fence.confirm()
        if await self._take_over.follow_history([self._last_read] if self._last_read else []):
            self._discard_spool()
            self._last_read = None
            self._position = self._take_over.position
        self._registry = await self._lane.store.read()
        mark = self._committer.watermark
        self._lane.metrics.watermark("iceberg", mark.sequence if mark else self._position - 1)
        await self._reader.open(self._position)
        if self._lane.link.interruptions != interruptions:
            raise ReaderInterruptedError("the connection was lost while opening")
        self._lane.metrics.event("ingest_reader_openings").inc()

    async def _pump(self) -> None:
        """Messages from the reader into spools, and spools into commits, until drained."""
        lake = self._lane.settings.lake
        limit = ReadLimit(lake.decode_max_rows, lake.decode_max_bytes, max_age_s=0.25)
        stopping = self._lane.stopping.soon
        while True:
            if stopping.is_set():
                self._reader.drain()
            since = time.monotonic()
            messages = await self._reader.read(limit, IDLE_S)
            if messages is not None:
                await self._process(messages, since)
            if self._committer.over:
                await self._committer.finish()
            if self._due():
                await self._commit_spool()
            if messages is None and stopping.is_set():
                return

    async def _process(self, messages: Messages, since: float) -> None:
        """One run of messages: decode, refuse, spool."""
        lake = self._lane.settings.lake
        assert self._registry is not None
        async for batch in self._lane.batches(
            messages,
            self._registry,
            max_rows=lake.commit_max_rows,
            max_bytes=lake.commit_max_bytes,
            since=since,
        ):
            await self._put(batch)

    async def _put(self, batch: Batch) -> None:
        """Adds the batch to the spool, and hands the spool on when a commit is due."""
        if self._spool is not None and not self._spool.takes(batch):
            await self._commit_spool()
        if self._spool is None:
            self._spool = self._spools.new(batch.rows.schema)
        spool = self._spool
        with batch.trace.timed("spool"):
            await self._lane.blocking(lambda: spool.append(batch))
        spool.trace.adopt(batch.trace)
        self._position = batch.covered.last + 1
        self._last_read = batch.last
        reach(FaultPoint.LAKE_AFTER_SPOOL)
        if self._due():
            await self._commit_spool()

    def _due(self) -> bool:
        """Whether rows, bytes or age of the spool ask for a commit."""
        lake, spool = self._lane.settings.lake, self._spool
        return spool is not None and (
            spool.rows >= lake.commit_max_rows
            or spool.bytes >= lake.commit_max_bytes
            or spool.age_s >= lake.commit_max_age_s
        )

    async def _commit_spool(self) -> None:
        """Hands the spool to a commit; returns once that is under way."""
        spool, self._spool = self._spool, None
        if spool is not None and not spool.empty:
            await self._committer.begin(spool.finish())

    def _discard_spool(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.discard()
