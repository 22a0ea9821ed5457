"""Which files one compaction statement merges: units small enough to stop between. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pipelines.lake_debt import Debt, PartitionDebt
from pipelines.lake_files import LakeFile
from pipelines.lake_periods import Period
from pipelines.settings import MaintenanceSettings


@dataclass(frozen=True)
class Unit:
    """Files of one partition that one statement merges, neighbours in the stream's order.

    Merging neighbours keeps each file's range of sequences narrow, so that a scan for a range of
    them still passes over the other files.
    """

    label: str
    period: Period | None
    files: tuple[LakeFile, ...]

    @property
    def bytes(self) -> int:
        """Bytes to read."""
        return sum(file.bytes for file in self.files)

    @property
    def rows(self) -> int:
        """Rows to rewrite."""
        return sum(file.rows for file in self.files)

    @property
    def paths(self) -> tuple[str, ...]:
        """Locations of the files."""
        return tuple(file.path for file in self.files)

    def halves(self) -> tuple[Unit, ...]:
        """Two smaller units, none when each would have a single file."""
        middle = len(self.files) // 2
        if middle < 2:
            return ()
        parts = (self.files[:middle], self.files[middle:])
        return tuple(Unit(self.label, self.period, part) for part in parts)

    def __str__(self) -> str:
        return f"{len(self.files)} files ({self.bytes / 1e6:,.1f} MB) of {self.label}"


def plan(
    debt: Debt, settings: MaintenanceSettings, partitions: Collection[str] = ()
) -> tuple[Unit, ...]:
    """Units that lessen the debt, coldest partition first.

    ``partitions`` (labels) chooses some; none named means all that owe something.
    """
    chosen = [one for one in debt.due if not partitions or one.partition.label in partitions]
    return tuple(unit for one in chosen for unit in _units(one, settings))


def _units(owed: PartitionDebt, settings: MaintenanceSettings) -> Iterator[Unit]:
    ordered = sorted(owed.small, key=lambda file: (file.first_seq, file.path))
    batch: list[LakeFile] = []
    size = 0
    for file in ordered:
        if batch and (
            size + file.bytes > settings.unit_max_bytes or len(batch) >= settings.unit_max_files
        ):
            yield from _unit(owed, batch)
            batch, size = [], 0
        batch.append(file)
        size += file.bytes
    yield from _unit(owed, batch)


def _unit(owed: PartitionDebt, batch: list[LakeFile]) -> Iterator[Unit]:
    if len(batch) > 1:
        yield Unit(owed.partition.label, owed.partition.period, tuple(batch))
