"""Partition values and the time they stand for."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import DayTransform, IdentityTransform, MonthTransform

from pipelines.lake_periods import Step, period, step_of


@pytest.mark.parametrize(
    ("step", "value", "start", "end", "label"),
    [
        ("hour", 0, (1970, 1, 1, 0), (1970, 1, 1, 1), "1970-01-01T00"),
        ("hour", -1, (1969, 12, 31, 23), (1970, 1, 1, 0), "1969-12-31T23"),
        ("day", 59, (1970, 3, 1, 0), (1970, 3, 2, 0), "1970-03-01"),
        ("month", 11, (1970, 12, 1, 0), (1971, 1, 1, 0), "1970-12"),
        ("month", -1, (1969, 12, 1, 0), (1970, 1, 1, 0), "1969-12"),
        ("year", 56, (2026, 1, 1, 0), (2027, 1, 1, 0), "2026"),
    ],
)
def test_a_partition_value_counts_steps_since_1970(
    step: Step, value: int, start: tuple[int, ...], end: tuple[int, ...], label: str
) -> None:
    """Also before 1970, and over the ends of months and years."""
    found = period(step, value)

    assert found.start == datetime(*start, tzinfo=UTC)  # type: ignore[misc, arg-type]
    assert found.end == datetime(*end, tzinfo=UTC)  # type: ignore[misc, arg-type]
    assert found.label == label


def test_a_day_may_come_as_a_date() -> None:
    """Manifests hold a day as a date."""
    assert period("day", date(2026, 2, 28)).label == "2026-02-28"


def test_only_a_table_partitioned_by_time_alone_has_a_step() -> None:
    """Any other spec has no period, and is compacted without one."""
    day = PartitionField(1, 1000, DayTransform(), "ts_day")
    device = PartitionField(2, 1001, IdentityTransform(), "device")

    assert step_of(PartitionSpec(day)) == "day"
    assert step_of(PartitionSpec(PartitionField(1, 1000, MonthTransform(), "m"))) == "month"
    assert step_of(PartitionSpec(day, device)) is None
    assert step_of(PartitionSpec()) is None
