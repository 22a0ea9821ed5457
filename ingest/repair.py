"""Repairs a sink that was restored, emptied or rolled back, from what the stream still holds.

All writers must be stopped: a repair holds the lease while it works, takes the lane over like a
writer, waits until no earlier insert can land any more, compares stream and sink, stores exactly
what is missing and sets the position right. Doubled and changed rows are reported, never removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ingest import history
from ingest.errors import IngestError, StreamConfigError
from ingest.kept import LEASE_BUCKET, Bucket, open_bucket
from ingest.lane import Lane
from ingest.lanes import lane_contract
from ingest.lease import Lease
from ingest.marks import Mark
from ingest.metrics import Metrics
from ingest.nats_link import connect
from ingest.proof.findings import Finding
from ingest.proof.gaps import Gaps
from ingest.proof.plan import Known
from ingest.proof.side import Columns
from ingest.proof.stream_side import StreamSide
from ingest.ranges import SequenceRange, describe, merge
from ingest.registry import Registry, RegistryStore
from ingest.settings import Settings
from ingest.stream_info import message_at, stream_state

PathName = Literal["hot", "lake"]


class WriterActiveError(IngestError):
    """A writer holds the lease of the path that was to be repaired."""


@dataclass
class RepairReport:
    """What a repair found and did.

    ``missing`` are sequences that lacked rows, ``rows`` the rows stored (to be stored, in a dry
    run); ``aged_out`` ranges that the stream no longer holds, so nothing could be compared there.
    """

    lane: str
    path: PathName
    dry_run: bool
    compared: int = 0
    rows: int = 0
    missing: list[int] = field(default_factory=list)
    other: list[Finding] = field(default_factory=list)
    aged_out: list[SequenceRange] = field(default_factory=list)
    position_before: str = ""
    position: str = ""
    new_epoch: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "lane": self.lane,
            "path": self.path,
            "dry_run": self.dry_run,
            "compared_sequences": self.compared,
            "rows_stored": 0 if self.dry_run else self.rows,
            "rows_missing": self.rows,
            "missing": [[one.first, one.last] for one in merge(self.missing)],
            "not_repaired": [one.as_dict() | {"text": str(one)} for one in self.other],
            "aged_out": [[one.first, one.last] for one in self.aged_out],
            "position_before": self.position_before,
            "position": self.position,
            "new_epoch": self.new_epoch,
        }

    def lines(self) -> list[str]:
        """For people."""
        found = [f"compared {self.compared:,} sequences of {self.lane} with the {self.path} sink"]
        if self.rows:
            verb = "would be stored" if self.dry_run else "stored"
            sequences = describe(merge(self.missing))
            found.append(f"{self.rows:,} missing rows {verb}: sequences {sequences}")
        else:
            found.append("no row is missing")
        found += [f"not repaired: {one}" for one in self.other]
        if self.aged_out:
            ranges = describe(self.aged_out)
            found.append(f"not compared: {ranges} have aged out of the stream")
        if self.new_epoch:
            found.append(f"the stream's history was rewritten: epoch {self.new_epoch} goes on")
        if self.position != self.position_before:
            verb = "would be" if self.dry_run else "is now"
            found.append(f"the position {verb} {self.position} (was {self.position_before})")
        return found


@dataclass
class Repair:
    """What both repairs work with."""

    lane: Lane
    bucket: Bucket
    registry: Registry
    columns: Columns
    writer: str
    report: RepairReport

    async def follow_history(self, marks: list[Mark], row_of: history.RowOf) -> list[Mark]:
        """Goes on under a new epoch when the stream is not the one that the marks were read from.

        Without this, rows of the old history would pass for rows of the new one. Returns the mark
        from which the new history goes on, if there is one.
        """
        link, name = self.lane.link, self.lane.name
        _, gone = await history.compare(link, name, marks)
        if gone is None:
            return []
        if self.report.dry_run:
            raise StreamConfigError(
                f"the history of {name} was rewritten below sequence {gone.sequence}, which a dry"
                " run cannot register"
            )
        known = max(marks, key=self._order).epoch
        rewrite = await history.follow(link, self.lane.store, known, gone, row_of, _no_wait)
        self.registry, self.columns = rewrite.registry, Columns(rewrite.registry)
        self.report.new_epoch = self.registry.epoch.id
        return [Mark(self.registry.epoch.id, rewrite.position - 1, 0)]

    async def known(self, candidates: list[Mark]) -> Known:
        """The comparison's range: up to the furthest of the candidates, as far as the stream goes.

        A mark in a history that has ended stands at the beginning of the one that follows.
        """
        state = await stream_state(self.lane.link, self.lane.name)
        upto = max(candidates, key=self._order)
        for epoch in self.registry.record.epochs:
            later = self._order(Mark(epoch.id, 0, 0)) > self._order(Mark(upto.epoch, 0, 0))
            if later and epoch.first_seq - 1 <= upto.sequence:
                upto = Mark(epoch.id, epoch.first_seq - 1, 0)
        if upto.stored_at_us == 0 or upto.sequence > state.last_seq:
            sequence = min(upto.sequence, state.last_seq)
            upto = Mark(upto.epoch, sequence, await self._stored_at_us(sequence))
        return Known(self.registry, upto, state.first_seq, ())

    async def _stored_at_us(self, sequence: int) -> int:
        """The message's timestamp; 0, which no history check looks at, when it is not there."""
        if sequence < 1:
            return 0
        message = await message_at(self.lane.link, self.lane.name, sequence)
        return message.stored_at_ns // 1000 if message else 0

    @property
    def beginning(self) -> Mark:
        """Before the lane's first message."""
        first = self.registry.record.epochs[0]
        return Mark(first.id, first.first_seq - 1, 0)

    def stream_side(self) -> StreamSide:
        """The stream as the comparison reads it."""
        return StreamSide(self.lane.link, self.lane.name, self.columns, self.lane.settings)

    def current(self, row: Mark | None) -> list[Mark]:
        """The row as a mark of the history that goes on now, if it is of that one."""
        return [row] if row is not None and row.epoch == self.registry.epoch.id else []

    def note(self, gaps: Gaps) -> None:
        """Puts what was found besides missing rows into the report."""
        self.report.compared = gaps.sequences
        for epoch, differences in gaps.differences.items():
            self.report.missing += [sequence for sequence, _ in differences.missing]
            differences.missing = []
            self.report.other += differences.findings(self.report.path, epoch)

    def _order(self, mark: Mark) -> tuple[int, int, int]:
        ids = [epoch.id for epoch in self.registry.record.epochs]
        number = ids.index(mark.epoch) if mark.epoch in ids else -1
        return number, mark.sequence, mark.stored_at_us


