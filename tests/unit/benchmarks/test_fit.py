"""The fit of cost over the number of messages."""

from __future__ import annotations

import math

import pytest

from benchmarks.scaling.fit import marginal_us, slope_percent

COUNTS = [100_000, 1_000_000, 10_000_000]


def test_the_same_cost_at_any_number_has_no_slope() -> None:
    """Linear growth in total is a flat cost a message."""
    assert slope_percent(COUNTS, [3.0, 3.0, 3.0]) == pytest.approx(0.0, abs=1e-9)


def test_a_cost_that_grows_a_tenth_each_decade_is_ten_percent() -> None:
    """The slope is relative to the mean cost."""
    assert slope_percent(COUNTS, [2.7, 3.0, 3.3]) == pytest.approx(10.0)
    assert slope_percent(COUNTS, [3.3, 3.0, 2.7]) == pytest.approx(-10.0)


def test_decades_count_and_not_messages() -> None:
    """Between 1 and 2 million there are 0.3 decades."""
    slope = slope_percent([1_000_000, 2_000_000], [1.0, 1.0 + math.log10(2)])
    assert slope == pytest.approx(100 / (1 + math.log10(2) / 2))


def test_one_count_has_no_slope() -> None:
    """A line needs two points."""
    with pytest.raises(ValueError, match="expected two at least"):
        slope_percent([5, 5], [1.0, 2.0])


def test_the_start_is_not_a_cost_of_the_messages() -> None:
    """What the smallest stream takes is the writer's start."""
    fixed_s, each_us = 0.25, 3.0
    least_s = fixed_s + 1_000 * each_us / 1e6
    for count in COUNTS:
        whole_s = fixed_s + count * each_us / 1e6
        assert marginal_us(count, whole_s, 1_000, least_s) == pytest.approx(each_us)
    with pytest.raises(ValueError, match="more than the first 1000"):
        marginal_us(1_000, 1.0, 1_000, 1.0)
