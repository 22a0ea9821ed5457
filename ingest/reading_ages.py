"""How old readings are when they become visible in the sink: one count for every reading.

A batch holds tens of thousands of readings whose times ascend, so the counts come from one look-up
a bucket, not from one observation a reading. That is why this is a collector of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from ingest.messages import Int64Array

NAME = "ingest_reading_age_seconds"
TEXT = "Age of a reading, by stream time, when it becomes visible in the sink"
LABELS = ("lane", "path")

# Twenty steps a decade (ISO 3): a bucket is an eighth wide, so a change of a tenth is seen.
_DECADE = (
    *(1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8),
    *(3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0),
)
BOUNDS_S = tuple(
    round(step * scale, 6) for scale in (0.001, 0.01, 0.1, 1.0, 10.0) for step in _DECADE
)


class ReadingAges(Collector):
    """The histogram of one lane and path."""

    def __init__(self, lane: str, path: str) -> None:
        self._labels = [lane, path]
        self._bounds_us = np.array([round(bound * 1e6) for bound in BOUNDS_S])
        self._counts = np.zeros(len(BOUNDS_S) + 1, dtype=np.int64)
        self._sum_s = 0.0

    def add(self, stored_at_us: Int64Array, visible_us: int) -> None:
        """Counts readings by JetStream's timestamps (us since the epoch), ascending or nearly so.

        A timestamp after ``visible_us`` (two clocks) counts as age 0.
        """
        ages = np.maximum(visible_us - stored_at_us[::-1], 0)
        if ages.size > 1 and bool((ages[1:] < ages[:-1]).any()):
            ages = np.sort(ages)
        upto = np.searchsorted(ages, self._bounds_us, side="right")
        counts = np.diff(upto, prepend=0, append=ages.size)
        # A new array, not in place: the scrape reads from another thread.
        self._counts = self._counts + counts
        self._sum_s += float(ages.sum()) / 1e6

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """The family without samples."""
        yield HistogramMetricFamily(NAME, TEXT, labels=LABELS)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family as it stands."""
        counts = np.cumsum(self._counts)
        bounds = [*(str(float(bound)) for bound in BOUNDS_S), "+Inf"]
        buckets = [(bound, float(count)) for bound, count in zip(bounds, counts, strict=True)]
        family = HistogramMetricFamily(NAME, TEXT, labels=LABELS)
        family.add_metric(self._labels, buckets=buckets, sum_value=self._sum_s)
        yield family
