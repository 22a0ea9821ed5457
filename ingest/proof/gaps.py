"""What a sink lacks of what the stream holds: the rows themselves, chunk by chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ingest.batches import Batch, cut
from ingest.decode import Decoded, Refused
from ingest.proof.drill import bucket_segment
from ingest.proof.findings import RowDifferences, compare_rows
from ingest.proof.plan import Kind, Known, Part, make_plan
from ingest.proof.side import RowHash, Segment, Side
from ingest.proof.stream_side import Chunk, StreamSide
from ingest.proof.sums import Sums, add, differing
from ingest.ranges import SequenceRange, merge

OnRefused = Callable[[Sequence[Refused], int], Awaitable[None]]
"""Told of the refused messages of a chunk and the contract version that refused them."""


@dataclass
class Gaps:
    """Finds missing rows of one sink; ``differences`` collects what was found on the way."""

    stream: StreamSide
    side: Side
    on_refused: OnRefused
    max_rows: int
    max_bytes: int
    differences: dict[str, RowDifferences] = field(default_factory=dict)
    sequences: int = 0

    async def batches(self, part: Part) -> AsyncIterator[Batch]:
        """Batches of missing rows of the part, ascending; each within one UTC day of storage."""
        segment = part.segment
        wanted: Sums = {}
        async for chunk in self.stream.chunks(segment):
            add(wanted, chunk.sums())
            self.sequences += len(chunk.messages.covered)
            await self.on_refused(chunk.decoded.refused, segment.version)
        found = await asyncio.to_thread(self.side.sums, segment)
        for run in _runs(segment, differing(wanted, found)):
            async for chunk in self.stream.chunks(run):
                for batch in await self._missing(run, chunk):
                    yield batch

    async def _missing(self, run: Segment, chunk: Chunk) -> list[Batch]:
        covered = chunk.messages.covered
        here = Segment(run.epoch, run.version, covered)
        stored = await asyncio.to_thread(self.side.hashes, here)
        differences = compare_rows(_row_hashes(chunk), stored)
        self.differences.setdefault(run.epoch, RowDifferences()).add(differences)
        missing = set(differences.missing)
        rows = chunk.decoded.batch
        places = zip(rows.column("_seq").to_pylist(), rows.column("_idx").to_pylist(), strict=True)
        lacking = rows.filter(pa.array([place in missing for place in places], pa.bool_()))
        batches = cut(
            chunk.messages,
            Decoded(lacking, []),
            epoch=run.epoch,
            version=run.version,
            max_rows=self.max_rows,
            max_bytes=self.max_bytes,
        )
        return [batch for batch in batches if batch.rows.num_rows]


def parts_to_compare(known: Known) -> tuple[list[Part], list[SequenceRange]]:
    """What the stream still holds, and the ranges that have aged out of it."""
    plan = make_plan(known, full=False)
    held = [part for part in plan if part.kind is Kind.STREAM]
    aged = [part.segment.range for part in plan if part.kind is Kind.AGED_OUT]
    return held, aged


def _runs(segment: Segment, buckets: list[int]) -> list[Segment]:
    """Adjacent buckets as one segment each."""
    runs: list[Segment] = []
    for run in merge(bucket + 1 for bucket in buckets):
        first = bucket_segment(segment, run.first - 1).range.first
        last = bucket_segment(segment, run.last - 1).range.last
        runs.append(Segment(segment.epoch, segment.version, SequenceRange(first, last)))
    return runs


def _row_hashes(chunk: Chunk) -> list[RowHash]:
    rows = chunk.decoded.batch
    columns = (
        rows.column("_seq").to_pylist(),
        rows.column("_idx").to_pylist(),
        chunk.hashes.tolist(),
    )
    return [RowHash(*row) for row in zip(*columns, strict=True)]


def first_and_last(rows: pa.RecordBatch) -> SequenceRange:
    """Least and largest sequence of the rows."""
    sequences = rows.column("_seq").to_numpy()
    return SequenceRange(int(np.min(sequences)), int(np.max(sequences)))
