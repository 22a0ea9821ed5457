"""Arithmetic on ranges of sequences."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.ranges import SequenceRange, describe, merge, subtract

BOUND = st.integers(1, 60)
RANGE = st.tuples(BOUND, BOUND).map(lambda pair: SequenceRange(min(pair), max(pair)))


def members(ranges: list[SequenceRange]) -> set[int]:
    """Every sequence of the ranges."""
    return {sequence for one in ranges for sequence in range(one.first, one.last + 1)}


@given(RANGE, st.lists(RANGE, max_size=6))
def test_subtracting_leaves_exactly_the_rest(
    whole: SequenceRange, parts: list[SequenceRange]
) -> None:
    """What is left is ascending, disjoint, and holds what no part holds."""
    left = subtract(whole, parts)
    assert members(left) == members([whole]) - members(parts)
    assert all(a.last + 1 < b.first for a, b in itertools.pairwise(left))


@given(st.lists(BOUND))
def test_merging_keeps_the_sequences_and_joins_neighbours(sequences: list[int]) -> None:
    """Runs hold the given sequences and have gaps between them."""
    runs = merge(sequences)
    assert members(runs) == set(sequences)
    assert all(a.last + 1 < b.first for a, b in itertools.pairwise(runs))


@given(RANGE, RANGE)
def test_the_overlap_is_what_both_hold(one: SequenceRange, other: SequenceRange) -> None:
    """None when they share nothing."""
    shared = one.overlap(other)
    assert members([shared] if shared else []) == members([one]) & members([other])


@given(RANGE, st.integers(1, 20))
def test_pieces_follow_each_other_and_cover_the_range(whole: SequenceRange, size: int) -> None:
    """No piece is larger than asked for."""
    pieces = list(whole.pieces(size))
    assert members(pieces) == members([whole])
    assert all(len(piece) <= size for piece in pieces)
    assert all(a.last + 1 == b.first for a, b in itertools.pairwise(pieces))


@pytest.mark.parametrize(("first", "last"), [(0, 3), (5, 4), (-1, -1)])
def test_what_is_no_range_is_refused(first: int, last: int) -> None:
    """Sequences count from 1 and a range is never empty."""
    with pytest.raises(ValueError, match="not a range"):
        SequenceRange(first, last)


def test_a_long_list_is_described_shortly() -> None:
    """Single sequences stand alone, and only the first ranges are named."""
    ranges = [SequenceRange(1, 3), SequenceRange(7, 7)]
    assert describe(ranges) == "1-3, 7"
    assert describe(ranges, most=1) == "1-3 and 1 more ranges"
