"""Proves that stream, ClickHouse, rollup, Iceberg and DLQ hold the same, and remembers it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from ingest.errors import IngestError
from ingest.ledger import Ledger, LedgerConflictError
from ingest.proof.compare import Comparison
from ingest.proof.facts import Facts, OpenLake, gathered
from ingest.proof.findings import Finding
from ingest.proof.iceberg_side import iceberg_side
from ingest.proof.manifest import Compared
from ingest.proof.manifest import check as check_manifest
from ingest.proof.plan import Kind, Known, Part, make_plan
from ingest.proof.report import Report
from ingest.proof.results import PartResult
from ingest.settings import Settings

log = structlog.get_logger(__name__)


class HistoryChangedError(IngestError):
    """A new history was registered while the old one was being compared."""


@dataclass(frozen=True)
class VerifyOptions:
    """What to compare and what to put on record.

    ``full`` compares everything again; ``upto`` ends the range at that sequence; ``since`` begins
    it there, proven before or not, and records nothing; ``ledger`` records what was proven;
    ``accept`` records what does not hold too, so that later runs go on after it.
    """

    full: bool = False
    upto: int | None = None
    since: int | None = None
    ledger: bool = True
    accept: bool = False
    manifests: tuple[Path, ...] = ()


class Progress(Protocol):
    """Shown while a run goes on."""

    def start(self, sequences: int) -> None:
        """How many sequences will be compared."""

    def advance(self, sequences: int) -> None:
        """So many more are done."""


async def verify(
    settings: Settings,
    options: VerifyOptions,
    progress: Progress,
    *,
    open_lake: OpenLake = iceberg_side,
) -> Report:
    """Compares the closed range on all sides; ``open_lake`` chooses who reads the lake.

    Raises StreamUnavailableError, SinkUnavailableError, DataLostError (retention was faster),
    NothingClosedError, HistoryChangedError, and what a wrong setup raises.
    """
    started = time.monotonic()
    async with gathered(
        settings,
        full=options.full,
        every_entry=options.since is not None,
        open_lake=open_lake,
    ) as facts:
        known = facts.known(options.upto)
        plan = make_plan(known, full=options.full, since=options.since)
        progress.start(sum(len(one.segment.range) for one in plan if _counts(one)))
        comparison = Comparison(facts, full=options.full, advance=progress.advance)
        results = [await comparison.compare(part) for part in plan]
        results = [one for one in results if not one.empty]
        await _require_same_history(facts)
        strays = await comparison.strays() if options.full else []
        report = Report(
            lane=facts.lane,
            full=options.full,
            results=results,
            strays=strays,
            readers={facts.hot.name: facts.hot.how, facts.lake.name: facts.lake.how},
            scanned={facts.hot.name: facts.hot.scanned, facts.lake.name: facts.lake.scanned},
            notes=_notes(results),
        )
        if options.manifests:
            report.manifest, report.manifest_findings = await check_manifest(
                [Compared(facts, known.upto.sequence)], options.manifests
            )
        if options.ledger and options.since is None:
            await _record(facts.ledger, facts.lane, known, report, accept=options.accept)
        report.seconds = time.monotonic() - started
    return report


async def _record(ledger: Ledger, lane: str, known: Known, report: Report, *, accept: bool) -> None:
    """Appends what follows the ledger, up to the first part that does not hold.

    With ``accept`` such parts go on record as unproven too.
    """
    newest = await ledger.last()
    if (newest.entry if newest else None) != (known.entries[-1] if known.entries else None):
        report.notes.append("another run wrote to the ledger meanwhile; nothing was added")
        return
    for one in _new(report.results, known):
        if one.findings and not accept:
            return
        try:
            newest = await ledger.append(one.entry(lane), newest)
        except LedgerConflictError:
            report.notes.append("another run wrote to the ledger meanwhile")
            return
        report.appended += 1
        report.accepted |= bool(one.findings)


def _new(results: Sequence[PartResult], known: Known) -> list[PartResult]:
    """Results of what the ledger does not cover yet."""
    if not known.entries:
        return list(results)
    order = [epoch.id for epoch in known.registry.record.epochs]
    newest = known.entries[-1]
    number = order.index(newest.epoch) if newest.epoch in order else 0

    def is_new(one: PartResult) -> bool:
        here = order.index(one.part.segment.epoch) if one.part.segment.epoch in order else 0
        first = one.part.segment.range.first
        return here > number or (here == number and first > newest.last)

    return [one for one in results if one.part.entry is None and is_new(one)]


async def _require_same_history(facts: Facts) -> None:
    registry = await facts.store.peek()
    if registry is None or registry.record.epochs != facts.registry.record.epochs:
        raise HistoryChangedError(
            f"the history of {facts.lane} was rewritten while it was being compared; run again"
        )


def _notes(results: Sequence[PartResult]) -> list[str]:
    notes: list[str] = []
    for one in results:
        segment = one.part.segment
        if one.part.kind is Kind.LOST:
            notes.append(f"lost: {one.part.note}")
        elif one.part.entry is not None and one.part.entry.sinks:
            notes.append(f"{segment}: on record as unproven ({one.part.note})")
        for side, why in one.skipped.items():
            notes.append(f"{segment}: {side} not compared, {why}")
    return notes


def _counts(part: Part) -> bool:
    return part.kind in (Kind.STREAM, Kind.LEDGER, Kind.AGED_OUT)


__all__ = ["Finding", "Progress", "Report", "VerifyOptions", "verify"]
