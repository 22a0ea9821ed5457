"""One batch into ClickHouse: intent, insert, done, and what to do when no answer comes.

Order of a batch: the pending range is written to the kept entry; the insert is sent; the next write
of the entry moves the range to done, together with the next pending range. One insert is in flight
at any time, while the next batch is read and decoded.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import msgspec
import structlog
from structlog.contextvars import bound_contextvars

from ingest.batches import Batch
from ingest.errors import IngestError, OutcomeUnknownError, SinkUnavailableError, Transient
from ingest.fault_points import FaultPoint, reach
from ingest.hot_entry import EntryStore, HotEntry, Pending, pending_of
from ingest.lane import Backoff, Lane
from ingest.sinks.clickhouse import ClickHouseSink
from ingest.tracing import NO_TRACE

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.25
LEAST_S = 0.1
"""With less time left an insert is not begun."""


@dataclass
class Flight:
    """An insert under way; ``deadline`` (CLOCK_MONOTONIC) is when it can no longer land."""

    batch: Batch
    deadline: float
    started: float
    task: asyncio.Task[float]
    ended: float | None = None

    def over(self, _: object) -> None:
        """Called when the answer is there, which may be long before somebody looks at it."""
        self.ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the answer took."""
        return (self.ended or time.monotonic()) - self.started


