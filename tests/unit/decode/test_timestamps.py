"""Whole columns of RFC 3339 timestamps and dates, strictly."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.timestamps import (
    EARLIEST_US,
    LATEST_US,
    date_column,
    in_supported_range,
    parse_date,
    parse_rfc3339,
    rfc3339_column,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)


def microseconds(moment: datetime) -> int:
    """Exact microseconds since the Unix epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(st.lists(st.datetimes(timezones=OFFSETS), max_size=30))
def test_every_moment_that_python_writes_is_read_back(moments: list[datetime]) -> None:
    """A column of mixed lengths and zones gives each row's own microseconds."""
    texts = [moment.isoformat() for moment in moments]

    values, valid = rfc3339_column(pa.array(texts, pa.string()))

    assert valid.all()
    assert values.tolist() == [microseconds(moment) for moment in moments]


@given(st.datetimes(), st.integers(1, 9), st.sampled_from("Zz"), st.sampled_from("Tt "))
def test_digits_beyond_microseconds_are_cut(
    moment: datetime, digits: int, zone: str, separator: str
) -> None:
    """One to nine digits of a second are read; a nanosecond never rounds up."""
    fraction = f"{moment.microsecond:06d}789"[:digits]
    text = f"{moment.replace(microsecond=0).isoformat(separator)}.{fraction}{zone}"
    kept = int(fraction.ljust(6, "0")[:6])

    assert parse_rfc3339(text) == microseconds(moment.replace(microsecond=kept, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:00Z",
        "2026-00-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-01-32T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "1900-02-29T03:04:05Z",
        "2026-01-02T03:04:05+01",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+01:60",
        "2026-01-02T03:04:05-01-00",
        "2026-01-02T03:04:05ZZ",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z ",
        "2026-01-02X03:04:05Z",
        "+026-01-02T03:04:05Z",
        "-026-01-02T03:04:05Z",
        "2026/01/02T03:04:05Z",
        "20260102T030405Z",
        "\uff12026-01-02T03:04Z",
        "2026-01-0\u0662T03:04:05Z",
        "1767323045",
        "now",
    ],
)
def test_what_is_not_a_timestamp_with_a_zone_is_refused(text: str) -> None:
    """No guess is made: each of these is no RFC 3339 timestamp."""
    assert parse_rfc3339(text) is None


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=20), st.integers(0, 3))
def test_any_text_is_read_or_refused(texts: list[str | None], start: int) -> None:
    """Nulls, slices and odd characters never raise, and a neighbour changes nothing."""
    column = pa.array([*texts, "2026-01-02T03:04:05Z"], pa.string()).slice(min(start, len(texts)))

    values, valid = rfc3339_column(column)

    assert valid[-1]
    assert values[-1] == 1_767_323_045_000_000
    assert not any(valid[row] for row in range(len(column)) if column[row].as_py() is None)
    for row, text in enumerate(column.to_pylist()):
        assert text is None or (int(values[row]) if valid[row] else None) == parse_rfc3339(text)


def test_the_supported_range_is_1900_to_2299() -> None:
    """Both ends are in, the microseconds beyond are not."""
    assert parse_rfc3339("1900-01-01T00:00:00Z") == EARLIEST_US
    assert parse_rfc3339("2299-12-31T23:59:59.999999Z") == LATEST_US
    assert in_supported_range(EARLIEST_US)
    assert in_supported_range(LATEST_US)
    assert not in_supported_range(EARLIEST_US - 1)
    assert not in_supported_range(LATEST_US + 1)


@given(st.lists(st.dates(), max_size=20))
def test_dates_are_read_back(days: list[date]) -> None:
    """Every date that Python writes is its number of days."""
    values, valid = date_column(pa.array([day.isoformat() for day in days], pa.string()))

    assert valid.all()
    assert values.tolist() == [day.toordinal() - date(1970, 1, 1).toordinal() for day in days]


@pytest.mark.parametrize("text", ["", "2026-1-2", "2026-02-29", "20260102", "1899-12-31"])
def test_what_is_no_date_of_the_range_is_refused(text: str) -> None:
    """Only YYYY-MM-DD, only real days, only 1900 to 2299."""
    assert parse_date(text) is None
