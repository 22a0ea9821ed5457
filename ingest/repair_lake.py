"""The lake repair: what Iceberg lacks of the stream, and the watermark that says how far it is."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import pyarrow as pa
from pyiceberg.table import Table

from ingest.batches import Batch
from ingest.decode import Refused
from ingest.fence import Fence
from ingest.lake_commit import LakeCommitter
from ingest.marks import Mark
from ingest.proof.gaps import Gaps, first_and_last, parts_to_compare
from ingest.proof.iceberg_side import iceberg_side
from ingest.proof.plan import Known
from ingest.proof.side import Side
from ingest.ranges import SequenceRange
from ingest.repair import Repair
from ingest.sinks.iceberg import IcebergSink
from ingest.sinks.iceberg_bounds import newest_in_data
from ingest.spool import Spool, SpoolFolder

FOLDER = "repair"


async def repair_lake(work: Repair) -> None:
    """Compares and repairs; see ``ingest.repair``."""
    lane = work.lane
    sink = IcebergSink(lane.settings, lane.contract, lane.name)
    fence = Fence(work.bucket, f"lake.{lane.name}", work.writer)
    if not work.report.dry_run:
        await fence.take_over()
    table = await lane.blocking(sink.load)
    side = await asyncio.to_thread(
        iceberg_side, lane.settings, table, lane.name, work.columns, full=True
    )
    try:
        await _LakeRepair(work, sink, fence, table, side).run()
    finally:
        side.close()


class _LakeRepair:
    def __init__(
        self, work: Repair, sink: IcebergSink, fence: Fence, table: Table, side: Side
    ) -> None:
        self._work = work
        self._sink = sink
        self._table = table
        self._side = side
        self._committer = LakeCommitter(work.lane, sink, fence, work.writer)
        self._spools = SpoolFolder(
            work.lane.settings.lake.spool_dir / FOLDER,
            work.lane.name,
            work.lane.contract.time_column,
        )
        self._spool: Spool | None = None
        self._newest: Mark | None = None

    async def run(self) -> None:
        """Compare, spool, commit, with the watermark right in the last commit."""
        work = self._work
        watermark, last_row = self._sink.watermark(self._table), self._sink.last_row(self._table)
        work.report.position_before = str(watermark or "none")
        self._committer.start_from(self._table)
        in_data = await work.lane.blocking(lambda: newest_in_data(self._table, work.lane.name))
        self._newest = await self._nearest_row(max(in_data.values())) if in_data else None
        marks = [mark for mark in (watermark, last_row) if mark is not None]
        moved = await work.follow_history([*marks, *work.current(self._newest)], self._row_of)
        rows = self._newest_rows(in_data)
        known = await work.known([work.beginning, *marks, *moved, *rows])
        gaps = Gaps(
            stream=work.stream_side(),
            side=self._side,
            on_refused=self._refuse,
            max_rows=work.lane.settings.lake.commit_max_rows,
            max_bytes=work.lane.settings.lake.commit_max_bytes,
        )
        parts, work.report.aged_out = parts_to_compare(known)
        self._spools.clear()
        for part in parts:
            async for batch in gaps.batches(part):
                work.report.rows += batch.rows.num_rows
                if not work.report.dry_run:
                    await self._add(batch)
        work.note(gaps)
        work.report.position = str(known.upto)
        if not work.report.dry_run:
            await self._finish(known, watermark, last_row)

    async def _add(self, batch: Batch) -> None:
        """Spools missing rows; what has another epoch or version is a commit of its own."""
        if self._spool is not None and not self._spool.takes(batch):
            await self._commit(None)
        if self._spool is None:
            self._spool = self._spools.new(batch.rows.schema)
        rows = batch.rows
        covered = first_and_last(rows)
        # Only the rows are this commit's: its messages were counted when they were first stored.
        lacking = dataclasses.replace(batch, covered=covered, refused=[], messages=len(covered))
        await self._work.lane.blocking(lambda: self._append(lacking))

    def _append(self, batch: Batch) -> None:
        assert self._spool is not None
        self._spool.append(batch)

    async def _commit(self, upto: Mark | None) -> None:
        """Commits the spool; with ``upto`` the watermark is set to it, else to the spool's end."""
        spool, self._spool = self._spool, None
        assert spool is not None
        spooled = spool.finish()
        row = spooled.last_row
        if row is not None and (self._newest is None or self._after(row, self._newest)):
            self._newest = row
        if upto is not None:
            first = min(spooled.covered.first, upto.sequence)
            spooled = dataclasses.replace(
                spooled,
                covered=SequenceRange(max(first, 1), max(upto.sequence, 1)),
                last=upto,
                last_row=self._newest,
            )
        await self._committer.begin(spooled)
        await self._committer.finish()

    async def _finish(self, known: Known, watermark: Mark | None, last_row: Mark | None) -> None:
        """The last commit: with the rows that are left, or empty when only a mark is wrong."""
        upto = known.upto
        if self._spool is None:
            right = watermark == upto and last_row == self._newest
            if right or upto.sequence < 1:
                return
            self._spool = self._empty_spool(upto)
        await self._commit(upto)

    def _empty_spool(self, upto: Mark) -> Spool:
        contract = self._work.columns.newest
        spool = self._spools.new(contract.arrow_schema)
        spool.append(
            Batch(
                covered=SequenceRange(upto.sequence, upto.sequence),
                last=upto,
                last_row=None,
                version=self._work.registry.version_of(upto.sequence).number,
                rows=pa.RecordBatch.from_pylist([], schema=contract.arrow_schema),
                refused=[],
                messages=1,
            )
        )
        return spool

    def _newest_rows(self, in_data: dict[str, int]) -> list[Mark]:
        known = {epoch.id for epoch in self._work.registry.record.epochs}
        return [Mark(epoch, sequence, 0) for epoch, sequence in in_data.items() if epoch in known]

    async def _refuse(self, refused: Sequence[Refused], version: int) -> None:
        if not self._work.report.dry_run:
            await self._work.lane.dlq.publish(refused, version)

    async def _nearest_row(self, sequence: int) -> Mark | None:
        return await self._row_of(sequence, "")

    async def _row_of(self, sequence: int, epoch: str) -> Mark | None:
        return await self._work.lane.blocking(lambda: self._sink.nearest_row(sequence, epoch))

    def _after(self, one: Mark, other: Mark) -> bool:
        ids = [epoch.id for epoch in self._work.registry.record.epochs]
        return (ids.index(one.epoch), one.sequence) > (
            ids.index(other.epoch) if other.epoch in ids else -1,
            other.sequence,
        )
