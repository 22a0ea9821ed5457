"""Latencies of readings from their due time, and their percentiles. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SHARES = (0.5, 0.9, 0.99, 0.999, 0.9999)


@dataclass(frozen=True)
class Look:
    """ClickHouse answered at ``at_s`` (Unix time) that it holds ``rows``."""

    at_s: float
    rows: int


@dataclass(frozen=True)
class Readings:
    """What a step of the load stored, in the order of ``sequences`` (int64, from 1 without a gap).

    ``ts_us``: the sensor's time, which is when the reading was due by the sensor's schedule.
    ``stored_us``: JetStream's timestamp. Both microseconds since the Unix epoch.
    """

    sequences: IntArray
    ts_us: IntArray
    stored_us: IntArray

    @property
    def due_s(self) -> FloatArray:
        """When each reading was due, Unix time.

        The schedule goes by the sensor's clock from some moment on, and nothing is ever stored
        before it is due, so the reading that came soonest after its due time tells the moment.
        Nothing else moves it: a reading that was sent late, because publisher, server or machine
        were busy, was due all the same.
        """
        since_first = self.ts_us - self.ts_us[0]
        began_us = int((self.stored_us - since_first).min())
        due: FloatArray = (began_us + since_first) / 1e6
        return due


def visible_s(sequences: IntArray, looks: Sequence[Look]) -> FloatArray:
    """When each sequence was first seen to be in the table, Unix time.

    The table holds one row for each sequence from 1 on and is filled in their order, so the rows
    that it holds tell which ones they are.
    """
    rows = np.array([look.rows for look in looks])
    times = np.array([look.at_s for look in looks])
    first = np.searchsorted(rows, sequences, side="left")
    if len(first) and int(first.max()) >= len(looks):
        raise ValueError(
            f"sequence {int(sequences.max())} was never seen in a table of"
            f" {int(rows.max(initial=0))} rows: look until all of it is there"
        )
    return times[first]


def percentile(ordered: FloatArray, share: float) -> float:
    """The smallest of the ascending values that at least ``share`` of them do not exceed."""
    rank = int(np.ceil(share * len(ordered) - 1e-9))
    return float(ordered[max(rank, 1) - 1])


@dataclass(frozen=True)
class Latency:
    """Seconds of all readings of a step: at each of SHARES, the largest, and how many there are."""

    at: tuple[float, ...]
    largest: float
    readings: int

    @classmethod
    def of(cls, seconds: FloatArray) -> Latency:
        """Of every single reading, in any order."""
        ordered = np.sort(seconds)
        at = tuple(percentile(ordered, share) for share in SHARES)
        return cls(at, float(ordered[-1]), len(ordered))
