"""Sums over buckets of sequences: what two sides must agree on, small enough to keep in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ingest.fingerprint import MASK, UInt64Array
from ingest.messages import Int64Array

BUCKET = 8_192
"""Sequences of one bucket: bucket n holds n * 8192 to n * 8192 + 8191."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What one side holds of a run of sequences.

    ``pairs`` are distinct (_seq, _idx), ``messages`` distinct _seq; ``first`` and ``last`` the
    least and largest _seq (0 without rows); ``fingerprint`` the sum of row hashes modulo 2^64.
    """

    rows: int = 0
    pairs: int = 0
    messages: int = 0
    first: int = 0
    last: int = 0
    fingerprint: int = 0

    def plus(self, other: Sum) -> Sum:
        """Both together; they must not share a sequence."""
        if not self.rows or not other.rows:
            return self if self.rows else other
        return Sum(
            self.rows + other.rows,
            self.pairs + other.pairs,
            self.messages + other.messages,
            min(self.first, other.first),
            max(self.last, other.last),
            (self.fingerprint + other.fingerprint) & MASK,
        )


NOTHING = Sum()
Sums = dict[int, Sum]
"""Sum of each bucket that has rows."""


def total(sums: Sums) -> Sum:
    """All buckets together."""
    whole = NOTHING
    for one in sums.values():
        whole = whole.plus(one)
    return whole


def add(into: Sums, more: Sums) -> None:
    """Adds sums of other sequences."""
    for bucket, one in more.items():
        into[bucket] = into.get(bucket, NOTHING).plus(one)


def differing(one: Sums, other: Sums) -> list[int]:
    """Buckets in which two sides do not hold the same, ascending."""
    buckets = one.keys() | other.keys()
    return sorted(b for b in buckets if one.get(b, NOTHING) != other.get(b, NOTHING))


def sums_of(sequences: Int64Array, indexes: Int64Array, hashes: UInt64Array) -> Sums:
    """Sums of rows in any order; memory is that of the arrays."""
    if not len(sequences):
        return {}
    order = np.lexsort((indexes, sequences))
    sequences, indexes, hashes = sequences[order], indexes[order], hashes[order]
    new_message = np.concatenate([[True], np.diff(sequences) != 0])
    new_pair = new_message | np.concatenate([[True], np.diff(indexes) != 0])
    buckets = sequences // BUCKET
    starts = np.flatnonzero(np.concatenate([[True], np.diff(buckets) != 0]))
    ends = np.append(starts[1:], len(sequences))
    columns: Iterable[tuple[int, ...]] = zip(
        buckets[starts].tolist(),
        (ends - starts).tolist(),
        np.add.reduceat(new_pair.astype(np.int64), starts).tolist(),
        np.add.reduceat(new_message.astype(np.int64), starts).tolist(),
        sequences[starts].tolist(),
        sequences[ends - 1].tolist(),
        np.add.reduceat(hashes, starts).tolist(),
        strict=True,
    )
    return {bucket: Sum(*rest) for bucket, *rest in columns}
