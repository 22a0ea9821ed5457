"""Small-file debt: how many files of a table would be gone if its small ones were merged. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.lake_files import LakeFile, LakeFiles, PartitionFiles
from pipelines.lake_periods import Period
from pipelines.settings import MaintenanceSettings

OPEN_FOR = timedelta(minutes=15)
"""A partition counts as open, still written, for this long after its last append."""

_FULL = 0.75
_FULL_WHILE_OPEN = 0.125


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
        """Bytes to rewrite."""
        return sum(file.bytes for file in self.files)

    @property
    def rows(self) -> int:
        """Rows to rewrite."""
        return sum(file.rows for file in self.files)

    @property
    def paths(self) -> tuple[str, ...]:
        """Locations of the files."""
        return tuple(file.path for file in self.files)

    def removes(self, target_bytes: int) -> int:
        """Files fewer after merging into files of ``target_bytes``."""
        return max(len(self.files) - max(-(-self.bytes // target_bytes), 1), 0)

    def halves(self) -> tuple[Unit, ...]:
        """Two smaller units, none when each would have a single file."""
        middle = len(self.files) // 2
        if middle < 2:
            return ()
        parts = (self.files[:middle], self.files[middle:])
        return tuple(Unit(self.label, self.period, part) for part in parts)

    def __str__(self) -> str:
        return f"{len(self.files)} files ({self.bytes / 1e6:,.1f} MB) of {self.label}"


@dataclass(frozen=True)
class PartitionDebt:
    """One partition and the units that would lessen its files; none when nothing is due."""

    partition: PartitionFiles
    units: tuple[Unit, ...]
    files: int
    is_open: bool

    @property
    def bytes(self) -> int:
        """Bytes that merging would rewrite."""
        return sum(unit.bytes for unit in self.units)


@dataclass(frozen=True)
class Debt:
    """The debt of a table, coldest partition first, open partitions last."""

    partitions: tuple[PartitionDebt, ...]

    @property
    def files(self) -> int:
        """Files that merging would remove."""
        return sum(one.files for one in self.partitions)

    @property
    def bytes(self) -> int:
        """Bytes that merging would rewrite."""
        return sum(one.bytes for one in self.partitions)

    @property
    def due(self) -> tuple[PartitionDebt, ...]:
        """Partitions in which something is to be merged."""
        return tuple(one for one in self.partitions if one.units)

    def units(self, partitions: Collection[str] = ()) -> tuple[Unit, ...]:
        """Units in their order, of the partitions named by label (none named: of all)."""
        return tuple(
            unit
            for one in self.partitions
            if not partitions or one.partition.label in partitions
            for unit in one.units
        )

    def __str__(self) -> str:
        return (
            f"{self.files} files too many in {len(self.due)} of {len(self.partitions)} partitions"
            f" ({self.bytes / 1e6:,.1f} MB to rewrite)"
        )


def debt(files: LakeFiles, settings: MaintenanceSettings, now: datetime) -> Debt:
    """The debt at ``now`` (UTC) under the settings.

    An open partition owes nothing when the settings say to skip it.
    """
    found = [_partition_debt(one, settings, now) for one in files.partitions()]
    return Debt(tuple(sorted(found, key=_coldness)))


def _partition_debt(
    partition: PartitionFiles, settings: MaintenanceSettings, now: datetime
) -> PartitionDebt:
    """In an open partition an eighth of the target size is enough for a file to be left alone.

    Else everything that was merged there would be rewritten again with each look.
    """
    written = partition.last_write
    is_open = written is not None and written > now - OPEN_FOR
    full = settings.target_file_bytes * (_FULL_WHILE_OPEN if is_open else _FULL)
    small = [file for file in partition.data if file.bytes < full]
    skipped = is_open and settings.open_partition == "skip"
    if len(small) < settings.min_files or skipped:
        return PartitionDebt(partition, (), 0, is_open)
    target = settings.target_file_bytes
    made = (Unit(partition.label, partition.period, one) for one in _batches(small, settings))
    units = tuple(unit for unit in made if unit.removes(target))
    return PartitionDebt(partition, units, sum(one.removes(target) for one in units), is_open)


def _batches(
    small: Sequence[LakeFile], settings: MaintenanceSettings
) -> Iterator[tuple[LakeFile, ...]]:
    batch: list[LakeFile] = []
    size = 0
    for file in sorted(small, key=lambda one: (one.first_seq, one.path)):
        too_large = size + file.bytes > settings.unit_max_bytes
        if batch and (too_large or len(batch) >= settings.unit_max_files):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(file)
        size += file.bytes
    yield tuple(batch)


def _coldness(one: PartitionDebt) -> tuple[bool, float, str]:
    written = one.partition.last_write
    return one.is_open, written.timestamp() if written else 0.0, one.partition.label
