"""Where the rows of one sequence lie: ClickHouse parts, Iceberg files and their snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyiceberg.exceptions import RESTError
from pyiceberg.table import Table
from requests import RequestException

from ingest.catalog import unavailable
from ingest.proof.side import Side
from ingest.proof.sql_side import SqlSide

FAILURES = (RESTError, RequestException, OSError)


@dataclass(frozen=True)
class Stored:
    """One row in a sink; ``place`` is a part or a data file, ``snapshot`` the one that added it."""

    epoch: str
    index: int
    place: str
    snapshot: int | None = None


def in_clickhouse(side: SqlSide, lane: str, sequence: int) -> list[Stored]:
    """Rows of the sequence in the hot table, of whatever epoch. Raises SinkUnavailableError."""
    rows = side.query(
        "SELECT _epoch, _idx, _part FROM {source} WHERE _lane = {lane:String}"
        " AND _seq = {sequence:UInt64} ORDER BY _epoch, _idx",
        {"lane": lane, "sequence": sequence},
    )
    return [Stored(str(epoch), int(index), str(part)) for epoch, index, part in rows]


def in_iceberg(side: Side, table: Table, lane: str, sequence: int) -> list[Stored]:
    """Rows of the sequence in the table's current data files. Raises SinkUnavailableError."""
    if table.current_snapshot() is None:
        return []
    if isinstance(side, SqlSide):
        rows = side.query(
            "SELECT _epoch, _idx, _path FROM {source} WHERE _lane = {lane:String}"
            " AND _seq = {sequence:UInt64} ORDER BY _epoch, _idx",
            {"lane": lane, "sequence": sequence},
        )
    else:
        rows = _rows_by_arrow(table, lane, sequence)
    added = _snapshots(table, {str(file) for _, _, file in rows}) if rows else {}
    return [
        Stored(str(epoch), int(index), str(file), added.get(_key(str(file))))
        for epoch, index, file in rows
    ]


def _rows_by_arrow(table: Table, lane: str, sequence: int) -> list[tuple[Any, ...]]:
    """As ClickHouse would tell; the file is named when only one can hold the sequence."""
    where = f"_lane = '{lane}' and _seq = {sequence}"
    try:
        scan = table.scan(row_filter=where, selected_fields=("_epoch", "_idx"))
        files = [task.file.file_path for task in scan.plan_files()]
        rows = scan.to_arrow().to_pylist()
    except FAILURES as error:
        raise unavailable(error) from error
    file = files[0] if len(files) == 1 else f"one of {len(files)} files"
    return sorted((row["_epoch"], row["_idx"], file) for row in rows)


def _snapshots(table: Table, files: set[str]) -> dict[str, int]:
    """The snapshot that added each of the files."""
    wanted = {_key(file) for file in files}
    found: dict[str, int] = {}
    snapshot = table.current_snapshot()
    assert snapshot is not None
    try:
        for manifest in snapshot.manifests(table.io):
            for entry in manifest.fetch_manifest_entry(table.io):
                key = _key(entry.data_file.file_path)
                if key in wanted and entry.snapshot_id is not None:
                    found[key] = entry.snapshot_id
    except FAILURES as error:
        raise unavailable(error) from error
    return found


def _key(file: str) -> str:
    """A file's path without scheme: engines spell it differently."""
    return file.rpartition("://")[2].lstrip("/")
