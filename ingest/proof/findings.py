"""What a comparison found: which sequences differ, on which side, and how."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ingest.proof.side import RowHash
from ingest.ranges import SequenceRange, describe, merge

Place = tuple[int, int]
"""Sequence and index of a row."""


class Problem(StrEnum):
    """How a side differs from the one that says what it must hold."""

    MISSING = "missing"
    DOUBLED = "doubled"
    CHANGED = "changed"
    EXTRA = "extra"
    DIFFERS = "differs"
    """Known for the range only: the ledger keeps no rows."""
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Finding:
    """One problem on one side; ``ranges`` are the sequences, ``detail`` says more in words."""

    side: str
    problem: Problem
    epoch: str
    ranges: tuple[SequenceRange, ...]
    detail: str = ""

    def __str__(self) -> str:
        if not self.ranges:
            return f"{self.side}: {self.detail}"
        count = sum(map(len, self.ranges))
        noun = "sequence" if count == 1 else f"{count} sequences:"
        told = f" ({self.detail})" if self.detail else ""
        return f"{self.side}: {self.problem} {noun} {describe(self.ranges)}{told}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "side": self.side,
            "problem": str(self.problem),
            "epoch": self.epoch,
            "sequences": [[one.first, one.last] for one in self.ranges],
            "detail": self.detail,
        }


@dataclass
class RowDifferences:
    """Places by problem, of one side against what it must hold."""

    missing: list[Place] = field(default_factory=list)
    extra: list[Place] = field(default_factory=list)
    doubled: list[Place] = field(default_factory=list)
    changed: list[Place] = field(default_factory=list)

    def add(self, other: RowDifferences) -> None:
        """Adds another bucket's."""
        self.missing += other.missing
        self.extra += other.extra
        self.doubled += other.doubled
        self.changed += other.changed

    def findings(self, side: str, epoch: str) -> list[Finding]:
        """A finding for each problem, without details."""
        listed = {
            Problem.MISSING: self.missing,
            Problem.DOUBLED: self.doubled,
            Problem.CHANGED: self.changed,
            Problem.EXTRA: self.extra,
        }
        return [
            Finding(side, problem, epoch, tuple(merge(sequence for sequence, _ in places)))
            for problem, places in listed.items()
            if places
        ]


def compare_rows(wanted: Sequence[RowHash], found: Sequence[RowHash]) -> RowDifferences:
    """How ``found`` differs from ``wanted``, row by row."""
    want, have = _by_place(wanted), _by_place(found)
    result = RowDifferences()
    for place in sorted(want.keys() | have.keys()):
        one, other = want.get(place, []), have.get(place, [])
        if sorted(one) == sorted(other):
            continue
        if not other:
            result.missing.append(place)
        elif not one:
            result.extra.append(place)
        else:
            if len(other) > len(one):
                result.doubled.append(place)
            if set(one) != set(other):
                result.changed.append(place)
    return result


def _by_place(rows: Sequence[RowHash]) -> dict[Place, list[int]]:
    places: dict[Place, list[int]] = defaultdict(list)
    for row in rows:
        places[row.sequence, row.index].append(row.hash)
    return places
