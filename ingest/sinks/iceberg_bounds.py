"""The newest sequences in a table's data, from the bounds that manifests keep of each file."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pyarrow.compute as pc
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import RESTError
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table
from pyiceberg.types import LongType, StringType
from requests import RequestException

from ingest.catalog import unavailable

COLUMNS = ("_seq", "_lane", "_epoch")


def newest_in_data(table: Table, lane: str) -> dict[str, int]:
    """Largest ``_seq`` of the lane by epoch in the table's current snapshot.

    Read from manifest bounds; only a file whose bounds do not name one lane and one epoch (a
    compaction mixed them) is opened. Raises SinkUnavailableError.
    """
    newest: dict[str, int] = defaultdict(int)
    try:
        for task in table.scan().plan_files():
            bounds = _Bounds(table, task.file)
            if bounds.excludes(lane):
                continue
            if bounds.lane == lane and bounds.epoch is not None and bounds.newest is not None:
                newest[bounds.epoch] = max(newest[bounds.epoch], bounds.newest)
            else:
                _merge(newest, _from_rows(table, task, lane))
    except (RESTError, RequestException, OSError) as error:
        raise unavailable(error) from error
    return dict(newest)


class _Bounds:
    """Bounds of the metadata columns of one file; None where they say nothing exact."""

    def __init__(self, table: Table, file: DataFile) -> None:
        ids = {name: table.schema().find_field(name).field_id for name in COLUMNS}
        lower, upper = file.lower_bounds or {}, file.upper_bounds or {}
        self._lanes = (_text(lower.get(ids["_lane"])), _text(upper.get(ids["_lane"])))
        epochs = (_text(lower.get(ids["_epoch"])), _text(upper.get(ids["_epoch"])))
        top = upper.get(ids["_seq"])
        self.newest = int(from_bytes(LongType(), top)) if top is not None else None
        self.lane = self._lanes[0] if self._lanes[0] == self._lanes[1] else None
        self.epoch = epochs[0] if epochs[0] == epochs[1] else None

    def excludes(self, lane: str) -> bool:
        """Whether the file has no row of the lane for certain."""
        low, high = self._lanes
        return low is not None and high is not None and not low <= lane <= high


def _text(value: bytes | None) -> str | None:
    return str(from_bytes(StringType(), value)) if value is not None else None


def _from_rows(table: Table, task: FileScanTask, lane: str) -> dict[str, int]:
    scan = table.scan(selected_fields=COLUMNS)
    rows = ArrowScan(table.metadata, table.io, scan.projection(), scan.row_filter).to_table([task])
    ours = rows.filter(pc.equal(rows.column("_lane"), lane))
    grouped: Any = ours.group_by("_epoch").aggregate([("_seq", "max")])
    return dict(
        zip(
            grouped.column("_epoch").to_pylist(),
            grouped.column("_seq_max").to_pylist(),
            strict=True,
        )
    )


def _merge(newest: dict[str, int], found: dict[str, int]) -> None:
    for epoch, sequence in found.items():
        newest[epoch] = max(newest[epoch], sequence)
