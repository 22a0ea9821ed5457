"""A day brought back into the hot table from the lake, each row exactly once.

The lake's rows go in as small blocks. Before each block the hot table is asked what it holds of
it, and only missing rows are inserted, so a repetition adds nothing. Which block may be under way
is on record before it is sent: a run that follows a killed one first waits until that insert can
land no more. Each lane is brought back for itself, under a record of its own.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa
import structlog

from ingest.contract import Contract
from ingest.fingerprint import hexadecimal
from ingest.hot_entry import peek_entry
from ingest.kept import open_bucket
from ingest.ledger import Ledger, LedgerEntry
from ingest.marks import Mark
from ingest.nats_link import NatsLink, connect
from ingest.proof.facts import hot_side
from ingest.proof.side import Columns, Segment
from ingest.proof.sql_side import SqlSide
from ingest.proof.sums import total
from ingest.registry import Registry, RegistryStore
from ingest.settings import Settings
from ingest.sinks.clickhouse import ClickHouseSink
from ingest.sinks.iceberg import IcebergSink
from ingest.stream_info import stream_state
from pipelines.cancel import Cancel
from pipelines.cost import Cost
from pipelines.errors import BudgetBroken, DayStillWritten, RowsDiffer
from pipelines.guard import Guard
from pipelines.hot_fill import HotFill
from pipelines.lake_day import LakeDay, Piece
from pipelines.lanes import Lane, lanes_of
from pipelines.rehydration_record import FORMAT, Rehydration, RehydrationRecords
from pipelines.storage_days import DAY_US, bounds_us, still_written

log = structlog.get_logger(__name__)
Result = TypeVar("Result")
MAX_STOPS = 20
"""Stops by the budget after which a unit is left for another run."""


@dataclass(frozen=True)
class Extent:
    """What to bring back and how: rows of one insert, and days that the day then stays."""

    day: date
    block_rows: int
    keep_days: int
    give_up_after_s: float


@dataclass
class Rehydrated:
    """What a run did: rows of the day in the lake, rows inserted, blocks that were sent.

    ``proven`` counts the ledger's ranges that lie within the day and were found equal; ``lanes``
    are rows and inserted ones of each lane, by name.
    """

    day: date
    rows: int = 0
    inserted: int = 0
    blocks: int = 0
    files: int = 0
    proven: int = 0
    waited_s: float = 0.0
    kept_until_us: int = 0
    snapshot_id: int = 0
    costs: list[Cost] = field(default_factory=list)
    lanes: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _State:
    registry: Registry
    entries: tuple[LedgerEntry, ...]
    why_not: str | None
    last_seq: int
    never_used: bool


def rehydrate(
    settings: Settings, contract: Contract, guard: Guard, extent: Extent, folder: Path
) -> Rehydrated:
    """Brings the day back, lane by lane; ``folder`` holds the lake's rows meanwhile.

    Raises DayStillWritten, RowsDiffer (nothing of the block was inserted), BudgetNotMet,
    BudgetBroken (a unit was stopped time and again),
    SinkUnavailableError, OutcomeUnknownError, StreamUnavailableError: after all but RowsDiffer the
    same call goes on where this one ended.
    """
    done = Rehydrated(extent.day)
    for lane in lanes_of(settings, contract):
        place = folder / lane.name
        place.mkdir()
        run = _Run(lane, guard, extent, done)
        try:
            run.run(place)
        finally:
            run.close()
        shutil.rmtree(place)
    return done


class _Run:
    """One lane of the day; what it does is added to ``done``."""

    def __init__(self, lane: Lane, guard: Guard, extent: Extent, done: Rehydrated) -> None:
        self._lane = lane
        self._guard = guard
        self._extent = extent
        self._deadline_s = lane.settings.hot.insert_deadline_s
        self._records = RehydrationRecords(lane.settings, lane.name)
        self._record = Rehydration(FORMAT, "")
        self._revision = 0
        self._sink = ClickHouseSink(
            lane.settings.clickhouse, lane.contract, lane.name, self._deadline_s
        )
        self._done = done
        self._rows = 0

    def run(self, folder: Path) -> None:
        lane = self._lane
        state = self._state()
        if state.why_not is not None:
            raise DayStillWritten(state.why_not)
        inserted_before = self._done.inserted
        self._take_over()
        sink = IcebergSink(lane.settings, lane.contract, lane.name)
        table = sink.load()
        if not state.never_used:
            self._require_complete(sink.watermark(table), state.last_seq)
        snapshot = table.current_snapshot()
        self._done.snapshot_id = snapshot.snapshot_id if snapshot else 0
        columns = Columns(state.registry)
        with closing(hot_side(lane.settings, lane.name, columns)) as hot:
            fill = HotFill(
                *(hot, columns, state.registry),
                insert=self._insert,
                outlived=self._outlived,
                block_rows=self._extent.block_rows,
            )
            held = LakeDay(table, columns.newest, lane.name, self._extent.day, folder)
            for number, task in enumerate(held.files() if snapshot else (), 1):
                self._rows += self._guarded(f"read file {number}", partial(held.fetch, task))
                self._done.files += 1
            for piece in held.pieces():
                self._guarded(f"store {piece.rows:,} rows", partial(_store, fill, held, piece))
            self._settle(hot, state)
        self._done.rows += self._rows
        self._done.lanes[lane.name] = (self._rows, self._done.inserted - inserted_before)

    def close(self) -> None:
        self._sink.close()

    def _insert(self, rows: pa.RecordBatch, fingerprint: str) -> None:
        """Sends one block after its intent is on record."""
        sequences = rows.column("_seq")
        epoch = rows.column("_epoch")[0].as_py()
        name = f"{epoch}:{sequences[0]}-{sequences[-1]}:{fingerprint}"
        started = time.monotonic()
        self._keep(pending=name)
        token = f"{self._lane.name}:{name}#rehydrate{self._record.tries}"
        left_s = self._deadline_s - (time.monotonic() - started)
        if left_s < self._deadline_s / 2:
            raise DayStillWritten("NATS took too long to record the block; it was not sent")
        self._sink.insert(rows, token, left_s)
        self._done.blocks += 1
        self._done.inserted += rows.num_rows

    def _outlived(self) -> None:
        self._keep(tries=self._record.tries + 1)

    def _take_over(self) -> None:
        """Becomes the day's only run, and waits for the insert that another may have sent."""
        found, self._revision = self._records.read(self._extent.day)
        before = found or Rehydration(FORMAT, "")
        writer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._record = before
        self._keep(writer=writer)
        if before.pending:
            log.info("settling", day=str(self._extent.day), seconds=self._deadline_s)
            time.sleep(self._deadline_s)
            self._done.waited_s += self._deadline_s

    def _keep(self, **changes: str | int) -> None:
        self._record = msgspec.structs.replace(self._record, **changes)
        self._revision = self._records.write(self._extent.day, self._record, self._revision)

    def _require_complete(self, watermark: Mark | None, last_seq: int) -> None:
        """The lake must hold all of the day, or the hot table would hold more than it."""
        now_us = time.time_ns() // 1000
        why = still_written(
            self._extent.day, watermark, last_seq=last_seq, now_us=now_us, path="lake"
        )
        if why is not None:
            raise DayStillWritten(why)

    def _settle(self, hot: SqlSide, state: _State) -> None:
        """The day must now be what the lake holds and what was proven; then it is kept."""
        held = _rows_of_day(hot, self._lane.name, self._extent.day)
        if held != self._rows:
            raise RowsDiffer(
                f"the hot table holds {held:,} rows of {self._lane.name} on {self._extent.day},"
                f" the lake {self._rows:,}; see `ingest verify --full`"
            )
        first_us, end_us = bounds_us(self._extent.day)
        for one in state.entries:
            inside = first_us <= one.first_stored_at_us and one.last_stored_at_us < end_us
            if not inside or one.sinks or one.losses:
                continue
            bounds = (one.first_stored_at_us, one.last_stored_at_us)
            segment = Segment(one.epoch, one.version, one.range, bounds)
            found = total(hot.sums(segment))
            if (found.rows, hexadecimal(found.fingerprint)) != (one.rows, one.fingerprint):
                raise RowsDiffer(
                    f"{segment} is not what was proven of it: {found.rows:,} rows, the ledger says"
                    f" {one.rows:,}; see `ingest verify --full`"
                )
            self._done.proven += 1
        until_us = time.time_ns() // 1000 + self._extent.keep_days * DAY_US
        self._done.kept_until_us = until_us
        self._keep(pending="", kept_until_us=until_us, rows=self._rows)

    def _guarded(self, work: str, unit: Callable[[Cancel], Result]) -> Result:
        """Runs the unit inside the budget, again when the budget stopped it."""
        work = f"rehydration of {self._extent.day}: {work}"
        for left in reversed(range(MAX_STOPS)):
            try:
                guarded = self._guard.run(work, unit, give_up_after_s=self._extent.give_up_after_s)
            except BudgetBroken as error:
                if not left:
                    raise
                log.info("work_waits", work=work, reason=str(error))
                continue
            self._done.costs.append(guarded.cost)
            return guarded.result
        raise AssertionError

    def _state(self) -> _State:
        async def connected() -> _State:
            link = await connect(self._lane.settings.nats, "iot-rehydration", patient=False)
            try:
                return await _state(link, self._lane, self._extent.day)
            finally:
                await link.close()

        return asyncio.run(connected())


def _store(fill: HotFill, held: LakeDay, piece: Piece, cancel: Cancel) -> None:
    fill.fill(held.rows(piece), cancel)


async def _state(link: NatsLink, lane: Lane, day: date) -> _State:
    bucket = await open_bucket(link)
    entry = await peek_entry(bucket, lane.name)
    registry = await RegistryStore(link, bucket, lane.name).read()
    state = await stream_state(link, lane.name)
    assert registry is not None
    never_used = entry is None and not state.last_seq and lane.settings.lanes.count > 1
    why = still_written(
        day,
        entry.done if entry else None,
        pending=entry is not None and entry.pending is not None,
        last_seq=state.last_seq,
        now_us=time.time_ns() // 1000,
    )
    entries = tuple(await Ledger(link, lane.name).entries())
    return _State(registry, entries, None if never_used else why, state.last_seq, never_used)


def _rows_of_day(hot: SqlSide, lane: str, day: date) -> int:
    rows = hot.query(
        "SELECT count() FROM {source} WHERE _lane = {lane:String}"
        " AND toDate(_stored_at) = {day:Date}",
        {"lane": lane, "day": day.isoformat()},
    )
    return int(rows[0][0])
