"""Compares one part of a lane's history on all sides."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from ingest.fingerprint import hash_of, hexadecimal
from ingest.proof.dead_letters import NAME as DLQ
from ingest.proof.dead_letters import DeadLetters, Letters
from ingest.proof.drill import drill, row_differences
from ingest.proof.facts import DAY_US, HOT, Facts
from ingest.proof.findings import Finding, Problem
from ingest.proof.iceberg_side import NAME as LAKE
from ingest.proof.plan import Kind, Part
from ingest.proof.results import PartResult
from ingest.proof.rollup import RollupCheck
from ingest.proof.side import RowHash, Segment, Side
from ingest.proof.sums import Sum, Sums, add, total
from ingest.ranges import SequenceRange
from ingest.stream_info import message_at, message_from

First = TypeVar("First")
Second = TypeVar("Second")
Advance = Callable[[int], None]
"""Told of every run of sequences that has been read."""


class Comparison:
    """Compares parts; ``full`` leaves nothing out on account of time bounds."""

    def __init__(self, facts: Facts, *, full: bool, advance: Advance) -> None:
        self._facts = facts
        self._full = full
        self._advance = advance
        self._letters = DeadLetters(facts.link, facts.lane)

    async def compare(self, part: Part) -> PartResult:
        """Everything that can be said of the part."""
        if part.kind is Kind.STREAM:
            return await self._with_stream(part)
        if part.kind is Kind.LEDGER:
            return await self._with_ledger(part)
        result = PartResult(part)
        if part.kind is not Kind.LOST:
            await self._sinks_alone(result)
        return result

    async def strays(self) -> list[Finding]:
        """Rows under epochs that the registry does not know, on each side."""
        known = tuple(epoch.id for epoch in self._facts.registry.record.epochs)
        found: list[Finding] = []
        for side in (self._facts.hot, self._facts.lake):
            for epoch, rows in (await asyncio.to_thread(side.strays, known)).items():
                detail = f"{rows} rows under epoch {epoch!r}, which the registry does not know"
                found.append(Finding(side.name, Problem.EXTRA, epoch, (), detail))
        return found

    async def _with_stream(self, part: Part) -> PartResult:
        segment = await self._bounded(part.segment)
        result = PartResult(replace(part, segment=segment))
        (hot, lake), (wanted, letters) = await _together(
            self._sink_sums(segment, result), self._read(segment, result)
        )
        result.reference = total(wanted)
        for side, sums in ((self._facts.hot, hot), (self._facts.lake, lake)):
            if sums != wanted and side.name not in result.skipped:
                found = await drill(self._facts.stream, side, segment, wanted, sums)
                result.findings += found or [_differs(side.name, segment, "changed meanwhile")]
        result.findings += await self._letters.findings(
            segment, letters, self._epoch_start_ns(segment.epoch)
        )
        result.dlq = letters.found
        if HOT not in result.skipped:
            await self._rollup(segment, result)
        return result

    async def _read(self, segment: Segment, result: PartResult) -> tuple[Sums, Letters]:
        """The stream's sums, with refused messages looked up in the DLQ on the way."""
        wanted: Sums = {}
        letters = Letters()
        least, most = None, 0
        async for chunk in self._facts.stream.chunks(segment):
            add(wanted, chunk.sums())
            messages = chunk.messages
            result.messages += len(messages)
            result.refused += len(chunk.decoded.refused)
            await self._letters.check(chunk.decoded.refused, letters)
            for one in chunk.decoded.refused:
                result.refused_fingerprint += hash_of((one.sequence, one.stored_at_ns))
            stored = messages.stored_at_ns // 1000
            least = int(stored.min()) if least is None else min(least, int(stored.min()))
            most = max(most, int(stored.max()))
            self._advance(len(messages.covered))
        result.stored_us = (least or 0, most)
        result.holes = len(segment.range) - result.messages
        return wanted, letters

    async def _with_ledger(self, part: Part) -> PartResult:
        """The sinks against what was proven when the stream still held the range."""
        entry = part.entry
        assert entry is not None
        bounds = (entry.first_stored_at_us, entry.last_stored_at_us)
        result = PartResult(
            part,
            reference=Sum(rows=entry.rows, fingerprint=int(entry.fingerprint, 16)),
            messages=entry.messages,
            holes=entry.holes,
            refused=entry.refused,
            stored_us=bounds,
        )
        hot, lake = await self._sink_sums(part.segment, result)
        sums = {HOT: hot, LAKE: lake}
        wrong = []
        for name in result.sinks:
            expected = entry.sinks.get(name)
            rows = expected.rows if expected else entry.rows
            fingerprint = expected.fingerprint if expected else entry.fingerprint
            found = result.sinks[name]
            if (found.rows, hexadecimal(found.fingerprint)) != (rows, fingerprint):
                wrong.append(name)
        for name in wrong:
            result.findings += await self._against_other(part.segment, name, wrong, sums)
        await self._ledger_letters(part, result)
        if entry.rows and not entry.sinks and HOT not in result.skipped:
            await self._rollup(part.segment, result)
        self._advance(len(part.segment.range))
        return result

    async def _against_other(
        self, segment: Segment, name: str, wrong: list[str], sums: dict[str, Sums]
    ) -> list[Finding]:
        """Names rows by the other sink where that one still holds what was proven."""
        sides: dict[str, Side] = {HOT: self._facts.hot, LAKE: self._facts.lake}
        (other,) = sides.keys() - {name}
        if other in wrong or other not in sums:
            return [_differs(name, segment, "not what the ledger says; no other side to ask")]

        async def rows_of(part: Segment) -> list[RowHash]:
            return await asyncio.to_thread(sides[other].hashes, part)

        differences, whole = await row_differences(
            rows_of,
            sides[name],
            segment,
            sums[other],
            sums[name],
        )
        return [*whole, *differences.findings(name, segment.epoch)]

    async def _ledger_letters(self, part: Part, result: PartResult) -> None:
        entry = part.entry
        assert entry is not None
        result.dlq, total_hash = await self._held_letters(part.segment)
        found = (result.dlq, hexadecimal(total_hash))
        if found != (entry.refused, entry.refused_fingerprint):
            detail = f"{result.dlq} messages, the ledger says {entry.refused}"
            result.findings.append(_differs(DLQ, part.segment, detail))

    async def _held_letters(self, segment: Segment) -> tuple[int, int]:
        """Number and fingerprint of the epoch's dead letters in the range."""
        since = self._epoch_start_ns(segment.epoch)
        until = self._epoch_end_ns(segment.epoch)
        keys = [
            key
            async for key, _ in self._letters.listed(segment.range)
            if since <= key[1] and (until is None or key[1] < until)
        ]
        return len(keys), sum(map(hash_of, keys))

    async def _sinks_alone(self, result: PartResult) -> None:
        """Nobody can vouch for the part; the sinks are compared with each other."""
        segment = result.part.segment
        hot, lake = await self._sink_sums(segment, result)
        if result.part.kind is Kind.AGED_OUT:
            self._advance(len(segment.range))
        if result.empty:
            return
        # Nobody says what was refused; the DLQ's own word goes on record.
        result.refused, result.refused_fingerprint = await self._held_letters(segment)
        result.dlq = result.refused
        agree = "both sinks hold the same" if hot == lake else "the sinks differ"
        rows = ", ".join(f"{name} {one.rows} rows" for name, one in result.sinks.items())
        last = segment.range.last
        if result.part.kind is Kind.REWRITTEN:
            last = max(one.last for one in result.sinks.values())
        result.findings.append(
            Finding(
                "stream",
                Problem.UNPROVEN,
                segment.epoch,
                (SequenceRange(segment.range.first, last),),
                f"{result.part.note}; {agree}: {rows}",
            )
        )

    async def _sink_sums(self, segment: Segment, result: PartResult) -> tuple[Sums, Sums]:
        """Both sinks' sums at once; what the hot table no longer keeps is skipped."""
        facts = self._facts
        days = facts.settings.hot.retention_days
        lake = asyncio.to_thread(facts.lake.sums, segment)
        past = 0 < result.stored_us[1] < time.time_ns() // 1000 - days * DAY_US
        if days and (past or result.part.aged):
            result.skipped[HOT] = f"older than hot.retention_days ({days})"
            hot_sums: Sums = {}
            lake_sums = await lake
        else:
            hot_sums, lake_sums = await asyncio.gather(
                asyncio.to_thread(facts.hot.sums, segment), lake
            )
            result.sinks[HOT] = total(hot_sums)
        result.sinks[LAKE] = total(lake_sums)
        return hot_sums, lake_sums

    async def _rollup(self, segment: Segment, result: PartResult) -> None:
        rollup = self._facts.contract.rollup
        if rollup is None:
            return
        check = RollupCheck(self._facts.contract, rollup, self._facts.hot)
        found = await asyncio.to_thread(check.compare, segment)
        result.rollup_rows, result.rollup_minutes = found.rows, found.minutes
        result.findings += found.findings

    async def _bounded(self, segment: Segment) -> Segment:
        """The segment with the times of its first and last message, unless all is asked for."""
        facts = self._facts
        if self._full:
            return segment
        first = await message_from(facts.link, facts.lane, segment.range.first)
        last = await message_at(facts.link, facts.lane, segment.range.last)
        if first is None or last is None:
            return segment
        bounds = (first.stored_at_ns // 1000, last.stored_at_ns // 1000)
        return Segment(segment.epoch, segment.version, segment.range, bounds)

    def _epoch_start_ns(self, epoch: str) -> int:
        return next(
            (e.first_stored_at_ns for e in self._facts.registry.record.epochs if e.id == epoch), 0
        )

    def _epoch_end_ns(self, epoch: str) -> int | None:
        epochs = self._facts.registry.record.epochs
        following = [
            after.first_stored_at_ns for one, after in itertools.pairwise(epochs) if one.id == epoch
        ]
        return following[0] if following else None


async def _together(
    one: Coroutine[Any, Any, First], other: Coroutine[Any, Any, Second]
) -> tuple[First, Second]:
    """Both results; when one fails the other has ended too, with its connections closed."""
    tasks = (asyncio.ensure_future(one), asyncio.ensure_future(other))
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _differs(side: str, segment: Segment, detail: str) -> Finding:
    return Finding(side, Problem.DIFFERS, segment.epoch, (segment.range,), detail)
