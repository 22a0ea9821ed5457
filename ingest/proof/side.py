"""One side of the comparison, and the part of a lane's history that is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ingest.contract import Column, Contract
from ingest.proof.sums import Sums
from ingest.ranges import SequenceRange
from ingest.registry import Registry


@dataclass(frozen=True, slots=True)
class Segment:
    """Sequences of one epoch under one contract version.

    ``stored_us`` bounds the timestamps of its messages (microseconds since the Unix epoch), so
    that a side may leave out what lies more than a day away; None asks it to look everywhere.
    """

    epoch: str
    version: int
    range: SequenceRange
    stored_us: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.range} of epoch {self.epoch}"


@dataclass(frozen=True, slots=True)
class RowHash:
    """One stored row: its place and the hash of its canonical bytes."""

    sequence: int
    index: int
    hash: int


@dataclass
class Scanned:
    """What an engine read for a side, as the engine itself reports it."""

    rows: int = 0
    bytes: int = 0


Groups = dict[str, tuple[int, int]]
"""Number of rows and sum of hashes modulo 2^64, by value."""


class Side(Protocol):
    """A sink that adds up its own rows. Methods block and run in worker threads."""

    name: str
    how: str
    """Who read the rows, for the report."""
    scanned: Scanned
    """Read so far."""

    def sums(self, segment: Segment) -> Sums:
        """Sums by bucket. Raises SinkUnavailableError, SchemaMismatchError."""

    def hashes(self, segment: Segment) -> list[RowHash]:
        """Every row of the segment, ordered by sequence and index."""

    def texts(self, segment: Segment, sequence: int, index: int) -> list[dict[str, str | None]]:
        """The rows of that place, each as canonical text by column."""

    def groups(self, column: str, hash_of: tuple[str, ...], covered: SequenceRange) -> Groups:
        """Rows and sum of hashes over the columns ``hash_of``, by value of ``column``."""

    def strays(self, known: tuple[str, ...]) -> dict[str, int]:
        """Rows of the lane under an epoch that is not known, by epoch."""

    def close(self) -> None:
        """Ends connections."""


class Columns:
    """The contract of each version, and the columns that came after it."""

    def __init__(self, registry: Registry) -> None:
        self._contracts = {
            version.number: Contract.from_json(version.contract)
            for version in registry.record.versions
        }
        self.newest = self._contracts[max(self._contracts)]

    def of(self, version: int) -> Contract:
        """The contract of that version."""
        return self._contracts[version]

    def later(self, version: int) -> list[Column]:
        """Columns that the newest version has and this one has not, in the newest order."""
        known = {column.name for column in self._contracts[version].columns}
        return [column for column in self.newest.columns if column.name not in known]
