"""After files were rewritten: the lake still holds what the ledger says was proven, by Trino alone.

Only ranges from the first sequence on that lies in a rewritten file are read, only by Trino, and
held against the ledger: neither the stream nor ClickHouse is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation

from ingest.fingerprint import MASK, hexadecimal
from ingest.ledger import LedgerEntry
from ingest.proof.facts import gathered
from ingest.proof.findings import Finding, Problem
from ingest.proof.iceberg_side import NAME as LAKE
from ingest.proof.side import Segment
from ingest.proof.sums import Sum, Sums, total
from ingest.ranges import SequenceRange
from ingest.settings import Settings
from pipelines.cancel import Cancel
from pipelines.errors import BudgetBroken, BudgetNotMet
from pipelines.lake_files import lake_files
from pipelines.reconcile import Extent, Runs
from pipelines.trino_client import Trino
from pipelines.trino_side import TrinoSide, TrinoSides


@dataclass(frozen=True)
class Expected:
    """What the lake must hold of a run of ledger entries of one epoch and version."""

    segment: Segment
    rows: int
    fingerprint: int


@dataclass
class Rechecked:
    """What a run compared: ``upto_ms`` is the time of the newest rewrite that it covers (Unix, ms).

    ``first`` is the first sequence in a rewritten file, None when nothing was rewritten. ``left``
    units were not compared because of ``stopped``.
    """

    upto_ms: int
    first: int | None = None
    sequences: int = 0
    rows: int = 0
    left: int = 0
    stopped: str = ""
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Rewritten:
    """Rewrites after some time: the newest one's (Unix, ms), and the first sequence in them."""

    upto_ms: int
    first: int | None


def recheck(
    settings: Settings, trino: Trino, guard: Runs, extent: Extent, *, since_ms: int
) -> Rechecked:
    """Compares what was rewritten after ``since_ms``. Raises as ``reconcile``."""
    sides = TrinoSides(trino, Cancel())
    table, entries = asyncio.run(_facts(settings, sides))
    found = rewritten(table, since_ms)
    done = Rechecked(found.upto_ms, found.first)
    if found.first is None or sides.opened is None:
        return done
    wanted = expected([one for one in entries if one.last >= found.first], extent.unit_sequences)
    for number, one in enumerate(wanted):
        try:
            guarded = guard.run(
                f"recheck of the lake, {one.segment.range}",
                _Unit(sides.opened, one.segment),
                give_up_after_s=extent.give_up_after_s,
            )
        except (BudgetBroken, BudgetNotMet) as error:
            if not number:
                raise
            done.stopped, done.left = str(error), len(wanted) - number
            break
        _compare(done, one, total(guarded.result))
    return done


def rewritten(table: Table, since_ms: int) -> Rewritten:
    """What compactions, and whoever else, have put into other files after ``since_ms``.

    Everything when rows were removed and no file was written. Raises SinkUnavailableError.
    """
    times = {
        one.snapshot_id: one.timestamp_ms
        for one in table.snapshots()
        if one.summary is not None
        and one.summary.operation is not Operation.APPEND
        and one.timestamp_ms > since_ms
    }
    if not times:
        return Rewritten(since_ms, None)
    files = [one for one in lake_files(table).files if one.snapshot_id in times]
    first = min((one.first_seq for one in files), default=1)
    return Rewritten(max(times.values()), max(first, 1))


def expected(entries: Iterable[LedgerEntry], most: int) -> list[Expected]:
    """Neighbouring entries together, up to ``most`` sequences; accepted losses left out."""
    found: list[Expected] = []
    for entry in entries:
        if entry.losses:
            continue
        one = _expected(entry)
        joined = _joined(found[-1], one) if found else None
        if joined is not None and len(joined.segment.range) <= most:
            found[-1] = joined
        else:
            found.append(one)
    return found


class _Unit:
    """One range added up by Trino, which the guard may end."""

    def __init__(self, side: TrinoSide, segment: Segment) -> None:
        self._side = side
        self._segment = segment

    def __call__(self, cancel: Cancel) -> Sums:
        return self._side.under(cancel).sums(self._segment)


async def _facts(settings: Settings, sides: TrinoSides) -> tuple[Table, tuple[LedgerEntry, ...]]:
    async with gathered(settings, full=False, every_entry=True, open_lake=sides) as facts:
        return facts.table, facts.entries


def _expected(entry: LedgerEntry) -> Expected:
    segment = Segment(entry.epoch, entry.version, entry.range)
    held = entry.sinks.get(LAKE)
    if held is not None:
        return Expected(segment, held.rows, int(held.fingerprint, 16))
    return Expected(segment, entry.rows, int(entry.fingerprint, 16))


def _joined(one: Expected, other: Expected) -> Expected | None:
    a, b = one.segment, other.segment
    if (a.epoch, a.version) != (b.epoch, b.version) or a.range.last + 1 != b.range.first:
        return None
    return Expected(
        Segment(a.epoch, a.version, SequenceRange(a.range.first, b.range.last)),
        one.rows + other.rows,
        (one.fingerprint + other.fingerprint) & MASK,
    )


def _compare(done: Rechecked, wanted: Expected, found: Sum) -> None:
    done.sequences += len(wanted.segment.range)
    done.rows += found.rows
    if (found.rows, found.fingerprint) != (wanted.rows, wanted.fingerprint):
        detail = (
            f"{found.rows:,} rows, fingerprint {hexadecimal(found.fingerprint)}; proven were"
            f" {wanted.rows:,}, {hexadecimal(wanted.fingerprint)} (see `ingest verify --full`)"
        )
        segment = wanted.segment
        done.findings.append(
            Finding(LAKE, Problem.DIFFERS, segment.epoch, (segment.range,), detail)
        )