async def repair(settings: Settings, path: PathName, *, dry_run: bool) -> RepairReport:
    """Compares stream and sink and stores what is missing; ``dry_run`` only compares.

    Raises WriterActiveError, FencedError, and what stream and sink raise; after any of them the
    repair may be run again.
    """
    from ingest.repair_hot import repair_hot
    from ingest.repair_lake import repair_lake

    async with _opened(settings, path, dry_run=dry_run) as work:
        await (repair_hot(work) if path == "hot" else repair_lake(work))
    return work.report


@contextlib.asynccontextmanager
async def _opened(settings: Settings, path: PathName, *, dry_run: bool) -> AsyncIterator[Repair]:
    contract = lane_contract(settings)
    writer = f"repair-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    link = await connect(settings.nats, f"ingest-{writer}", patient=False)
    try:
        bucket, leases = await open_bucket(link), await open_bucket(link, LEASE_BUCKET)
        store = RegistryStore(link, bucket, contract.stream)
        registry = await store.read()
        if registry is None:
            raise StreamConfigError(
                f"the lane {contract.stream} is not registered; run `ingest init` first"
            )
        lane = Lane(
            link=link,
            store=store,
            contract=contract,
            settings=settings,
            metrics=Metrics(contract.stream, path),
            path=path,
        )
        report = RepairReport(contract.stream, path, dry_run)
        work = Repair(lane, bucket, registry, Columns(registry), writer, report)
        try:
            if dry_run:
                yield work
                return
            await _require_no_writer(leases, path, contract.stream)
            lease = Lease(leases, path, contract.stream, writer, settings.writer.lease_ttl_s)
            async with lease.held(asyncio.Event()):
                yield work
        finally:
            lane.close()
    finally:
        await link.close()


async def _no_wait() -> None:
    raise StreamConfigError(
        "the stream's history was rewritten and nothing was published since: the new history gets"
        " its name from its first message; run the repair after it"
    )


async def _require_no_writer(leases: Bucket, path: PathName, lane: str) -> None:
    held = await leases.read(f"{path}.{lane}")
    if held is not None:
        raise WriterActiveError(
            f"{held.value.decode()} holds the {path} path of {lane}: stop all its writers, wait"
            " writer.lease_ttl_s, and run the repair again"
        )
