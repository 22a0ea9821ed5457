"""Small-file debt: how many files of a table would be gone if its small ones were merged. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.lake_files import LakeFile, LakeFiles, PartitionFiles
from pipelines.settings import MaintenanceSettings

OPEN_FOR = timedelta(minutes=15)
"""A partition counts as open, still written, for this long after its last append."""

_FULL = 0.75
_FULL_WHILE_OPEN = 0.125


@dataclass(frozen=True)
class PartitionDebt:
    """What merging the small files of one partition would change; ``files`` 0 when nothing is due.

    Files that only some merging would make are not small: in an open partition already an eighth
    of the target size is enough, so that what comes in is not rewritten again with every file.
    """

    partition: PartitionFiles
    small: tuple[LakeFile, ...]
    files: int
    is_open: bool

    @property
    def bytes(self) -> int:
        """Bytes that a merge would rewrite."""
        return sum(file.bytes for file in self.small) if self.files else 0


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
        return tuple(one for one in self.partitions if one.files)

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


def removable(small: Sequence[LakeFile], target_bytes: int) -> int:
    """Files that would be gone after merging ``small`` into files of ``target_bytes``."""
    left = -(-sum(file.bytes for file in small) // target_bytes)
    return max(len(small) - max(left, 1), 0) if small else 0


def _partition_debt(
    partition: PartitionFiles, settings: MaintenanceSettings, now: datetime
) -> PartitionDebt:
    is_open = _is_open(partition, now)
    full = settings.target_file_bytes * (_FULL_WHILE_OPEN if is_open else _FULL)
    small = tuple(file for file in partition.data if file.bytes < full)
    due = len(small) >= settings.min_files and not (is_open and settings.open_partition == "skip")
    files = removable(small, settings.target_file_bytes) if due else 0
    return PartitionDebt(partition, small, files, is_open)


def _is_open(partition: PartitionFiles, now: datetime) -> bool:
    return partition.last_write is not None and partition.last_write > now - OPEN_FOR


def _coldness(one: PartitionDebt) -> tuple[bool, float, str]:
    written = one.partition.last_write
    return one.is_open, written.timestamp() if written else 0.0, one.partition.label
