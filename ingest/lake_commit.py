"""One spool into Iceberg: upload, stage, send once, and what to do when that did not work.

The base of a commit is the metadata object that gives the reference requirement; in that same
object the lane's watermark must be exactly the one that this writer saw or wrote last. After a
conflict or an unknown outcome the table is loaded again and decides: the own snapshot or commit id
there means landed; the expected watermark means that somebody else's commit (a compaction) came in
between, so the same files are staged on the new base; anything else is another writer.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field

import structlog
from pyiceberg.table import Table
from structlog.contextvars import bind_contextvars

from ingest.errors import FencedError, IngestError, OutcomeUnknownError, Transient
from ingest.fault_points import FaultPoint, reach
from ingest.fence import Fence
from ingest.lake_agreement import compare_with_base
from ingest.lane import Backoff, Lane
from ingest.marks import Mark
from ingest.sinks.iceberg import CommitConflictError, IcebergSink, Uploaded
from ingest.spool import Spooled

log = structlog.get_logger(__name__)

UPLOAD_KEPT_S = 3600.0
"""Files uploaded longer ago are uploaded again: orphan removal may have taken them."""


@dataclass
class Attempt:
    """What is known of one range's commit over all its tries."""

    spooled: Spooled
    commit_id: str = field(default_factory=lambda: secrets.token_hex(8))
    snapshot_ids: set[int] = field(default_factory=set)
    uploaded: Uploaded | None = None
    uploaded_at: float = 0.0


