"""What came out of comparing one part, and what the ledger keeps of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ingest.fingerprint import hexadecimal
from ingest.ledger import FORMAT, LedgerEntry, SinkSum
from ingest.proof.findings import Finding
from ingest.proof.plan import Kind, Part
from ingest.proof.sums import NOTHING, Sum


@dataclass
class PartResult:
    """One part compared.

    ``reference`` is what the stream or the ledger says that the sinks must hold. ``dlq`` counts
    dead letters found, ``rollup_rows`` rows of the minutes that were compared. ``stored_us``
    bounds the messages' timestamps in microseconds since the Unix epoch.
    """

    part: Part
    reference: Sum = NOTHING
    sinks: dict[str, Sum] = field(default_factory=dict)
    messages: int = 0
    holes: int = 0
    refused: int = 0
    refused_fingerprint: int = 0
    dlq: int = 0
    rollup_rows: int | None = None
    rollup_minutes: int = 0
    stored_us: tuple[int, int] = (0, 0)
    skipped: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def proven(self) -> bool:
        """Whether every side holds the same, and somebody vouches for it (or the loss)."""
        return not self.findings

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell: a rewritten history without rows."""
        rows = any(one.rows for one in self.sinks.values())
        return self.part.kind is Kind.REWRITTEN and not rows

    def entry(self, lane: str) -> LedgerEntry:
        """What the ledger keeps; findings (accepted by a person) stay on record as unproven."""
        segment, kind = self.part.segment, self.part.kind
        last = segment.range.last
        if kind is Kind.REWRITTEN:
            last = max(one.last for one in self.sinks.values())
        vouched = kind is Kind.STREAM and self.proven
        return LedgerEntry(
            format=FORMAT,
            lane=lane,
            epoch=segment.epoch,
            version=segment.version,
            first=segment.range.first,
            last=last,
            messages=self.messages,
            holes=self.holes,
            refused=self.refused,
            rows=self.reference.rows,
            fingerprint=hexadecimal(self.reference.fingerprint),
            refused_fingerprint=hexadecimal(self.refused_fingerprint),
            first_stored_at_us=self.stored_us[0],
            last_stored_at_us=self.stored_us[1],
            compared=tuple(sorted(self.sinks)),
            proven_at_us=time.time_ns() // 1000,
            losses=(self.part.note,) if kind is Kind.LOST else (),
            unproven=tuple(str(one) for one in self.findings)[:100],
            sinks={} if vouched or kind is Kind.LOST else self._sink_sums(),
        )

    def _sink_sums(self) -> dict[str, SinkSum]:
        return {
            name: SinkSum(one.rows, hexadecimal(one.fingerprint))
            for name, one in self.sinks.items()
        }
