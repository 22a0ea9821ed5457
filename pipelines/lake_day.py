"""The lake's rows of one UTC day of storage, brought to local disk and cut by sequence.

Files are sorted by the key, so every file holds rows of the whole day: each is read once, and its
rows are spread over local files by sequence. Memory is that of one of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table

from ingest.catalog import unavailable
from ingest.contract import Contract
from ingest.sinks.iceberg import FAILURES
from pipelines.cancel import Cancel
from pipelines.errors import RowsDiffer
from pipelines.storage_days import bounds_us, moment

PIECE_ROWS = 200_000
"""Rows that one local file holds, about."""


@dataclass(frozen=True)
class Piece:
    """Rows of one epoch and a run of sequences on local disk."""

    epoch: str
    path: Path
    rows: int


class LakeDay:
    """One day of a lane in the table's current snapshot, spooled in ``folder``."""

    def __init__(
        self, table: Table, contract: Contract, lane: str, day: date, folder: Path
    ) -> None:
        first_us, end_us = bounds_us(day)
        self._table = table
        self._schema = contract.arrow_schema
        self._folder = folder
        since, until = moment(first_us).isoformat(), moment(end_us).isoformat()
        self._scan = table.scan(
            row_filter=f"_lane = '{lane}' and _stored_at >= '{since}' and _stored_at < '{until}'"
        )
        self._tries = itertools.count()
        self._kept: list[int] = []
        self._rows: dict[Path, tuple[str, dict[int, int]]] = {}
        self._width = 0

    def files(self) -> list[FileScanTask]:
        """The data files that may hold rows of the day. Raises SinkUnavailableError."""
        try:
            tasks = list(self._scan.plan_files())
        except FAILURES as error:
            raise unavailable(error) from error
        self._width = _width(self._table, tasks)
        return tasks

    def fetch(self, task: FileScanTask, cancel: Cancel) -> int:
        """Spools the day's rows of one file; their number.

        Safe to repeat when it was cancelled or failed: only a file read to its end counts.
        Raises SinkUnavailableError, WorkCancelled.
        """
        number = next(self._tries)
        count = 0
        scan = ArrowScan(
            self._table.metadata, self._table.io, self._scan.projection(), self._scan.row_filter
        )
        with ExitStack() as open_files:
            writers: dict[Path, pa.RecordBatchFileWriter] = {}
            try:
                for batch in scan.to_record_batches([task]):
                    cancel.check()
                    count += batch.num_rows
                    self._spread(_as_hot(batch, self._schema), number, writers, open_files)
            except FAILURES as error:
                raise unavailable(error) from error
        self._kept.append(number)
        return count

    def pieces(self) -> list[Piece]:
        """The spooled pieces in the order of epoch and sequence."""
        wanted = set(self._kept)
        found = [
            Piece(epoch, path, sum(n for one, n in tries.items() if one in wanted))
            for path, (epoch, tries) in self._rows.items()
        ]
        return sorted((one for one in found if one.rows), key=lambda one: (one.epoch, one.path))

    def rows(self, piece: Piece) -> pa.RecordBatch:
        """The piece's rows in the order of _seq and _idx, each once.

        Raises RowsDiffer when the lake holds a row twice.
        """
        tables = []
        for path in sorted(self._folder.glob(f"{piece.path.name}.*")):
            number = int(path.suffix[1:])
            if number in self._kept:
                with pa.memory_map(str(path)) as source:
                    tables.append(pa.ipc.open_file(source).read_all())
        order = [("_seq", "ascending"), ("_idx", "ascending")]
        rows = pa.concat_tables(tables).sort_by(order).combine_chunks()
        (batch,) = rows.to_batches()
        _require_once(batch)
        return batch

    def _spread(
        self,
        batch: pa.RecordBatch,
        number: int,
        writers: dict[Path, pa.RecordBatchFileWriter],
        open_files: ExitStack,
    ) -> None:
        if not batch.num_rows:
            return
        buckets = batch.column("_seq").to_numpy() // self._width
        for epoch in pc.unique(batch.column("_epoch")).to_pylist():
            mine = pc.equal(batch.column("_epoch"), epoch).to_numpy(zero_copy_only=False)
            for bucket in np.unique(buckets[mine]).tolist():
                rows = batch.filter(pa.array(mine & (buckets == bucket)))
                path = self._folder / f"{epoch}-{bucket:020}"
                if path not in writers:
                    sink = open_files.enter_context(pa.OSFile(f"{path}.{number}", "wb"))
                    writer = pa.ipc.new_file(sink, batch.schema)
                    writers[path] = open_files.enter_context(writer)
                writers[path].write_batch(rows)
                _, tries = self._rows.setdefault(path, (epoch, {}))
                tries[number] = tries.get(number, 0) + rows.num_rows


def blocks(rows: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """The rows in runs of at most ``size``."""
    for start in range(0, rows.num_rows, size):
        yield rows.slice(start, size)


def _width(table: Table, tasks: list[FileScanTask]) -> int:
    """Sequences of one piece, so that it has about PIECE_ROWS rows if all rows were wanted."""
    field_id = table.schema().find_field("_seq").field_id
    rows = sum(task.file.record_count for task in tasks)
    lows = [(task.file.lower_bounds or {}).get(field_id) for task in tasks]
    highs = [(task.file.upper_bounds or {}).get(field_id) for task in tasks]
    known = [int.from_bytes(one, "little") for one in (*lows, *highs) if one is not None]
    span = max(known) - min(known) + 1 if known else PIECE_ROWS
    return max(span * PIECE_ROWS // max(rows, 1), 1)


def _as_hot(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows with the hot table's columns; columns that a file lacks are null."""
    arrays = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    fields = [field.with_nullable(nullable=True) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _require_once(rows: pa.RecordBatch) -> None:
    sequences, indexes = rows.column("_seq").to_numpy(), rows.column("_idx").to_numpy()
    twice = (np.diff(sequences) == 0) & (np.diff(indexes) == 0)
    if twice.any():
        first = int(sequences[1:][twice][0])
        raise RowsDiffer(
            f"the lake holds {int(twice.sum())} rows of the day twice, the first of sequence"
            f" {first}; see `ingest verify --full`"
        )