class LakeCommitter:
    """Runs the commit protocol of one lane; one commit is under way at any time."""

    def __init__(self, lane: Lane, sink: IcebergSink, fence: Fence, writer: str) -> None:
        self._lane = lane
        self._sink = sink
        self._fence = fence
        self._writer = writer
        self._table: Table | None = None
        self._base: int | None = None
        self._version: int | None = None
        self._task: asyncio.Task[None] | None = None
        self.watermark: Mark | None = None

    def start_from(self, table: Table) -> None:
        """Takes the table as base and its watermark as the expected one."""
        self._table = table
        self._base = _current(table)
        self.watermark = self._sink.watermark(table)

    async def begin(self, spooled: Spooled) -> None:
        """Starts the commit of the range that follows, once the one before has landed."""
        await self.finish()
        self._task = asyncio.create_task(self._commit(spooled))

    async def finish(self) -> None:
        """Waits until the commit under way has landed. Raises what ends the writer."""
        task, self._task = self._task, None
        if task is not None:
            await task

    @property
    def over(self) -> bool:
        """Whether a commit has ended and was not looked at."""
        return self._task is not None and self._task.done()

    async def _commit(self, spooled: Spooled) -> None:
        bind_contextvars(**spooled.trace.ids)  # for the records of this task
        attempt = Attempt(spooled)
        started = time.monotonic()
        pause = Backoff(self._lane.settings.writer.backoff_max_s)
        while True:
            try:
                await self._load_for(spooled.version)
                if await self._try(attempt):
                    break
            except IngestError as error:
                if not isinstance(error, Transient):
                    raise
                log.warning("commit_waiting", lane=self._lane.name, problem=str(error))
                await self._lane.pause(pause, error)
                await self._reload(attempt)
                if self._has_landed(attempt):
                    self._lane.metrics.event("ingest_commit_found_landed").inc()
                    break
        self.watermark = spooled.last
        reach(FaultPoint.LAKE_AFTER_COMMIT)
        self._count(attempt, started)
        spooled.discard()

    async def _load_for(self, version: int) -> None:
        """Loads the table anew for the first rows of a contract version.

        A version is in force only after the table has its columns, but a table loaded before that
        lacks them, and a change of columns is no conflict to the catalog.
        """
        if version != self._version:
            self._table = await self._lane.patiently(self._sink.load, "load the Iceberg table")
            self._version = version

    async def _try(self, attempt: Attempt) -> bool:
        """One upload (if needed), stage and send. True when the commit landed."""
        table = self._table
        assert table is not None
        self._require_expected(table)
        await compare_with_base(self._lane, self._sink, table, self._base)
        uploaded = await self._upload(table, attempt)
        with attempt.spooled.trace.timed("stage"):
            staged = await self._lane.blocking(
                lambda: self._sink.stage(
                    table, uploaded, attempt.spooled, attempt.commit_id, self._writer
                )
            )
        attempt.snapshot_ids.add(staged.snapshot_id)
        reach(FaultPoint.LAKE_AFTER_UPLOAD)
        # Not what keeps rows single (the catalog does), but it keeps a writer that was overtaken
        # from winning the race against its successor.
        await self._fence.confirm()
        started = time.monotonic()
        try:
            with attempt.spooled.trace.timed("commit"):
                await self._lane.blocking(lambda: self._sink.send(table, staged))
        except CommitConflictError as conflict:
            self._time("conflict", started)
            self._lane.metrics.event("ingest_commit_conflicts").inc()
            log.info("commit_conflict", lane=self._lane.name, problem=str(conflict)[:200])
            await self._reload(attempt)
            return self._has_landed(attempt)
        except OutcomeUnknownError:
            self._time("unknown", started)
            self._lane.metrics.event("ingest_commit_unknown").inc()
            raise
        self._time("ok", started)
        self._base = staged.snapshot_id
        await self._reload(attempt)
        return True

    async def _upload(self, table: Table, attempt: Attempt) -> Uploaded:
        now = time.monotonic()
        if attempt.uploaded is None or now - attempt.uploaded_at > UPLOAD_KEPT_S:
            reach(FaultPoint.LAKE_BEFORE_UPLOAD)
            attempt.uploaded_at = now
            with attempt.spooled.trace.timed("upload"):
                attempt.uploaded = await self._lane.blocking(
                    lambda: self._sink.upload(table, attempt.spooled)
                )
            seconds = time.monotonic() - now
            self._lane.metrics.sink_step("iceberg", "upload", "ok", seconds)
        return attempt.uploaded

    async def _reload(self, attempt: Attempt) -> None:
        reach(FaultPoint.LAKE_BEFORE_SETTLE)
        with attempt.spooled.trace.timed("settle"):
            self._table = await self._lane.patiently(self._sink.load, "load the Iceberg table")

    def _has_landed(self, attempt: Attempt) -> bool:
        """Whether the table holds this commit, by snapshot id or by the lane's commit id."""
        table = self._table
        assert table is not None
        own = attempt.snapshot_ids & {snapshot.snapshot_id for snapshot in table.snapshots()}
        if own:
            self._base = next(iter(own))
            return True
        landed = (
            self._sink.watermark(table) == attempt.spooled.last
            and self._sink.commit_id(table) == attempt.commit_id
        )
        if landed:
            self._base = _current(table)
        return landed

    def _require_expected(self, table: Table) -> None:
        found = self._sink.watermark(table)
        if found != self.watermark:
            self._lane.metrics.event("ingest_fenced").inc()
            raise FencedError(
                f"the watermark of {self._lane.name} in {'.'.join(self._sink.table_name)} is"
                f" {found}, this writer left it at {self.watermark}: another writer commits"
                " there, or the table was rolled back; this writer stops without writing"
            )

    def _time(self, outcome: str, started: float) -> None:
        seconds = time.monotonic() - started
        self._lane.metrics.sink_step("iceberg", "commit", outcome, seconds)

    def _count(self, attempt: Attempt, started: float) -> None:
        spooled, metrics = attempt.spooled, self._lane.metrics
        now = time.time()
        stored = spooled.messages - sum(spooled.refused.values())
        metrics.settled(stored, spooled.refused, spooled.holes)
        metrics.batch(spooled.rows, spooled.bytes, now - spooled.oldest_stored_at_us / 1e6)
        metrics.watermark("iceberg", spooled.covered.last)
        age_s = now - spooled.last.stored_at_us / 1e6
        metrics.freshness("iceberg", event_s=now - spooled.newest_event_s, stored_s=age_s)
        log.info(
            "commit",
            lane=self._lane.name,
            range=str(spooled.covered),
            rows=spooled.rows,
            files=len(attempt.uploaded.files) if attempt.uploaded else 0,
            bytes=attempt.uploaded.bytes if attempt.uploaded else 0,
            refused=sum(spooled.refused.values()),
            holes=spooled.holes,
            commit_ms=round((time.monotonic() - started) * 1000),
            age_ms=round(age_s * 1000),
        )
        spooled.trace.finish(
            spooled.covered,
            spooled.last.epoch,
            rows=spooled.rows,
            refused=sum(spooled.refused.values()),
            holes=spooled.holes,
        )


def _current(table: Table) -> int | None:
    snapshot = table.current_snapshot()
    return snapshot.snapshot_id if snapshot else None
