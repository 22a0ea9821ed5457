"""Sums over buckets, and what two sets of rows differ by."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.proof.findings import RowDifferences, compare_rows
from ingest.proof.side import RowHash
from ingest.proof.sums import BUCKET, Sum, Sums, add, differing, sums_of, total

Rows = st.lists(
    st.tuples(st.integers(1, 3 * BUCKET), st.integers(0, 3), st.integers(0, 2**64 - 1)), max_size=60
)
Row = tuple[int, int, int]


def summed(rows: list[Row]) -> Sums:
    """Sums of rows."""
    sequences, indexes, hashes = zip(*rows, strict=True) if rows else ((), (), ())
    return sums_of(
        np.array(sequences, np.int64), np.array(indexes, np.int64), np.array(hashes, np.uint64)
    )


@given(Rows)
def test_sums_count_what_is_there(rows: list[Row]) -> None:
    """Rows, distinct places, distinct sequences, bounds and hashes of each bucket."""
    expected: Sums = {}
    for bucket in {seq // BUCKET for seq, _, _ in rows}:
        own = [row for row in rows if row[0] // BUCKET == bucket]
        sequences = [seq for seq, _, _ in own]
        expected[bucket] = Sum(
            len(own),
            len({row[:2] for row in own}),
            len(set(sequences)),
            min(sequences),
            max(sequences),
            sum(row[2] for row in own) % 2**64,
        )

    assert summed(rows) == expected


@given(Rows)
def test_sums_of_pieces_add_up(rows: list[Row]) -> None:
    """Cut between sequences, the pieces' sums are the whole's."""
    ordered = sorted(rows)
    middle = ordered[len(ordered) // 2][0] if ordered else 0
    whole = summed([row for row in ordered if row[0] < middle])
    add(whole, summed([row for row in ordered if row[0] >= middle]))

    assert whole == summed(rows)
    assert total(whole) == total(summed(rows))
    assert differing(whole, summed(rows)) == []


def test_differing_buckets_are_named() -> None:
    """A bucket that only one side has differs."""
    assert differing(summed([(1, 0, 5), (BUCKET, 0, 5)]), summed([(1, 0, 5)])) == [1]


def test_rows_differ_in_four_ways() -> None:
    """Missing, doubled, changed and extra rows are told apart."""
    wanted = [RowHash(seq, 0, seq) for seq in range(1, 6)]
    found = [
        RowHash(1, 0, 1),
        RowHash(2, 0, 2),
        RowHash(2, 0, 2),
        RowHash(3, 0, 99),
        RowHash(5, 0, 5),
        RowHash(5, 0, 77),
        RowHash(6, 0, 6),
    ]

    assert compare_rows(wanted, found) == RowDifferences(
        missing=[(4, 0)], extra=[(6, 0)], doubled=[(2, 0), (5, 0)], changed=[(3, 0), (5, 0)]
    )
