"""What a finding means to a person: since when, and in which part or file it lies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.proof.facts import HOT, Facts, gathered
from ingest.proof.findings import Finding, Problem
from ingest.proof.iceberg_side import NAME as LAKE
from ingest.proof.side import Segment
from ingest.proof.whereabouts import in_clickhouse
from ingest.ranges import describe
from ingest.settings import Settings
from ingest.stream_info import message_from
from pipelines.cancel import Cancel
from pipelines.trino_client import Trino
from pipelines.trino_side import TrinoSide, TrinoSides

MOST = 40
"""Findings that are looked into; further ones are told as they are."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Explained:
    """A finding, when its first sequence was stored, and the parts or files in which that lies.

    ``since`` is None when the stream no longer holds the sequence; ``places`` are empty for rows
    that are missing.
    """

    finding: Finding
    since: datetime | None = None
    places: tuple[str, ...] = ()

    @property
    def sequences(self) -> int:
        """Number of sequences."""
        return sum(map(len, self.finding.ranges))

    def row(self) -> tuple[object, ...]:
        """Cells under HEADERS."""
        finding = self.finding
        since = f"{self.since:%Y-%m-%d %H:%M:%S}" if self.since else ""
        return (
            finding.side,
            str(finding.problem),
            self.sequences,
            describe(finding.ranges),
            since,
            finding.detail,
            ", ".join(self.places),
        )

    def sentence(self) -> str:
        """Which sequences of which side, since when, and where."""
        since = f", stored {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        places = f", in {', '.join(self.places)}" if self.places else ""
        return f"{self.finding}{since}{places}"


HEADERS = ("side", "problem", "count", "sequences", "since (UTC)", "what", "where")


def explained(settings: Settings, trino: Trino, findings: Sequence[Finding]) -> list[Explained]:
    """Every finding, in order. Raises as ``verify``."""
    if not findings:
        return []
    return asyncio.run(_explained(settings, trino, findings))


async def _explained(
    settings: Settings, trino: Trino, findings: Sequence[Finding]
) -> list[Explained]:
    sides = TrinoSides(trino, Cancel())
    async with gathered(settings, full=False, open_lake=sides) as facts:
        looked = [await _look(facts, sides.opened, one) for one in findings[:MOST]]
    return [*looked, *map(Explained, findings[MOST:])]


async def _look(facts: Facts, lake: TrinoSide | None, finding: Finding) -> Explained:
    if not finding.ranges:
        return Explained(finding)
    first = finding.ranges[0]
    message = await message_from(facts.link, facts.lane, first.first)
    since = None
    if message is not None and message.sequence in first:
        since = _EPOCH + timedelta(microseconds=message.stored_at_ns // 1000)
    places: tuple[str, ...] = ()
    if finding.problem in (Problem.DOUBLED, Problem.CHANGED, Problem.EXTRA):
        places = await asyncio.to_thread(_places, facts, lake, finding)
    return Explained(finding, since, places)


def _places(facts: Facts, lake: TrinoSide | None, finding: Finding) -> tuple[str, ...]:
    """Parts or files of the first sequence."""
    first = finding.ranges[0].first
    if finding.side == HOT:
        stored = in_clickhouse(facts.hot, facts.lane, first)
        return tuple(sorted({f"part {one.place}" for one in stored}))
    if finding.side == LAKE and lake is not None:
        segment = Segment(finding.epoch, 1, finding.ranges[0])
        return tuple(sorted(set(lake.files(segment, [first]).get(first, ()))))
    return ()
