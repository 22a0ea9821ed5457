"""The hot repair: what ClickHouse lacks of the stream, and the entry that says how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import structlog

from ingest.batches import Batch
from ingest.decode import Refused
from ingest.errors import OutcomeUnknownError, SinkUnavailableError
from ingest.hot_entry import FORMAT, EntryStore, HotEntry, marks_of
from ingest.lane import Backoff
from ingest.marks import Mark
from ingest.proof.facts import hot_side
from ingest.proof.gaps import Gaps, first_and_last, parts_to_compare
from ingest.proof.side import Segment, Side
from ingest.repair import Repair
from ingest.sinks.clickhouse import ClickHouseSink

BEYOND_EVERY_SEQUENCE = (1 << 63) - 1
log = structlog.get_logger(__name__)


async def repair_hot(work: Repair) -> None:
    """Compares and repairs; see ``ingest.repair``."""
    lane, settings = work.lane, work.lane.settings
    sink = ClickHouseSink(
        settings.clickhouse, lane.contract, lane.name, settings.hot.insert_deadline_s
    )
    entries = EntryStore(work.bucket, lane.name, work.writer)
    side = hot_side(settings, lane.name, work.columns)
    try:
        await _HotRepair(work, entries, sink, side).run()
    finally:
        side.close()
        sink.close()


class _HotRepair:
    def __init__(self, work: Repair, entries: EntryStore, sink: ClickHouseSink, side: Side) -> None:
        self._work = work
        self._entries = entries
        self._sink = sink
        self._side = side
        self._deadline_s = work.lane.settings.hot.insert_deadline_s
        self._fence = 0
        self._tries = 0

    async def run(self) -> None:
        """Fence, settle, compare, insert, set the entry."""
        work = self._work
        found = await self._entries.peek()
        work.report.position_before = str(found.done) if found else "none"
        if not work.report.dry_run:
            found = await self._take_over()
        newest = await self._nearest_row(BEYOND_EVERY_SEQUENCE)
        read = marks_of(found) if found else []
        moved = await work.follow_history([*read, *work.current(newest)], self._row_of)
        rows = await self._newest_rows()
        known = await work.known([work.beginning, *read, *moved, *rows])
        gaps = Gaps(
            stream=work.stream_side(),
            side=self._side,
            on_refused=self._refuse,
            max_rows=work.lane.settings.hot.batch_max_rows,
            max_bytes=work.lane.settings.hot.batch_max_bytes,
        )
        parts, work.report.aged_out = parts_to_compare(known)
        for part in parts:
            async for batch in gaps.batches(part):
                work.report.rows += batch.rows.num_rows
                if not work.report.dry_run:
                    await self._insert(batch)
        work.note(gaps)
        work.report.position = str(known.upto)
        if not work.report.dry_run:
            await self._set_entry(known.upto)

    async def _take_over(self) -> HotEntry:
        """Becomes the writer, and waits until an insert of the one before cannot land any more."""
        entry = await self._entries.take_over(self._work.beginning)
        self._fence = entry.fence
        log.info("settling", lane=self._work.lane.name, seconds=self._deadline_s)
        await asyncio.sleep(self._deadline_s)
        return entry

    async def _newest_rows(self) -> list[Mark]:
        """The newest row of each epoch; its timestamp is not needed."""
        marks: list[Mark] = []
        for epoch in self._work.registry.record.epochs:
            before = Mark(epoch.id, 0, 0)
            newest = await self._work.lane.blocking(lambda: self._sink.newest_above(before))  # noqa: B023
            if newest is not None:
                marks.append(Mark(epoch.id, newest, 0))
        return marks

    async def _insert(self, batch: Batch) -> None:
        """Stores the rows that are missing, whatever that takes; each try has its own token."""
        pause = Backoff(self._work.lane.settings.writer.backoff_max_s)
        rows = batch.rows
        while rows.num_rows:
            covered = first_and_last(rows)
            self._tries += 1
            token = (
                f"{self._work.lane.name}:{batch.last.epoch}:{covered.first}-{covered.last}"
                f"#repair{self._fence}.{self._tries}"
            )
            try:
                await self._entries.confirm()
                await self._work.lane.blocking(
                    lambda: self._sink.insert(rows, token, self._deadline_s)  # noqa: B023
                )
                return
            except SinkUnavailableError as error:
                await self._work.lane.pause(pause, error)
            except OutcomeUnknownError as error:
                log.warning("insert_waiting", problem=str(error))
                await asyncio.sleep(self._deadline_s)
                rows = await self._still_missing(batch, rows)

    async def _still_missing(self, batch: Batch, rows: pa.RecordBatch) -> pa.RecordBatch:
        segment = Segment(batch.last.epoch, batch.version, first_and_last(rows))
        stored = await self._work.lane.blocking(lambda: self._side.hashes(segment))
        have = {(row.sequence, row.index) for row in stored}
        places = zip(rows.column("_seq").to_pylist(), rows.column("_idx").to_pylist(), strict=True)
        return rows.filter(pa.array([place not in have for place in places], pa.bool_()))

    async def _refuse(self, refused: Sequence[Refused], version: int) -> None:
        if not self._work.report.dry_run:
            await self._work.lane.dlq.publish(refused, version)

    async def _set_entry(self, upto: Mark) -> None:
        row = await self._nearest_row(upto.sequence)
        entry = self._entries.entry
        await self._entries.move(
            msgspec.structs.replace(entry, format=FORMAT, done=upto, row=row, pending=None)
        )

    async def _nearest_row(self, sequence: int) -> Mark | None:
        return await self._row_of(sequence, "")

    async def _row_of(self, sequence: int, epoch: str) -> Mark | None:
        return await self._work.lane.blocking(lambda: self._sink.nearest_row(sequence, epoch))
