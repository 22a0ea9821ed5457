"""The histogram of readings' ages counts as one observation each would."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Histogram
from prometheus_client.registry import CollectorRegistry

from ingest.reading_ages import BOUNDS_S, NAME, TEXT, ReadingAges

VISIBLE_US = 1_800_000_000_000_000


@given(
    st.lists(
        st.lists(st.integers(-5_000, 200_000_000), min_size=1, max_size=30), min_size=1, max_size=4
    )
)
def test_counts_are_those_of_single_observations(batches: list[list[int]]) -> None:
    """In any order and over several batches; a reading from the future counts as age 0."""
    single = CollectorRegistry()
    reference = Histogram(NAME, TEXT, ("lane", "path"), buckets=BOUNDS_S, registry=single)
    bulk = CollectorRegistry()
    ages = ReadingAges("L", "hot")
    bulk.register(ages)

    for batch in batches:
        ages.add(VISIBLE_US - np.array(batch, dtype=np.int64), VISIBLE_US)
        for age_us in batch:
            reference.labels("L", "hot").observe(max(age_us, 0) / 1e6)

    for bound in (*(str(float(one)) for one in BOUNDS_S), "+Inf"):
        labels = {"lane": "L", "path": "hot", "le": bound}
        expected = single.get_sample_value(f"{NAME}_bucket", labels)
        assert expected is not None
        assert bulk.get_sample_value(f"{NAME}_bucket", labels) == expected
    total = sum(max(age_us, 0) for batch in batches for age_us in batch) / 1e6
    found = bulk.get_sample_value(f"{NAME}_sum", {"lane": "L", "path": "hot"})
    assert found is not None
    assert abs(found - total) < 1e-6 * max(total, 1)
