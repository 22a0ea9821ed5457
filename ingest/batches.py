"""Decoded messages cut into batches: each one insert, one partition, one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Decoded, Refused
from ingest.marks import Mark
from ingest.messages import Int64Array, Messages
from ingest.ranges import SequenceRange
from ingest.tracing import NO_TRACE, Trace

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True)
class Batch:
    """The rows of a range of sequences of one epoch and contract version.

    ``rows`` is one record batch in (_seq, _idx) order; it may be empty when every message was
    refused. ``last_row`` is None then.
    """

    covered: SequenceRange
    last: Mark
    last_row: Mark | None
    version: int
    rows: pa.RecordBatch
    refused: list[Refused]
    messages: int
    trace: Trace = field(default=NO_TRACE, compare=False, repr=False)

    def on_record(self, since: float) -> None:
        """Ends the trace: the range is on record as done; asked for ``since`` (CLOCK_MONOTONIC)."""
        self.trace.step("done", since)
        self.trace.finish(
            self.covered,
            self.last.epoch,
            rows=self.rows.num_rows,
            refused=len(self.refused),
            holes=self.holes,
        )

    @property
    def holes(self) -> int:
        """Sequences of the range that the stream does not hold."""
        return len(self.covered) - self.messages

    @property
    def refused_by_reason(self) -> dict[str, int]:
        """Count of refused messages by reason code."""
        return dict(Counter(str(one.reason) for one in self.refused))

    def newest_event_s(self, time_column: str) -> float:
        """Largest event time in seconds since the Unix epoch; the stream's time without rows."""
        newest = pc.max(self.rows.column(time_column)).cast(pa.int64()).as_py()
        return float(newest) / 1e6 if newest is not None else self.last.stored_at_us / 1e6

    @property
    def stored_at_us(self) -> Int64Array:
        """JetStream's timestamp of every row, in microseconds since the Unix epoch."""
        stored: Int64Array = self.rows.column("_stored_at").cast(pa.int64()).to_numpy()
        return stored

    @property
    def stored_messages(self) -> int:
        """Messages that have rows."""
        return self.messages - len(self.refused)


def cut(
    messages: Messages, decoded: Decoded, *, epoch: str, version: int, max_rows: int, max_bytes: int
) -> Iterator[Batch]:
    """Batches of at most ``max_rows`` and ``max_bytes``, each within one UTC day of storage.

    A message is never split, so one that alone exceeds a bound makes a batch of its own.
    """
    row_ends = np.searchsorted(
        decoded.batch.column("_seq").to_numpy(), messages.sequences, side="right"
    )
    start = 0
    covered_from = messages.covered.first
    for stop in _stops(messages, decoded.batch, row_ends, max_rows, max_bytes):
        last = int(messages.sequences[stop - 1])
        covered = SequenceRange(covered_from, last)
        rows = _rows(decoded.batch, row_ends, start, stop)
        yield Batch(
            covered=covered,
            last=Mark(epoch, last, int(messages.stored_at_ns[stop - 1]) // 1000),
            last_row=_last_row(rows, epoch),
            version=version,
            rows=rows,
            refused=[r for r in decoded.refused if r.sequence in covered],
            messages=stop - start,
        )
        start, covered_from = stop, last + 1


def _stops(
    messages: Messages,
    batch: pa.RecordBatch,
    row_ends: Int64Array,
    max_rows: int,
    max_bytes: int,
) -> Iterator[int]:
    days = messages.stored_at_ns // DAY_NS
    bounds = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(messages)]
    for first, last in pairwise(bounds):
        waiting = [(first, last)]
        while waiting:
            start, stop = waiting.pop()
            rows = _rows(batch, row_ends, start, stop)
            if stop - start > 1 and (rows.num_rows > max_rows or rows.nbytes > max_bytes):
                middle = (start + stop) // 2
                waiting += [(middle, stop), (start, middle)]
            else:
                yield stop


def _rows(
    batch: pa.RecordBatch,
    row_ends: Int64Array,
    start: int,
    stop: int,
) -> pa.RecordBatch:
    first = int(row_ends[start - 1]) if start else 0
    return batch.slice(first, int(row_ends[stop - 1]) - first)


def _last_row(rows: pa.RecordBatch, epoch: str) -> Mark | None:
    if rows.num_rows == 0:
        return None
    sequence = rows.column("_seq")[-1].as_py()
    stored_at = rows.column("_stored_at").cast(pa.int64())[-1].as_py()
    return Mark(epoch, sequence, stored_at)
