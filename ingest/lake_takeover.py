"""Becoming the lake writer of a lane: fence, hold the property against the data, go on."""

from __future__ import annotations

import structlog
from pyiceberg.table import Table

from ingest import history
from ingest.errors import SinkBehindRecordError
from ingest.fence import Fence
from ingest.lake_commit import LakeCommitter
from ingest.lane import Lane
from ingest.marks import Mark
from ingest.registry import Registry
from ingest.sinks.iceberg import IcebergSink
from ingest.sinks.iceberg_bounds import newest_in_data

log = structlog.get_logger(__name__)

ADVICE = "stop all writers of the lane and run `ingest repair lake`"


class LakeTakeOver:
    """Leads a new lake writer to the position from which it may read on."""

    def __init__(
        self, lane: Lane, fence: Fence, sink: IcebergSink, committer: LakeCommitter
    ) -> None:
        self._lane = lane
        self._fence = fence
        self._sink = sink
        self._committer = committer
        self.position = 1

    async def start(self, registry: Registry) -> None:
        """Takes the lane over. Raises FencedError, SinkBehindRecordError."""
        await self._fence.take_over()
        table = await self._lane.patiently(self._sink.load, "load the Iceberg table")
        await self._compare_with_data(table)
        self._committer.start_from(table)
        watermark = self._committer.watermark
        first = registry.record.epochs[0].first_seq
        self.position = watermark.sequence + 1 if watermark else first

    async def follow_history(self, read: list[Mark]) -> bool:
        """Compares what was read and committed with the stream.

        True when the history was rewritten: what is spooled must be thrown away, and reading goes
        on at ``position`` under a new epoch.
        """
        watermark = self._committer.watermark
        marks = [*([watermark] if watermark else []), *read]
        verdict = await history.check(self._lane.link, self._lane.name, marks)
        if verdict is history.Verdict.UNPROVEN:
            log.warning("history_unproven", lane=self._lane.name)
        if verdict is not history.Verdict.REWRITTEN:
            return False
        self._lane.metrics.event("ingest_history_rewritten").inc()
        await self._committer.finish()
        marks = [*([self._committer.watermark] if self._committer.watermark else []), *read]
        first = await history.divergence(
            self._lane.link, self._lane.name, self._nearest_row, max(m.sequence for m in marks)
        )
        known = marks[0].epoch
        await history.new_epoch(self._lane.link, self._lane.store, known, first)
        self.position = first
        return True

    async def _compare_with_data(self, table: Table) -> None:
        """The watermark property and the rows in the data files must agree."""
        name = ".".join(self._sink.table_name)
        newest = await self._lane.patiently(
            lambda: newest_in_data(table, self._lane.name), "read the data files' bounds"
        )
        watermark, last_row = self._sink.watermark(table), self._sink.last_row(table)
        if watermark is None and newest:
            raise SinkBehindRecordError(
                f"{name} holds rows of {self._lane.name} but no watermark property: it was rolled"
                f" back or rewritten by another tool; {ADVICE}"
            )
        if watermark is not None and newest.get(watermark.epoch, 0) > watermark.sequence:
            raise SinkBehindRecordError(
                f"{name} holds sequence {newest[watermark.epoch]} of {self._lane.name}, above its"
                f" watermark {watermark}: the property was rolled back; {ADVICE}"
            )
        if last_row is not None and newest.get(last_row.epoch, 0) < last_row.sequence:
            raise SinkBehindRecordError(
                f"{name} lacks sequence {last_row.sequence} of {self._lane.name}, committed before:"
                f" the table was rolled back or rows were deleted; {ADVICE}"
            )

    async def _nearest_row(self, sequence: int) -> Mark | None:
        return await self._lane.patiently(
            lambda: self._sink.nearest_row(sequence), "look for a row"
        )
