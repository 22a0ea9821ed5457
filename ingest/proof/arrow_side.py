"""Rows of Iceberg's data files read by PyArrow in this process, where ClickHouse cannot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyiceberg.exceptions import RESTError
from pyiceberg.table import Table
from requests import RequestException

from ingest.catalog import unavailable
from ingest.fingerprint import MASK, UInt64Array, canonical_texts, row_hashes, value_hashes
from ingest.messages import Int64Array
from ingest.proof.side import Columns, Groups, RowHash, Scanned, Segment
from ingest.proof.sums import Sums, sums_of
from ingest.ranges import SequenceRange

FAILURES = (RESTError, RequestException, OSError)


class ArrowSide:
    """The rows of one lane in the snapshot that ``table`` was loaded with.

    Sums hold 24 bytes a row of the segment in memory. ``why`` says why ClickHouse does not read.
    """

    def __init__(self, name: str, table: Table, lane: str, columns: Columns, *, why: str) -> None:
        self.name = name
        self.how = f"pyarrow ({why})"
        self.scanned = Scanned()
        self._table = table
        self._lane = lane
        self._columns = columns

    def sums(self, segment: Segment) -> Sums:
        """Sums by bucket; see Side."""
        return sums_of(*self._hashed(segment))

    def hashes(self, segment: Segment) -> list[RowHash]:
        """Every row; see Side."""
        columns = (array.tolist() for array in self._hashed(segment))
        return sorted(
            (RowHash(*row) for row in zip(*columns, strict=True)),
            key=lambda row: (row.sequence, row.index),
        )

    def texts(self, segment: Segment, sequence: int, index: int) -> list[dict[str, str | None]]:
        """Rows of one place as text; see Side."""
        names = [*(column.name for column in self._columns.newest.columns), "_stored_at"]
        place = f"{self._where(segment)} and _seq = {sequence} and _idx = {index}"
        found: list[dict[str, str | None]] = []
        for batch in self._batches(place):
            texts = [canonical_texts(batch.column(name)).to_pylist() for name in names]
            found += [dict(zip(names, row, strict=True)) for row in zip(*texts, strict=True)]
        return found

    def groups(self, column: str, hash_of: tuple[str, ...], covered: SequenceRange) -> Groups:
        """Rows and hashes by value of a column; see Side."""
        where = f"_lane = '{self._lane}' and _seq >= {covered.first} and _seq <= {covered.last}"
        counts: dict[str, tuple[int, int]] = {}
        for batch in self._batches(where):
            hashes = value_hashes(batch, hash_of)
            for value, one in zip(batch.column(column).to_pylist(), hashes.tolist(), strict=True):
                rows, before = counts.get(value, (0, 0))
                counts[value] = (rows + 1, (before + one) & MASK)
        return counts

    def strays(self, known: tuple[str, ...]) -> dict[str, int]:
        """Rows under unknown epochs; see Side."""
        counts: dict[str, int] = {}
        for batch in self._batches(f"_lane = '{self._lane}'", ("_epoch", "_lane")):
            for one in batch.column("_epoch").value_counts().to_pylist():
                if one["values"] not in known:
                    counts[one["values"]] = counts.get(one["values"], 0) + one["counts"]
        return counts

    def close(self) -> None:
        """Nothing is open."""

    def _hashed(self, segment: Segment) -> tuple[Int64Array, Int64Array, UInt64Array]:
        names = [column.name for column in self._columns.of(segment.version).columns]
        later = [column.name for column in self._columns.later(segment.version)]
        parts = [
            (
                batch.column("_seq").to_numpy(),
                batch.column("_idx").to_numpy().astype(np.int64),
                row_hashes(batch, names, later),
            )
            for batch in self._batches(self._where(segment))
        ]
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64)
        sequences, indexes, hashes = zip(*parts, strict=True)
        return np.concatenate(sequences), np.concatenate(indexes), np.concatenate(hashes)

    def _where(self, segment: Segment) -> str:
        first, last = segment.range.first, segment.range.last
        place = f"_lane = '{self._lane}' and _epoch = '{segment.epoch}'"
        return f"{place} and _seq >= {first} and _seq <= {last}"

    def _batches(self, where: str, fields: tuple[str, ...] = ("*",)) -> Iterator[pa.RecordBatch]:
        if self._table.current_snapshot() is None:
            return
        try:
            scan = self._table.scan(row_filter=where, selected_fields=fields)
            for batch in scan.to_arrow_batch_reader():
                if batch.num_rows:
                    self.scanned.rows += batch.num_rows
                    self.scanned.bytes += batch.nbytes
                    yield batch
        except FAILURES as error:
            raise unavailable(error) from error
