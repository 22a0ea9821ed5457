"""Times of CSV files: each format exactly, and no guessing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import SettingsError
from simulator.csv_times import TimeParser, parse_zone

T0_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("time_format", "zone", "text", "expected"),
    [
        ("rfc3339", "UTC", "2026-01-01T00:00:00Z", T0_US),
        ("rfc3339", "UTC", " 2026-01-01 01:00:00.000001+01:00 ", T0_US + 1),
        ("rfc3339", "-08:00", "2025-12-31T16:00:00", T0_US),
        ("rfc3339", "Europe/Vienna", "2026-07-01T02:00:00", T0_US + 181 * 86_400_000_000),
        ("%d.%m.%Y %H:%M", "UTC", "01.01.2026 00:00", T0_US),
        ("%Y-%m-%d %H:%M%z", "-08:00", "2026-01-01 02:00+0200", T0_US),
        ("epoch-s", "UTC", "1767225600.000001", T0_US + 1),
        ("epoch-ms", "UTC", "1767225600000.5", T0_US + 500),
        ("epoch-us", "UTC", "1767225600000000", T0_US),
        ("epoch-ns", "UTC", "1767225600000000999", T0_US),
        ("epoch-s", "UTC", "-0.0000005", -1),
    ],
)
def test_formats(time_format: str, zone: str, text: str, expected: int) -> None:
    """Each format gives microseconds since the Unix epoch; a finer part is rounded down."""
    assert TimeParser(time_format, zone).parse(text) == expected


@given(st.integers(-(2**62), 2**62))
def test_whole_numbers_are_exact(number: int) -> None:
    """No floating point comes between a number and its time."""
    assert TimeParser("epoch-us", "UTC").parse(str(number)) == number
    assert TimeParser("epoch-ns", "UTC").parse(str(number)) == number // 1_000


@pytest.mark.parametrize("time_format", ["rfc3339", "%Y-%m-%d", "epoch-s", "epoch-ns"])
@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30T00:00:00Z", "nan", "inf", "1e999"])
def test_what_is_no_time_is_named(time_format: str, text: str) -> None:
    """The error holds the text and the format that was expected."""
    with pytest.raises(ValueError, match="is not a time") as caught:
        TimeParser(time_format, "UTC").parse(text)

    assert repr(text) in str(caught.value)
    assert time_format in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars", "+25:00", "-8", "../etc", ""])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    """A zone is an offset or a name of the time zone database."""
    with pytest.raises(SettingsError, match="unknown time zone"):
        parse_zone(zone)
