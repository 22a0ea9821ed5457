"""Rows brought into the hot table: asked for before and after, so that each is there once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.fingerprint import UInt64Array, hexadecimal, row_hashes, total
from ingest.proof.plan import by_version
from ingest.proof.side import Columns, Segment
from ingest.proof.sql_side import SqlSide
from ingest.ranges import SequenceRange
from ingest.registry import Registry
from pipelines.cancel import Cancel
from pipelines.errors import RowsDiffer
from pipelines.lake_day import blocks

MAX_TRIES = 3
"""Tokens tried for one block before its rows count as refused by ClickHouse."""

Insert = Callable[[pa.RecordBatch, str], None]
"""Stores rows as one block; the text is their fingerprint."""


class HotFill:
    """Brings the hot table to what pieces of the lake hold.

    ``insert`` sends one block, ``outlived`` is told that a token outlived its rows: they were
    inserted under it before and dropped since. A block has ``block_rows`` rows at most.
    """

    def __init__(
        self,
        hot: SqlSide,
        columns: Columns,
        registry: Registry,
        insert: Insert,
        outlived: Callable[[], None],
        block_rows: int,
    ) -> None:
        self._hot = hot
        self._columns = columns
        self._registry = registry
        self._insert = insert
        self._outlived = outlived
        self._block_rows = block_rows

    def fill(self, rows: pa.RecordBatch, cancel: Cancel) -> None:
        """Stores what is missing of the rows of one epoch, ascending by _seq and _idx.

        Raises RowsDiffer, WorkCancelled between two blocks, and what ``insert`` raises.
        """
        sequences = rows.column("_seq").to_numpy()
        whole = SequenceRange(int(sequences[0]), int(sequences[-1]))
        name = rows.column("_epoch")[0].as_py()
        epoch = next((one for one in self._registry.record.epochs if one.id == name), None)
        if epoch is None:
            raise RowsDiffer(f"the lake holds rows of epoch {name}, which the registry lacks")
        for segment in by_version(self._registry, epoch, whole):
            ends = [segment.range.first, segment.range.last + 1]
            start, stop = np.searchsorted(sequences, ends).tolist()
            for block in blocks(rows.slice(start, stop - start), self._block_rows):
                cancel.check()
                self._block(block, segment.version)

    def _block(self, block: pa.RecordBatch, version: int) -> None:
        names = [column.name for column in self._columns.of(version).columns]
        later = [column.name for column in self._columns.later(version)]
        hashes = row_hashes(block, names, later)
        for _ in range(MAX_TRIES):
            missing = self._missing(block, hashes, version)
            if not missing.any():
                return
            self._insert(block.filter(pa.array(missing)), hexadecimal(total(hashes[missing])))
            if not self._missing(block, hashes, version).any():
                return
            self._outlived()
        raise RowsDiffer("ClickHouse accepts the rows of a block and does not hold them")

    def _missing(
        self, block: pa.RecordBatch, hashes: UInt64Array, version: int
    ) -> npt.NDArray[np.bool_]:
        """Which rows the hot table lacks. Raises RowsDiffer when it holds others in their place."""
        sequences, indexes = block.column("_seq").to_numpy(), block.column("_idx").to_numpy()
        stored_us = block.column("_stored_at").cast(pa.int64()).to_numpy()
        segment = Segment(
            block.column("_epoch")[0].as_py(),
            version,
            SequenceRange(int(sequences[0]), int(sequences[-1])),
            (int(stored_us.min()), int(stored_us.max())),
        )
        held = {(one.sequence, one.index): one.hash for one in self._hot.hashes(segment)}
        found = [
            held.get(place) for place in zip(sequences.tolist(), indexes.tolist(), strict=True)
        ]
        for sequence, one, wanted in zip(sequences.tolist(), found, hashes.tolist(), strict=True):
            if one is not None and one != wanted:
                raise RowsDiffer(
                    f"the hot table holds another row than the lake for sequence {sequence};"
                    " see `ingest verify --full`"
                )
        return np.array([one is None for one in found], np.bool_)
