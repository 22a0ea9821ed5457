"""Latencies from the due time: the schedule, what a stall does to it, and percentiles."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency.ages import SHARES, Latency, Look, Readings, percentile, visible_s
from benchmarks.latency.steps import Step, visible_rate
from benchmarks.latency.tables import plot, tables
from benchmarks.page import Run

START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
STEP_US = 1_000


def readings(stored_after_us: list[int], clock_us: int = 0) -> Readings:
    """A reading each millisecond, stored so long after it was due.

    ``clock_us``: by how much the sensors' clock is behind the server's.
    """
    count = len(stored_after_us)
    due = START_US + np.arange(count, dtype=np.int64) * STEP_US
    return Readings(
        np.arange(1, count + 1), due - clock_us, due + np.array(stored_after_us, np.int64)
    )


def test_the_schedule_is_the_sensors_and_its_start_the_servers() -> None:
    """Due times are a step apart and begin when the first could have been stored."""
    due = readings([0, 0, 0, 0], clock_us=80_000).due_s
    assert due[0] == pytest.approx(START_US / 1e6, abs=1e-6)
    assert np.diff(due) == pytest.approx(STEP_US / 1e6, abs=1e-6)


def test_a_late_start_does_not_move_the_schedule() -> None:
    """The first message is slow to be stored; the next ones tell when it was due."""
    due = readings([700, 20, 0, 0]).due_s
    assert due[0] == pytest.approx(START_US / 1e6, abs=1e-6)


def test_a_stall_counts_for_every_reading_that_was_due_meanwhile() -> None:
    """A publisher that sleeps for 100 ms and catches up has 100 late readings, not one."""
    late_us = [0] * 50 + [100_000 - number * STEP_US for number in range(100)] + [0] * 50
    found = readings(late_us)
    latency = found.stored_us / 1e6 - found.due_s
    assert int((latency > 0.0005).sum()) == 100
    seen = Latency.of(latency)
    assert seen.at[SHARES.index(0.5)] == pytest.approx(0.0, abs=1e-6)
    assert seen.at[SHARES.index(0.9)] == pytest.approx(0.08, abs=1e-6)
    assert seen.largest == pytest.approx(0.1, abs=1e-6)


def test_rows_are_visible_from_the_first_look_that_counts_them() -> None:
    """A look at n rows shows the sequences up to n."""
    looks = [Look(10.0, 0), Look(11.0, 3), Look(12.0, 5)]
    seen = visible_s(np.array([1, 3, 4, 5]), looks)
    assert seen.tolist() == [11.0, 11.0, 12.0, 12.0]


def test_a_reading_that_was_never_seen_is_an_error() -> None:
    """Readings without a time would make the figures too good."""
    with pytest.raises(ValueError, match="sequence 6 was never seen in a table of 5 rows"):
        visible_s(np.array([5, 6]), [Look(1.0, 0), Look(2.0, 5)])


def test_the_rate_is_taken_between_changes() -> None:
    """What lies before and behind the stretch does not count."""
    looks = [Look(0.0, 0), Look(1.0, 100), Look(2.0, 300), Look(3.0, 500), Look(9.0, 501)]
    assert visible_rate(looks, 0.5, 4.0) == pytest.approx(200.0)
    with pytest.raises(ValueError, match="changed 1 times in 1 s"):
        visible_rate(looks, 0.5, 1.5)


@given(
    st.lists(st.floats(0, 1e3), min_size=1, max_size=300),
    st.sampled_from(SHARES),
)
def test_a_percentile_is_a_measured_value_with_that_share_at_or_below(
    values: list[float], share: float
) -> None:
    """Nothing is interpolated, and no smaller value would do."""
    ordered = np.sort(np.array(values))
    found = percentile(ordered, share)
    assert found in values
    assert (ordered <= found).sum() >= share * len(values) - 1e-6
    assert (ordered < found).sum() < share * len(values)


def test_percentiles_of_a_thousand() -> None:
    """By rank."""
    ordered = np.arange(1.0, 1001.0)
    assert [percentile(ordered, share) for share in SHARES] == [500, 900, 990, 999, 1000]


def test_every_load_is_a_row_and_a_line() -> None:
    """The page shows what was measured, in milliseconds."""
    seen = Latency.of(np.linspace(0.001, 1.0, 1000))
    steps = [Step(share, 1e4, 45.0, seen, seen, 5e3, {"hot": 0.5}) for share in (0.1, 0.5)]
    run = Run(datetime(2026, 1, 2, tzinfo=UTC), "abc1234", "2 cores", "make bench NAME=latency")
    assert (
        "| 50% of the maximum | 10,000 | 1,000 | 500 ms | 990 ms | 999 ms | 1,000 ms | 990.0 ms |"
        in tables(run, 2e4, steps)
    )
    document = plot(steps)
    assert ET.fromstring(document).tag.endswith("svg")
    assert document.count("<circle") == len(steps) * len(SHARES)