class HotInserter:
    """Runs the insert protocol of one lane."""

    def __init__(self, lane: Lane, entries: EntryStore, sink: ClickHouseSink) -> None:
        self._lane = lane
        self._entries = entries
        self._sink = sink
        self._deadline_s = lane.settings.hot.insert_deadline_s
        self._flight: Flight | None = None
        self._landed: Batch | None = None

    async def store(self, batch: Batch) -> None:
        """Takes over the batch: on return its range is on record and its insert is under way.

        A batch without rows is done at once. Raises what ends the writer.
        """
        if self._flight is not None:
            reach(FaultPoint.HOT_WITH_NEXT_DECODED)
        await self.finish()
        reach(FaultPoint.HOT_BEFORE_INTENT)
        entry = self._with_landed_done(self._entries.entry)
        since = time.monotonic()
        if batch.last_row is None:
            await self._entries.move(msgspec.structs.replace(entry, done=batch.last))
            self._on_record(since)
            self._count(batch, 0.0, time.time())
            batch.on_record(since)
            return
        pending = pending_of(batch)
        deadline = time.monotonic() + self._deadline_s
        with batch.trace.timed("intent"):
            await self._entries.move(msgspec.structs.replace(entry, pending=pending))
        self._on_record(since)
        self._landed = None
        reach(FaultPoint.HOT_AFTER_INTENT)
        task = asyncio.create_task(self._send(batch, pending, deadline))
        self._flight = Flight(batch, deadline, time.monotonic(), task)
        task.add_done_callback(self._flight.over)

    async def finish(self) -> None:
        """Waits until the insert in flight has landed, whatever that takes."""
        flight, self._flight = self._flight, None
        if flight is None:
            return
        with bound_contextvars(**flight.batch.trace.ids):
            await self._land(flight)
        reach(FaultPoint.HOT_AFTER_INSERT)

    async def _land(self, flight: Flight) -> None:
        try:
            visible_at = await flight.task
        except IngestError as error:
            if not isinstance(error, Transient):
                raise
            log.warning("insert_failed", lane=self._lane.name, problem=str(error))
            self._time(flight, "failed")
            if isinstance(error, OutcomeUnknownError):
                self._lane.metrics.event("ingest_commit_unknown").inc()
            in_doubt_until = flight.deadline if isinstance(error, OutcomeUnknownError) else 0.0
            await self.settle(flight.batch, in_doubt_until)
        else:
            self._time(flight, "ok")
            self._landed = flight.batch
            self._count(flight.batch, flight.seconds, visible_at)

    async def settle(self, batch: Batch, in_doubt_until: float) -> None:
        """Looks and acts until the pending batch has landed exactly once.

        ``in_doubt_until`` (CLOCK_MONOTONIC): until then an insert sent earlier may still land, so
        its absence proves nothing.
        """
        pause = Backoff(self._lane.settings.writer.backoff_max_s)
        while not await self.landed(batch, in_doubt_until):
            try:
                await self._send_again(batch)
            except SinkUnavailableError as error:
                in_doubt_until = 0.0
                await self._wait(pause, error)
                continue
            except OutcomeUnknownError as error:
                in_doubt_until = time.monotonic() + self._deadline_s
                await self._wait(pause, error)
                continue
            in_doubt_until = 0.0
            if await self.landed(batch, 0.0):
                break
            await self._salt()
        self._landed = batch
        self._count(batch, 0.0, time.time())

    async def landed(self, batch: Batch | Pending, in_doubt_until: float) -> bool:
        """Whether the range's rows are in ClickHouse; waits while they may still come."""
        reach(FaultPoint.HOT_BEFORE_SETTLE)
        covered, last, trace = (
            (batch.range, batch.last_mark, NO_TRACE)
            if isinstance(batch, Pending)
            else (batch.covered, batch.last, batch.trace)
        )
        while True:
            # Before the look: an insert that lands between look and clock would count as absent.
            in_doubt = time.monotonic() < in_doubt_until
            with trace.timed("settle"):
                rows = await self._lane.patiently(
                    lambda: self._sink.rows_in(covered, last), "look up a range"
                )
            if rows:
                self._lane.metrics.event("ingest_commit_found_landed").inc()
                return True
            if not in_doubt:
                return False
            await asyncio.sleep(LOOK_EVERY_S)

    async def write_done(self) -> None:
        """Moves a landed range to done now instead of with the next batch."""
        if self._landed is not None:
            since = time.monotonic()
            await self._entries.move(self._with_landed_done(self._entries.entry))
            self._on_record(since)
            self._landed = None
            reach(FaultPoint.HOT_AFTER_DONE)

    def forget(self) -> None:
        """Drops what was under way: its fate was settled by a rewritten history."""
        self._flight = None
        self._landed = None

    @property
    def in_flight(self) -> bool:
        """Whether an insert is under way or its end has not been looked at."""
        return self._flight is not None

    @property
    def flight_over(self) -> bool:
        """Whether the insert in flight has an answer."""
        return self._flight is not None and self._flight.task.done()

    def _with_landed_done(self, entry: HotEntry) -> HotEntry:
        if self._landed is None or entry.pending is None:
            return entry
        done = entry.pending
        return msgspec.structs.replace(entry, done=done.last_mark, row=done.last_row, pending=None)

    def _on_record(self, since: float) -> None:
        if self._landed is not None:
            self._landed.on_record(since)

    async def _send(self, batch: Batch, pending: Pending, deadline: float) -> float:
        """Sends the insert with the time that is left of its deadline.

        Returns when it was acknowledged (Unix time), which is when its rows were visible. It must
        have ended by the deadline, not only have begun: a successor waits no longer. Not sent when
        the process was stopped in between.
        """
        token = pending.token(self._lane.name)

        def insert() -> float:
            left_s = deadline - time.monotonic()
            if left_s < LEAST_S:
                raise SinkUnavailableError("not sent: the deadline passed before the insert began")
            with batch.trace.timed("insert"):
                self._sink.insert(batch.rows, token, left_s)
                return time.time()

        return await self._lane.blocking(insert)

    async def _send_again(self, batch: Batch) -> None:
        """Repeats the insert under the recorded token, after proof that the lane is still ours."""
        deadline = time.monotonic() + self._deadline_s
        entry = await self._entries.renew()
        assert entry.pending is not None
        await self._send(batch, entry.pending, deadline)

    async def _salt(self) -> None:
        """The token outlived its rows (they were removed): the next try needs another one."""
        entry = self._entries.entry
        assert entry.pending is not None
        salted = msgspec.structs.replace(entry.pending, salt=entry.pending.salt + 1)
        log.warning("token_outlived_rows", lane=self._lane.name, range=str(salted.range))
        await self._entries.move(msgspec.structs.replace(entry, pending=salted))

    async def _wait(self, pause: Backoff, error: IngestError) -> None:
        log.warning("insert_waiting", lane=self._lane.name, problem=str(error))
        await self._lane.pause(pause, error)

    def _time(self, flight: Flight, outcome: str) -> None:
        self._lane.metrics.sink_step("clickhouse", "insert", outcome, flight.seconds)

    def _count(self, batch: Batch, seconds: float, visible_at: float) -> None:
        metrics = self._lane.metrics
        stored_age = visible_at - batch.last.stored_at_us / 1e6
        oldest_age = stored_age
        metrics.settled(batch.stored_messages, batch.refused_by_reason, batch.holes)
        metrics.watermark("clickhouse", batch.covered.last)
        if batch.rows.num_rows:
            stored_at_us = batch.stored_at_us
            oldest_age = visible_at - int(stored_at_us[0]) / 1e6
            metrics.reading_ages.add(stored_at_us, round(visible_at * 1e6))
            event_s = visible_at - batch.newest_event_s(self._lane.contract.time_column)
            metrics.freshness("clickhouse", event_s=event_s, stored_s=stored_age)
        metrics.batch(batch.rows.num_rows, batch.rows.nbytes, max(oldest_age, 0.0))
        log.info(
            "batch",
            lane=self._lane.name,
            range=str(batch.covered),
            rows=batch.rows.num_rows,
            bytes=batch.rows.nbytes,
            refused=len(batch.refused),
            holes=batch.holes,
            insert_ms=round(seconds * 1000, 1),
            age_ms=round(stored_age * 1000),
            **batch.trace.ids,
        )
