"""Becoming the lake writer of a lane: fence, hold the property against the data, go on."""

from __future__ import annotations

import structlog

from ingest import history
from ingest.fence import Fence
from ingest.hot_entry import marks_of, peek_entry
from ingest.lake_agreement import compare_with_data
from ingest.lake_commit import LakeCommitter
from ingest.lane import Lane
from ingest.marks import Mark
from ingest.registry import Registry
from ingest.sinks.iceberg import IcebergSink

log = structlog.get_logger(__name__)


class LakeTakeOver:
    """Leads a new lake writer to the position from which it may read on."""

    def __init__(
        self, lane: Lane, fence: Fence, sink: IcebergSink, committer: LakeCommitter
    ) -> None:
        self._lane = lane
        self._fence = fence
        self._sink = sink
        self._committer = committer
        self._under = ""
        self.position = 1

    async def start(self, registry: Registry) -> None:
        """Takes the lane over. Raises FencedError, SinkBehindRecordError, RecordInvalidError."""
        await self._fence.take_over()
        table = await self._lane.patiently(self._sink.load, "load the Iceberg table")
        await compare_with_data(self._lane, self._sink, table)
        self._committer.start_from(table)
        watermark = self._committer.watermark
        if watermark is not None:
            history.require_known(registry, watermark.epoch)
        first = registry.record.epochs[0].first_seq
        self.position = watermark.sequence + 1 if watermark else first

    async def follow_history(self, read: list[Mark]) -> bool:
        """Compares what was read and committed with the stream.

        True when what is spooled must be thrown away and reading goes on at ``position``: the
        history was rewritten, or the hot path found out before and messages were named wrongly.
        """
        verdict, gone = await history.compare(
            self._lane.link, self._lane.name, [*self._marks(read), *await self._hot_marks()]
        )
        if verdict is history.Verdict.UNPROVEN:
            log.warning("history_unproven", lane=self._lane.name)
        if gone is None:
            return False
        self._lane.metrics.event("ingest_history_rewritten").inc()
        await self._committer.finish()
        known = self._marks(read)
        rewrite = await history.follow(
            self._lane.link,
            self._lane.store,
            max(known, key=lambda mark: mark.sequence).epoch if known else gone.epoch,
            gone,
            self._row_of,
            self._lane.still_wanted,
        )
        self._under = rewrite.registry.epoch.id
        self.position = rewrite.position
        return True

    def _marks(self, read: list[Mark]) -> list[Mark]:
        """What was read and committed, without what an ended history left behind."""
        watermark = self._committer.watermark
        marks = [*([watermark] if watermark else []), *read]
        return [mark for mark in marks if self._under in ("", mark.epoch)]

    async def _hot_marks(self) -> list[Mark]:
        """What the hot path has read of the present history.

        It is usually ahead: where the stream lost its tail, it knows, and a lake that never read
        that far would take the new messages for a continuation of the old ones.
        """
        registry = await self._lane.store.read()
        entry = await peek_entry(self._fence.bucket, self._lane.name)
        if registry is None or entry is None:
            return []
        return [mark for mark in marks_of(entry) if mark.epoch == registry.epoch.id]

    async def _row_of(self, sequence: int, epoch: str) -> Mark | None:
        return await self._lane.patiently(
            lambda: self._sink.nearest_row(sequence, epoch), "look for a row"
        )
