"""Days until a disk is full, from free room, growth and retention."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pipelines.quality_tables import disk_verdict
from pipelines.quality_verdict import Verdict
from pipelines.settings import QualitySettings

GB = 10**9


def verdict(**figures: float) -> Verdict:
    """A verdict for 100 GB of disk of which 10 GB are free, unless told otherwise."""
    given_ = {"free": 10 * GB, "size": 100 * GB, "held": 50 * GB, "daily": 1e9, **figures}
    return disk_verdict(
        free=int(given_["free"]),
        size=int(given_["size"]),
        held=int(given_["held"]),
        daily=given_["daily"],
        retention_days=int(given_.get("retention_days", 0)),
        bounds=QualitySettings(disk_days_min=7),
    )


def test_ten_days_are_enough_and_five_are_not() -> None:
    """Free room over daily growth, against the bound."""
    assert verdict().passed
    assert verdict().numbers["days_left"] == 10
    assert not verdict(daily=2e9).passed
    assert "full in 5.0 days, 7 days are least" in verdict(daily=2e9).text


def test_a_table_that_does_not_grow_never_fills_the_disk() -> None:
    """No growth, no end."""
    assert verdict(daily=0).passed
    assert "full never" in verdict(daily=0).text


def test_retention_bounds_the_growth() -> None:
    """A table that drops what is older than 30 days of 2 GB needs 10 GB more, and has them."""
    assert verdict(daily=2e9, retention_days=30).passed
    assert not verdict(daily=2e9, retention_days=31).passed


@given(st.integers(0, 10**13), st.floats(1, 1e12), st.integers(0, 400))
def test_more_room_is_never_worse(free: int, daily: float, days: int) -> None:
    """A green verdict stays green when there is more room."""
    if verdict(free=free, daily=daily, retention_days=days).passed:
        assert verdict(free=free + GB, daily=daily, retention_days=days).passed
    left = verdict(free=free, daily=daily, retention_days=days).numbers.get("days_left", math.inf)
    assert left >= 0
