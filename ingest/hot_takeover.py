"""Becoming the hot writer of a lane: fence, look at the sink, settle what is pending, go on.

Nothing is assumed of the writer before: it may be dead, paused with an insert on the way, or have
read a history that the stream no longer holds.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import structlog

from ingest import history
from ingest.batches import Batch, cut
from ingest.errors import SinkBehindRecordError
from ingest.fault_points import FaultPoint, reach
from ingest.hot_entry import EntryStore, HotEntry, Pending, marks_of
from ingest.hot_insert import HotInserter
from ingest.lane import Lane
from ingest.marks import Mark
from ingest.messages import Messages
from ingest.ranges import SequenceRange
from ingest.reader import LaneReader, ReadLimit
from ingest.registry import Registry
from ingest.sinks.clickhouse import ClickHouseSink
from ingest.stream_info import message_at, message_from

log = structlog.get_logger(__name__)

ADVICE = "stop all writers of the lane and run `ingest repair hot`"
BEYOND_EVERY_SEQUENCE = (1 << 63) - 1


class HotTakeOver:
    """Leads a new writer to a position from which it may read on."""

    def __init__(
        self,
        lane: Lane,
        entries: EntryStore,
        sink: ClickHouseSink,
        inserter: HotInserter,
        make_reader: Callable[[], LaneReader],
    ) -> None:
        self._lane = lane
        self._entries = entries
        self._sink = sink
        self._inserter = inserter
        self._make_reader = make_reader
        self._made_entry = False

    async def start(self, registry: Registry) -> None:
        """Takes the lane over and settles what the writer before left.

        Raises FencedError, SinkBehindRecordError and what the sink raises for good.
        """
        first = registry.record.epochs[0]
        self._made_entry |= await self._entries.peek() is None
        entry = await self._entries.take_over(Mark(first.id, first.first_seq - 1, 0))
        fenced_at = time.monotonic()
        for mark in marks_of(entry):
            history.require_known(registry, mark.epoch)
        await self._compare_with_sink(entry)
        if entry.pending is None:
            return
        log.info("settling", lane=self._lane.name, range=str(entry.pending.range))
        in_doubt_until = fenced_at + self._lane.settings.hot.insert_deadline_s
        if await self._inserter.landed(entry.pending, in_doubt_until):
            await self._move_pending_to_done(entry)
        elif (await self._compare(entry, []))[1] is None:
            await self._insert_again(entry, entry.pending)

    async def follow_history(self, extra: list[Mark]) -> bool:
        """Compares what was read with the stream; goes on under a new epoch if it was rewritten.

        ``extra`` are messages read and not yet on record. True when the history was rewritten.
        """
        verdict, gone = await self._compare(self._entries.entry, extra)
        if gone is None:
            if verdict is history.Verdict.UNPROVEN:
                log.warning("history_unproven", lane=self._lane.name)
            return False
        self._lane.metrics.event("ingest_history_rewritten").inc()
        entry = self._entries.entry
        if entry.pending is not None:
            entry = await self._give_up_pending(entry, entry.pending)
        rewrite = await history.follow(
            self._lane.link,
            self._lane.store,
            entry.done.epoch,
            gone,
            self._row_of,
            self._lane.still_wanted,
        )
        await self._go_back(entry, rewrite)
        return True

    async def _go_back(self, entry: HotEntry, rewrite: history.Rewrite) -> None:
        """Moves done to just before the position under the newest epoch."""
        last = rewrite.position - 1
        before = await message_at(self._lane.link, self._lane.name, last)
        stored_at = before.stored_at_ns // 1000 if before else 0
        done = Mark(rewrite.registry.epoch.id, last, stored_at)
        await self._require_nothing_above(done)
        row = await self._nearest_row(last)
        await self._entries.move(msgspec.structs.replace(entry, done=done, row=row, pending=None))

    async def _compare_with_sink(self, entry: HotEntry) -> None:
        """The sink must hold the newest row on record and none beyond it."""
        patiently = self._lane.patiently
        row = await self._nearest_row(BEYOND_EVERY_SEQUENCE) if self._made_entry else None
        if row is not None:
            raise SinkBehindRecordError(
                f"{self._sink.table} holds rows of {self._lane.name} up to sequence"
                f" {row.sequence}, but the entry hot.{self._lane.name} is missing; {ADVICE}"
            )
        newest = entry.row
        if (
            newest is not None
            and not self._aged_out(newest)
            and not await patiently(lambda: self._sink.has_row(newest), "look for the newest row")
        ):
            raise SinkBehindRecordError(
                f"{self._sink.table} lacks sequence {newest.sequence} of {self._lane.name},"
                f" stored before and on record; it was restored or emptied; {ADVICE}"
            )
        await self._require_nothing_above(entry.pending.last_mark if entry.pending else entry.done)

    async def _require_nothing_above(self, top: Mark) -> None:
        """No row of the mark's epoch lies beyond it, or the entry was restored."""
        beyond = await self._lane.patiently(
            lambda: self._sink.newest_above(top), "look beyond the record"
        )
        if beyond is not None:
            raise SinkBehindRecordError(
                f"{self._sink.table} holds sequence {beyond} of {self._lane.name}, but the entry"
                f" hot.{self._lane.name} ends at {top.sequence}: it was restored from an older"
                f" copy; {ADVICE}"
            )

    def _aged_out(self, row: Mark) -> bool:
        days = self._lane.settings.hot.retention_days
        stored_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.stored_at_us)
        return bool(days) and datetime.now(UTC) - stored_at > timedelta(days=days)

    async def _compare(
        self, entry: HotEntry, extra: list[Mark]
    ) -> tuple[history.Verdict, Mark | None]:
        return await history.compare(self._lane.link, self._lane.name, [*marks_of(entry), *extra])

    async def _give_up_pending(self, entry: HotEntry, pending: Pending) -> HotEntry:
        """After a rewrite: the pending range either landed, or can never land any more."""
        in_doubt_until = time.monotonic() + self._lane.settings.hot.insert_deadline_s
        if await self._inserter.landed(pending, in_doubt_until):
            return await self._move_pending_to_done(entry)
        log.error("range_gone_with_history", lane=self._lane.name, range=str(pending.range))
        return entry

    async def _move_pending_to_done(self, entry: HotEntry) -> HotEntry:
        pending = entry.pending
        assert pending is not None
        return await self._entries.move(
            msgspec.structs.replace(
                entry, done=pending.last_mark, row=pending.last_row, pending=None
            )
        )

    async def _insert_again(self, entry: HotEntry, pending: Pending) -> None:
        """Rebuilds the identical block from the stream and inserts it under the same token.

        Not when the history was rewritten before the block was read: it is compared afterwards.
        """
        batch = await self._rebuild(pending)
        if (await self._compare(entry, []))[1] is not None:
            return
        if batch is not None:
            await self._lane.dlq.publish(batch.refused, pending.version)
        reach(FaultPoint.HOT_AFTER_REBUILD)
        if batch is None or batch.last_row is None:
            done = msgspec.structs.replace(entry, done=pending.last_mark, pending=None)
            await self._entries.move(done)
            return
        await self._inserter.settle(batch, 0.0)
        await self._inserter.write_done()

    async def _rebuild(self, pending: Pending) -> Batch | None:
        """The pending batch as it was, from the stream; None when nothing of it is left there."""
        registry = await self._lane.store.read()
        assert registry is not None
        runs = [run async for run in self._read_range(pending.range)]
        if not runs:
            return None
        messages = _joined(runs, pending.range)
        if not len(messages):
            return None
        version = registry.version(pending.version)
        epoch = next(e for e in registry.record.epochs if e.id == pending.last_mark.epoch)
        decoded = await self._lane.decode(messages, epoch, version)
        (batch,) = cut(
            messages,
            decoded,
            epoch=epoch.id,
            version=version.number,
            max_rows=BEYOND_EVERY_SEQUENCE,
            max_bytes=BEYOND_EVERY_SEQUENCE,
        )
        return batch

    async def _read_range(self, covered: SequenceRange) -> AsyncIterator[Messages]:
        """Runs of messages that the stream still holds of the range."""
        reader = self._make_reader()
        try:
            await reader.open(covered.first)
            while reader.position <= covered.last:
                limit = ReadLimit(len(covered), self._lane.settings.writer.buffer_max_bytes, 0.0)
                messages = await reader.read(limit, wait_s=0.5)
                if messages is not None:
                    yield messages
                elif await self._stream_ends_before(reader.position):
                    return
        finally:
            await reader.close()

    async def _stream_ends_before(self, position: int) -> bool:
        return await message_from(self._lane.link, self._lane.name, position) is None

    async def _nearest_row(self, sequence: int) -> Mark | None:
        return await self._row_of(sequence, "")

    async def _row_of(self, sequence: int, epoch: str) -> Mark | None:
        return await self._lane.patiently(
            lambda: self._sink.nearest_row(sequence, epoch), "look for a row"
        )


def _joined(runs: list[Messages], covered: SequenceRange) -> Messages:
    """The runs as one, cut at the end of the range."""
    sequences = np.concatenate([run.sequences for run in runs])
    stored_at = np.concatenate([run.stored_at_ns for run in runs])
    count = int(sequences.searchsorted(covered.last, side="right"))
    return Messages(
        sequences=sequences[:count],
        stored_at_ns=stored_at[:count],
        subjects=[s for run in runs for s in run.subjects][:count],
        payloads=[p for run in runs for p in run.payloads][:count],
        covered=covered,
    )
