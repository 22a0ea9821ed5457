"""The outcome of a run as claims, findings and one verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import msgspec

from ingest.fingerprint import MASK, hexadecimal
from ingest.proof.dead_letters import NAME as DLQ
from ingest.proof.facts import HOT
from ingest.proof.findings import Finding
from ingest.proof.iceberg_side import NAME as LAKE
from ingest.proof.manifest import ManifestResult
from ingest.proof.plan import Kind
from ingest.proof.results import PartResult
from ingest.proof.rollup import NAME as ROLLUP
from ingest.proof.side import Scanned
from ingest.proof.sums import NOTHING, Sum

STREAM = "stream"
COLUMNS = (STREAM, HOT, ROLLUP, LAKE, DLQ)
"""Sides in the order of the report's columns."""


@dataclass(frozen=True)
class Claim:
    """One quantity as each side computed it; a side that has no say is left out."""

    name: str
    values: dict[str, str]
    holds: bool


@dataclass
class Report:
    """What was compared and what came of it."""

    lane: str
    full: bool
    results: list[PartResult]
    strays: list[Finding]
    readers: dict[str, str]
    scanned: dict[str, Scanned] = field(default_factory=dict)
    seconds: float = 0.0
    manifest: ManifestResult | None = None
    manifest_findings: list[Finding] = field(default_factory=list)
    appended: int = 0
    accepted: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """Everything that does not hold, oldest range first."""
        found = [one for result in self.results for one in result.findings]
        return found + self.strays + self.manifest_findings

    @property
    def proven(self) -> bool:
        """Whether everything that was compared is equal on all sides."""
        return not self.findings

    @property
    def reference(self) -> Sum:
        """What stream and ledger say that the sinks hold."""
        whole = NOTHING
        for one in self.results:
            if one.part.vouched:
                whole = whole.plus(one.reference)
        return whole

    def claims(self) -> list[Claim]:
        """The claims in the order of the report.

        ``with rows`` counts messages, ``distinct rows`` pairs (_seq, _idx), ``first`` and ``last``
        sequences with rows; ``by minute`` are all rows of the minutes that the range touches.
        """
        vouched = [one for one in self.results if one.part.vouched]
        held = [one for one in vouched if one.part.kind is Kind.STREAM]
        messages = sum(one.messages for one in vouched)
        holes = sum(one.holes for one in vouched)
        refused = sum(one.refused for one in vouched)
        dlq = sum(one.dlq for one in vouched)
        claims = [
            Claim("messages", {STREAM: _number(messages)}, holds=True),
            Claim("holes", {STREAM: _number(holes)}, holds=True),
            Claim(
                "refused",
                {STREAM: _number(refused), DLQ: _number(dlq)},
                holds=refused == dlq and not self._any(DLQ),
            ),
        ]
        for name, attribute, needs in (
            ("with rows", "messages", held),
            ("rows", "rows", vouched),
            ("distinct rows", "pairs", held),
            ("first", "first", held),
            ("last", "last", held),
            ("fingerprint", "fingerprint", vouched),
        ):
            claims.append(_sink_claim(name, attribute, needs))
        return [*claims, *self._rollup_claim()]

    def verdict(self) -> str:
        """One line: PROVEN or NOT PROVEN, of what, with the fingerprint."""
        ranges = ", ".join(self._ranges()) or "nothing new"
        whole = self.reference
        facts = f"{whole.rows:,} rows, fingerprint {hexadecimal(whole.fingerprint)}"
        if self.proven:
            return f"PROVEN {self.lane} {ranges}: {facts}"
        return f"NOT PROVEN {self.lane} {ranges}: {len(self.findings)} findings; {facts}"

    def as_dict(self) -> dict[str, object]:
        """For JSON; the fingerprint is 16 hexadecimal digits."""
        return {
            "lane": self.lane,
            "proven": self.proven,
            "verdict": self.verdict(),
            "full": self.full,
            "rows": self.reference.rows,
            "fingerprint": hexadecimal(self.reference.fingerprint),
            "parts": [_part(one) for one in self.results],
            "claims": [asdict(one) for one in self.claims()],
            "findings": [one.as_dict() | {"text": str(one)} for one in self.findings],
            "manifest": msgspec.to_builtins(self.manifest) if self.manifest else None,
            "readers": self.readers,
            "scanned": {name: asdict(one) for name, one in self.scanned.items()},
            "ledger_entries_added": self.appended,
            "accepted": self.accepted,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }

    def _ranges(self) -> list[str]:
        """The compared ranges, adjacent ones of an epoch together."""
        spans: list[list[int | str]] = []
        for one in self.results:
            segment = one.part.segment
            first, last = segment.range.first, segment.range.last
            if one.part.kind is Kind.REWRITTEN:
                continue
            if spans and spans[-1][0] == segment.epoch and spans[-1][2] == first - 1:
                spans[-1][2] = last
            else:
                spans.append([segment.epoch, first, last])
        return [f"{first}-{last} of epoch {epoch}" for epoch, first, last in spans]

    def _rollup_claim(self) -> list[Claim]:
        compared = [one for one in self.results if one.rollup_rows is not None]
        if not compared:
            return []
        rows = sum(one.rollup_rows or 0 for one in compared)
        minutes = sum(one.rollup_minutes for one in compared)
        holds = not self._any(ROLLUP)
        return [
            Claim(
                "by minute",
                {HOT: _number(rows), ROLLUP: f"{minutes:,} min"},
                holds=holds,
            )
        ]

    def _any(self, side: str) -> bool:
        return any(one.side == side for one in self.findings)


def _sink_claim(name: str, attribute: str, results: list[PartResult]) -> Claim:
    values: dict[str, str] = {}
    numbers: set[int] = set()
    for side in (STREAM, HOT, LAKE):
        whole = NOTHING
        # What a sink no longer keeps by its own retention is no claim of that sink.
        for one in results:
            if side == STREAM or side in one.skipped:
                whole = whole.plus(one.reference)
            else:
                whole = whole.plus(one.sinks.get(side, NOTHING))
        number = int(getattr(whole, attribute)) & MASK
        numbers.add(number)
        values[side] = hexadecimal(number) if attribute == "fingerprint" else _number(number)
    return Claim(name, values, holds=len(numbers) == 1)


def _number(value: int) -> str:
    return f"{value:,}"


def _part(one: PartResult) -> dict[str, object]:
    segment = one.part.segment
    return {
        "kind": str(one.part.kind),
        "epoch": segment.epoch,
        "contract_version": segment.version,
        "first": segment.range.first,
        "last": segment.range.last,
        "messages": one.messages,
        "holes": one.holes,
        "refused": one.refused,
        "rows": one.reference.rows,
        "fingerprint": hexadecimal(one.reference.fingerprint),
        "sinks": {
            name: {"rows": found.rows, "fingerprint": hexadecimal(found.fingerprint)}
            for name, found in one.sinks.items()
        },
        "skipped": one.skipped,
        "note": one.part.note,
        "proven": one.proven and not (one.part.entry is not None and one.part.entry.sinks),
    }
