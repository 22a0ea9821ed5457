"""From a bucket that differs to the sequences and columns that do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ingest.proof.findings import Finding, Place, Problem, RowDifferences, compare_rows
from ingest.proof.side import RowHash, Segment, Side
from ingest.proof.stream_side import StreamSide
from ingest.proof.sums import BUCKET, NOTHING, Sums, differing
from ingest.ranges import SequenceRange, merge

MOST_BUCKETS = 64
"""Differing buckets that are looked into row by row; further ones are named whole."""
MOST_CHANGED = 20
"""Changed rows whose columns are compared."""

Wanted = Callable[[Segment], Awaitable[list[RowHash]]]


async def drill(
    stream: StreamSide, side: Side, segment: Segment, wanted: Sums, found: Sums
) -> list[Finding]:
    """Findings of one side against the stream."""
    differences, whole = await row_differences(stream.hashes, side, segment, wanted, found)
    findings = whole + differences.findings(side.name, segment.epoch)
    return [
        await _with_columns(stream, side, segment, finding, differences.changed)
        if finding.problem is Problem.CHANGED
        else finding
        for finding in findings
    ]


async def row_differences(
    rows_of: Wanted, side: Side, segment: Segment, wanted: Sums, found: Sums
) -> tuple[RowDifferences, list[Finding]]:
    """Differing rows, and findings for what was not looked into.

    ``segment`` without time bounds: a row whose timestamp was changed is to be found as well.
    """
    everywhere = Segment(segment.epoch, segment.version, segment.range)
    buckets = differing(wanted, found)
    empty = [one for one in buckets if found.get(one, NOTHING) == NOTHING]
    partly = [one for one in buckets if one not in set(empty)]
    differences = RowDifferences()
    looked = empty[:MOST_BUCKETS] if len(empty) + len(partly) <= MOST_BUCKETS else []
    for bucket in sorted([*looked, *partly[:MOST_BUCKETS]]):
        part = bucket_segment(everywhere, bucket)
        have = await asyncio.to_thread(side.hashes, part)
        differences.add(compare_rows(await rows_of(part), have))
    unlooked: list[Finding] = []
    for problem, rest in (
        (Problem.MISSING, [one for one in empty if one not in set(looked)]),
        (Problem.DIFFERS, partly[MOST_BUCKETS:]),
    ):
        ranges = _ranges(rest, wanted if problem is Problem.MISSING else found)
        if ranges:
            detail = "not looked into row by row"
            unlooked.append(Finding(side.name, problem, segment.epoch, ranges, detail))
    return differences, unlooked


def bucket_segment(segment: Segment, bucket: int) -> Segment:
    """The part of the segment that lies in the bucket."""
    whole = SequenceRange(max(bucket * BUCKET, 1), (bucket + 1) * BUCKET - 1)
    part = segment.range.overlap(whole)
    assert part is not None
    return Segment(segment.epoch, segment.version, part)


def _ranges(buckets: Sequence[int], sums: Sums) -> tuple[SequenceRange, ...]:
    """Least to largest sequence of each run of buckets."""
    runs = merge(one + 1 for one in buckets)
    return tuple(
        SequenceRange(
            min(sums[b - 1].first for b in range(run.first, run.last + 1) if b - 1 in sums),
            max(sums[b - 1].last for b in range(run.first, run.last + 1) if b - 1 in sums),
        )
        for run in runs
    )


async def _with_columns(
    stream: StreamSide, side: Side, segment: Segment, finding: Finding, places: Sequence[Place]
) -> Finding:
    """The finding with the columns in which the first changed rows differ."""
    told: list[str] = []
    everywhere = Segment(segment.epoch, segment.version, segment.range)
    for sequence, index in places[:MOST_CHANGED]:
        want = await stream.texts(everywhere, sequence, index)
        found = await asyncio.to_thread(side.texts, everywhere, sequence, index)
        columns = sorted({name for row in found for name in row if row[name] != want.get(name)})
        place = f"{sequence}/{index}" if index else str(sequence)
        told.append(f"{place}: {', '.join(columns)}")
    if len(places) > MOST_CHANGED:
        told.append(f"{len(places) - MOST_CHANGED} more")
    detail = f"column of sequence {'; '.join(told)}"
    return Finding(finding.side, finding.problem, finding.epoch, finding.ranges, detail)
