"""Quantiles from bucket counts stay within the bucket that holds the truth."""

from __future__ import annotations

import bisect
import math

from hypothesis import given
from hypothesis import strategies as st

from ingest.reading_ages import BOUNDS_S
from pipelines.ages import Ages, merged

BOUNDS = (*BOUNDS_S, math.inf)


def counted(values: list[float]) -> Ages:
    """Values as a histogram."""
    counts = [0.0] * len(BOUNDS)
    for value in values:
        counts[bisect.bisect_left(BOUNDS, value)] += 1
    return Ages(BOUNDS, tuple(counts))


values = st.lists(st.floats(0.002, 80.0), min_size=1, max_size=200)


@given(values, st.floats(0.01, 1.0))
def test_a_quantile_is_in_the_bucket_of_the_true_one(found: list[float], share: float) -> None:
    """The true quantile (the smallest value with that share at or below) is off by a bucket."""
    true = sorted(found)[max(math.ceil(share * len(found)) - 1, 0)]
    index = bisect.bisect_left(BOUNDS, true)

    quantile = counted(found).quantile(share)

    assert quantile is not None
    assert BOUNDS[index - 1] <= quantile <= BOUNDS[index]


@given(values, values)
def test_the_difference_of_two_looks_is_what_came_in_between(
    first: list[float], then: list[float]
) -> None:
    """Counters add up; after a restart the new count is taken whole."""
    before, now = counted(first), counted(first + then)

    assert now.since(before) == counted(then)
    assert merged([before, counted(then)]) == now
    assert before.since(now) == before


def test_nothing_has_no_quantile() -> None:
    """None, not 0: an idle path is not a fast one."""
    assert counted([]).quantile(0.99) is None
    assert merged([]) is None
