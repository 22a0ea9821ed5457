"""Ages of readings as counts in buckets, as a Prometheus histogram gives them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Ages:
    """``counts[i]`` readings were at most ``bounds[i]`` seconds old and above the bound before.

    ``bounds`` ascend and end with infinity; both have the same length.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def total(self) -> float:
        """Number of readings."""
        return sum(self.counts)

    def since(self, before: Ages) -> Ages:
        """What was counted after ``before``; all of it when the counters began anew."""
        if before.bounds != self.bounds:
            return self
        delta = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        return self if min(delta, default=0) < 0 else Ages(self.bounds, delta)

    def quantile(self, share: float) -> float | None:
        """Age in seconds that ``share`` of the readings do not exceed; None without readings.

        Inside a bucket readings are taken as evenly spread. Beyond the last finite bound that
        bound is given: the truth is not known and larger.
        """
        if self.total <= 0:
            return None
        rank = share * self.total
        below = 0.0
        for index, reached in enumerate(accumulate(self.counts)):
            if reached >= rank and self.counts[index] > 0:
                lower = self.bounds[index - 1] if index else 0.0
                upper = self.bounds[index]
                if math.isinf(upper):
                    return lower
                return lower + (upper - lower) * (rank - below) / self.counts[index]
            below = reached
        return None


def merged(parts: Iterable[Ages]) -> Ages | None:
    """The sum of histograms with the same bounds; those with others than the first are left out."""
    kept: list[Ages] = []
    for part in parts:
        if not kept or part.bounds == kept[0].bounds:
            kept.append(part)
    if not kept:
        return None
    counts = tuple(sum(column) for column in zip(*(part.counts for part in kept), strict=True))
    return Ages(kept[0].bounds, counts)
