"""Which files a lake table has, from its manifests: no data is read and Trino is not asked.

Manifests never change, so a process reads each of them once; a look at a table of 10,000 files
costs the manifests that are new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from pyiceberg.conversions import from_bytes
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFileContent, ManifestEntry, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.types import LongType

from ingest.catalog import unavailable
from ingest.sinks.iceberg import FAILURES
from pipelines.lake_periods import Period, period, step_of

SEQUENCE = "_seq"
READERS = 8
_KEPT_MANIFESTS = 20_000


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One live data or delete file.

    ``period`` is None when the table is not partitioned by time alone; ``first_seq`` is 0 when the
    file's bounds do not tell it; ``snapshot_id`` is the snapshot that added the file.
    """

    path: str
    bytes: int
    rows: int
    period: Period | None
    first_seq: int
    snapshot_id: int
    deletes: bool


@dataclass(frozen=True)
class LakeFiles:
    """The files of a table at one snapshot (None: the table is empty), and its metadata."""

    snapshot_id: int | None
    files: tuple[LakeFile, ...]
    manifests: int
    manifest_bytes: int
    snapshots: int
    oldest_snapshot: datetime | None
    appended: dict[int, datetime]

    @property
    def bytes(self) -> int:
        """Bytes of all live files."""
        return sum(file.bytes for file in self.files)

    @property
    def rows(self) -> int:
        """Rows of all data files."""
        return sum(file.rows for file in self.files if not file.deletes)

    def partitions(self) -> list[PartitionFiles]:
        """Files by partition, the oldest partition first."""
        found: dict[Period | None, list[LakeFile]] = {}
        for file in self.files:
            found.setdefault(file.period, []).append(file)
        ordered = sorted(found.items(), key=lambda one: one[0].label if one[0] else "")
        return [PartitionFiles(key, tuple(files), self._written(files)) for key, files in ordered]

    def _written(self, files: Iterable[LakeFile]) -> datetime | None:
        times = [
            self.appended[one.snapshot_id] for one in files if one.snapshot_id in self.appended
        ]
        return max(times, default=None)


@dataclass(frozen=True)
class PartitionFiles:
    """Files of one partition.

    ``last_write`` is the newest append that is still there as files and not expired as a snapshot;
    compactions do not count.
    """

    period: Period | None
    files: tuple[LakeFile, ...]
    last_write: datetime | None

    @property
    def label(self) -> str:
        """The partition's name, ``all`` for a table that is not partitioned by time."""
        return self.period.label if self.period else "all"

    @property
    def data(self) -> tuple[LakeFile, ...]:
        """Data files alone."""
        return tuple(file for file in self.files if not file.deletes)

    @property
    def bytes(self) -> int:
        """Bytes of the data files."""
        return sum(file.bytes for file in self.data)

    @property
    def rows(self) -> int:
        """Rows of the data files."""
        return sum(file.rows for file in self.data)

    @property
    def delete_files(self) -> int:
        """Files that say which rows of others are gone."""
        return len(self.files) - len(self.data)


def lake_files(table: Table) -> LakeFiles:
    """Files and metadata of the table's current snapshot. Raises SinkUnavailableError."""
    snapshot = table.current_snapshot()
    try:
        manifests = snapshot.manifests(table.io) if snapshot else []
        listed = _read(table, manifests)
    except FAILURES as error:
        raise unavailable(error) from error
    known = table.metadata.snapshots
    times = {one.snapshot_id: _moment(one.timestamp_ms) for one in known}
    appended = {
        one.snapshot_id: times[one.snapshot_id]
        for one in known
        if one.summary is not None and one.summary.operation is not Operation.REPLACE
    }
    return LakeFiles(
        snapshot_id=snapshot.snapshot_id if snapshot else None,
        files=tuple(listed),
        manifests=len(manifests),
        manifest_bytes=sum(one.manifest_length for one in manifests),
        snapshots=len(known),
        oldest_snapshot=min(times.values(), default=None),
        appended=appended,
    )


def file_count(table: Table) -> int | None:
    """Live data files as the current snapshot's summary tells them, without reading anything.

    None when it does not tell; 0 for an empty table.
    """
    snapshot = table.current_snapshot()
    if snapshot is None:
        return 0
    told = snapshot.summary.get("total-data-files") if snapshot.summary else None
    return int(told) if told is not None else None


class _Kept:
    """Files of manifests that were read before; the longest unused go first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: OrderedDict[str, tuple[LakeFile, ...]] = OrderedDict()

    def get(self, path: str) -> tuple[LakeFile, ...] | None:
        with self._lock:
            if path in self._found:
                self._found.move_to_end(path)
            return self._found.get(path)

    def put(self, path: str, files: tuple[LakeFile, ...]) -> None:
        with self._lock:
            self._found[path] = files
            while len(self._found) > _KEPT_MANIFESTS:
                self._found.popitem(last=False)


_kept = _Kept()


def _read(table: Table, manifests: Sequence[ManifestFile]) -> list[LakeFile]:
    with ThreadPoolExecutor(READERS, thread_name_prefix="manifests") as pool:
        read = pool.map(lambda manifest: _files_of(table, table.io, manifest), manifests)
        return [file for files in read for file in files]


def _files_of(table: Table, io: FileIO, manifest: ManifestFile) -> tuple[LakeFile, ...]:
    # A table that is dropped and made again has other manifests: their names hold random ids.
    found = _kept.get(manifest.manifest_path)
    if found is None:
        entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
        found = tuple(_file(table, manifest.partition_spec_id, entry) for entry in entries)
        _kept.put(manifest.manifest_path, found)
    return found


def _file(table: Table, spec_id: int, entry: ManifestEntry) -> LakeFile:
    file = entry.data_file
    step = step_of(table.specs()[spec_id])
    value = file.partition[0] if step is not None else None
    lower = (file.lower_bounds or {}).get(table.schema().find_field(SEQUENCE).field_id)
    return LakeFile(
        path=file.file_path,
        bytes=file.file_size_in_bytes,
        rows=file.record_count,
        period=period(step, value) if step is not None and value is not None else None,
        first_seq=int(from_bytes(LongType(), lower)) if lower is not None else 0,
        snapshot_id=entry.snapshot_id or 0,
        deletes=file.content is not DataFileContent.DATA,
    )


def _moment(timestamp_ms: int) -> datetime:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)
