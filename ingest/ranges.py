"""Contiguous ranges of stream sequences: the unit of work, of deduplication and of proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class SequenceRange:
    """The sequences ``first`` to ``last``, both included; never empty.

    Raises ``ValueError`` when ``last < first`` or ``first < 1`` (JetStream counts from 1).
    """

    first: int
    last: int

    def __post_init__(self) -> None:
        if self.first < 1 or self.last < self.first:
            raise ValueError(f"not a range of sequences: {self.first}-{self.last}")

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, sequence: int) -> bool:
        return self.first <= sequence <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}" if self.last > self.first else str(self.first)

    def then(self, last: int) -> SequenceRange:
        """The range that follows this one and ends at ``last``."""
        return SequenceRange(self.last + 1, last)

    def overlap(self, other: SequenceRange) -> SequenceRange | None:
        """What both ranges hold, or None."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        return SequenceRange(first, last) if first <= last else None

    def pieces(self, size: int) -> Iterator[SequenceRange]:
        """The range cut into consecutive ranges of at most ``size`` sequences."""
        for first in range(self.first, self.last + 1, size):
            yield SequenceRange(first, min(first + size - 1, self.last))


def merge(sequences: Iterable[int]) -> list[SequenceRange]:
    """Runs of consecutive sequences, ascending, from sequences in any order (doubles allowed)."""
    runs: list[SequenceRange] = []
    for sequence in sorted(set(sequences)):
        if runs and runs[-1].last + 1 == sequence:
            runs[-1] = SequenceRange(runs[-1].first, sequence)
        else:
            runs.append(SequenceRange(sequence, sequence))
    return runs


def subtract(whole: SequenceRange, parts: Iterable[SequenceRange]) -> list[SequenceRange]:
    """What is left of ``whole`` when every range of ``parts`` is taken out, ascending."""
    left: list[SequenceRange] = []
    first = whole.first
    for part in sorted(parts):
        if part.last < first:
            continue
        if part.first > whole.last:
            break
        if part.first > first:
            left.append(SequenceRange(first, part.first - 1))
        first = part.last + 1
    if first <= whole.last:
        left.append(SequenceRange(first, whole.last))
    return left


def describe(ranges: Iterable[SequenceRange], most: int = 8) -> str:
    """A short text such as ``12-40, 77 and 3 more ranges``."""
    every = list(ranges)
    text = ", ".join(str(one) for one in every[:most])
    return f"{text} and {len(every) - most} more ranges" if len(every) > most else text
