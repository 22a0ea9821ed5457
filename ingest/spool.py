"""The spool: decoded rows of one coming commit, in an Arrow file on local disk.

Rows are written as they are decoded and memory-mapped at commit, so resident memory does not grow
with the commit. The spool survives nothing on purpose: after a crash it is thrown away, the stream
is the truth.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ingest.batches import Batch
from ingest.marks import Mark
from ingest.ranges import SequenceRange
from ingest.tracing import NO_TRACE, Trace


@dataclass(frozen=True)
class Spooled:
    """A closed spool: the rows of a range of sequences of one epoch and contract version."""

    path: Path
    covered: SequenceRange
    last: Mark
    last_row: Mark | None
    version: int
    rows: int
    bytes: int
    messages: int
    refused: dict[str, int]
    oldest_stored_at_us: int
    newest_event_s: float
    trace: Trace = NO_TRACE

    @property
    def holes(self) -> int:
        """Sequences of the range that the stream does not hold."""
        return len(self.covered) - self.messages

    def runs(self, max_rows: int) -> Iterator[pa.Table]:
        """The rows in stream order, in tables of at most ``max_rows``; reads through a map."""
        with pa.memory_map(str(self.path)) as source:
            file = pa.ipc.open_file(source)
            waiting: list[pa.RecordBatch] = []
            count = 0
            for index in range(file.num_record_batches):
                batch = file.get_batch(index)
                while count + batch.num_rows >= max_rows:
                    yield pa.Table.from_batches([*waiting, batch.slice(0, max_rows - count)])
                    batch = batch.slice(max_rows - count)
                    waiting, count = [], 0
                if batch.num_rows:
                    waiting.append(batch)
                    count += batch.num_rows
            if waiting:
                yield pa.Table.from_batches(waiting)

    def discard(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)


class Spool:
    """Collects batches of one epoch and version until a commit takes them."""

    def __init__(self, path: Path, schema: pa.Schema, time_column: str) -> None:
        self._path = path
        self._time_column = time_column
        self._sink = pa.OSFile(str(path), "wb")
        self._file = pa.ipc.new_file(self._sink, schema)
        self._first: Batch | None = None
        self._last: Batch | None = None
        self._last_row: Mark | None = None
        self._refused: Counter[str] = Counter()
        self._messages = 0
        self._newest_event_s = 0.0
        self.rows = 0
        self.bytes = 0
        self._opened = time.monotonic()

    def append(self, batch: Batch) -> None:
        """Adds the rows of the range that follows. Raises OSError when the disk is full."""
        if batch.rows.num_rows:
            self._file.write_batch(batch.rows)
        newest_s = batch.newest_event_s(self._time_column)
        self._newest_event_s = max(self._newest_event_s, newest_s)
        self._first = self._first or batch
        self._last = batch
        self._last_row = batch.last_row or self._last_row
        self._refused.update(batch.refused_by_reason)
        self._messages += batch.messages
        self.rows += batch.rows.num_rows
        self.bytes += batch.rows.nbytes

    @property
    def trace(self) -> Trace:
        """The first batch's trace, which tells of all that are committed with it."""
        return self._first.trace if self._first else NO_TRACE

    @property
    def empty(self) -> bool:
        """Whether no range was added, not even one without rows."""
        return self._last is None

    @property
    def age_s(self) -> float:
        """Seconds since the spool was opened."""
        return time.monotonic() - self._opened

    def takes(self, batch: Batch) -> bool:
        """Whether the batch has the epoch and version of what is spooled already."""
        if self._first is None:
            return True
        return (self._first.last.epoch, self._first.version) == (batch.last.epoch, batch.version)

    def finish(self) -> Spooled:
        """Closes the file for one commit."""
        assert self._first is not None
        assert self._last is not None
        self._file.close()
        self._sink.close()
        return Spooled(
            path=self._path,
            covered=SequenceRange(self._first.covered.first, self._last.covered.last),
            last=self._last.last,
            last_row=self._last_row,
            version=self._last.version,
            rows=self.rows,
            bytes=self.bytes,
            messages=self._messages,
            refused=dict(self._refused),
            oldest_stored_at_us=self._first.last.stored_at_us,
            newest_event_s=self._newest_event_s,
            trace=self.trace,
        )

    def discard(self) -> None:
        """Throws everything away."""
        self._file.close()
        self._sink.close()
        self._path.unlink(missing_ok=True)


class SpoolFolder:
    """Numbered spool files of one writer in a folder that it empties at start."""

    def __init__(self, folder: Path, lane: str, time_column: str) -> None:
        self._folder = folder / lane
        self._time_column = time_column
        self._folder.mkdir(parents=True, exist_ok=True)
        self._count = 0

    def clear(self) -> None:
        """Removes what an earlier process left: the stream holds it all."""
        for leftover in self._folder.glob("*.arrow"):
            leftover.unlink(missing_ok=True)

    def new(self, schema: pa.Schema) -> Spool:
        """An empty spool."""
        self._count += 1
        return Spool(self._folder / f"{self._count:08}.arrow", schema, self._time_column)
